"""A broker that is away is noticed once, asked now and then, and noticed again when it is back."""

from __future__ import annotations

import pytest

from distgraph.cluster.celery.outage import PAUSE, SHARE, Outage
from distgraph.errors import ServerUnreachableError

pytestmark = pytest.mark.unit


class World:
    """A broker, and the time."""

    def __init__(self) -> None:
        self.now, self.away, self.takes, self.calls = 100.0, False, 0.0, 0
        self.outage = Outage("redis://h:1/0", lambda: self.now)

    def ask(self) -> str:
        return self.outage.ask(self._call, "nothing")

    def _call(self) -> str:
        self.calls += 1
        self.now += self.takes
        if self.away:
            raise ServerUnreachableError("Nobody answers.")
        return "answer"


@pytest.fixture
def world() -> World:
    return World()


def test_one_that_answers_is_asked_every_time(world: World) -> None:
    assert [world.ask() for _ in range(3)] == ["answer"] * 3
    assert world.calls == 3


def test_one_that_is_away_is_asked_now_and_then(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.away = True
    assert [world.ask() for _ in range(5)] == ["nothing"] * 5
    assert world.calls == 1
    world.now += PAUSE
    assert world.ask() == "nothing"
    assert world.calls == 2
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [
        "the broker at redis://h:1/0 is away"
    ]


def test_one_that_is_back_is_noticed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.away = True
    world.ask()
    world.away = False
    assert world.ask() == "nothing", "it was asked a moment ago"
    world.now += PAUSE
    assert [world.ask(), world.ask()] == ["answer"] * 2
    assert [record.getMessage() for record in caplog.records][1:] == ["the broker at redis://h:1/0 is back"]


def test_one_that_is_silent_takes_only_its_share_of_the_time(world: World) -> None:
    world.away, world.takes = True, 1.0
    world.ask()
    world.now += SHARE * 0.9
    world.ask()
    assert world.calls == 1
    world.now += SHARE * 0.1
    world.ask()
    assert world.calls == 2
