"""The protocol under simulated faults: many schedules, and those that once broke it.

Violations are protocol bugs. What is found is mended, and its schedule is added to ``found.jsonl``, where it stays.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from distgraph.chaos.simulation.play import play
from distgraph.chaos.simulation.schedule import Schedule, from_json, to_json
from distgraph.chaos.simulation.seeds import schedule_of
from distgraph.chaos.simulation.simulate import quiet, simulate

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200 if os.environ.get("DISTGRAPH_FULL") else 900)]

#: So many at home, where somebody waits for them; in CI; and where everything is to be tried.
SCHEDULES = 200_000 if os.environ.get("DISTGRAPH_FULL") else 20_000 if os.environ.get("CI") else 1_500
LINES = (Path(__file__).parent / "found.jsonl").read_text().splitlines()
FOUND = [line for line in LINES if not line.startswith("#")]
#: A fault strikes at a point that is counted: a call more or less in a driver moves it.
SHIFTS = range(-3, 4)


def test_every_invariant_holds() -> None:
    """Enough must happen for that to mean anything: the report counts faults and good ends, and says so."""
    report = simulate(SCHEDULES, 0, jobs=os.cpu_count() or 1)
    assert report.broken == []
    assert report.schedules == SCHEDULES


@pytest.mark.parametrize("line", FOUND, ids=range(len(FOUND)))
def test_what_once_broke_the_protocol_does_not_again(line: str) -> None:
    found = from_json(line)
    with quiet():
        for shift in SHIFTS:
            moved = tuple(replace(fault, nth=max(1, fault.nth + shift)) for fault in found.faults)
            assert play(replace(found, faults=moved)).violations == []


def test_a_schedule_is_its_seed() -> None:
    """What fails once fails again, in every process."""

    def told(schedule: Schedule) -> tuple[object, ...]:
        played = play(schedule)
        return played.points, played.turns, played.executions, played.faults, played.oks

    with quiet():
        for seed in range(40):
            assert told(schedule_of(seed)) == told(from_json(to_json(schedule_of(seed))))
