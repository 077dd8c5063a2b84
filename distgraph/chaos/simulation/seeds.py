"""From a seed to its schedule."""

from __future__ import annotations

from random import Random
from typing import Any

from distgraph.chaos.simulation.focus import FOCUSED, OF
from distgraph.chaos.simulation.graphs import ASKING, RETRIED
from distgraph.chaos.simulation.schedule import FAULTS, Fault, Schedule, Subject
from distgraph.testing.broker import Faults
from distgraph.types import MultitaskStrategy, Placement

#: Deaths in one schedule, at most: three of the same task are poison, as they should be.
_DEATHS = 2
_DEADLY = ("kill", "kill tree")

_FLEETS = ((1,), (1, 1), (1, 1), (2,), (2, 1), (1, 1, 1))
_CHANCES = (0.0, 0.0, 0.1, 0.3)
#: The chance that a fault is aimed at a call.
_AIMED = 0.4
#: How long nodes may take while others go on. Milliseconds.
_SLOW = (0, 0, 0, 30, 600, 4000)
#: Calls of which the moment before or after is aimed at: those that hand over rights and results.
_AIMS = (
    *("runs.claim", "runs.commit", "runs.offer", "runs.claim_task", "runs.settle", "runs.settle", "runs.retry_task"),
    *("runs.reclaim", "runs.sweep", "runs.forget_due", "batches.take", "batches.commit", "batches.give_back"),
)


def schedule_of(seed: int) -> Schedule:
    """The schedule with this seed."""
    random = Random(seed * 2 + 1)
    focused = FOCUSED.get(seed % OF)
    if focused is not None:
        return focused(seed, random)
    subjects = tuple(_subject(random) for _ in range(random.choice((1, 1, 1, 1, 1, 2))))
    fleet = random.choice(_FLEETS)
    hints = Faults()
    if random.random() < 0.5:
        hints = Faults(
            lose=random.choice(_CHANCES),
            repeat=random.choice(_CHANCES),
            delay=random.choice(_CHANCES),
            shuffle=random.random() < 0.5,
            node_ms=random.choice((0, 0, 3, 15, 150)),
        )
    return Schedule(
        seed=seed,
        subjects=subjects,
        fleet=fleet,
        changed=len(fleet) > 1 and random.random() < 0.15,
        hints=hints,
        faults=_faults(random),
        slow_ms=random.choice(_SLOW),
        patient=random.random() < 0.5,
    )


def _subject(random: Random) -> Subject:
    shape = random.random()
    placement: Placement = random.choice(("auto", "auto", "spread", "local"))
    total = random.randrange(3)
    if shape < 0.15:
        graph = random.choice(("chain", "fan", "sends"))
        strategy: MultitaskStrategy = random.choice(("reject", "enqueue", "interrupt", "rollback"))
        return Subject(graph, placement, total=total, runs=2, strategy=strategy)
    graph = random.choice(_WEIGHTED)
    cancel = random.randint(1, 30) if random.random() < 0.15 else 0
    if shape < 0.45:
        limits = _limits(random, graph)
        items = random.choice((1, 2, 3))
        deadly = random.choice((0, 1)) if graph == "poison" else 0
        pause = random.randint(1, 20) if random.random() < 0.15 else 0
        return Subject(graph, placement, "latest", False, items, total, deadly, cancel=cancel, pause=pause, **limits)
    keep, log = random.choice((("all", True), ("latest", True), ("latest", False)))
    deadly = 1 if graph == "poison" and random.random() < 0.5 else 0
    rivals = random.choice((1, 2)) if graph in ASKING else 1
    limits = _limits(random, graph)
    if graph == "broken" and random.random() < 0.5:
        limits["told"] = True
    return Subject(graph, placement, keep, log, 0, total, deadly, cancel=cancel, rivals=rivals, **limits)


def _limits(random: Random, graph: str) -> dict[str, Any]:
    """Limits of time and retries, and whether answers change the state."""
    limits: dict[str, Any] = {"told": graph == "steer"}
    if graph in RETRIED:
        limits["budget"] = random.choice((None, None, 0, 1, 3))
    elif graph not in ("limited", "poison", "nested") and random.random() < 0.15:
        limits[random.choice(("limit_ms", "limit_ms", "step_ms"))] = random.choice((200, 1500, 5000))
    return limits


_WEIGHTED = (
    *("chain", "fan", "fan", "join", "sends", "sends", "loop", "ask", "ask"),
    *("flaky", "flaky", "broken", "nested", "poison", "poison", "effect"),
    *("nap", "limited", "flock", "steer"),
)


def _faults(random: Random) -> tuple[Fault, ...]:
    scale = random.choice((15, 40, 100))
    out: list[Fault] = []
    deaths = 0
    for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4))):
        kind = random.choice(FAULTS)
        if kind in _DEADLY:
            deaths += 1
            if deaths > _DEATHS:
                continue
        much = {
            "freeze": random.choice((1, 2, 4, 10, 30)),
            "freeze tree": random.choice((100, 1500, 3000, 6000)),
            "cut": random.choice((1, 1, 2, 4)),
            "broker away": random.choice((200, 1000, 3000, 8000)),
            "ledger away": random.choice((50, 400, 1500, 4000)),
            "roll back": random.choice((1, 50, 500, 2000)),
        }.get(kind, 0)
        if random.random() < _AIMED:
            at = f"{random.choice(('before', 'after'))} {random.choice(_AIMS)}"
            out.append(Fault(random.randint(1, 4), kind, much, at))
        else:
            out.append(Fault(random.randint(1, scale), kind, much))
    return tuple(sorted(out, key=lambda fault: fault.nth))
