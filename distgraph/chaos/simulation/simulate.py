"""Many schedules, in one process or several, and what came of them all."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from distgraph.chaos.simulation.mutants import mutant
from distgraph.chaos.simulation.play import play, shortened
from distgraph.chaos.simulation.schedule import FAULTS
from distgraph.chaos.simulation.seeds import schedule_of

#: Schedules that one process plays between two reports.
SHARE = 100
#: Violations that are shown, and shortened; after so many nothing new is learnt.
MOST = 5
#: From so many schedules on, every kind of fault and of good end must have come often enough.
FLOOR = 1000
#: Schedules between two garbage collections: they leave little, see ``World.forget``.
_SWEEP_EVERY = 25
#: Of so many schedules, one at least is struck by each kind of fault, and comes to each kind of end.
_RARE = 100
_ENDS = {
    "run done": 3,
    "item done": 3,
    "cancelled": 40,
    "quarantined": 500,
    "resumed": 25,
    "refused": 200,
    "slept": 100,
    "timed out": 500,
    "out of time": 50,
    "told": 25,
    "budget spent": 100,
}


@dataclass(slots=True)
class Broken:
    """A schedule that broke a promise.

    Attributes:
        seed: plays exactly this schedule again.
        shortest: the same failure with as few faults as leaving them out one by one leads to.
    """

    seed: int
    invariant: str
    text: str
    shortest: str = ""


@dataclass(slots=True)
class Report:
    """What came of many schedules."""

    seed: int
    schedules: int = 0
    seconds: float = 0.0
    points: int = 0
    executions: int = 0
    tasks: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    oks: Counter[str] = field(default_factory=Counter)
    broken: list[Broken] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Schedules per second."""
        return self.schedules / self.seconds if self.seconds else 0.0

    def add(self, other: Report) -> None:
        """Take in what another process has played."""
        self.schedules += other.schedules
        self.points += other.points
        self.executions += other.executions
        self.tasks += other.tasks
        self.faults += other.faults
        self.oks += other.oks
        self.broken += other.broken

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "seed": self.seed,
            "schedules": self.schedules,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "points": self.points,
            "executions": self.executions,
            "tasks": self.tasks,
            "faults": dict(sorted(self.faults.items())),
            "ends": dict(sorted(self.oks.items())),
            "violations": [
                {"seed": one.seed, "invariant": one.invariant, "text": one.text, "shortest": one.shortest}
                for one in self.broken
            ],
        }


@contextmanager
def quiet() -> Iterator[None]:
    """Deaths are warned of; here they are the rule."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _swept_by_hand() -> Iterator[Callable[[], None]]:
    """No garbage collection but every few schedules, and of nothing that is older: what a schedule leaves is in circles.

    Yields:
        What is called after each schedule.
    """
    automatic, played = gc.isenabled(), 0

    def swept() -> None:
        nonlocal played
        played += 1
        if played % _SWEEP_EVERY == 0:
            gc.collect()

    gc.disable()
    gc.freeze()
    try:
        yield swept
    finally:
        gc.collect()
        gc.unfreeze()
        if automatic:
            gc.enable()


def simulate(
    schedules: int,
    seed: int,
    *,
    jobs: int = 1,
    mutant_name: str = "",
    stop_at: int = MOST,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Play the schedules with the seeds ``seed``, ``seed + 1``, ...

    Args:
        schedules: how many.
        seed: of the first.
        jobs: processes.
        mutant_name: break the protocol in this way (see ``mutants``) to see that it is noticed.
        stop_at: stop after so many broken schedules.
        progress: called with what is known so far, now and then.
    """
    report, began = Report(seed), time.monotonic()

    def took(part: Report) -> bool:
        report.add(part)
        report.seconds = time.monotonic() - began
        if progress is not None:
            progress(report)
        return len(report.broken) < stop_at

    shares = [(first, min(SHARE, seed + schedules - first)) for first in range(seed, seed + schedules, SHARE)]
    if jobs <= 1:
        for first, count in shares:
            if not took(_play_share(first, count, mutant_name, stop_at - len(report.broken))):
                break
    else:
        _in_processes(shares, jobs, mutant_name, stop_at, took)
    report.broken.sort(key=lambda one: one.seed)
    report.broken += _too_little(report) if not report.broken else []
    report.seconds = time.monotonic() - began
    return report


def _in_processes(
    shares: list[tuple[int, int]], jobs: int, mutant_name: str, stop_at: int, took: Callable[[Report], bool]
) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context) as pool:
        parts = [pool.submit(_play_share, first, count, mutant_name, stop_at) for first, count in shares]
        for part in as_completed(parts):
            if not took(part.result()):
                pool.shutdown(wait=False, cancel_futures=True)
                return


def _play_share(first: int, count: int, mutant_name: str, stop_at: int) -> Report:
    report = Report(first)
    with quiet(), _swept_by_hand() as swept, mutant(mutant_name) if mutant_name else nullcontext():
        for seed in range(first, first + count):
            schedule = schedule_of(seed)
            played = play(schedule)
            swept()
            report.schedules += 1
            report.points += played.points
            report.executions += played.executions
            report.tasks += played.tasks
            report.faults += played.faults
            report.oks += played.oks
            if played.violations:
                found = played.violations[0]
                shortest = "" if mutant_name else shortened(schedule, found.invariant).describe()
                report.broken.append(Broken(seed, found.invariant, found.text, shortest))
                if len(report.broken) >= stop_at:
                    break
    return report


def _too_little(report: Report) -> list[Broken]:
    """I13: a simulation in which nothing happens finds nothing."""
    if report.schedules < FLOOR:
        return []
    wanted = {f"fault: {kind}": (report.faults[kind], _RARE) for kind in FAULTS}
    wanted |= {f"end: {kind}": (report.oks[kind], rare) for kind, rare in _ENDS.items()}
    return [
        Broken(report.seed, "I13", f"{what}: only {count} in {report.schedules:,} schedules")
        for what, (count, rare) in wanted.items()
        if count < report.schedules // rare
    ]
