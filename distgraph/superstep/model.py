"""The values the algebra works on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from distgraph.channels.base import BaseChannel
from distgraph.channels.delta import DeltaChannel
from distgraph.constants import CONTROL_WRITES, NO_WRITES, NS_SEP
from distgraph.managed import ManagedValue
from distgraph.superstep.identity import idempotency_key, task_id, task_ns
from distgraph.types import MISSING, Placement, RetryPolicy, TaskPath, TimeoutPolicy, TracePolicy, Write


@dataclass(frozen=True, slots=True)
class Branch:
    """A conditional edge. It runs inside its node's task and sees the snapshot plus that task's own writes.

    Attributes:
        name: unique per source node.
        path: what the shell calls with the branch's view of the state.
        ends: result -> node name; ``None`` takes results as node names.
        reads: channels of the view; a single name reads that value alone.
        mapper: builds the view's schema object from the channels that have a value.
        sees_output: a view that is a dict also holds what the node returned beyond the state's keys.
    """

    name: str
    path: Any
    ends: Mapping[Hashable, str] | None
    reads: tuple[str, ...] | str
    mapper: Callable[[Any], Any] | None = None
    sees_output: bool = False


# Not frozen, although nobody changes one: freezing so many fields would make most of what building a large graph takes.
@dataclass(slots=True)
class Node:
    """What one node is to the algebra and to the shells. Shared by all runs: make another with ``copy`` to change it.

    Attributes:
        triggers: channels that wake it.
        reads: channels of its input; a single name reads that value alone.
        mapper: builds the input's schema object from the channels that have a value.
        action: what the shell calls with the input; opaque here.
        writer: output -> writes, pure; raises on an output that is no update.
        edges: writes of the static edges, made by every finished activation.
        branches: conditional edges, run in this order after ``writer``.
        error_handler: node that takes over when this one has failed for good.
        queue: workers' queue this node always travels to.
        placement: where the node runs; never changes results.
        hidden: not shown in streams.
        trace_policy: what tracers record of its input and output.
    """

    name: str
    triggers: tuple[str, ...]
    reads: tuple[str, ...] | str
    action: Any
    writer: Callable[[Any], list[Write]]
    mapper: Callable[[Any], Any] | None = None
    edges: tuple[Write, ...] = ()
    branches: tuple[Branch, ...] = ()
    retry: tuple[RetryPolicy, ...] = ()
    cache: Any = None
    timeout: TimeoutPolicy | None = None
    error_handler: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    defer: bool = False
    queue: str | None = None
    placement: Placement | None = None
    hidden: bool = False
    subgraph: Any = None
    trace_policy: TracePolicy | None = None

    @property
    def subgraphs(self) -> list[Any]:
        """The graph that the node runs, as the only one of a list; an empty list where it runs none."""
        return [] if self.subgraph is None else [self.subgraph]

    def copy(self, update: Mapping[str, Any] | None = None) -> Node:
        """The same node, with these fields changed."""
        return replace(self, **(update or {}))


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled graph, as the algebra sees it. Immutable; shared by all runs.

    Attributes:
        channels: every channel of the graph, state keys and the graph's own (branch:to:..., join:...).
        managed: names of computed values.
        woken_by: channel -> names of the nodes it triggers, sorted.
        inputs: channel(s) that take a run's input.
        outputs: channel(s) of a run's result.
        streamed: channel(s) of ``stream_mode="values"``.
        interrupt_before: node names, or "*".
        interrupt_after: node names, or "*".
        fingerprint: digest of names and rules; equal for equal graphs in every process.
        live: its nodes call tasks, whose chunks come while the nodes run.
        joins: channels of joins that a run must not leave half complete.
    """

    name: str
    nodes: Mapping[str, Node]
    channels: Mapping[str, BaseChannel[Any, Any]]
    managed: Mapping[str, type[ManagedValue]]
    woken_by: Mapping[str, tuple[str, ...]]
    inputs: tuple[str, ...] | str
    outputs: tuple[str, ...] | str
    streamed: tuple[str, ...] | str
    interrupt_before: tuple[str, ...] | Literal["*"] = ()
    interrupt_after: tuple[str, ...] | Literal["*"] = ()
    fingerprint: str = ""
    #: Names of channels that react to a superstep without a write; to its end; and to being read.
    transient: frozenset[str] = frozenset()
    finishing: tuple[str, ...] = ()
    consumable: frozenset[str] = frozenset()
    #: Names of channels that are no part of checkpoints.
    untracked: frozenset[str] = frozenset()
    #: Names of channels whose reducer is told all updates of a superstep at once.
    deltas: frozenset[str] = frozenset()
    live: bool = False
    joins: tuple[str, ...] = ()


