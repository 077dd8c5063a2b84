"""Schedules: decided by their seed, told in words, kept as JSON."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.schedule import FAULTS, Fault, Schedule, Subject, from_json, schedule_of, to_json

pytestmark = pytest.mark.unit


def test_a_seed_decides_all_of_it() -> None:
    assert [schedule_of(seed) for seed in range(200)] == [schedule_of(seed) for seed in range(200)]
    assert len({schedule_of(seed) for seed in range(200)}) == 200


def test_every_kind_of_fault_comes() -> None:
    kinds = {fault.kind for seed in range(300) for fault in schedule_of(seed).faults}
    assert kinds == set(FAULTS)


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
