"""Crash points: every point of the protocol x every moment x every way to fail, with real workers on a private server."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from distgraph.chaos.fault import KILL_CHILD, KILL_TREE, WHATS, Fault, moments
from distgraph.chaos.scenarios import WAYS, Trial, Way
from distgraph.chaos.stand import Broken, Refused, Stand
from distgraph.errors import ConfigError, DistgraphError


class Case(NamedTuple):
    """One fault, and which of the point's ways is gone."""

    fault: Fault
    way: Way

    @property
    def title(self) -> str:
        """Says the case, and can be given back to :func:`case_from`."""
        return f"{self.fault}@{self.way.scenario.__name__}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case. ``problem`` is empty if every promise held; ``seconds`` are until all was healed."""

    case: Case
    seconds: float
    problem: str


def matrix() -> list[Case]:
    """Every case: every way of every point, each moment, each way to fail, each time the point is passed that differs.

    A submitter has no children: killing its tree is killing it.
    """
    return [
        Case(Fault(point, moment, what, nth), way)
        for point, ways in WAYS.items()
        for way in ways
        for moment in moments(point)
        for what in WHATS
        if not (way.role == "client" and what == KILL_TREE)
        for nth in sorted({1, way.times})
    ]


def case_from(text: str) -> Case:
    """The case of a title; without ``@scenario`` the point's first way.

    Raises:
        ConfigError: there is no such case.
    """
    written, _, scenario = text.partition("@")
    fault = Fault.parse(written)
    for way in WAYS[fault.point]:
        if scenario in ("", way.scenario.__name__):
            return Case(fault, way)
    names = ", ".join(way.scenario.__name__ for way in WAYS[fault.point])
    raise ConfigError(f"Point {fault.point} has no scenario {scenario!r}. It has: {names}.")


def sample(count: int, seed: int) -> list[Case]:
    """``count`` cases, drawn point after point, and of each point's the kind that was drawn least so far."""
    draw = random.Random(seed)
    left: dict[str, list[Case]] = {}
    for case in draw.sample(matrix(), len(matrix())):
        left.setdefault(case.fault.point, []).append(case)
    drawn: Counter[tuple[str, str]] = Counter()
    chosen: list[Case] = []
    while left and len(chosen) < count:
        for point in list(left)[: count - len(chosen)]:
            case = min(left[point], key=lambda case: drawn[case.fault.moment, case.fault.what])
            drawn[case.fault.moment, case.fault.what] += 1
            chosen.append(case)
            left[point].remove(case)
            if not left[point]:
                del left[point]
    return chosen


def run(cases: Iterable[Case], tell: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Run cases one after the other; what is left alive is used again, and after a failure all is made anew.

    Args:
        cases: to run.
        tell: called after each.
    """
    outcomes: list[Outcome] = []
    stand: Stand | None = None
    try:
        for case in cases:
            stand = stand or Stand()
            began = time.monotonic()
            problem = _judge(stand, case)
            outcomes.append(Outcome(case, time.monotonic() - began, problem))
            tell(outcomes[-1])
            if problem:
                stand.close()
                stand = None
    finally:
        if stand is not None:
            stand.close()
    return outcomes


def _judge(stand: Stand, case: Case) -> str:
    try:
        case.way.scenario(Trial(stand, case.fault, case.way.role))
    except (Broken, Refused, DistgraphError) as error:
        return f"{type(error).__name__}: {' '.join(map(str, error.args))}"
    finally:
        stand.disarm()
    return ""


def figures(outcomes: Sequence[Outcome]) -> dict[str, float | int]:
    """What the report says: cases, points, failures, seconds."""
    return {
        "cases": len(outcomes),
        "points": len({outcome.case.fault.point for outcome in outcomes}),
        "processes killed": sum(outcome.case.fault.what in (KILL_CHILD, KILL_TREE) for outcome in outcomes),
        "failed": sum(bool(outcome.problem) for outcome in outcomes),
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
    }