class Checkpoint(NamedTuple):
    """The state between two supersteps.

    Attributes:
        id: sorts by time within a thread.
        parent: the id of the checkpoint this one was made from.
        step: -1 for the input, 0 after START, and so on; no identity (a roll-back makes it come again).
        source: "input", "loop", "update" or "fork".
        values: channel -> stored value; absent is empty.
        versions: channel -> version of its last change; only channels that have a value.
        seen: node -> versions of its triggers when it last ran.
        updated: channels changed by the last superstep that may trigger nodes; ``None``: unknown, look at all.
        clock: the last version given out; versions grow along a line of checkpoints.
        ts: ISO 8601, UTC.
        grown: channels of lists that the last superstep only appended to.
        logs: of a checkpoint read from where it is stored: channel -> (version, items) of the parts of its list but the
            last, each stored under that version.
    """

    id: str
    parent: str | None
    step: int
    source: str
    values: Mapping[str, Any]
    versions: Mapping[str, Any]
    seen: Mapping[str, Mapping[str, Any]]
    updated: frozenset[str] | None
    clock: Any
    ts: str
    grown: frozenset[str] = frozenset()
    logs: Mapping[str, Sequence[Sequence[Any]]] = MappingProxyType({})


EMPTY = Checkpoint("", None, -2, "", {}, {}, {}, None, None, "")


class Task:
    """One activation of one node in one superstep, and what came of it so far.

    Attributes:
        path: its place: what orders its writes and identifies it within the superstep.
        arg: the whole input of an activation by Send, else MISSING.
        writes: what it wants to change; empty until it has settled. Control writes tell how it settled.
    """

    __slots__ = ("_id", "arg", "at", "name", "node", "ns", "path", "timeout", "triggers", "writes")

    def __init__(
        self,
        node: Node | None,
        path: TaskPath,
        triggers: Sequence[str],
        at: Checkpoint,
        ns: str = "",
        arg: Any = MISSING,
        name: str = "",
        timeout: Any = None,
    ) -> None:
        self.node: Node = node  # type: ignore[assignment]  # None only for writes made by update_state
        self.name = node.name if node is not None else name
        self.path = path
        self.triggers = triggers
        self.at = at
        self.ns = ns
        self.arg = arg
        self.timeout = timeout
        self.writes: list[Write] = []
        self._id: str | None = None

    @property
    def step(self) -> int:
        """The superstep it belongs to."""
        return self.at.step + 1

    @property
    def id(self) -> str:
        """Computed when asked for: most supersteps in one process never need it."""
        if self._id is None:
            self._id = task_id(self.at.id, self.ns, self.step, self.name, self.path)
        return self._id

    @property
    def checkpoint_ns(self) -> str:
        """Where graphs nested in it keep their checkpoints."""
        return task_ns(self.ns, self.name, self.id)

    def idempotency_key(self, run_id: str) -> str:
        """See ``identity.idempotency_key``."""
        ns, path = self.ns, self.path
        while path[-1] is True:
            # Its caller's namespace names a checkpoint; the caller's path is in its own.
            ns, path = ns.rpartition(NS_SEP)[0], path[1]
        return idempotency_key(run_id, ns, self.step, self.path)

    @property
    def finished(self) -> bool:
        """It wrote: its part of the superstep is done."""
        return is_finished(self.writes)

    def control(self, channel: str, default: Any = None) -> Any:
        """The value of its last control write to ``channel``."""
        for name, value in reversed(self.writes):
            if name == channel:
                return value
        return default

    def __repr__(self) -> str:
        return f"Task({self.name}, {self.path!r}, step={self.step}, writes={len(self.writes)})"


def is_child(task: Task) -> bool:
    """Whether a node called it, rather than the graph."""
    return task.path[-1] is True


def is_finished(writes: Sequence[Write]) -> bool:
    """Whether these writes are those of a task that returned (and not of one that failed or asks)."""
    return any(channel not in CONTROL_WRITES or channel == NO_WRITES for channel, _ in writes)


def make_program(
    name: str,
    nodes: Mapping[str, Node],
    channels: Mapping[str, BaseChannel[Any, Any]],
    *,
    inputs: tuple[str, ...] | str,
    outputs: tuple[str, ...] | str,
    streamed: tuple[str, ...] | str,
    managed: Mapping[str, type[ManagedValue]] | None = None,
    interrupt_before: Sequence[str] | Literal["*"] = (),
    interrupt_after: Sequence[str] | Literal["*"] = (),
    fingerprint: str = "",
    live: bool = False,
    joins: Sequence[str] = (),
) -> Program:
    """A Program with its look-up tables filled in."""
    woken: dict[str, list[str]] = {}
    for node in nodes.values():
        for trigger in node.triggers:
            woken.setdefault(trigger, []).append(node.name)
    return Program(
        name=name,
        nodes=dict(nodes),
        channels={key: channel.named(key) for key, channel in channels.items()},
        managed=dict(managed or {}),
        # Nearly every channel wakes one node.
        woken_by={key: (names[0],) if len(names) == 1 else tuple(sorted({*names})) for key, names in woken.items()},
        inputs=inputs,
        outputs=outputs,
        streamed=streamed,
        interrupt_before=interrupt_before if interrupt_before == "*" else tuple(interrupt_before),
        interrupt_after=interrupt_after if interrupt_after == "*" else tuple(interrupt_after),
        fingerprint=fingerprint,
        transient=frozenset(key for key, channel in channels.items() if channel.transient),
        finishing=tuple(key for key, channel in channels.items() if channel.finishes),
        consumable=frozenset(key for key, channel in channels.items() if channel.consumable),
        untracked=frozenset(key for key, channel in channels.items() if not channel.tracked),
        deltas=frozenset(key for key, channel in channels.items() if isinstance(channel, DeltaChannel)),
        live=live,
        joins=tuple(joins),
    )
