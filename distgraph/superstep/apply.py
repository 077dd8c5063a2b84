"""Checkpoint + writes -> next checkpoint.

Rules:

1. Tasks are applied in the order of their paths, never in the order in which they finished.
2. All changes of one superstep get one new version, ``bump(clock)``; the clock never goes back along a line.
3. A task's triggers are recorded as seen, and consumed, before writes are applied.
4. A superstep that some task took part in clears transient channels nobody wrote.
5. Only when no channel that wakes a node changed do deferred channels finish.
6. An empty channel keeps no version, and a node keeps what it has seen only while one of its triggers has a version or
   it ran in the last superstep. The tables so stay as small as what is alive, however many nodes the run has visited;
   rule 2 makes this safe, for a later write gets a version above everything forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distgraph.constants import CONTROL_WRITES, INTERRUPT
from distgraph.superstep.identity import path_key
from distgraph.superstep.model import Checkpoint, Program, Task
from distgraph.types import MISSING

#: last version (None: none yet) -> next version
Bump = Callable[[Any], Any]


def count_up(last: Any) -> int:
    """The version rule of a run that nobody stores: 1, 2, 3."""
    return 1 if last is None else last + 1


def apply_writes(
    program: Program,
    at: Checkpoint,
    tasks: Sequence[Task],
    bump: Bump,
    *,
    new_id: str,
    ts: str = "",
    source: str = "loop",
) -> Checkpoint:
    """The checkpoint after a superstep in which ``tasks`` wrote what they hold.

    Raises:
        InvalidUpdateError: updates that a channel cannot reconcile.
        Exception: whatever a reducer raised, with a note that names key and reducer.
    """
    if len(tasks) > 1:
        tasks = sorted(tasks, key=lambda task: path_key(task.path))
    version = bump(at.clock)
    step = _Step(program, at, version)
    step.see(tasks)
    step.write(_grouped(program, tasks))
    if any([task.triggers for task in tasks]):
        step.clear()
        if program.woken_by.keys().isdisjoint(step.updated):
            step.finish()
    return Checkpoint(
        new_id,
        at.id or None,
        at.step + 1,
        source,
        step.values,
        step.versions,
        step.seen_after(tasks),
        frozenset(step.updated),
        version,
        ts,
        frozenset(step.grown) if step.grown else _NOTHING,
    )


def _grouped(program: Program, tasks: Sequence[Task]) -> dict[str, list[Any]]:
    channels = program.channels
    grouped: dict[str, list[Any]] = {}
    for task in tasks:
        for channel, value in task.writes:
            if channel in channels:
                grouped.setdefault(channel, []).append(value)
            elif channel not in CONTROL_WRITES:
                raise KeyError(f"Task {task.name!r} of step {task.step} wrote to unknown channel {channel!r}.")
    return grouped


_NOTHING: frozenset[str] = frozenset()


class _Step:
    """The tables of one superstep while it is applied; copies, so that the checkpoint it starts from stays whole."""

    __slots__ = ("at", "channels", "grown", "program", "seen", "updated", "values", "version", "versions")

    def __init__(self, program: Program, at: Checkpoint, version: Any) -> None:
        self.program = program
        self.channels = program.channels
        self.at = at
        self.version = version
        self.values: dict[str, Any] = dict(at.values)
        self.versions: dict[str, Any] = dict(at.versions)
        self.seen: dict[str, Mapping[str, Any]] = {}
        self.updated: set[str] = set()
        self.grown: set[str] = set()

    def _set(self, channel: str, value: Any) -> None:
        if value is MISSING:
            self.values.pop(channel, None)
            self.versions.pop(channel, None)
        else:
            self.values[channel] = value
            self.versions[channel] = self.version

    def _available(self, channel: str) -> bool:
        value = self.values.get(channel, MISSING)
        rule = self.channels[channel]
        return value is not MISSING and (rule.plain or rule.is_available(value))

    def see(self, tasks: Sequence[Task]) -> None:
        versions = self.at.versions
        consumable = self.program.consumable
        for task in tasks:
            if task.node is not None:
                self.seen[task.name] = {t: versions[t] for t in task.triggers if t in versions}
            if consumable:
                for trigger in task.triggers:
                    if trigger in consumable and trigger in self.values:
                        before = self.values[trigger]
                        after = self.channels[trigger].consume(before)
                        if after is not before:
                            self._set(trigger, after)

    def write(self, grouped: Mapping[str, list[Any]]) -> None:
        values, versions, version = self.values, self.versions, self.version
        for channel, updates in grouped.items():
            rule = self.channels[channel]
            before = values.get(channel, MISSING)
            after = rule.reduce(rule.initial() if before is MISSING else before, updates)
            if after is MISSING:
                self._set(channel, after)
                continue
            values[channel], versions[channel] = after, version
            if type(after) is list and type(before) is list and rule.grew(before, updates, after):
                self.grown.add(channel)
            if rule.plain or rule.is_available(after):
                self.updated.add(channel)

    def clear(self) -> None:
        for channel in self.program.transient.intersection(self.values):
            if channel not in self.updated:
                before = self.values[channel]
                after = self.channels[channel].reduce(before, ())
                if after is not before:
                    self._set(channel, after)

    def finish(self) -> None:
        for channel in self.program.finishing:
            before = self.values.get(channel, MISSING)
            after = self.channels[channel].finish(before)
            if after is not before:
                self._set(channel, after)
                if self._available(channel):
                    self.updated.add(channel)

    def seen_after(self, tasks: Sequence[Task]) -> dict[str, Mapping[str, Any]]:
        kept = self.seen
        # Where only Sends ran, the nodes that channels woke last stay known: an update from outside asks for them.
        everything = not any(kept.values())
        for name, versions in self.at.seen.items():
            if name not in kept and (
                everything or name == INTERRUPT or any(trigger in self.versions for trigger in versions)
            ):
                kept[name] = versions
        return kept
