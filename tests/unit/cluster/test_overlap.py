"""Async nodes of one slot that wait beside each other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from distgraph.cluster.home_loop import home
from distgraph.cluster.liveness import BESIDE, Row, longest_call
from distgraph.cluster.overlap import WANTED_SECONDS, Overlap, to_its_end
from distgraph.cluster.workplace import Workplace
from distgraph.errors import ServerUnreachableError
from tests.unit.cluster.small import Counted, chain, cluster_of
from tests.waiting import wait_until

pytestmark = pytest.mark.unit


def place_of(rows: list[str] | None = None, **changes: Any) -> Workplace:
    place = cluster_of(chain(Counted("a"))).slots[0].place
    said = [] if rows is None else rows
    return replace(place, watch=lambda what, seconds: said.append(what), **changes)


def waits(place: Workplace, *, gate: asyncio.Event | None = None, result: Any = None) -> Generator[Any, Any, Any]:
    """Steps with one coroutine, that waits for ``gate``."""
    place.watch(f"n:{result}\nt\n1/\n\n1\n\nnode", None)

    async def work() -> Any:
        if gate is not None:
            await gate.wait()
        return result

    return (yield work())


def test_they_wait_at_the_same_time() -> None:
    """None of them ends before all have begun."""
    place, begun, gate = place_of(), [], asyncio.Event()

    def meet(place: Workplace) -> Generator[Any, Any, int]:
        async def work() -> None:
            begun.append(True)
            if len(begun) == 5:
                gate.set()
            await gate.wait()

        yield work()
        return len(begun)

    overlap: Overlap[int] = Overlap(place)
    for n in range(5):
        overlap.begin(n, meet)
    found = []
    while overlap:
        found += overlap.landed()
    assert sorted(found) == [(n, 5) for n in range(5)]
    assert overlap.idle >= 0


def test_no_more_than_there_is_room_for() -> None:
    at_once: list[int] = []
    most = 0

    def busy(place: Workplace) -> Generator[Any, Any, None]:
        async def work() -> None:
            nonlocal most
            at_once.append(1)
            most = max(most, len(at_once))
            await asyncio.sleep(0.01)
            at_once.pop()

        yield work()

    overlap: Overlap[int] = Overlap(place_of(overlap=3))
    for n in range(10):
        overlap.begin(n, busy)
    while overlap:
        overlap.landed()
    assert most == 3


def test_what_ended_is_handed_out_while_others_wait() -> None:
    gate, rows = asyncio.Event(), list[str]()
    overlap: Overlap[str] = Overlap(place_of(rows))
    overlap.begin("late", lambda place: waits(place, gate=gate, result="late"))
    overlap.begin("soon", lambda place: waits(place, result="soon"))
    assert overlap.landed() == [("soon", "soon")]
    assert len(overlap) == 1
    assert [*overlap.landed(wait=False)] == []
    assert all(row.startswith(BESIDE) for row in rows), "no row names one of several"
    overlap.give_up()
    assert len(overlap) == 0


def test_its_row_tells_which_waits_the_longest() -> None:
    """One that hangs for good is seen, whatever limits those beside it have that come and go."""
    gate, rows, now = asyncio.Event(), list[str](), [100.0]
    place = replace(place_of(), watch=lambda what, _: rows.append(what), renew=lambda what, _: rows.append(what))
    overlap: Overlap[str] = Overlap(replace(place, monotonic=lambda: now[0]))

    def limited(place: Workplace) -> Generator[Any, Any, str]:
        place.watch("n:limited\nt\n1/\n\n1\n\nnode", 30.0)
        yield asyncio.sleep(0)
        return "limited"

    overlap.begin("hangs", lambda place: waits(place, gate=gate, result="hangs"))
    for _ in range(3):
        overlap.begin("limited", limited)
        assert [owner for owner, _ in overlap.landed()] == ["limited"]
        now[0] += 10
    overlap.give_up()
    seen = [longest_call(Row(1, True, 0.0, row)) for row in rows if row]
    assert {(found[0].run_id, found[1]) for found in seen if found} == {("hangs", 100.0)}


def test_steps_that_fail_end_the_others() -> None:
    cancelled = []

    def endless(place: Workplace) -> Generator[Any, Any, None]:
        async def work() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        yield work()

    def fails(place: Workplace) -> Generator[Any, Any, None]:
        yield asyncio.sleep(0.01)
        raise OSError("the ledger is gone")

    overlap: Overlap[int] = Overlap(place_of())
    overlap.begin(1, endless)
    overlap.begin(2, fails)
    with pytest.raises(OSError, match="the ledger is gone"):
        while True:
            overlap.landed()
    assert cancelled == [True]
    assert not overlap


def test_alone_it_is_cancelled_once_its_slot_is_told() -> None:
    def steps() -> Generator[Any, Any, str]:
        try:
            yield asyncio.sleep(60)
        except asyncio.CancelledError:
            return "cancelled"
        return "slept"

    assert to_its_end(steps(), lambda: True) == "cancelled"


def test_what_a_coroutine_raises_comes_back_to_its_steps() -> None:
    async def fails() -> None:
        raise ValueError("no")

    def steps() -> Generator[Any, Any, str]:
        with pytest.raises(ValueError, match="no"):
            yield fails()
        return "caught"

    assert to_its_end(steps(), lambda: False) == "caught"


def test_what_ended_in_time_is_not_stopped_for_what_storing_another_takes() -> None:
    """The server is away, say, when the first one has ended: the slot's row shows a later end until the others are looked at.

    But an end: a node that holds the interpreter's lock stops whoever stores, too.
    """
    shown: list[tuple[str, float | None]] = []
    gate, renewed = asyncio.Event(), list[str]()

    def show(what: str, seconds: float | None) -> None:
        shown.append((what, seconds))

    def renew(what: str, seconds: float) -> None:
        renewed.append(what)
        show(what, seconds)

    place = replace(place_of(), watch=show, renew=renew, commit_patience=70.0)

    def limited(place: Workplace) -> Generator[Any, Any, str]:
        place.watch("n:limited\nt\n1/\n\n1\n\nnode", 30.0)

        async def work() -> None:
            await gate.wait()

        yield work()
        return "limited"

    overlap: Overlap[str] = Overlap(place)
    overlap.begin("limited", limited)
    overlap.begin("quick", lambda place: waits(place, result="quick"))
    assert [owner for owner, _ in overlap.landed()] == ["quick"]
    assert [what.startswith(BESIDE) for what, _ in shown] == [True, True]
    assert [seconds for _, seconds in shown] == [pytest.approx(30, abs=5), pytest.approx(30 + 70, abs=5)]
    assert renewed == [shown[0][0]], "as the same call: one that was told to stop and goes on is not taken for another"
    home().loop.call_soon_threadsafe(gate.set)
    wait_until(lambda: all(flight.running.future.done() for flight in overlap._flights.values()))
    assert [owner for owner, _ in overlap.landed()] == ["limited"]
    assert {seconds for _, seconds in shown[2:]} == {None}
    assert shown[-1] == ("", None), "and then the row says that nothing runs"


def test_an_outage_ends_nobody_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether they are still wanted cannot be asked then; what they come to is stored when the server is back."""
    asked: list[float] = []

    def away(*_: Any) -> bool:
        asked.append(overlap._place.monotonic())
        raise ServerUnreachableError("The server cannot be reached.")

    monkeypatch.setattr("distgraph.cluster.overlap.wanted", away)
    gate, place = asyncio.Event(), place_of(monotonic=time.monotonic)
    overlap: Overlap[str] = Overlap(place)
    overlap.begin("late", lambda place: waits(place, gate=gate, result="late"))
    wait_until(lambda: overlap.landed(wait=False) != [] or len(asked) >= 2)
    assert asked[1] - asked[0] >= WANTED_SECONDS, "and it is not asked all the time"
    home().loop.call_soon_threadsafe(gate.set)
    assert overlap.landed() == [("late", "late")]
