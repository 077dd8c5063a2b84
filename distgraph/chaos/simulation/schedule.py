"""A schedule: who submits what, on which workers, and which faults strike when. Decided by its seed, all of it."""

from __future__ import annotations

import json
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


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes whoever passes the ``nth`` point of the schedule.

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

    def __str__(self) -> str:
        return f"{self.kind}{f' {self.much}' if self.much else ''} at point {self.nth}"


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
        hints: what happens to hints, and how long nodes take.
    """

    seed: int
    subjects: tuple[Subject, ...]
    fleet: tuple[int, ...] = (1, 1)
    changed: bool = False
    hints: Faults = CALM
    faults: tuple[Fault, ...] = ()

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
    )


def schedule_of(seed: int) -> Schedule:
    """The schedule with this seed."""
    random = Random(seed * 2 + 1)
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
        out.append(Fault(random.randint(1, scale), kind, much))
    return tuple(sorted(out, key=lambda fault: fault.nth))
