"""Where a run takes place: its config, namespace, thread and saver; at the root, or inside a node of another run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from distgraph.config import DEFAULT_RECURSION_LIMIT, ensure_config
from distgraph.constants import NS_END, NS_SEP
from distgraph.engine.context import Emit, RunContext
from distgraph.engine.request import Request
from distgraph.engine.scope import NodeScope
from distgraph.engine.tokens import TOLD_BY_LANGCHAIN, surrounding, without_tokens
from distgraph.errors import ConfigError
from distgraph.runtime import RunControl, Runtime, ServerInfo, _scope
from distgraph.suggestions import closest

#: Keys of ``configurable`` that name a place among the checkpoints.
_ADDRESS = ("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")
#: What a run's metadata says without being told.
_TOLD = ("thread_id", "checkpoint_id", "checkpoint_ns", "task_id", "run_id", "assistant_id", "graph_id")
#: What is wrong about a graph with ``checkpointer=True`` that nobody nests.
ONLY_NESTED = (
    "checkpointer=True cannot be used for root graphs: it means a history of its own inside a parent's thread. "
    "Give the graph a saver."
)
_INHERITED = ("tags", "metadata", "callbacks", "recursion_limit", "max_concurrency")


class NoThreadError(ConfigError, KeyError):
    """A graph with a checkpointer was run without a thread; a KeyError too, as the peer raises for some of these."""

    __str__ = Exception.__str__


class Place(NamedTuple):
    """Where a run takes place.

    Attributes:
        config: complete, the parent's merged in.
        scope: of the node that runs this graph; None at the root.
        ns: checkpoint namespace; "" at the root.
        wanted: the checkpoint the caller named, or "".
        saver: None: nothing is stored.
        thread_id: None without a saver and where the caller gave none.
    """

    config: dict[str, Any]
    scope: NodeScope | None
    ns: str
    wanted: str
    saver: Any
    thread_id: str | None

    @property
    def configurable(self) -> dict[str, Any]:
        """The config's ``configurable``."""
        found: dict[str, Any] = self.config.get("configurable") or {}
        return found

    @property
    def recursion_limit(self) -> int:
        """Supersteps the run may take."""
        return int(self.config.get("recursion_limit") or DEFAULT_RECURSION_LIMIT)


def place_of(request: Request) -> Place:
    """Where the run of ``request`` takes place, seen from the OS thread that asks for it.

    Raises:
        ConfigError: a key of the config holds what it cannot, or there is a saver but no thread.
        RuntimeError: ``saver=True`` at the root.
    """
    around = _scope.get()
    outer = around if isinstance(around, NodeScope) else None
    config, scope = _config_of(request.config, outer)
    apart = scope is None and outer is not None and outer.ctx.nested_emit is not None
    if not apart or not request.modes.isdisjoint(TOLD_BY_LANGCHAIN):
        # On a thread of its own it has no other reader than that of the graphs around it.
        config = without_tokens(config)
    configurable = config.get("configurable") or {}
    if configurable and (told := told_by(configurable)):
        config = {**config, "metadata": {**told, **(config.get("metadata") or {})}}
    saver = _saver_of(request.saver, scope)
    ns = _ns_of(scope, request.saver is True)
    wanted = (configurable.get("checkpoint_map") or {}).get(ns) or ""
    if not wanted and not (scope is None and configurable.get("checkpoint_ns")):
        wanted = configurable.get("checkpoint_id") or ""
    thread_id = configurable.get("thread_id")
    if saver is not None and thread_id is None:
        near = closest("thread_id", [key for key in configurable if isinstance(key, str)])
        raise NoThreadError(
            "Checkpointer requires one or more of the following 'configurable' keys: thread_id, checkpoint_ns, "
            'checkpoint_id. Say which thread this is: config={"configurable": {"thread_id": "..."}}.'
            + (f" Is {near!r} meant to be 'thread_id'?" if near is not None else "")
        )
    return Place(config, scope, ns, wanted, saver, None if thread_id is None else str(thread_id))


def namespace_of(config: Mapping[str, Any] | None, saver: Any) -> tuple[str, ...]:
    """The namespace of a graph that is run now with ``config``; () at the root."""
    around = _scope.get()
    _, scope = _config_of(config, around if isinstance(around, NodeScope) else None)
    if scope is None:
        return ()
    begun = scope.children
    ns = _ns_of(scope, saver is True)
    scope.children = begun
    return tuple(ns.split(NS_SEP))


