"""The simulation is worth what it finds: each way to break the protocol is noticed, within a bounded number of schedules."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.mutants import MUTANTS
from distgraph.chaos.simulation.simulate import simulate

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

#: Mutants are noticed after fewer schedules than this (ops/docs/chaos.md says after how many).
MOST = 2_000


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_broken_protocol_is_noticed(name: str) -> None:
    report = simulate(MOST, 0, mutant_name=name, stop_at=1)
    assert report.broken, f"{name} ({MUTANTS[name].about}) was not noticed in {MOST} schedules"


def test_there_are_enough() -> None:
    assert len(MUTANTS) >= 50
