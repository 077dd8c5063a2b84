"""A schedule: who submits what, on which workers, and which faults strike when. Decided by its seed, all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Literal

from distgraph.testing.broker import Faults
from distgraph.types import Placement

FaultKind = Literal[
    "kill", "kill tree", "freeze", "freeze tree", "cut", "repeat", "restart", "roll back", "drop hints", "drain"
]
FAULTS: tuple[FaultKind, ...] = (
    "kill",
    "kill tree",
    "freeze",
    "freeze tree",
    "cut",
    "repeat",
    "restart",
    "roll back",
    "drop hints",
    "drain",
)
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


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes whoever passes the ``nth`` point of the schedule, or the ``nth`` of those called ``at``.

    A point is the moment before or after a call of the ledger, before hints are published, or before a node is called,
    in any process, the client's and the sweep's included.

    Attributes:
        kind: kill a process; kill its whole worker; freeze the process for ``much`` turns, or its whole worker for
            ``much`` milliseconds; cut it off from the server for ``much`` calls (after a call: the reply is lost); send
            its next call twice; restart the server, or roll it back by up to ``much`` milliseconds; lose all hints; tell the
            worker to end in an orderly way.
    """

    nth: int
    kind: FaultKind
    much: int = 0
    at: str = ""

    def __str__(self) -> str:
        where = f"for the {self.nth}. time {self.at}" if self.at else f"at point {self.nth}"
        return f"{self.kind}{f' {self.much}' if self.much else ''} {where}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What one client wants.

    Attributes:
        graph: one of ``graphs.NAMES``.
        items: of a batch; 0: a run.
        total: the input; items count up from it.
        deadly: items whose input makes their node kill its process.
        runs: so many runs compete for one thread.
        cancel: the turn at which it is cancelled; 0: it is not.
        pause: the turn at which a batch is paused for a while; 0: it is not.
        rivals: so many people answer what it asks.
    """

    graph: str
    placement: Placement = "auto"
    keep: str = "all"
    log: bool = True
    items: int = 0
    total: int = 0
    deadly: int = 0
    runs: int = 1
    cancel: int = 0
    pause: int = 0
    rivals: int = 1

    def __str__(self) -> str:
        what = (
            f"a batch of {self.items}"
            if self.items
            else f"{self.runs} runs on one thread"
            if self.runs > 1
            else "a run"
        )
        more = (
            [f"placement={self.placement}", f"keep={self.keep}"] if not self.items else [f"placement={self.placement}"]
        )
        more += [f"{self.deadly} deadly"] if self.deadly else []
        more += [f"cancelled at turn {self.cancel}"] if self.cancel else []
        more += [f"paused at turn {self.pause}"] if self.pause else []
        more += [f"{self.rivals} people answer"] if self.rivals > 1 else []
        return f"{what} of {self.graph!r} ({', '.join(more)})"


#: No hint comes to harm.
CALM = Faults()


@dataclass(frozen=True, slots=True)
class Schedule:
    """One way of things to go.

    Attributes:
        seed: decides what is left to chance while it is played.
        fleet: slots of each worker.
        changed: the last worker serves another version of one graph.
        hints: what happens to hints, and how long nodes take while all others wait.
        slow_ms: half of the nodes take up to so many milliseconds while others go on.
    """

    seed: int
    subjects: tuple[Subject, ...]
    fleet: tuple[int, ...] = (1, 1)
    changed: bool = False
    hints: Faults = CALM
    faults: tuple[Fault, ...] = ()
    slow_ms: int = 0

    @property
    def calm(self) -> bool:
        """Nothing but hints comes to harm."""
        return not self.faults

    def describe(self) -> str:
        """The schedule in words, one line each."""
        hints = self.hints
        harm = [f"{name} {value}" for name in ("lose", "repeat", "delay") if (value := getattr(hints, name))]
        harm += ["shuffle"] if hints.shuffle else []
        harm += [f"nodes take up to {hints.node_ms:g} ms"] if hints.node_ms else []
        lines = [f"seed {self.seed}; workers with {', '.join(map(str, self.fleet))} slots"]
        lines[0] += "; the last one serves another version" if self.changed else ""
        lines += [f"  {subject}" for subject in self.subjects]
        lines += [f"  hints: {', '.join(harm)}"] if harm else []
        lines += [f"  half of the nodes take up to {self.slow_ms} ms"] if self.slow_ms else []
        lines += [f"  {fault}" for fault in self.faults]
        return "\n".join(lines)


def to_json(schedule: Schedule) -> str:
    """A schedule as one line of JSON: what it is stays, also where seeds come to mean something else."""
    return json.dumps(asdict(schedule))


def from_json(line: str) -> Schedule:
    """A schedule from ``to_json``."""
    plain: dict[str, Any] = json.loads(line)
    return Schedule(
        seed=plain["seed"],
        subjects=tuple(Subject(**subject) for subject in plain["subjects"]),
        fleet=tuple(plain["fleet"]),
        changed=plain["changed"],
        hints=Faults(**plain["hints"]),
        faults=tuple(Fault(**fault) for fault in plain["faults"]),
        slow_ms=plain.get("slow_ms", 0),
    )


def schedule_of(seed: int) -> Schedule:
    """The schedule with this seed."""
    random = Random(seed * 2 + 1)
    staged = _STAGED.get(seed % 16)
    if staged is not None:
        return staged(seed, random)
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
    )


def _subject(random: Random) -> Subject:
    shape = random.random()
    placement: Placement = random.choice(("auto", "auto", "spread", "local"))
    total = random.randrange(3)
    if shape < 0.1:
        graph = random.choice(("chain", "fan", "sends"))
        return Subject(graph, placement, total=total, runs=2)
    graph = random.choice(_WEIGHTED)
    cancel = random.randint(1, 30) if random.random() < 0.15 else 0
    if shape < 0.4:
        items = random.choice((1, 2, 3))
        deadly = random.choice((0, 1)) if graph == "poison" else 0
        pause = random.randint(1, 20) if random.random() < 0.15 else 0
        return Subject(graph, placement, "latest", False, items, total, deadly, cancel=cancel, pause=pause)
    keep, log = random.choice((("all", True), ("latest", True), ("latest", False)))
    deadly = 1 if graph == "poison" and random.random() < 0.5 else 0
    rivals = random.choice((1, 2)) if graph == "ask" else 1
    return Subject(graph, placement, keep, log, 0, total, deadly, cancel=cancel, rivals=rivals)


_WEIGHTED = (
    *("chain", "fan", "fan", "join", "sends", "sends", "loop", "ask", "ask"),
    *("flaky", "flaky", "broken", "nested", "poison", "effect"),
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
            "roll back": random.choice((1, 50, 500, 2000)),
        }.get(kind, 0)
        if random.random() < _AIMED:
            at = f"{random.choice(('before', 'after'))} {random.choice(_AIMS)}"
            out.append(Fault(random.randint(1, 4), kind, much, at))
        else:
            out.append(Fault(random.randint(1, scale), kind, much))
    return tuple(sorted(out, key=lambda fault: fault.nth))


# ----------------------------------------------------------------- schedules that chance alone would seldom make


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


#: Which seeds stand for them: the remainder of a division by 16.
_STAGED: dict[int, Callable[[int, Random], Schedule]] = {5: _zombies, 13: _late_look}
