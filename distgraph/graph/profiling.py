"""Where a run's time goes: node by node, superstep by superstep, and what the engine itself takes.

Nodes are called as ever, with a clock on each side; nothing else of the run is touched. A nested graph is one node here:
profile it by itself to look inside. On a cluster the clocks stand on workers, see ``cluster/profiling.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from distgraph.errors import CodecError
from distgraph.graph.spans import (
    Interval,
    NodeTime,
    Span,
    StepTime,
    by,
    ends,
    lanes,
    length,
    node_time,
    step_time,
    union,
)
from distgraph.superstep.model import Program

if TYPE_CHECKING:
    from distgraph.engine.scope import NodeScope
    from distgraph.graph.compiled import CompiledGraph

#: Groups of a trace: what ran, and what waited.
RUNNING, WAITING = 1, 2
#: Told of one call: its scope, the conditional edge or '', from when to when by ``perf_counter``.
Note = Callable[["NodeScope", str, float, float], None]


@dataclass(slots=True)
class Profile:
    """Where a run's time went. ``str()`` of it is a table.

    Attributes:
        graph: the graph's name.
        wall: seconds from the call, or the submission, to the result; without what measuring took, and without the times
            in which the run was at rest, waiting for an answer.
        value: what the run came to.
        spans: every call of a node, in the order in which they ended.
        state: channel -> bytes of its value packed, the largest that was seen; None: it cannot be packed.
        ready: task -> when it could have begun: on a cluster, where tasks wait for slots.
        queued: on a cluster, when no slot had the run or one of its tasks in hand.
    """

    graph: str
    wall: float = 0.0
    value: Any = None
    spans: list[Span] = field(default_factory=list)
    state: dict[str, int | None] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)
    queued: list[Interval] = field(default_factory=list)

    @property
    def nodes(self) -> list[NodeTime]:
        """Time by node, the most expensive first."""
        found = [node_time(name, spans, self.ready) for name, spans in by(self.spans, "node").items()]
        return sorted(found, key=lambda node: -node.total)

    @property
    def steps(self) -> list[StepTime]:
        """Time by superstep, in order."""
        return [step_time(step, spans, self.ready) for step, spans in self._steps()]

    def _steps(self) -> list[tuple[int, list[Span]]]:
        return sorted(by(self.spans, "step").items())

    @property
    def working(self) -> float:
        """Seconds in which a node ran."""
        return length(self._calls())

    @property
    def waiting(self) -> float:
        """Seconds in which no node ran and nobody was at the run: in queues, asleep, before a retry. 0 in one process."""
        return length([*self._calls(), *self.queued]) - self.working

    @property
    def overhead(self) -> float:
        """The other seconds, in which no node ran: the engine's own, and the saver's or the ledger's."""
        return self.wall - self.working - self.waiting

    @property
    def critical(self) -> float:
        """Seconds of the slowest tasks of all supersteps: no number of workers makes the run shorter than that."""
        return sum(step.longest for step in self.steps)

    def _calls(self) -> list[Interval]:
        return [(span.start, span.end) for span in self.spans]

    def to_json(self) -> dict[str, Any]:
        """Everything but the value, as plain data; times in seconds, sizes in bytes."""
        return {
            "graph": self.graph,
            "wall": self.wall,
            "working": self.working,
            "waiting": self.waiting,
            "overhead": self.overhead,
            "critical": self.critical,
            "nodes": [node._asdict() for node in self.nodes],
            "steps": [step._asdict() for step in self.steps],
            "state": self.state,
        }

    def trace(self) -> dict[str, Any]:
        """The run in the Trace Event Format, which Perfetto and speedscope open; calls side by side in lanes."""
        events = [
            _event(f"superstep {step}", 0, *ends(spans), {"tasks": len(by(spans, "task"))})
            for step, spans in self._steps()
        ]
        for lane, span in lanes(self.spans):
            name = f"{span.node} / {span.edge}" if span.edge else span.node
            about = {"step": span.step, "attempt": span.attempt, **({"slot": span.slot} if span.slot else {})}
            events.append(_event(name, lane, span.start, span.end, about))
        if self.queued or self.ready:
            events += [_event("nobody is at the run", 0, *times, {}, WAITING) for times in union(self.queued)]
            events += self._waits()
            for group, title in ((RUNNING, "running"), (WAITING, "waiting")):
                events.append({"name": "process_name", "ph": "M", "pid": group, "tid": 0, "args": {"name": title}})
        return {"traceEvents": events, "displayTimeUnit": "ms", "otherData": {"graph": self.graph}}

    def _waits(self) -> Iterator[dict[str, Any]]:
        """Of each task that had to wait, from when it could begin to when it did."""
        tasks = by(self.spans, "task").items()
        first = [min(spans, key=lambda span: span.start) for task, spans in tasks if task in self.ready]
        waited = [span._replace(start=self.ready[span.task], end=span.start) for span in first]
        for lane, span in lanes([span for span in waited if span.end > span.start]):
            yield _event(f"{span.node} waits", lane, span.start, span.end, {"step": span.step}, WAITING)

    def save(self, path: str | Path) -> None:
        """Write ``trace`` to a file."""
        Path(path).write_text(json.dumps(self.trace()))

    def __str__(self) -> str:
        return "\n".join(_report(self))


