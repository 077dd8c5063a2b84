"""Live output of LangChain's chat models in ``stream_mode="messages"``, and what it means to limits on idling.

A model that a node calls finds a callback handler in the config it is given, or else in the context variable where
LangChain looks for its surroundings. The handler has the methods that LangChain calls, and inherits nothing from it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextvars import Token
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from distgraph.constants import TAG_NOSTREAM
from distgraph.engine.messages import begun_by, message_id
from distgraph.engine.tools import ToolHandler

if TYPE_CHECKING:
    from distgraph.engine.context import RunContext
    from distgraph.engine.scope import NodeScope

_SURROUNDINGS = "langchain_core.runnables.config"
_MANAGERS = "langchain_core.callbacks.manager"
#: Its limits are LangChain's own defaults, its name and id the runnable's.
_GIVEN_ON = ("tags", "metadata", "callbacks", "configurable")
#: Stream modes of what only LangChain's callbacks tell.
TOLD_BY_LANGCHAIN = frozenset({"messages", "tools"})
#: Tag of what runs inside a node's run, as LangChain marks the first step of a sequence.
WITHIN = "seq:step:1"


class TokenHandler:
    """Sends what chat models tell, while one node runs, as (message or chunk of one, metadata).

    Args:
        ctx: the run; its ``seen`` gets the ids, so that a message that the node returns is not sent once more.
        metadata: of the task that runs.
    """

    # What LangChain reads of a handler: failures are logged, calls come in order and in the OS thread of the model.
    raise_error = False
    run_inline = True
    ignore_llm = ignore_chat_model = False
    ignore_agent = ignore_chain = ignore_retriever = ignore_retry = ignore_custom_event = True

    def __init__(self, ctx: RunContext, metadata: Mapping[str, Any]) -> None:
        self._ctx = ctx
        self._metadata = metadata
        #: Calls of models that are shown: LangChain's run id -> metadata of the chunks.
        self._calls: dict[Any, dict[str, Any]] = {}

    def show(self, message: Any, metadata: Mapping[str, Any] | None = None) -> None:
        """Send a message, and remember that readers know it. One without an id is an object, and gets one."""
        known = message_id(message)
        if known is None:
            message.id = known = str(uuid4())
        self._ctx.seen.add(known)
        if self._ctx.emit is not None:
            self._ctx.emit(self._ctx.ns_tuple, "messages", (message, metadata or self._metadata))

    # ------------------------------------------------------------ what LangChain calls

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: Any,
        tags: list[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """A model is called."""
        if TAG_NOSTREAM in (tags or ()):
            return
        found = {**self._metadata, **(metadata or {})}
        # LangChain's own tags say where in a sequence the model stands.
        own = [tag for tag in tags or () if not tag.startswith("seq:step")]
        self._calls[run_id] = {**found, "tags": own} if own else found

    def on_llm_new_token(self, token: str, *, run_id: Any, chunk: Any = None, **more: Any) -> None:
        """A model has made a piece of its answer."""
        metadata = self._calls.get(run_id)
        message = getattr(chunk, "message", None)
        if metadata is not None and message is not None:
            self.show(message, metadata)

    def on_llm_end(self, response: Any, *, run_id: Any, **more: Any) -> None:
        """A model has answered: news to the readers, unless it told the pieces."""
        metadata = self._calls.pop(run_id, None)
        if metadata is None or not response.generations or not response.generations[0]:
            return
        message = getattr(response.generations[0][0], "message", None)
        if message is not None and (message.id is None or message.id not in self._ctx.seen):
            self.show(message, metadata)

    def on_llm_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """A model has failed."""
        self._calls.pop(run_id, None)

    def on_llm_start(self, *args: Any, **more: Any) -> None:
        """A model that takes and gives texts: no messages."""

    def on_text(self, *args: Any, **more: Any) -> None:
        """No message."""

    def on_stream_event(self, *args: Any, **more: Any) -> None:
        """The parts are told otherwise too."""

    def tap_output_iter(self, run_id: Any, output: Any) -> Any:
        """That a handler has this makes models tell the pieces, though they were asked for the whole answer."""
        return output

    def tap_output_aiter(self, run_id: Any, output: Any) -> Any:
        """The same of async models."""
        return output


class PieceHandler(TokenHandler):
    """Sends the events of which LangChain makes a message: its begin, pieces of its blocks, its end.

    A message that was told so, or that is a tool's, is not sent whole.
    """

    def on_stream_event(self, event: dict[str, Any], *, run_id: Any, **more: Any) -> None:
        """A model has made a piece of a message."""
        metadata = self._calls.get(run_id)
        if metadata is None or self._ctx.emit is None:
            return
        if event.get("event") == "message-start":
            self._ctx.seen.add(begun_by(event))
            metadata = self._calls[run_id] = {**metadata, "run_id": str(run_id)}
        self._ctx.emit(self._ctx.ns_tuple, "messages", (event, metadata))

    def on_llm_new_token(self, token: str, **more: Any) -> None:
        """A part of a message, as only models tell that a node calls by ``stream``: the whole comes at its end."""

    def on_llm_end(self, response: Any, *, run_id: Any, **more: Any) -> None:
        """A model has answered: news to the readers, unless it told the pieces."""
        if "run_id" not in self._calls.get(run_id, ()):
            super().on_llm_end(response, run_id=run_id, **more)
            return
        self._calls.pop(run_id)
        message = getattr(response.generations[0][0], "message", None) if response.generations else None
        if message is not None:
            message.id = message.id or str(uuid4())
            self._ctx.seen.add(message.id)


@cache
def _piece_handler() -> type[PieceHandler]:
    """The handler by which models know that their pieces are wanted: they look for a class of LangChain's."""
    try:
        from langchain_core.tracers._streaming import _V2StreamingCallbackHandler as Marker
    except ImportError:
        return PieceHandler
    return type("PieceHandler", (PieceHandler, Marker), {})


