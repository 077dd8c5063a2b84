"""What a run's profile is made of: calls of nodes with their times, and what follows from these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

#: From when to when; seconds since the run began.
Interval = tuple[float, float]


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
        slot: the slot of a worker that made it; '' in one process.
    """

    step: int
    node: str
    edge: str
    attempt: int
    start: float
    end: float
    task: str
    slot: str = ""


class NodeTime(NamedTuple):
    """What one node took, its conditional edges and all attempts included; seconds.

    Attributes:
        waited: the sum over its tasks of how long each could have begun and had not.
    """

    node: str
    calls: int
    total: float
    median: float
    longest: float
    waited: float = 0.0


class StepTime(NamedTuple):
    """What one superstep took, from the first node's start to the last one's end; seconds.

    Attributes:
        step: its number.
        tasks: tasks that ran.
        wall: how long it took.
        busy: the sum over its tasks: more than ``wall`` where they ran beside each other.
        slowest: the node of the task that took longest.
        longest: how long that took.
        waited: the longest that one of its tasks could have begun and had not.
    """

    step: int
    tasks: int
    wall: float
    busy: float
    slowest: str
    longest: float
    waited: float = 0.0


def by(spans: Sequence[Span], name: str) -> dict[Any, list[Span]]:
    """Spans by one of their attributes."""
    found: dict[Any, list[Span]] = {}
    for span in spans:
        found.setdefault(getattr(span, name), []).append(span)
    return found


def waits(spans: Sequence[Span], ready: Mapping[str, float]) -> dict[str, float]:
    """Task -> seconds from when it could begin to when it first did."""
    tasks = by(spans, "task").items()
    return {
        task: max(0.0, min(span.start for span in of_task) - ready[task]) for task, of_task in tasks if task in ready
    }


def node_time(name: str, spans: Sequence[Span], ready: Mapping[str, float]) -> NodeTime:
    """What the spans of one node come to."""
    took = [span.end - span.start for span in spans]
    calls = [span.end - span.start for span in spans if not span.edge] or took
    return NodeTime(name, len(calls), sum(took), median(calls), max(calls), sum(waits(spans, ready).values()))


def step_time(step: int, spans: Sequence[Span], ready: Mapping[str, float]) -> StepTime:
    """What the spans of one superstep come to."""
    start, end = ends(spans)
    took = {task: sum(span.end - span.start for span in of_task) for task, of_task in by(spans, "task").items()}
    slowest = max(spans, key=lambda span: took[span.task])
    waited = max(waits(spans, ready).values(), default=0.0)
    return StepTime(step, len(took), end - start, sum(took.values()), slowest.node, took[slowest.task], waited)


def ends(spans: Sequence[Span]) -> Interval:
    """The first start and the last end."""
    return min(span.start for span in spans), max(span.end for span in spans)


def union(intervals: Iterable[Interval]) -> Iterator[Interval]:
    """The same times without overlaps, in order."""
    last: Interval | None = None
    for start, end in sorted(intervals):
        if last is not None and start <= last[1]:
            last = last[0], max(last[1], end)
            continue
        if last is not None:
            yield last
        last = start, end
    if last is not None:
        yield last


def length(intervals: Iterable[Interval]) -> float:
    """Seconds of all of them, overlaps once."""
    return sum(end - start for start, end in union(intervals))


def gaps(intervals: Iterable[Interval], start: float, end: float) -> Iterator[Interval]:
    """The times from ``start`` to ``end`` that are in none of them."""
    at = start
    for first, last in union(intervals):
        if at < min(first, end):
            yield at, min(first, end)
        at = max(at, last)
    if at < end:
        yield at, end


def lanes(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Each call with the first lane, from 1, that is free when it starts."""
    free: list[float] = []
    for span in sorted(spans, key=lambda span: span.start):
        lane = next((n for n, until in enumerate(free) if until <= span.start), len(free))
        free[lane : lane + 1] = [span.end]
        yield lane + 1, span
