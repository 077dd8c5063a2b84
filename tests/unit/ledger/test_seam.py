"""The seam: nothing where nothing is armed; else whoever is armed sees every point, and may repeat a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from distgraph.ledger import seam
from distgraph.ledger.scripts import Call, Scripts, sources

PACKAGE = Path(seam.__file__).resolve().parents[1]


class Witness:
    """Notes what is passed, and asks for every call twice, as a client does whose reply was lost."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def reach(self, point: str, moment: str) -> None:
        self.seen.append((point, moment))

    def call(self, points: Sequence[str], send: Callable[[], Any]) -> Any:
        self.seen.append(tuple(points))
        send()
        return send()


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Iterator[Witness]:
    watching = Witness()
    monkeypatch.setattr(seam, "nemesis", watching)
    yield watching


class Server:
    """Answers with how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def execute_command(self, *_: Any) -> int:
        self.asked += 1
        return self.asked


@seam.passes("beat")
def beat(calls: list[int]) -> int:
    calls.append(1)
    return len(calls)


def test_nothing_is_armed() -> None:
    calls: list[int] = []
    server: Any = Server()
    seam.reach("node", "before")
    assert beat(calls) == 1
    assert Scripts(server).run(Call("submit", (), ())) == 1
    assert seam.nemesis is None


def test_marks_and_calls(witness: Witness) -> None:
    calls: list[int] = []
    seam.reach("node", "before")
    assert beat(calls) == 2
    assert witness.seen == [("node", "before"), ("beat",)]


def test_every_script_call(witness: Witness) -> None:
    server: Any = Server()
    scripts = Scripts(server)
    assert scripts.run(Call("submit", (), ())) == 2
    assert scripts.run_all([Call("settle", (), ())]) == [4]
    assert witness.seen == [("submit",), ("settle",)]


def test_points_have_one_meaning_each() -> None:
    assert not set(seam.CALLS) & set(seam.MARKS)
    assert not {*seam.CALLS, *seam.MARKS} & set(sources())


def test_each_point_is_somewhere_in_the_code() -> None:
    code = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [name for name in seam.CALLS if f'@seam.passes("{name}")' not in code] == []
    marks = [(name, moment) for name in seam.MARKS for moment in ("before", "after")]
    assert [mark for mark in marks if f'seam.reach("{mark[0]}", "{mark[1]}")' not in code] == []
