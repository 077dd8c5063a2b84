"""Schedules that chance alone would seldom make: what strikes is aimed at one moment that the protocol must get right.

Each takes what is not its point (graphs, workers, times) from chance as well, so that every seed is another case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from distgraph.chaos.simulation.schedule import Fault, FaultKind, Schedule, Subject
from distgraph.types import Placement

#: Longer than a beat lives: who stands still for so long is taken for dead. Milliseconds.
_LONG = (3000, 4500, 6000)
_FLEETS = ((1, 1), (1, 1, 1), (2, 1))
#: How long nodes may take, so that others come and go meanwhile. Milliseconds.
_SLOW = (4000, 12_000)
#: What changes something.
_OF_RUNS = ("runs.submit", "runs.claim", "runs.commit", "runs.commit", "runs.offer", "runs.settle", "runs.retry_task")
_OF_BATCHES = ("batches.add", "batches.seal", "batches.take", "batches.commit", "batches.commit", "runs.settle")
#: What workers ask of a batch that they have just heard of.
_TAKING = ("batches.manifest", "batches.ready_partitions", "batches.take", "batches.items", "batches.commit")


def _zombies(seed: int, random: Random) -> Schedule:
    """A wide superstep stays open while the tasks of one who is taken for dead run again, and then he settles too."""
    fault = Fault(random.randint(1, 2), "freeze tree", random.choice((3000, 4500)), "before runs.settle")
    subject = Subject(random.choice(("fan", "sends", "sends", "flaky")), "spread", total=random.randrange(3))
    return Schedule(seed, (subject,), random.choice(((1, 1, 1), (2, 1))), faults=(fault,), slow_ms=12_000)


def _late_look(seed: int, random: Random) -> Schedule:
    """A sweep that finds a run at rest stands still before it forgets it, and somebody lets the run go on meanwhile."""
    faults = (
        Fault(random.randint(1, 3), "freeze", random.choice((30, 100)), "before runs.peek"),
        Fault(1, "freeze", 150, "before runs.control"),
        Fault(1, "freeze", 180, "before runs.forget_due"),
    )
    subject = Subject(random.choice(("ask", "broken")), random.choice(("local", "spread")))
    return Schedule(seed, (subject,), random.choice(((1,), (2,), (1, 1))), faults=faults, slow_ms=4000)


def _overtaken(seed: int, random: Random) -> Schedule:
    """A driver stands still before it commits; another drives its run meanwhile, and may or may not be through."""
    fault = Fault(random.randint(1, 3), "freeze tree", random.choice(_LONG), "before runs.commit")
    graph = random.choice(("chain", "loop", "sends", "flaky", "nested"))
    subject = Subject(graph, random.choice(("auto", "local")), total=random.randrange(3))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=(fault,), slow_ms=random.choice(_SLOW))


def _item_overtaken(seed: int, random: Random) -> Schedule:
    """The same of a driver that has items of a batch in hand."""
    fault = Fault(random.randint(1, 4), "freeze tree", random.choice(_LONG), "before batches.commit")
    items, graph = random.randint(1, 3), random.choice(("chain", "loop", "fan", "sends"))
    subject = Subject(graph, "auto", "latest", False, items, random.randrange(3))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=(fault,), slow_ms=random.choice(_SLOW))


def _after_effect(seed: int, random: Random) -> Schedule:
    """Somebody is lost between the record of an effect and the commit of the task it belongs to."""
    items = random.choice((0, 0, 1, 3))
    kind: FaultKind = random.choice(("kill", "kill tree", "freeze tree", "cut"))
    much = {"freeze tree": random.choice(_LONG), "cut": random.choice((1, 3))}.get(kind, 0)
    commit = "before batches.commit" if items else "before runs.commit"
    fault = Fault(random.randint(1, 2), kind, much, random.choice(("after runs.effect", commit)))
    subject = Subject("effect", "auto", "latest", False, items, random.randrange(3))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=(fault,), slow_ms=random.choice((0, *_SLOW)))


def _outage(seed: int, random: Random) -> Schedule:
    """The server starts anew, again and again, while nodes are at work: somebody looks before others have beaten."""
    faults = tuple(Fault(random.randint(8, 60), "restart") for _ in range(random.randint(1, 4)))
    items, graph = random.choice((0, 0, 1, 3)), random.choice(("chain", "loop", "sends", "fan"))
    placement: Placement = random.choice(("auto", "spread"))
    subject = Subject(graph, placement, "latest", False, items, random.randrange(3))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=faults, slow_ms=random.choice(_SLOW))


def _said_twice(seed: int, random: Random) -> Schedule:
    """What changes something is sent twice, or answered to nobody and therefore sent again."""
    items = random.choice((0, 0, 1, 3))
    calls = _OF_BATCHES if items else _OF_RUNS
    faults = tuple(_again(random, random.choice(calls)) for _ in range(3))
    graph = random.choice(("chain", "loop", "sends", "fan", "flaky"))
    placement: Placement = random.choice(("auto", "spread"))
    keep, log = ("latest", False) if items else ("all", True)
    subject = Subject(graph, placement, keep, log, items, random.randrange(3))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=faults)


def _again(random: Random, call: str) -> Fault:
    if random.random() < 0.5:
        return Fault(random.randint(1, 4), "repeat", at="before " + call)
    return Fault(random.randint(1, 4), "cut", random.choice((1, 2)), "after " + call)


def _other_version(seed: int, random: Random) -> Schedule:
    """Whoever serves the version of a run stands still, while others, with another version, look at what is owed."""
    fault = Fault(random.randint(1, 3), "freeze tree", random.choice((4500, 6000)), "before runs.commit")
    faults = random.choice(((fault,), (Fault(random.randint(1, 6), "deploy"), fault)))
    subject = Subject("chain", random.choice(("auto", "local", "spread")), total=random.randrange(3))
    slow = random.choice((0, *_SLOW))
    return Schedule(seed, (subject,), random.choice(((1, 1), (2, 1))), len(faults) == 1, faults=faults, slow_ms=slow)


def _said_late(seed: int, random: Random) -> Schedule:
    """Who is to say that a run goes on is taken for dead before, and says it when others have driven it on."""
    fault = Fault(1, "freeze tree", random.choice(_LONG), "before runs.tell_start")
    graph = random.choice(("ask", "broken"))
    placement: Placement = random.choice(("auto", "spread"))
    cancel = random.randint(1, 30) if random.random() < 0.3 else 0
    subject = Subject(graph, placement, total=random.randrange(3), cancel=cancel)
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=(fault,), slow_ms=random.choice(_SLOW))


def _half_forgotten(seed: int, random: Random) -> Schedule:
    """A server is rolled back and forgets items of a batch, that these were all, or that a pause is over."""
    pause = random.choice((0, random.randint(1, 6)))
    calls = ("batches.control",) if pause else ("batches.add", "batches.seal", "batches.seal")
    moment = f"before {random.choice(calls)}"
    lost = Fault(random.randint(1, 5), "roll back", random.choice((1, 50)), f"before {random.choice(_TAKING)}")
    faults = (Fault(2 if pause else 1, "freeze", random.randint(2, 12), moment), lost)
    subject = Subject(
        random.choice(("chain", "fan", "ask")), "auto", "latest", False, 3, random.randrange(3), pause=pause
    )
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=faults, slow_ms=random.choice((0, 4000)))


def _out_of_time(seed: int, random: Random) -> Schedule:
    """A run or a superstep has less time than it needs, and whoever works at it dies, or is taken for dead, meanwhile."""
    graph = random.choice(("chain", "loop", "fan", "sends", "nap", "nap", "ask", "flock", "broken"))
    items = random.choice((0, 0, 1, 3))
    limit = random.choice((300, 1000, 2500, 5000, 12_000))
    limits: Any = {random.choice(("limit_ms", "limit_ms", "step_ms")): limit}
    keep, log = ("latest", False) if items else ("all", True)
    placement: Placement = random.choice(("auto", "local", "spread"))
    subject = Subject(graph, placement, keep, log, items, random.randrange(3), **limits)
    kinds: tuple[FaultKind, ...] = ("kill", "kill tree", "freeze tree", "restart", "drain", "cut")
    faults = tuple(_somewhere(random, random.choice(kinds)) for _ in range(random.randint(0, 2)))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=faults, slow_ms=random.choice(_SLOW))


def _somewhere(random: Random, kind: FaultKind) -> Fault:
    much = {"freeze tree": random.choice(_LONG), "cut": random.choice((1, 3))}.get(kind, 0)
    return Fault(random.randint(5, 60), kind, much)


def _broker_away(seed: int, random: Random) -> Schedule:
    """The broker, a server of its own, is away or loses all it had, while others go on at the ledger."""
    away = Fault(random.randint(3, 40), "broker away", random.choice((300, 2000, 6000, 15_000)))
    emptied = Fault(away.nth + random.randint(1, 20), "drop hints")
    more: tuple[FaultKind, ...] = ("kill", "freeze tree", "broker away")
    kind = random.choice(more)
    other = replace(_somewhere(random, kind), much=3000) if kind == "broker away" else _somewhere(random, kind)
    faults = random.choice(((away,), (away, emptied), (away, emptied, other), (away, other)))
    items, graph = random.choice((0, 0, 2, 3)), random.choice(("chain", "fan", "sends", "flaky", "nap", "ask", "steer"))
    placement: Placement = random.choice(("auto", "spread", "spread"))
    told = graph == "steer"
    subject = Subject(graph, placement, "latest", not items, items, random.randrange(3), told=told)
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=faults, slow_ms=random.choice((0, *_SLOW)))


def _ledger_away(seed: int, random: Random) -> Schedule:
    """The ledger is away, briefly or for longer than beats live, when somebody has a result to store."""
    items, graph = random.choice((0, 0, 1, 3)), random.choice(("chain", "loop", "sends", "flaky", "effect", "flock"))
    commits = ("batches.commit",) if items else ("runs.commit", "runs.settle", "runs.offer", "runs.retry_task")
    moment = f"{random.choice(('before', 'after'))} {random.choice(commits)}"
    away = Fault(random.randint(1, 3), "ledger away", random.choice((100, 1000, 4000, 9000)), moment)
    more: tuple[FaultKind, ...] = ("kill", "kill tree", "freeze tree", "repeat")
    other = _somewhere(random, random.choice(more))
    faults = random.choice(((away,), (away, other)))
    placement: Placement = random.choice(("auto", "spread"))
    subject = Subject(graph, placement, "latest", False, items, random.randrange(3))
    slow = random.choice((0, *_SLOW))
    return Schedule(
        seed, (subject,), random.choice(_FLEETS), faults=faults, slow_ms=slow, patient=random.random() < 0.8
    )


def _told(seed: int, random: Random) -> Schedule:
    """Whoever is told to change the state dies, loses the reply, or is overtaken, before the change is in a checkpoint."""
    graph, items = random.choice((("steer", 0), ("steer", 0), ("steer", 2), ("broken", 0)))
    kinds: tuple[FaultKind, ...] = ("kill", "kill tree", "freeze tree", "cut", "repeat", "roll back")
    calls = ("runs.control", "runs.claim", "runs.claim_task", "runs.settle", "runs.commit", "runs.offer")
    faults = []
    for _ in range(random.randint(1, 3)):
        fault = _somewhere(random, random.choice(kinds))
        much = random.choice((1, 500)) if fault.kind == "roll back" else fault.much
        at = f"{random.choice(('before', 'after'))} {random.choice(calls)}"
        faults.append(Fault(random.randint(1, 4), fault.kind, much, at))
    placement: Placement = random.choice(("auto", "local", "spread"))
    rivals = random.choice((1, 2)) if graph == "steer" and not items else 1
    subject = Subject(graph, placement, "latest", not items, items, random.randrange(3), rivals=rivals, told=True)
    slow = random.choice((0, 0, *_SLOW))
    return Schedule(seed, (subject,), random.choice(_FLEETS), faults=tuple(faults), slow_ms=slow)


#: Which seeds stand for them: the remainder of a division by ``OF``.
OF = 20
FOCUSED: dict[int, Callable[[int, Random], Schedule]] = {
    1: _overtaken,
    3: _after_effect,
    5: _zombies,
    7: _outage,
    9: _item_overtaken,
    11: _said_twice,
    12: _said_late,
    13: _late_look,
    14: _half_forgotten,
    15: _other_version,
    16: _out_of_time,
    17: _broker_away,
    18: _ledger_away,
    19: _told,
}
