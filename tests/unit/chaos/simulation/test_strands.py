"""Work that stands still in its middle."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from distgraph.chaos.simulation.strands import Play, Strand

pytestmark = [pytest.mark.unit, pytest.mark.timeout(30)]


def played(turns: list[Callable[[], None]]) -> tuple[Play, list[BaseException]]:
    """A play of these turns, and what was raised in it."""
    left, raised = iter(turns), list[BaseException]()

    def turn() -> bool:
        following = next(left, None)
        if following is not None:
            following()
        return following is not None

    return Play(turn, raised.append), raised


def test_strands_take_turns() -> None:
    told: list[str] = []
    turns: list[Callable[[], None]] = []
    play, raised = played(turns)

    def work(name: str) -> Strand:
        def steps() -> None:
            for step in range(2):
                told.append(f"{name}{step}")
                strand.stand_still()
            told.append(f"{name} ends")

        strand = Strand(play, steps)
        return strand

    a, b = work("a"), work("b")
    turns += [strand.go_on for strand in (a, b, b, a, a, b)]
    play.run()
    assert told == ["a0", "b0", "b1", "a1", "a ends", "b ends"]
    assert raised == []


def test_what_does_not_stand_still_costs_no_thread() -> None:
    """Whoever takes the turns does the work of a turn itself."""
    threads: list[int] = []
    turns: list[Callable[[], None]] = []
    play, _ = played(turns)

    def work() -> None:
        threads.append(threading.get_ident())

    turns += [work, Strand(play, work).go_on, Strand(play, work).go_on, work]
    play.run()
    assert len(threads) == 4
    assert len({*threads}) == 1


def test_only_one_goes_on_at_a_time() -> None:
    inside, most = 0, 0
    turns: list[Callable[[], None]] = []
    play, _ = played(turns)

    def work() -> Strand:
        def steps() -> None:
            nonlocal inside, most
            for _ in range(20):
                inside += 1
                most = max(most, inside)
                sum(range(2000))
                inside -= 1
                strand.stand_still()

        strand = Strand(play, steps)
        return strand

    turns += [strand.go_on for strand in [work() for _ in range(5)] for _ in range(21)]
    play.run()
    assert (inside, most) == (0, 1)


def test_what_it_raises_is_told() -> None:
    """By a strand that has stood still, whose thread another one has let go on; the turns after it are taken."""
    told: list[str] = []
    turns: list[Callable[[], None]] = []
    play, raised = played(turns)

    def work() -> None:
        strand.stand_still()
        raise KeyError("lost")

    strand = Strand(play, work)
    turns += [strand.go_on, strand.go_on, lambda: told.append("after")]
    play.run()
    assert [str(error) for error in raised] == ["'lost'"]
    assert told == ["after"]
