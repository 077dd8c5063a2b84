"""A schedule: who submits what, on which workers, and which faults strike when. Decided by its seed, all of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from distgraph.testing.broker import Faults
from distgraph.types import MultitaskStrategy, Placement

FaultKind = Literal[
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
    "deploy",
    "broker away",
    "ledger away",
]
FAULTS: tuple[FaultKind, ...] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Fault:
    """What strikes whoever passes the ``nth`` point of the schedule, or the ``nth`` of those called ``at``.

    A point is the moment before or after a call of the ledger, before hints are published, or before a node is called,
    in any process, the client's and the sweep's included.

    Attributes:
        kind: kill a process; kill its whole worker; freeze the process for ``much`` turns, or its whole worker for
            ``much`` milliseconds; cut it off from the server for ``much`` calls (after a call: the reply is lost); send
            its next call twice; restart the server, or roll it back by up to ``much`` milliseconds; lose all hints; tell the
            worker to end in an orderly way; tell the last worker to, which comes back with the other version; take the
            broker away for ``much`` milliseconds while the ledger stays, or the ledger while the broker stays.
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
        strategy: of those of them that find it taken.
        cancel: the turn at which it is cancelled; 0: it is not.
        pause: the turn at which a batch is paused for a while; 0: it is not.
        rivals: so many people answer what it asks.
        limit_ms: the time limit of the run, or of each item; 0: none.
        step_ms: that of each superstep; 0: none.
        budget: how often its tasks may be tried again in all; None: as often as their policies say.
        told: what it asks, or its failure, is answered with a Command that changes the state too.
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
    strategy: MultitaskStrategy = "reject"
    limit_ms: int = 0
    step_ms: int = 0
    budget: int | None = None
    told: bool = False

    @property
    def limited(self) -> bool:
        """It may end because its time is over."""
        return bool(self.limit_ms or self.step_ms)

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
        more += [f"strategy={self.strategy}"] if self.runs > 1 else []
        more += [f"{self.deadly} deadly"] if self.deadly else []
        more += [f"cancelled at turn {self.cancel}"] if self.cancel else []
        more += [f"paused at turn {self.pause}"] if self.pause else []
        more += [f"{self.rivals} people answer"] if self.rivals > 1 else []
        more += [f"{self.limit_ms} ms in all"] if self.limit_ms else []
        more += [f"{self.step_ms} ms for a superstep"] if self.step_ms else []
        more += [f"{self.budget} retries"] if self.budget is not None else []
        more += ["told what to change"] if self.told else []
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
        patient: workers offer results again to a server that is away.
    """

    seed: int
    subjects: tuple[Subject, ...]
    fleet: tuple[int, ...] = (1, 1)
    changed: bool = False
    hints: Faults = CALM
    faults: tuple[Fault, ...] = ()
    slow_ms: int = 0
    patient: bool = False

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
        lines += ["  workers offer results again"] if self.patient else []
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
        patient=plain.get("patient", False),
    )
