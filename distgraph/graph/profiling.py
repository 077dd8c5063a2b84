"""Where a run's time goes: node by node, superstep by superstep, and what the engine itself takes.

Nodes are called as ever, with a clock on each side; nothing else of the run is touched. A nested graph is one node here:
profile it by itself to look inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from distgraph.errors import CodecError

if TYPE_CHECKING:
    from distgraph.engine.scope import NodeScope
    from distgraph.graph.compiled import CompiledGraph


class Span(NamedTuple):
    """One call of a node, or of one of its conditional edges.

    Attributes:
        step: the superstep.
        node: the node's name.
        edge: name of the conditional edge; '' for the node itself.
        attempt: counts from 1.
        start: seconds since the run began.
        end: seconds since the run began.
        task: id of the task.
    """

    step: int
    node: str
    edge: str
    attempt: int
    start: float
    end: float
    task: str


class NodeTime(NamedTuple):
    """What one node took, its conditional edges and all attempts included; seconds."""

    node: str
    calls: int
    total: float
    median: float
    longest: float


class StepTime(NamedTuple):
    """What one superstep took, from the first node's start to the last one's end; seconds.

    Attributes:
        step: its number.
        tasks: tasks that ran.
        wall: how long it took.
        busy: the sum over its tasks: more than ``wall`` where they ran beside each other.
        slowest: the node of the task that took longest.
        longest: how long that took.
    """

    step: int
    tasks: int
    wall: float
    busy: float
    slowest: str
    longest: float


@dataclass(slots=True)
class Profile:
    """Where a run's time went. ``str()`` of it is a table.

    Attributes:
        graph: the graph's name.
        wall: seconds from the call to the result, without what measuring took.
        value: what the run came to.
        spans: every call of a node, in the order in which they ended.
        state: channel -> bytes of its value packed, the largest that was seen; None: it cannot be packed.
    """

    graph: str
    wall: float = 0.0
    value: Any = None
    spans: list[Span] = field(default_factory=list)
    state: dict[str, int | None] = field(default_factory=dict)

    @property
    def nodes(self) -> list[NodeTime]:
        """Time by node, the most expensive first."""
        return sorted((_node_time(name, tasks) for name, tasks in self._tasks().items()), key=lambda node: -node.total)

    @property
    def steps(self) -> list[StepTime]:
        """Time by superstep, in order."""
        return [_step_time(step, spans) for step, spans in sorted(_by(self.spans, "step").items())]

    @property
    def overhead(self) -> float:
        """Seconds in which no node ran: the engine's own, and the saver's."""
        return self.wall - sum(end - start for start, end in _union(self.spans))

    @property
    def critical(self) -> float:
        """Seconds of the slowest tasks of all supersteps: no number of workers makes the run shorter than that."""
        return sum(step.longest for step in self.steps)

    def _tasks(self) -> dict[str, list[Span]]:
        return _by(self.spans, "node")

    def to_json(self) -> dict[str, Any]:
        """Everything but the value, as plain data; times in seconds, sizes in bytes."""
        return {
            "graph": self.graph,
            "wall": self.wall,
            "overhead": self.overhead,
            "critical": self.critical,
            "nodes": [node._asdict() for node in self.nodes],
            "steps": [step._asdict() for step in self.steps],
            "state": self.state,
        }

    def trace(self) -> dict[str, Any]:
        """The run in the Trace Event Format, which Perfetto and speedscope open; calls side by side in lanes."""
        events = [
            _event(f"superstep {step.step}", 0, *_ends(spans), {"tasks": step.tasks})
            for step, spans in zip(self.steps, (s for _, s in sorted(_by(self.spans, "step").items())), strict=True)
        ]
        for lane, span in _lanes(self.spans):
            name = f"{span.node} / {span.edge}" if span.edge else span.node
            events.append(_event(name, lane, span.start, span.end, {"step": span.step, "attempt": span.attempt}))
        return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"graph": self.graph}}

    def save(self, path: str | Path) -> None:
        """Write ``trace`` to a file."""
        Path(path).write_text(json.dumps(self.trace()))

    def __str__(self) -> str:
        return "\n".join(_report(self))


class Watched:
    """A node's action or a conditional edge, with a clock on each side."""

    def __init__(self, inner: Any, profile: Profile, began: float, edge: str = "") -> None:
        self._inner, self._profile, self._began, self._edge = inner, profile, began, edge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def call(self, value: Any, scope: NodeScope) -> Any:
        """The inner call, timed; an error is timed too."""
        start = perf_counter()
        try:
            return self._inner.call(value, scope)
        finally:
            self._note(scope, start)

    async def acall(self, value: Any, scope: NodeScope) -> Any:
        """``call`` under an event loop."""
        start = perf_counter()
        try:
            return await self._inner.acall(value, scope)
        finally:
            self._note(scope, start)

    def _note(self, scope: NodeScope, start: float) -> None:
        task = scope.task
        times = start - self._began, perf_counter() - self._began
        self._profile.spans.append(Span(task.step, task.name, self._edge, scope.attempt, *times, task.id))