def told_by(configurable: Mapping[str, Any]) -> dict[str, Any]:
    """What the metadata of a run has from its config's ``configurable``."""
    return {key: configurable[key] for key in _TOLD if configurable.get(key)}


def _config_of(given: Mapping[str, Any] | None, scope: NodeScope | None) -> tuple[Any, NodeScope | None]:
    if scope is None:
        outer = {key: value for key, value in surrounding().items() if key not in (given or ())}
        return (ensure_config(outer, given) if given or outer else {}), None
    configurable = (given or {}).get("configurable") or {}
    if configurable.get("checkpoint_ns") == scope.ns:
        # The node passed its own config on.
        return ensure_config(given), scope
    if any(configurable.get(key) for key in _ADDRESS):
        # A line of checkpoints of its own: not part of the run around it.
        inherited = {key: scope.config[key] for key in _INHERITED if key in scope.config}
        return ensure_config(inherited, given), None
    return ensure_config(scope.config, given), scope


def _saver_of(saver: Any, scope: NodeScope | None) -> Any:
    if saver is False:
        return None
    if scope is not None:
        return scope.ctx.saver
    if saver is True:
        raise RuntimeError(ONLY_NESTED)
    return saver


def _ns_of(scope: NodeScope | None, own_history: bool) -> str:
    if scope is None:
        return ""
    ns = scope.next_child_ns()
    return NS_SEP.join(part.split(NS_END)[0] for part in ns.split(NS_SEP)) if own_history else ns


def context_of(request: Request, place: Place, sink: Callable[[Any], None] | None) -> RunContext:
    """What the tasks of the run share; a nested run inherits from the run around it.

    Args:
        request: what the caller asks for.
        place: where the run takes place.
        sink: receives the chunks of the run's own reader; None where there is none.
    """
    parent = place.scope.ctx if place.scope is not None else None
    base: Runtime[Any] = place.scope.runtime if place.scope is not None else Runtime()
    emit, modes = _emission(request, parent, sink)
    configurable = place.configurable
    run_id = place.config.get("run_id") or configurable.get("run_id") or (parent.run_id if parent is not None else "")
    ctx = RunContext(
        request.program,
        config=place.config,
        runtime=Runtime(
            context=request.context if request.context is not None else base.context,
            store=request.store if parent is None else base.store,
            heartbeat=base.heartbeat,
            previous=base.previous,
            server_info=base.server_info or _server_of(configurable),
            control=request.control or base.control or RunControl(),
            effects=base.effects,
        ),
        saver=place.saver,
        cache=request.cache if parent is None else parent.cache,
        ns=place.ns,
        thread_id=place.thread_id,
        run_id=str(run_id),
        emit=emit,
        modes=modes,
        debug=request.debug or (parent is not None and parent.debug),
        durability=request.durability or (parent.durability if parent is not None else "async"),
    )
    ctx.pieces = request.pieces
    if parent is not None:
        ctx.loose, ctx.seen, ctx.unsure = parent.loose, parent.seen, parent.unsure
        # A node that reads messages of a graph it runs reads them as it asked for them.
        ctx.pieces = request.pieces or (parent.pieces and "messages" not in request.modes)
        if not parent.naps.waits:
            ctx.naps = parent.naps
    if place.scope is not None:
        ctx.around = place.scope.made_progress
    if request.subgraphs and emit is not None:
        ctx.nested_emit, ctx.nested_modes = emit, modes
    elif parent is not None:
        ctx.nested_emit, ctx.nested_modes = parent.nested_emit, parent.nested_modes
    return ctx


def _server_of(configurable: Mapping[str, Any]) -> ServerInfo | None:
    """Where the run is served, if whoever serves it says so in the config."""
    assistant, graph = configurable.get("assistant_id"), configurable.get("graph_id")
    if not assistant and not graph:
        return None
    user = configurable.get("langgraph_auth_user")
    return ServerInfo(str(assistant or ""), str(graph or ""), user if hasattr(user, "identity") else None)


def _emission(
    request: Request, parent: RunContext | None, sink: Callable[[Any], None] | None
) -> tuple[Emit | None, frozenset[str]]:
    """Where the run's chunks go: to its own reader, to those of the graphs around it, or to both."""
    own = request.modes if sink is not None else frozenset()
    above = parent.nested_modes if parent is not None else frozenset()
    outer = parent.nested_emit if parent is not None else None

    def emit(ns: tuple[str, ...], mode: str, payload: Any, key: str = "", /) -> None:
        if sink is not None and mode in own:
            sink((ns, mode, payload))
        if outer is not None and mode in above:
            outer(ns, mode, payload, key)

    return (emit if own or above else None), own | above
