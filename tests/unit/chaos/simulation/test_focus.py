"""Schedules aimed at one moment: each is another case of the same thing."""

from __future__ import annotations

from random import Random

import pytest

from distgraph.chaos.simulation.focus import FOCUSED
from distgraph.chaos.simulation.play import play
from distgraph.chaos.simulation.simulate import quiet

pytestmark = pytest.mark.unit

#: Of so many cases.
CASES = 12


@pytest.mark.parametrize("place", sorted(FOCUSED))
def test_its_fault_strikes(place: int) -> None:
    """A fault that is aimed at what never happens would leave a schedule in which nothing does."""
    made = [FOCUSED[place](seed, Random(seed)) for seed in range(CASES)]
    assert len(set(made)) == CASES
    with quiet():
        struck = [sum(play(schedule).faults[fault.kind] > 0 for fault in schedule.faults) for schedule in made]
    assert sum(map(bool, struck)) > CASES // 2
