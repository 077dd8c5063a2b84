"""The times of a run that is profiled, as each slot that works at it tells them.

What a slot notes goes into the next entry of the run's log that it writes anyway - a superstep, an end, tasks that have
settled - as ``times``; into one of its own, ``["ran", times]``, where it lets the run go before that:

    [slot, since, at, [[step, node, edge, attempt, start, end, task], ...], {channel: bytes}]

All by the slot's own clock, in seconds since the epoch: it had the run in hand from ``since`` to ``at``, when it told.
"""

from __future__ import annotations

from copy import copy
from time import perf_counter
from typing import TYPE_CHECKING, Any

from distgraph.cluster.registry import Served
from distgraph.graph.profiling import watched

if TYPE_CHECKING:
    from distgraph.checkpoint.lines import Raw
    from distgraph.cluster.run import Run
    from distgraph.cluster.workplace import Workplace
    from distgraph.engine.scope import NodeScope

RAN = "ran"


class Stopwatch:
    """What one slot notes of a run while it has it in hand."""

    __slots__ = ("_ahead", "_calls", "_place", "_since")

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._calls: list[list[Any]] = []
        self.begin()

    def begin(self) -> None:
        """The slot takes the run in hand."""
        self._ahead = self._place.now() - perf_counter()
        self._since = self._now()

    def _now(self) -> float:
        return perf_counter() + self._ahead

    def note(self, scope: NodeScope, edge: str, start: float, end: float) -> None:
        """One call of a node, or of a conditional edge of it; from when to when by ``perf_counter``."""
        task, ahead = scope.task, self._ahead
        self._calls.append([task.step, task.name, edge, scope.attempt, start + ahead, end + ahead, task.id])

    @property
    def noted(self) -> bool:
        """Whether there is something that was not told yet."""
        return bool(self._calls)

    def take(self, sizes: dict[str, int] | None = None) -> list[Any]:
        """``times`` of what was noted since this was asked last."""
        since, self._since = self._since, self._now()
        calls, self._calls = self._calls, []
        return [self._place.slot, since, self._since, calls, sizes or {}]


def timed(served: Served, watch: Stopwatch) -> Served:
    """The same graph, each call of a node noted by ``watch``."""
    found = copy(served)
    found.program = watched(served.program, watch.note)
    return found


def sizes_of(raw: Raw) -> dict[str, int]:
    """Channel -> bytes of its value as stored."""
    return {channel: sum(len(piece.data) for piece in pieces) for channel, pieces in raw.items()}


def ran_entry(served: Served, watch: Stopwatch) -> bytes:
    """The entry of a slot that tells its times by themselves."""
    return served.codec.encode([RAN, watch.take()])


def tell_times(place: Workplace, run: Run) -> None:
    """The slot lets the run go: tell what it has not told yet."""
    if run.watch is not None and run.watch.noted:
        place.runs.append_log(run.address, [ran_entry(run.served, run.watch)])
