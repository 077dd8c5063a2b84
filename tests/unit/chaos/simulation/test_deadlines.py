"""Limits, budgets and Commands in a schedule: what they lead to is seen, and what they must not is noticed."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.mutants import mutant
from distgraph.chaos.simulation.play import Played, play
from distgraph.chaos.simulation.schedule import Fault, Schedule, Subject
from distgraph.chaos.simulation.simulate import quiet

pytestmark = pytest.mark.unit


def played(subject: Subject, *faults: Fault, name: str = "", slow_ms: int = 0) -> Played:
    schedule = Schedule(2, (subject,), (1, 1), faults=faults, slow_ms=slow_ms)
    with quiet():
        if not name:
            return play(schedule)
        with mutant(name):
            return play(schedule)


def test_a_run_that_sleeps_too_long_is_ended_twice() -> None:
    """Its client gives it all of its time again, once."""
    found = played(Subject("nap", limit_ms=1000))
    assert (found.violations, found.oks["out of time"], found.oks["run failed"]) == ([], 2, 1)


def test_one_that_nobody_ends_is_noticed() -> None:
    found = played(Subject("nap", limit_ms=1000), name="limit-unswept")
    assert {broken.invariant for broken in found.violations} == {"I18"}


@pytest.mark.parametrize(("budget", "made"), [(0, "budget spent"), (1, "budget spent"), (2, "run done")])
def test_a_budget_is_kept(budget: int, made: str) -> None:
    found = played(Subject("flaky", budget=budget))
    assert (found.violations, found.oks[made]) == ([], 1)


@pytest.mark.parametrize("graph", ["steer", "broken"])
def test_what_is_told_is_told_once(graph: str) -> None:
    found = played(Subject(graph, "spread", told=True), Fault(1, "cut", 1, "after runs.control"))
    assert (found.violations, found.oks["run done"]) == ([], 1)


def test_what_is_lost_at_a_rest_is_noticed() -> None:
    found = played(Subject("broken", told=True), name="change-lost-at-rest")
    assert {broken.invariant for broken in found.violations} == {"I3"}