class Watch:
    """A run that is profiled: its graph with clocks, and what is seen between its supersteps."""

    def __init__(self, graph: CompiledGraph[Any, Any, Any, Any]) -> None:
        # Imported now: what is done once in a process is none of the run's time.
        from distgraph.engine import aio, sync  # noqa: F401
        from distgraph.wire import Codec, TypeRegistry

        self.profile = Profile(graph.name)
        registry = TypeRegistry()
        for typ in graph.types():
            registry.add(typ)
        self._codec = Codec(registry)
        self._measuring = 0.0
        self._began = perf_counter()
        self.graph = copy(graph)
        nodes = {name: self._watched(node) for name, node in graph.program.nodes.items()}
        self.graph.program = replace(graph.program, nodes=nodes)

    def _watched(self, node: Any) -> Any:
        branches = tuple(
            replace(branch, path=Watched(branch.path, self.profile, self._began, branch.name))
            for branch in node.branches
        )
        action = None if node.action is None else Watched(node.action, self.profile, self._began)
        return replace(node, action=action, branches=branches)

    def see(self, values: Any) -> None:
        """The state after a superstep."""
        start = perf_counter()
        self.profile.value = values
        for channel, value in values.items() if isinstance(values, Mapping) else ():
            try:
                size = len(self._codec.pack(value))
            except CodecError:
                self.profile.state.setdefault(channel, None)
            else:
                self.profile.state[channel] = max(size, self.profile.state.get(channel) or 0)
        self._measuring += perf_counter() - start

    def done(self) -> Profile:
        """The profile of the run that has just ended."""
        self.profile.wall = perf_counter() - self._began - self._measuring
        return self.profile


def _by(spans: Sequence[Span], name: str) -> dict[Any, list[Span]]:
    found: dict[Any, list[Span]] = {}
    for span in spans:
        found.setdefault(getattr(span, name), []).append(span)
    return found


def _node_time(name: str, spans: Sequence[Span]) -> NodeTime:
    took = [span.end - span.start for span in spans]
    calls = [span.end - span.start for span in spans if not span.edge] or took
    return NodeTime(name, len(calls), sum(took), median(calls), max(calls))


def _step_time(step: int, spans: Sequence[Span]) -> StepTime:
    start, end = _ends(spans)
    took = {task: sum(span.end - span.start for span in of_task) for task, of_task in _by(spans, "task").items()}
    slowest = max(spans, key=lambda span: took[span.task])
    return StepTime(step, len(took), end - start, sum(took.values()), slowest.node, took[slowest.task])


def _ends(spans: Sequence[Span]) -> tuple[float, float]:
    return min(span.start for span in spans), max(span.end for span in spans)


def _union(spans: Sequence[Span]) -> Iterator[tuple[float, float]]:
    """The times in which some node ran, without overlaps."""
    last: tuple[float, float] | None = None
    for start, end in sorted((span.start, span.end) for span in spans):
        if last is not None and start <= last[1]:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = start, end
    if last is not None:
        yield last


def _lanes(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Each call with the first lane, from 1, that is free when it starts."""
    free: list[float] = []
    for span in sorted(spans, key=lambda span: span.start):
        lane = next((n for n, until in enumerate(free) if until <= span.start), len(free))
        free[lane : lane + 1] = [span.end]
        yield lane + 1, span


def _event(name: str, lane: int, start: float, end: float, about: dict[str, Any]) -> dict[str, Any]:
    times = {"ts": round(start * 1e6, 1), "dur": round((end - start) * 1e6, 1)}
    return {"name": name, "cat": "distgraph", "ph": "X", "pid": 1, "tid": lane, **times, "args": about}


def _report(profile: Profile) -> Iterator[str]:
    wall = profile.wall or 1e-9
    yield (
        f"{profile.graph}: {_time(profile.wall)}, of it nodes {_time(profile.wall - profile.overhead)}, engine "
        f"{_time(profile.overhead)} ({profile.overhead / wall:.0%}); critical path {_time(profile.critical)}"
    )
    yield ""
    yield f"{'node':<28}{'calls':>7}{'total':>11}{'share':>7}{'median':>11}{'longest':>11}"
    for node in profile.nodes:
        share = f"{node.total / wall:.0%}"
        times = f"{_time(node.median):>11}{_time(node.longest):>11}"
        yield f"{node.node:<28}{node.calls:>7}{_time(node.total):>11}{share:>7}{times}"
    yield ""
    yield f"{'superstep':<12}{'tasks':>6}{'took':>11}{'busy':>11}  slowest"
    for step in profile.steps:
        took = f"{_time(step.wall):>11}{_time(step.busy):>11}"
        yield f"{step.step:<12}{step.tasks:>6}{took}  {step.slowest} {_time(step.longest)}"
    yield ""
    yield f"{'state':<28}{'bytes at most':>14}"
    for channel, size in sorted(profile.state.items(), key=lambda item: -(item[1] or 0)):
        yield f"{channel:<28}{'cannot be stored' if size is None else f'{size:,}':>14}"


def _time(seconds: float) -> str:
    for unit, length in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
