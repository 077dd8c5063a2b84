"""The plan of a storm follows from its seed, and holds what was asked for."""

from __future__ import annotations

import pytest

from distgraph.chaos.nemesis import KINDS, SHARES, SPAN, STOPPED, plan


def test_the_seed_decides_all_of_it() -> None:
    assert plan(200, 7) == plan(200, 7)
    assert plan(200, 7).strikes != plan(200, 8).strikes


@pytest.mark.parametrize("kills", [1, 10, 100, 1000])
@pytest.mark.parametrize("workers", [2, 4])
def test_as_many_are_killed_as_was_asked_for(kills: int, workers: int) -> None:
    victims = plan(kills, 1, workers=workers).victims()
    assert set(victims) == set(KINDS), "at least one of every kind"
    killed = sum(victims[kind] for kind in SHARES)
    assert killed == pytest.approx(kills, abs=4)
    if kills == 1000:
        assert {kind: victims[kind] for kind in SHARES} == {"child": 600, "tree": 300, "server": 50, "submitter": 50}


def test_of_a_thousand_some_come_twice_and_some_hit_everybody() -> None:
    strikes = plan(1000, 1).strikes
    assert sum(strike.twice for strike in strikes) > 20
    assert sum(strike.every for strike in strikes) > 5
    assert not any(strike.twice and strike.every for strike in strikes)


def test_strikes_come_in_order_and_leave_time_to_recover() -> None:
    strikes = plan(300, 1).strikes
    assert [strike.at for strike in strikes] == sorted(strike.at for strike in strikes)
    assert SPAN[0] <= strikes[0].at and strikes[-1].at <= SPAN[1]
    stopped = [strike.seconds for strike in strikes if strike.kind == "zombie"]
    assert all(STOPPED[0] <= seconds <= STOPPED[1] for seconds in stopped)
    faults = {strike.fault.harm for strike in strikes if strike.fault is not None}
    assert faults == {"delay", "cut", "reset", "blackhole", "drop_request", "drop_reply"}


def test_only_what_is_asked_for() -> None:
    assert plan(50, 1, ["tree"]).victims() == {"tree": 50}
    assert plan(60, 1, ["child", "tree"]).victims() == {"child": 40, "tree": 20}
