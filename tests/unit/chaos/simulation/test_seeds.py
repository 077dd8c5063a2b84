"""From seeds to schedules: the same one each time, and enough of every kind."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.schedule import FAULTS
from distgraph.chaos.simulation.seeds import schedule_of

pytestmark = pytest.mark.unit


def test_a_seed_decides_all_of_it() -> None:
    assert [schedule_of(seed) for seed in range(200)] == [schedule_of(seed) for seed in range(200)]
    assert len({schedule_of(seed) for seed in range(200)}) == 200


def test_every_kind_of_fault_comes() -> None:
    kinds = {fault.kind for seed in range(300) for fault in schedule_of(seed).faults}
    assert kinds == set(FAULTS)
