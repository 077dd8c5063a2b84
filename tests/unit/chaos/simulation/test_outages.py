"""Servers of a schedule that are away for a while: the broker, or the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from distgraph.chaos.simulation.outages import OwnBroker, Weather
from distgraph.chaos.simulation.play import play
from distgraph.chaos.simulation.schedule import Fault, Schedule, Subject
from distgraph.chaos.simulation.simulate import quiet
from distgraph.chaos.simulation.world import World
from distgraph.cluster.hints import RunHint

pytestmark = pytest.mark.unit
HINT = RunHint("r", "r", "chain", "f")


@pytest.fixture
def world() -> Iterator[World]:
    with quiet():
        yield World(Schedule(1, (Subject("chain"),), (1,)))


def test_what_is_away_comes_back(world: World) -> None:
    weather: Weather = world.weather
    weather.strike("broker away", 1000)
    weather.strike("ledger away", 3000)
    assert (weather.ledger_away, world.broker.away, weather.fair) == (True, True, False)
    world.tick(1000)
    assert (weather.ledger_away, world.broker.away, weather.fair) == (True, False, False)
    world.tick(2000)
    assert weather.fair


def test_a_process_remembers_for_a_moment_that_the_broker_was_away(world: World) -> None:
    broker = world.workers[0].watcher.dispatcher
    assert isinstance(broker, OwnBroker)
    world.weather.strike("broker away", 100)
    broker.publish([HINT])
    assert (broker.reachable(), broker.waiting(), broker.expected(), world.broker.lost) == (False, 0, None, 1)
    world.tick(200)
    assert not broker.reachable()
    world.tick(400)
    assert broker.reachable()
    broker.publish([HINT])
    assert (broker.waiting(), broker.expected()) == (1, frozenset({"r"}))


@pytest.mark.parametrize("patient", [True, False])
def test_whoever_is_patient_throws_no_result_away(patient: bool) -> None:
    """Beats lapse meanwhile, and nobody is taken for dead for that."""
    away = Fault(1, "ledger away", 5000, "before runs.settle")
    with quiet():
        played = play(Schedule(3, (Subject("sends", "spread"),), (1, 1), faults=(away,), patient=patient))
    assert played.violations == []
    assert played.faults["ledger away"] == 1
    assert (played.executions > played.tasks) is not patient


def test_without_a_broker_work_goes_on() -> None:
    away = Fault(1, "broker away", 20_000, "before runs.claim")
    with quiet():
        played = play(Schedule(3, (Subject("chain"),), (1,), faults=(away,)))
    assert played.violations == []
    assert played.oks["run done"] == 1
