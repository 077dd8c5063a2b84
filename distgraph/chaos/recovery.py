"""How long the work of what was struck lay still, read from the histories.

What a process held - items of its slices, leases, claims - follows from what went over the wire. The clock runs from the
strike until somebody else has committed the next superstep of it: of the first run it held, and of the last.

Faults that come together are told apart from those that come alone: while a server is out, and for a time to live after it
is back, nobody is taken for dead, on purpose; a worker whose child was killed may be killed itself before it tells; and when
all workers are killed at once nothing goes on before the first new process has started.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from distgraph.chaos.facts import pid_of
from distgraph.chaos.history import Event
from distgraph.ledger.keys import CHUNK, item_id

_RESTS = ("done", "failed", "interrupted")
#: How long after an outage deaths are not believed, about. Seconds.
DISTRUSTED = 3.5
#: What the name of a kind ends with where several faults came together.
TOGETHER = ", and another fault"
#: What the name of a kind ends with where all workers were struck at once.
EVERY = ", all at once"
#: What recovery may take at the 99th percentile, in seconds, by what was struck alone.
GOALS = {"child": 1.5, "tree": 3.0, "server": 3.0}


@dataclass(frozen=True, slots=True)
class Recovery:
    """Strikes of one kind, and seconds until the work they hit went on.

    Attributes:
        strikes: how many there were.
        first: seconds until the first run that was held went on, one entry for each strike that hit work.
        last: until the last one did.
    """

    kind: str
    strikes: int
    first: Sequence[float]
    last: Sequence[float]

    @property
    def kept(self) -> bool:
        """Whether the goal is reached, where there is one."""
        goal = GOALS.get(self.kind)
        return goal is None or not self.first or percentile(self.first, 0.99) < goal


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of them are; nan without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


def median(values: Sequence[float]) -> float:
    """The middle one; nan without any."""
    return statistics.median(values) if values else float("nan")


def recoveries(events: Sequence[Event]) -> list[Recovery]:
    """Of every kind of strike, in the order of their names."""
    commits = _commits(events)
    # These waited for somebody to try them again.
    quarantined = {run for event in events if event["op"] == "retry" for run in event["runs"]}
    outages = [event for event in events if _is_outage(event)]
    strikes: dict[str, int] = defaultdict(int)
    first: dict[str, list[float]] = defaultdict(list)
    last: dict[str, list[float]] = defaultdict(list)
    held = _Held()
    for at, event in enumerate(events):
        held.see(event)
        if event["op"] not in ("kill", "stop"):
            continue
        kind = event["kind"] + EVERY * bool(event.get("every"))
        strikes[kind] += event.get("count", 1)
        if kind == "server":
            waits = _any_commit(events, at)
        elif kind == "submitter":
            waits = _submitted(events, at)
        else:
            runs = held.by(set(event["pids"])) - quarantined
            waits = [wait for run in runs if (wait := _wait(commits[run], event)) is not None]
        if waits:
            name = kind + TOGETHER * _with_another(events, event, min(waits), outages)
            first[name].append(min(waits))
            last[name].append(max(waits))
    return [Recovery(kind, strikes[kind], first[kind], last[kind]) for kind in sorted({*strikes, *first})]


def _is_outage(event: Event) -> bool:
    """Whether nobody at all can go on for a while."""
    return event["op"] == "blackhole" or bool(event.get("every")) or _is(event, "kill", "server")


def _is(event: Event, op: str, kind: str) -> bool:
    return bool(event["op"] == op and event["kind"] == kind)


def _with_another(events: Sequence[Event], strike: Event, wait: float, outages: Sequence[Event]) -> bool:
    """Whether an outage, or another strike at the same worker, fell into the time of recovery."""
    if strike["kind"] == "submitter" or strike.get("every"):
        return False
    begin, end = strike["t"], strike["t"] + wait
    if any(begin - DISTRUSTED < event["t"] < end for event in outages if event is not strike):
        return True
    later = [event for event in events if begin < event["t"] < end and event["op"] in ("kill", "stop")]
    return "worker" in strike and any(event.get("worker") == strike["worker"] for event in later)


class _Held:
    """Who holds what, while events go by."""

    def __init__(self) -> None:
        self.slices: dict[str, tuple[int, set[str]]] = {}
        self.leases: dict[str, int] = {}
        self.claims: dict[tuple[str, str], int] = {}

    def see(self, event: Event) -> None:
        """Take one event into account."""
        op, applied = event["op"], event["f"] == "ok"
        if op == "take":
            first = event["chunk"] * CHUNK
            runs = {item_id(event["batch"], at) for at in range(first + event["start"], first + event["stop"])}
            self.slices[event["slice"]] = (pid_of(event["slot"]), runs)
        elif op == "leave" and applied:
            self.slices.pop(event["slice"], None)
        elif op == "step" and applied and event["kind"] != "step":
            self.slices.get(event["slice"], (0, set()))[1].discard(event["run"])
            if event["kind"] == "promote":
                self.leases[event["run"]] = pid_of(event["slot"])
        elif op == "claim" and applied:
            self.leases[event["run"]] = pid_of(event["slot"])
        elif applied and _lets_go(event):
            self.leases.pop(event["run"], None)
        elif op == "claim_task" and applied:
            self.claims[event["run"], event["task"]] = pid_of(event["slot"])
        elif op == "settle" and event["f"] != "info":
            self.claims.pop((event["run"], event["task"]), None)
            if event.get("answer") == "closed":
                self.leases[event["run"]] = pid_of(event["slot"])

    def by(self, pids: set[int]) -> set[str]:
        """The runs that these processes hold."""
        found = {run for pid, runs in self.slices.values() if pid in pids for run in runs}
        found |= {run for run, pid in self.leases.items() if pid in pids}
        return found | {run for (run, _), pid in self.claims.items() if pid in pids}


def _lets_go(event: Event) -> bool:
    """Whether nobody drives the run after this: it rests, or its superstep is open to all."""
    rests = event["op"] == "commit" and event["status"] in _RESTS
    return rests or (event["op"] == "offer" and event.get("answer") != "closed")


def _commits(events: Sequence[Event]) -> dict[str, list[tuple[float, int]]]:
    """Run -> (when, by whom) it went on, in order."""
    found: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for event in events:
        if event["op"] in ("step", "commit", "settle") and event["f"] == "ok":
            found[event["run"]].append((event["done"], pid_of(event["slot"])))
    for times in found.values():
        times.sort()
    return found


def _wait(commits: Sequence[tuple[float, int]], strike: Event) -> float | None:
    """Seconds from a strike until somebody who was not struck went on with the run; None: nobody had to."""
    later = commits[bisect_left(commits, (strike["t"], -1)) :]
    return next((when - strike["t"] for when, pid in later if pid not in strike["pids"]), None)


def _any_commit(events: Sequence[Event], at: int) -> list[float]:
    """Seconds until the first commit that was sent and applied after the strike at ``at``."""
    began = events[at]["t"]
    for event in events[at + 1 :]:
        if event["op"] in ("step", "commit", "settle") and event["f"] == "ok":
            return [event["done"] - began]
    return []


def _submitted(events: Sequence[Event], at: int) -> list[float]:
    """Seconds until the batch of the submitter that was struck is all there."""
    strike = events[at]
    for event in events[at + 1 :]:
        if event["op"] == "submit" and event["f"] == "ok" and event["batch"] == strike["batch"]:
            return [event["t"] - strike["t"]]
    return []