class Watched:
    """A node's action or a conditional edge, with a clock on each side."""

    def __init__(self, inner: Any, note: Note, edge: str = "") -> None:
        self._inner, self._take_note, self._edge = inner, note, edge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def call(self, value: Any, scope: NodeScope) -> Any:
        """The inner call, timed; an error is timed too."""
        start = perf_counter()
        try:
            return self._inner.call(value, scope)
        finally:
            self._take_note(scope, self._edge, start, perf_counter())

    async def acall(self, value: Any, scope: NodeScope) -> Any:
        """``call`` under an event loop."""
        start = perf_counter()
        try:
            return await self._inner.acall(value, scope)
        finally:
            self._take_note(scope, self._edge, start, perf_counter())


def watched(program: Program, note: Note) -> Program:
    """A graph whose nodes and conditional edges are timed, each call told to ``note``."""

    def timed(node: Any) -> Any:
        branches = tuple(replace(branch, path=Watched(branch.path, note, branch.name)) for branch in node.branches)
        action = None if node.action is None else Watched(node.action, note)
        return replace(node, action=action, branches=branches)

    return replace(program, nodes={name: timed(node) for name, node in program.nodes.items()})


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
        self.graph.program = watched(graph.program, self._note)

    def _note(self, scope: NodeScope, edge: str, start: float, end: float) -> None:
        task, began = scope.task, self._began
        self.profile.spans.append(Span(task.step, task.name, edge, scope.attempt, start - began, end - began, task.id))

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


def _event(
    name: str, lane: int, start: float, end: float, about: dict[str, Any], group: int = RUNNING
) -> dict[str, Any]:
    times = {"ts": round(start * 1e6, 1), "dur": round((end - start) * 1e6, 1)}
    return {"name": name, "cat": "distgraph", "ph": "X", "pid": group, "tid": lane, **times, "args": about}


def _report(profile: Profile) -> Iterator[str]:
    wall, remote = profile.wall or 1e-9, bool(profile.ready or profile.queued)
    waiting = f"waiting {_part(profile.waiting, wall)}, " if remote else ""
    yield (
        f"{profile.graph}: {_time(profile.wall)}, of it nodes {_time(profile.working)}, {waiting}engine "
        f"{_part(profile.overhead, wall)}; critical path {_time(profile.critical)}"
    )
    yield ""
    titles = f"{'node':<28}{'calls':>7}{'total':>11}{'share':>7}{'median':>11}{'longest':>11}"
    yield f"{titles}{'waited':>11}" if remote else titles
    for node in profile.nodes:
        share = f"{node.total / wall:.0%}"
        times = f"{_time(node.median):>11}{_time(node.longest):>11}"
        waited = f"{_time(node.waited):>11}" if remote else ""
        yield f"{node.node:<28}{node.calls:>7}{_time(node.total):>11}{share:>7}{times}{waited}"
    yield ""
    titles = f"{'superstep':<12}{'tasks':>6}{'took':>11}{'busy':>11}"
    yield f"{titles}{'waited':>11}  slowest" if remote else f"{titles}  slowest"
    for step in profile.steps:
        took = f"{_time(step.wall):>11}{_time(step.busy):>11}"
        waited = f"{_time(step.waited):>11}" if remote else ""
        yield f"{step.step:<12}{step.tasks:>6}{took}{waited}  {step.slowest} {_time(step.longest)}"
    yield ""
    yield f"{'state':<28}{'bytes at most':>14}"
    for channel, size in sorted(profile.state.items(), key=lambda item: -(item[1] or 0)):
        yield f"{channel:<28}{'cannot be stored' if size is None else f'{size:,}':>14}"


def _part(seconds: float, wall: float) -> str:
    return f"{_time(seconds)} ({seconds / wall:.0%})"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
