"""Schedules: decided by their seed, told in words, kept as JSON."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.schedule import Fault, Schedule, Subject, from_json, to_json
from distgraph.chaos.simulation.seeds import schedule_of

pytestmark = pytest.mark.unit


def test_a_schedule_comes_back_from_json() -> None:
    for seed in range(200):
        assert from_json(to_json(schedule_of(seed))) == schedule_of(seed)


def test_a_schedule_tells_what_happens() -> None:
    made = Schedule(
        7, (Subject("fan", cancel=9),), (2, 1), True, faults=(Fault(3, "freeze tree", 1500), Fault(9, "kill"))
    )
    assert made.describe().splitlines() == [
        "seed 7; workers with 2, 1 slots; the last one serves another version",
        "  a run of 'fan' (placement=auto, keep=all, cancelled at turn 9)",
        "  freeze tree 1500 at point 3",
        "  kill at point 9",
    ]
