"""Work that stands still in its middle."""

from __future__ import annotations

import pytest

from distgraph.chaos.simulation.strands import Strand

pytestmark = pytest.mark.unit


def test_two_strands_take_turns() -> None:
    told: list[str] = []

    def work(name: str) -> Strand:
        def steps() -> None:
            for step in range(2):
                told.append(f"{name}{step}")
                strand.stand_still()
            told.append(f"{name} ends")

        strand = Strand(steps)
        return strand

    a, b = work("a"), work("b")
    for strand in (a, b, b, a, a, b):
        strand.go_on()
    assert told == ["a0", "b0", "b1", "a1", "a ends", "b ends"]
    assert a.ended
    assert b.ended


def test_what_it_raises_reaches_whoever_lets_it_go_on() -> None:
    def work() -> None:
        raise KeyError("lost")

    strand = Strand(work)
    with pytest.raises(KeyError, match="lost"):
        strand.go_on()
    assert strand.ended
