"""Many schedules: counted, repeated by their seed, and judged as a whole."""

from __future__ import annotations

import gc
import weakref

import pytest

from distgraph.chaos.simulation import play as playing
from distgraph.chaos.simulation import simulate as module
from distgraph.chaos.simulation.mutants import mutant
from distgraph.chaos.simulation.play import play, shortened
from distgraph.chaos.simulation.seeds import schedule_of
from distgraph.chaos.simulation.simulate import Report, quiet, simulate
from distgraph.chaos.simulation.world import World
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.memory.runs import MemoryRuns

pytestmark = pytest.mark.unit


def test_the_same_seed_gives_the_same_report() -> None:
    first, again = (simulate(30, 5).plain() for _ in range(2))
    for report in (first, again):
        del report["seconds"], report["rate"]
    assert first == again
    assert (first["schedules"], first["violations"]) == (30, [])


def test_a_world_goes_with_its_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    """What took part refers to the rest in circles: thousands of worlds would wait for a garbage collection."""
    left: list[weakref.ref[MemoryLedger]] = []

    class Seen(World):
        def forget(self) -> None:
            left.append(weakref.ref(self.memory))
            super().forget()

    monkeypatch.setattr(playing, "World", Seen)
    gc.disable()
    try:
        with quiet():
            for seed in range(20):
                play(schedule_of(seed))
        assert [ledger() for ledger in left] == [None] * 20
    finally:
        gc.enable()


def test_a_broken_promise_names_its_seed_and_ends_the_run() -> None:
    report = simulate(200, 0, mutant_name="no-sweep", stop_at=1)
    assert len(report.broken) == 1
    assert report.schedules == report.broken[0].seed + 1
    again = simulate(1, report.broken[0].seed, mutant_name="no-sweep", stop_at=1)
    assert again.broken == report.broken


def test_a_failing_schedule_is_shortened() -> None:
    with quiet(), mutant("no-sweep"):
        seed = simulate(200, 0, mutant_name="no-sweep", stop_at=1).broken[0].seed
        shorter = shortened(schedule_of(seed), "I11")
        assert [found.invariant for found in play(shorter).violations] == ["I11"]
        assert len(shorter.faults) <= len(schedule_of(seed).faults)


def test_a_mutant_is_undone() -> None:
    before = vars(MemoryRuns).copy()
    with pytest.raises(ZeroDivisionError), mutant("early-barrier"):
        assert vars(MemoryRuns).copy() != before
        raise ZeroDivisionError
    assert vars(MemoryRuns).copy() == before


def test_a_simulation_in_which_nothing_happens_finds_nothing() -> None:
    """I13: faults and good ends are counted, and must come often enough."""
    report = Report(0, schedules=module.FLOOR)
    assert {one.invariant for one in module._too_little(report)} == {"I13"}
    assert module._too_little(Report(0, schedules=10)) == []
