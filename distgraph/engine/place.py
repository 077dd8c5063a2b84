"""Where a run takes place: its config, namespace, thread and saver; at the root, or inside a node of another run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from distgraph.config import DEFAULT_RECURSION_LIMIT, ensure_config
from distgraph.constants import NS_END, NS_SEP
from distgraph.engine.request import Request
from distgraph.engine.scope import NodeScope
from distgraph.errors import ConfigError
from distgraph.runtime import _scope

#: Keys of ``configurable`` that name a place among the checkpoints.
_ADDRESS = ("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map")
#: What a run's metadata says without being told.
_TOLD = ("thread_id", "checkpoint_id", "checkpoint_ns", "task_id", "run_id", "assistant_id", "graph_id")
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
    scope = around if isinstance(around, NodeScope) else None
    config, scope = _config_of(request.config, scope)
    configurable = config.get("configurable") or {}
    if configurable and (told := {key: configurable[key] for key in _TOLD if configurable.get(key)}):
        config = {**config, "metadata": {**told, **(config.get("metadata") or {})}}
    saver = _saver_of(request.saver, scope)
    ns = _ns_of(scope, request.saver is True)
    wanted = (configurable.get("checkpoint_map") or {}).get(ns) or ""
    if not wanted and not (scope is None and configurable.get("checkpoint_ns")):
        wanted = configurable.get("checkpoint_id") or ""
    thread_id = configurable.get("thread_id")
    if saver is not None and thread_id is None:
        raise NoThreadError(
            "Checkpointer requires one or more of the following 'configurable' keys: thread_id, checkpoint_ns, "
            'checkpoint_id. Say which thread this is: config={"configurable": {"thread_id": "..."}}.'
        )
    return Place(config, scope, ns, wanted, saver, None if thread_id is None else str(thread_id))


def _config_of(given: Mapping[str, Any] | None, scope: NodeScope | None) -> tuple[Any, NodeScope | None]:
    if scope is None:
        return (ensure_config(given) if given else {}), None
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
        raise RuntimeError(
            "checkpointer=True cannot be used for root graphs: it means a history of its own inside a parent's thread. "
            "Give the graph a saver."
        )
    return saver


def _ns_of(scope: NodeScope | None, own_history: bool) -> str:
    if scope is None:
        return ""
    ns = scope.next_child_ns()
    return NS_SEP.join(part.split(NS_END)[0] for part in ns.split(NS_SEP)) if own_history else ns
