"""What is known after a storm: the histories, the ledger's end, the service's counts; and what follows from them at once."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from distgraph.chaos import graphs
from distgraph.chaos.dump import Dump
from distgraph.chaos.history import Event, of
from distgraph.ledger.keys import CHUNK, item_id, split_item


@dataclass(frozen=True, slots=True)
class Limits:
    """What a storm may cost at most.

    Attributes:
        executions: executions of nodes for each task.
        hints: hints for each task.
        finish: seconds from the last harm to the end of all work.
        crashes: crashes of one item that quarantine it.
        struck: share of the armed faults whose request must have come by.
    """

    executions: float = 1.10
    hints: float = 1.3
    finish: float = 60.0
    crashes: int = 3
    struck: float = 0.5


@dataclass
class Facts:
    """The input of the checker.

    Attributes:
        events: all histories, in the order of time.
        dump: the ledger when all was done.
        batches: batch id -> (index of its first item, number of items).
        steps: supersteps of an item.
        planned: strikes by kind.
        swept: keys that were left when everything was deleted.
        applied: effects that the service applied: kind -> who -> how often.
        keys: who -> the idempotency keys that the service saw of him.
    """

    events: Sequence[Event]
    dump: Dump
    batches: Mapping[str, tuple[int, int]]
    steps: int
    planned: Mapping[str, int] = field(default_factory=dict)
    swept: Sequence[str] = ()
    applied: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @cached_property
    def items(self) -> dict[str, graphs.Item]:
        """Run id -> the item it must have run with."""
        return {
            item_id(batch, at): graphs.item(first + at, steps=self.steps)
            for batch, (first, count) in self.batches.items()
            for at in range(count)
        }

    @cached_property
    def tasks(self) -> int:
        """Tasks of all items."""
        return sum(len(graphs.tasks(item)) for item in self.items.values())

    @cached_property
    def executions(self) -> dict[str, Event]:
        """Name of an execution -> where it began."""
        return {event["uid"]: event for event in of(self.events, "node") if event["f"] == "invoke"}

    @cached_property
    def finished(self) -> set[str]:
        """Executions that came to their end."""
        return {event["uid"] for event in of(self.events, "node") if event["f"] == "ok"}

    @cached_property
    def commits(self) -> dict[str, list[Event]]:
        """Run id -> supersteps that were applied, or may have been, in the order of their answers."""
        found: dict[str, list[Event]] = defaultdict(list)
        for event in of(self.events, "step", "commit"):
            if event["f"] in ("ok", "info"):
                found[event["run"]].append(event)
        for events in found.values():
            events.sort(key=lambda event: float(event["done"]))
        return found

    @cached_property
    def threads(self) -> dict[str, list[str]]:
        """Thread -> the runs on it, of those that share threads."""
        found: dict[str, list[str]] = defaultdict(list)
        for event in of(self.events, "run"):
            if event["f"] == "invoke":
                found[event["thread"]].append(event["run"])
        return found

    @cached_property
    def struck(self) -> set[int]:
        """Processes that were killed or stopped."""
        return {pid for event in of(self.events, "kill", "stop") for pid in event.get("pids", ())}

    @cached_property
    def takes(self) -> dict[int, list[Event]]:
        """Pid -> what it bound to slices, in order."""
        found: dict[int, list[Event]] = defaultdict(list)
        for event in of(self.events, "take"):
            found[pid_of(event["slot"])].append(event)
        return found

    def take_before(self, pid: int, t: float, run: str) -> Event | None:
        """What ``pid`` took last before ``t``, if ``run`` is in it."""
        taken = self.takes.get(pid, [])
        at = bisect_right(taken, t, key=lambda event: float(event["t"])) - 1
        return taken[at] if at >= 0 and covers(taken[at], run) else None

    def marks(self, run: str) -> list[tuple[str, str]]:
        """("superstep.branch", execution) of what a run's result is made of."""
        value: Any = self.dump.rows.get(run, {}).get("value") or {}
        return [split_mark(mark) for mark in value.get("marks", [])]

    def done(self) -> list[str]:
        """The items that are done."""
        return [run for run, row in self.dump.rows.items() if row["status"] == "done"]

    def at(self, op: str) -> float | None:
        """When something happened last."""
        return next((float(event["t"]) for event in reversed(self.events) if event["op"] == op), None)


def split_mark(mark: str) -> tuple[str, str]:
    """("superstep.branch", execution) of a mark."""
    name, _, execution = mark.partition(":")
    return name, execution


def pid_of(slot: str) -> int:
    """The process that a slot's name names; 0 if it names none."""
    pid = slot.partition(":")[2].partition(".")[0]
    return int(pid) if pid.isdigit() else 0


def covers(take: Event, run: str) -> bool:
    """Whether ``run`` is among the items of a take."""
    item = split_item(run)
    if item is None or item[0] != take["batch"]:
        return False
    first = take["chunk"] * CHUNK
    return bool(first + take["start"] <= item[1] < first + take["stop"])
