"""A run's profile, read from its log: what its slots noted there, laid on the server's clock.

Clocks of workers need not agree. Each entry has its slot's time and, in its id, the server's: the smallest difference of
the two that a worker ever had is about what its clock is off by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from distgraph.cluster.events import Frame
from distgraph.cluster.stopwatch import RAN
from distgraph.graph.profiling import Profile
from distgraph.graph.spans import Interval, Span, by, gaps
from distgraph.wire import Codec

#: Clocks that differ by less are taken for one: entries tell the server's in whole milliseconds. Seconds.
SAME = 0.002


class _Told(NamedTuple):
    """One entry: the server's time, and what it says."""

    at: float
    kind: str
    step: int
    times: Sequence[Any] | None


def read_profile(codec: Codec, entries: Iterable[tuple[str, bytes]], graph: str, created: float) -> Profile:
    """The profile of a run.

    Args:
        codec: of its values.
        entries: its log, from the first.
        graph: the graph's name.
        created: when it was submitted, by the server's clock. Seconds since the epoch.
    """
    told = [_told(codec, entry_id, data) for entry_id, data in entries]
    reading = _Reading(told, created)
    profile = Profile(graph, spans=sorted(reading.spans, key=lambda span: span.end))
    for one in told:
        for channel, size in (one.times[4] if one.times else {}).items():
            profile.state[channel] = max(size, profile.state.get(channel) or 0)
    for task, spans in by(profile.spans, "task").items():
        first = min(spans, key=lambda span: span.start)
        planned = [at for step, at in reading.planned if step == first.step and at <= first.start]
        if planned:
            profile.ready[task] = max(planned)
    profile.wall = max([end for _, end in reading.held] + [span.end for span in profile.spans], default=0.0)
    profile.queued = list(gaps(reading.held, 0.0, profile.wall))
    return profile


def _told(codec: Codec, entry_id: str, data: bytes) -> _Told:
    kind, *rest = codec.decode(data)
    step, times = 0, None
    if kind in ("step", "go"):
        frame = Frame.of(rest)
        step, times = frame.step, frame.more.get("times")
    elif kind == "end" and len(rest) > 3:
        times = (rest[3] or {}).get("times")
    elif kind == "settled" and len(rest) > 2:
        times = rest[2]
    elif kind == RAN:
        times = rest[0]
    return _Told(int(entry_id.partition("-")[0]) / 1000, kind, step, times)


class _Reading:
    """The entries on one clock, which begins with the run and stands still while the run is at rest.

    Attributes:
        spans: the calls.
        held: when a slot had the run in hand.
        planned: (superstep, when its tasks could begin).
    """

    def __init__(self, told: Sequence[_Told], created: float) -> None:
        self._off = _differences(told)
        timed = [one.times for one in told if one.times is not None]
        starts = [
            self._server(slot, at) for slot, since, _, calls, _ in timed for at in (since, *(c[4] for c in calls))
        ]
        #: The submission; or what a clock that could not be laid more exactly says was before it.
        self._began = min([created, *starts])
        self._rests = self._rests_of(told)
        self.spans: list[Span] = []
        self.held: list[Interval] = []
        self.planned: list[tuple[int, float]] = []
        for one in told:
            self._take(one)

    def _take(self, one: _Told) -> None:
        at = one.at
        if one.times is not None:
            slot, since, told, calls, _ = one.times
            at = self._server(slot, told)
            self.held.append((self._own(self._server(slot, since)), self._own(at)))
            for step, node, edge, attempt, start, end, task in calls:
                times = self._own(self._server(slot, start)), self._own(self._server(slot, end))
                self.spans.append(Span(step, node, edge, attempt, *times, task, slot))
        if one.kind in ("step", "go"):
            self.planned.append((one.step + 1, self._own(at)))

    def _server(self, slot: str, at: float) -> float:
        """By the server's clock."""
        return at + self._off.get(_worker(slot), 0.0)

    def _own(self, at: float) -> float:
        """Seconds since the run began, without those at rest before."""
        rested = sum(min(at, end) - start for start, end in self._rests if start < at)
        return at - self._began - rested

    def _rests_of(self, told: Sequence[_Told]) -> list[Interval]:
        """From each end but the last to when the run was taken in hand again."""
        found: list[Interval] = []
        since: float | None = None
        for one in told:
            began = ended = one.at
            if one.times is not None:
                slot = one.times[0]
                began, ended = self._server(slot, one.times[1]), self._server(slot, one.times[2])
            if since is not None and began > since:
                found.append((since, began))
            since = ended if one.kind == "end" else None
        return found


def _worker(slot: str) -> str:
    """The worker of a slot: its slots share a clock."""
    return slot.partition(":")[0]


def _differences(told: Sequence[_Told]) -> dict[str, float]:
    """Worker -> what is to be added to its clock."""
    found: dict[str, float] = {}
    for one in told:
        if one.times is not None:
            worker, off = _worker(one.times[0]), one.at - one.times[2]
            found[worker] = min(off, found.get(worker, off))
    return {worker: off for worker, off in found.items() if abs(off) > SAME}
