"""The plan of a storm: what is struck, when and how; all of it follows from the seed."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from distgraph.chaos.proxy import Fault, Harm

Kind = Literal["child", "tree", "server", "submitter", "zombie", "fault", "reset", "blackhole"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: What a SIGKILL can hit, and its share of the kills.
SHARES: dict[Kind, float] = {"child": 0.60, "tree": 0.30, "server": 0.05, "submitter": 0.05}
#: What comes on top, as a share of the kills: stopped workers, harm to one request, to all connections.
BESIDES: dict[Kind, float] = {"zombie": 0.05, "fault": 0.15, "reset": 0.02, "blackhole": 0.01}
#: Of kills of children and trees: killed again as soon as it works again; all workers at once.
DOUBLE_TAPS, CORRELATED = 0.05, 0.02
#: How long a stopped worker, and a black hole, last. Seconds.
STOPPED, SILENT = (3.0, 10.0), (0.5, 3.0)
#: Requests that harm comes to: scripts, and hints.
TARGETS = (
    "batch_commit",
    "batch_take",
    "batch_return",
    "commit",
    "settle",
    "offer",
    "claim_run",
    "claim_task",
    "sweep",
)
#: The part of the work in which strikes come: some is left to recover with.
SPAN = (0.01, 0.93)
#: The same for submitters, who have done all they have to do before the end.
SUBMITTING = (0.01, 0.6)


@dataclass(frozen=True, slots=True)
class Strike:
    """One thing to do to the cluster.

    Attributes:
        at: when, as a part of the work.
        pick: which of the possible victims, modulo their number.
        twice: strike the same victim again as soon as it works again.
        every: strike all possible victims at once.
        seconds: how long it lasts, where it does.
        fault: harm to a request.
    """

    at: float
    kind: Kind
    pick: int = 0
    twice: bool = False
    every: bool = False
    seconds: float = 0.0
    fault: Fault | None = None


@dataclass(slots=True)
class Plan:
    """All strikes, in the order of their time."""

    seed: int
    workers: int
    strikes: list[Strike] = field(default_factory=list)

    def victims(self) -> dict[str, int]:
        """How many are struck, by kind."""
        found: dict[str, int] = {}
        for strike in self.strikes:
            hits = self.workers if strike.every else 2 if strike.twice else 1
            found[strike.kind] = found.get(strike.kind, 0) + hits
        return found


def plan(kills: int, seed: int, kinds: Collection[str] | None = None, *, workers: int = 2) -> Plan:
    """The plan for so many kills.

    Args:
        kills: processes to be killed, at least one of every kind that is asked for.
        seed: decides all of it.
        kinds: what is struck; default: everything. Shares are kept among them.
        workers: how many workers there are: what one correlated strike counts for.
    """
    dice = random.Random(seed)
    wanted = [kind for kind in KINDS if kinds is None or kind in kinds]
    whole = sum(SHARES.get(kind, 0.0) for kind in wanted) or 1.0
    strikes: list[Strike] = []
    for kind in wanted:
        count = max(1, round(kills * (SHARES[kind] / whole if kind in SHARES else BESIDES[kind])))
        strikes += _of_kind(kind, count, dice, workers)
    return Plan(seed, workers, sorted(strikes, key=lambda strike: (strike.at, strike.kind)))


def _of_kind(kind: Kind, count: int, dice: random.Random, workers: int) -> list[Strike]:
    """Strikes that come to ``count`` victims."""
    found: list[Strike] = []
    while count > 0:
        strike = _strike(kind, dice)
        hits = workers if strike.every else 2 if strike.twice else 1
        if hits > count:
            strike, hits = replace(strike, every=False, twice=False), 1
        found.append(strike)
        count -= hits
    return found


def _strike(kind: Kind, dice: random.Random) -> Strike:
    strike = Strike(dice.uniform(*(SUBMITTING if kind == "submitter" else SPAN)), kind, dice.randrange(1 << 16))
    if kind in ("child", "tree"):
        luck = dice.random()
        return replace(strike, twice=luck < DOUBLE_TAPS, every=DOUBLE_TAPS <= luck < DOUBLE_TAPS + CORRELATED)
    if kind == "server":
        return replace(strike, seconds=dice.uniform(0, 0.5))
    if kind == "zombie":
        return replace(strike, seconds=dice.uniform(*STOPPED))
    if kind == "blackhole":
        return replace(strike, seconds=dice.uniform(*SILENT))
    if kind == "fault":
        return replace(strike, fault=_fault(dice))
    return strike


def _fault(dice: random.Random) -> Fault:
    harm: Harm = dice.choice(get_args(Harm))
    hint = dice.random() < 0.1
    script = "" if hint else dice.choice(TARGETS)
    return Fault(
        harm,
        script=script,
        command="LPUSH" if hint else "",
        nth=dice.randint(1, 3),
        seconds=dice.uniform(0.05, 1.0),
        after=dice.randrange(200),
    )