def handler_for(ctx: RunContext, metadata: Mapping[str, Any]) -> TokenHandler:
    """What tells the readers of ``ctx`` what models say."""
    return (_piece_handler() if ctx.pieces else TokenHandler)(ctx, metadata)


class ProgressHandler:
    """Whatever models, tools and other runnables called by a node tell is progress, to limits on how long it is idle.

    Args:
        made_progress: what to call.
    """

    raise_error = False
    run_inline = True
    ignore_llm = ignore_chat_model = ignore_agent = ignore_chain = ignore_retriever = ignore_retry = False
    ignore_custom_event = False

    def __init__(self, made_progress: Callable[[], None]) -> None:
        self._made_progress = made_progress

    def _told(self, *args: Any, **more: Any) -> None:
        self._made_progress()

    on_llm_start = on_chat_model_start = on_llm_new_token = on_llm_end = on_llm_error = _told
    on_chain_start = on_chain_end = on_chain_error = on_tool_start = on_tool_end = on_tool_error = _told
    on_retriever_start = on_retriever_end = on_retriever_error = on_text = on_retry = on_custom_event = _told
    on_agent_action = on_agent_finish = on_stream_event = _told


def for_models(scope: NodeScope, config: dict[str, Any]) -> dict[str, Any]:
    """``config`` of a task, as models and other runnables called by its node may inherit it."""
    ctx = scope.ctx
    if scope.told is not None:
        others = [each for each in config.get("callbacks") or () if not traces(each)]
        config["callbacks"] = manager = scope.told.get_child(WITHIN)
        for each in others:
            manager.add_handler(each)
    elif (library := sys.modules.get(_MANAGERS)) is not None:
        # What a node calls, and events that it dispatches, are within a run, though nobody is told of it.
        handlers = list(config.get("callbacks") or ())
        config["callbacks"] = library.CallbackManager(handlers, [*handlers], parent_run_id=UUID(scope.task.id))
    # The name and the id are the run's: a model with that id would give all its answers one message id.
    for key in ("run_id", "run_name"):
        config.pop(key, None)
    if ctx.emit is not None and "messages" in ctx.modes:
        _listen(config, handler_for(ctx, config["metadata"]))
    if ctx.emit is not None and "tools" in ctx.modes:
        _listen(config, ToolHandler(ctx))
    if scope.progress is not None:
        _listen(config, ProgressHandler(scope.made_progress))
    return config


def _listen(config: dict[str, Any], handler: Any) -> None:
    callbacks: Any = config.get("callbacks")
    if hasattr(callbacks, "add_handler"):
        callbacks.add_handler(handler)
    else:
        config["callbacks"] = [*(callbacks or ()), handler]


def traces(handler: Any) -> bool:
    """Whether a callback is a handler of LangChain's that a program brought, to be told of graphs and nodes too."""
    return hasattr(handler, "on_chain_start") and not isinstance(handler, ProgressHandler)


def without_tokens(config: Any) -> Any:
    """``config`` for a nested run, which tells its readers itself what its models and tools say."""
    callbacks = config.get("callbacks")
    if not callbacks:
        return config
    return {**config, "callbacks": [each for each in callbacks if not isinstance(each, TokenHandler | ToolHandler)]}


def surrounding() -> dict[str, Any]:
    """What a runnable of LangChain gives a graph that it calls without a config; nothing outside of one."""
    variable = getattr(sys.modules.get(_SURROUNDINGS), "var_child_runnable_config", None)
    config = variable.get() if variable is not None else None
    return {key: config[key] for key in _GIVEN_ON if config.get(key)} if config else {}


def surround(scope: NodeScope) -> Token[Any] | None:
    """Make the scope's config what runnables inherit that the node calls without one; what ``leave`` takes."""
    module = sys.modules.get(_SURROUNDINGS)
    if module is None:
        # Who has not loaded LangChain yet may do so within the node: only for readers of what models and tools tell,
        # or for a limit on idling, is that worthwhile.
        wanted = scope.progress is not None or not TOLD_BY_LANGCHAIN.isdisjoint(scope.ctx.modes)
        module = _loaded() if wanted else None
    variable = getattr(module, "var_child_runnable_config", None)
    return variable.set(scope.config) if variable is not None else None


def leave(token: Token[Any] | None) -> None:
    """Undo ``surround``."""
    if token is not None:
        token.var.reset(token)


def _loaded() -> Any:
    try:
        from langchain_core.runnables import config
    except ImportError:
        return None
    return config
