"""What chat models and tools that nodes call, and nodes themselves, tell handlers of LangChain: for a stream of events.

The handler has the methods that LangChain calls, and inherits nothing from it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.engine.scope import NodeScope
from distgraph.runtime import _scope


class Told(NamedTuple):
    """One event, on its way through the ``custom`` chunks of a stream.

    Attributes:
        event: as "on_chat_model_start".
        name: of the model, the tool or the event.
        run_id: of the call; None: of the task.
        task_id: of the task within which it was told.
    """

    event: str
    name: str
    run_id: str | None
    task_id: str
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    data: Any


class Teller:
    """Sends what is told into the stream of the graph whose node runs."""

    raise_error = False
    run_inline = True
    ignore_llm = ignore_chat_model = ignore_agent = ignore_custom_event = False
    ignore_chain = ignore_retriever = ignore_retry = True

    def __init__(self) -> None:
        #: Calls that have begun: LangChain's run id -> what its later events share, and its input.
        self._calls: dict[Any, tuple[Told, Any]] = {}

    def on_chain_start(self, *args: Any, **more: Any) -> None:
        """The graph's own stream tells of graphs and nodes."""

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **more: Any) -> None:
        """A model is called."""
        self._begin("on_chat_model_start", serialized, run_id, {"messages": messages}, more)

    def on_llm_start(self, *args: Any, **more: Any) -> None:
        """A model of texts is not told of."""

    def on_llm_new_token(self, token: str, *, run_id: Any, chunk: Any = None, **more: Any) -> None:
        """A model has made a piece of its answer."""
        message = getattr(chunk, "message", None)
        if run_id in self._calls and message is not None:
            begun, _ = self._calls[run_id]
            _send(begun._replace(event="on_chat_model_stream", data={"chunk": message}))

    def on_llm_end(self, response: Any, *, run_id: Any, **more: Any) -> None:
        """A model has answered."""
        found = response.generations[0] if response.generations else None
        self._end("on_chat_model_end", run_id, getattr(found[0], "message", None) if found else None)

    def on_llm_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """A model has failed: the node's failure is the end of the stream."""
        self._calls.pop(run_id, None)

    def on_tool_start(self, serialized: Any, text: str, *, run_id: Any, inputs: Any = None, **more: Any) -> None:
        """A tool is called."""
        self._begin("on_tool_start", serialized, run_id, inputs or {}, more)

    def on_tool_end(self, output: Any, *, run_id: Any, **more: Any) -> None:
        """A tool has answered."""
        self._end("on_tool_end", run_id, output)

    def on_tool_error(self, error: BaseException, *, run_id: Any, **more: Any) -> None:
        """A tool has failed."""
        self._calls.pop(run_id, None)

    def on_custom_event(
        self, name: str, data: Any, *, tags: Sequence[str] | None = None, metadata: Any = None, **more: Any
    ) -> None:
        """A node, or what it calls, dispatched an event of its own."""
        _send(Told("on_custom_event", name, None, _task_id(), tags or (), metadata or {}, data))

    def on_text(self, *args: Any, **more: Any) -> None:
        """Not told."""

    def on_stream_event(self, *args: Any, **more: Any) -> None:
        """The pieces are told otherwise too."""

    def _begin(self, event: str, serialized: Any, run_id: Any, given: Any, more: Mapping[str, Any]) -> None:
        known = serialized or {}
        name = more.get("name") or known.get("name") or (known.get("id") or ["Unnamed"])[-1]
        tags, metadata = more.get("tags") or (), more.get("metadata") or {}
        told = Told(event, name, str(run_id), _task_id(), tags, metadata, {"input": given})
        self._calls[run_id] = told, given
        _send(told)

    def _end(self, event: str, run_id: Any, output: Any) -> None:
        if run_id in self._calls:
            begun, given = self._calls.pop(run_id)
            _send(begun._replace(event=event, data={"output": output, "input": given}))


def tellers() -> list[Teller]:
    """The handler, for a program that has loaded what would call it."""
    return [Teller()] if "langchain_core.callbacks" in sys.modules else []


def _task_id() -> str:
    scope = _scope.get()
    return scope.task.id if isinstance(scope, NodeScope) else ""


def _send(told: Told) -> None:
    scope = _scope.get()
    if isinstance(scope, NodeScope) and scope.ctx.emit is not None:
        scope.ctx.emit(scope.ctx.ns_tuple, "custom", told)
