"""Playing one schedule to its end, and making a failing one as short as it gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from distgraph.chaos.simulation import graphs
from distgraph.chaos.simulation.facts import Violation
from distgraph.chaos.simulation.invariants import check
from distgraph.chaos.simulation.schedule import Schedule
from distgraph.chaos.simulation.world import World
from distgraph.testing.broker import Faults


@dataclass(slots=True)
class Played:
    """What came of one schedule.

    Attributes:
        points: points passed, that is twice the calls of the ledger, and what else can be struck.
        executions: of nodes; ``tasks`` of them were first ones.
    """

    schedule: Schedule
    violations: list[Violation] = field(default_factory=list)
    points: int = 0
    turns: int = 0
    executions: int = 0
    tasks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    oks: Counter[str] = field(default_factory=Counter)


def play(schedule: Schedule) -> Played:
    """Play a schedule and check what can be seen."""
    world = World(schedule)
    graphs.play_on(world.history)
    try:
        world.to_its_end()
        if not world.history.violations:
            check(world)
        return _played(world)
    finally:
        graphs.play_on(None)
        world.forget()


def _played(world: World) -> Played:
    history = world.history
    history.faults["hint lost"] += world.broker.lost
    history.faults["hint repeated"] += world.broker.repeated
    return Played(
        world.schedule,
        history.violations,
        world.points,
        world.turns,
        len(history.executions),
        len({(one.key, one.attempt, one.node) for one in history.executions}),
        history.faults,
        history.oks,
    )


def shortened(schedule: Schedule, invariant: str) -> Schedule:
    """The same failure in fewer faults, subjects and disturbances, as far as leaving things out one by one goes."""
    going = True
    while going:
        going = False
        for shorter in _shorter(schedule):
            if any(found.invariant == invariant for found in play(shorter).violations):
                schedule, going = shorter, True
                break
    return schedule


def _shorter(schedule: Schedule) -> Iterator[Schedule]:
    for at in range(len(schedule.faults)):
        yield replace(schedule, faults=schedule.faults[:at] + schedule.faults[at + 1 :])
    if len(schedule.subjects) > 1:
        for at in range(len(schedule.subjects)):
            yield replace(schedule, subjects=schedule.subjects[:at] + schedule.subjects[at + 1 :])
    if schedule.hints != Faults():
        yield replace(schedule, hints=Faults())
        for name in ("lose", "repeat", "delay", "node_ms"):
            if getattr(schedule.hints, name):
                gentler: Any = {name: 0}
                yield replace(schedule, hints=replace(schedule.hints, **gentler))
    if schedule.slow_ms:
        yield replace(schedule, slow_ms=0)
    if schedule.changed:
        yield replace(schedule, changed=False)
    for at, subject in enumerate(schedule.subjects):
        for name, less in (("cancel", 0), ("pause", 0), ("rivals", 1), ("deadly", 0)):
            if getattr(subject, name) > less:
                change: Any = {name: less}
                eased = replace(subject, **change)
                yield replace(schedule, subjects=(*schedule.subjects[:at], eased, *schedule.subjects[at + 1 :]))
        if subject.items > 1:
            fewer = replace(subject, items=subject.items - 1)
            yield replace(schedule, subjects=(*schedule.subjects[:at], fewer, *schedule.subjects[at + 1 :]))
