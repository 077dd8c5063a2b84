"""Progress: lines where there is no terminal, a bar where there is one, and patience with a server that comes back."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cli import progress
from distgraph.cli.output import count, duration
from distgraph.cli.progress import Meter
from distgraph.errors import ServerUnreachableError
from tests.unit.cli.fakes import FakeBatch, double


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(progress, "LOOK_EVERY", 0.0)
    return FakeBatch("b1", double, [{"n": number} for number in range(10)], [None] * 10)


def test_without_a_terminal_there_is_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with progress.meter("b1", 100, clock) as shown:
        for done in range(1, 61):
            clock.now += 0.25
            shown.show(done, detail="0 failed")
    assert capsys.readouterr().err.splitlines() == [
        "[5.0 s] b1: 20 of 100, 0 failed",
        "[10 s] b1: 40 of 100, 0 failed",
        "[15 s] b1: 60 of 100, 0 failed",
    ]


class Terminal(io.StringIO):
    """Standard error on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    def use(kind: str) -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setenv("TERM", kind)
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return screen

    return use


def test_on_a_terminal_there_is_a_bar(terminal: Callable[[str], Terminal], batch: Any) -> None:
    screen = terminal("xterm")
    status = progress.watch(batch, "again")
    assert status.done == 10
    assert "10/10" in screen.getvalue()
    assert "0 failed, 0 running" in screen.getvalue()


def test_a_dumb_terminal_gets_lines(terminal: Callable[[str], Terminal], batch: Any) -> None:
    screen = terminal("dumb")
    progress.watch(batch, "again")
    assert "\x1b" not in screen.getvalue()
    assert "b1: 10 of 10, 0 failed, 0 running" in screen.getvalue()


def test_items_are_counted_as_they_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.counted(iter("abc"), "submitting", 3)) == ["a", "b", "c"]


def silent_for(looks: int) -> Callable[[], None]:
    left = [looks]

    def look() -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise ServerUnreachableError("Nobody answers.")

    return look


def test_a_server_that_comes_back_is_waited_for(batch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    batch.on_look = silent_for(3)
    assert progress.watch(batch, "again").done == 10
    assert capsys.readouterr().err.count("The server does not answer; waiting for it.") == 1


def test_a_server_that_stays_away_is_an_error_with_the_way_back(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    batch.on_look = silent_for(1000)
    with pytest.raises(ServerUnreachableError) as caught:
        progress.watch(batch, "distgraph batch status b1 --watch")
    assert "distgraph batch status b1 --watch" in caught.value.__notes__[0]


def test_every_look_is_told_until_the_batch_is_at_rest(batch: Any) -> None:
    seen: list[int] = []

    def look(shown: Meter, status: object) -> None:
        seen.append(len(batch.rows))

    progress.watch(batch, "again", look)
    assert seen == [4, 8, 10]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (61, "1:01 min"),
        (3599, "59:59 min"),
        (7322, "2:02 h"),
    ],
)
def test_durations_are_short_words(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_counts_have_their_plural() -> None:
    assert [count(0, "item"), count(1, "item"), count(2000, "child", "children")] == [
        "0 items",
        "1 item",
        "2,000 children",
    ]
