"""Async nodes of one slot that wait beside each other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Future
from dataclasses import replace
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.cluster import overlap as module
from distgraph.cluster.flights import Flight
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
        now[0] += 0.1
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


class Screen:
    """What the slot's row said: (what, seconds it has left), and that of calls that were said again."""

    def __init__(self) -> None:
        self.said: list[tuple[str, float | None]] = []
        self.again: list[tuple[str, float | None]] = []

    def place(self, **changes: Any) -> Workplace:
        return replace(place_of(), watch=self.show, renew=self.renew, monotonic=time.monotonic, **changes)

    def show(self, what: str, seconds: float | None) -> None:
        self.said.append((what, seconds))

    def renew(self, what: str, seconds: float) -> None:
        self.again.append((what, seconds))
        self.show(what, None if seconds == inf else seconds)

    @property
    def last(self) -> tuple[str, float | None]:
        return self.said[-1]


def timed(name: str, seconds: float, work: Callable[[], Coroutine[Any, Any, Any]]) -> Callable[[Workplace], Any]:
    """Steps with one coroutine, ``work``, that has so many seconds."""

    def steps(place: Workplace) -> Generator[Any, Any, str]:
        place.watch(f"n:{name}\nt\n1/\n\n1\n\nnode", seconds)
        yield work()
        return name

    return steps


def limited(gate: asyncio.Event, name: str = "limited", seconds: float = 30.0) -> Callable[[Workplace], Any]:
    """Steps that wait for ``gate``, and have so many seconds."""
    return timed(name, seconds, gate.wait)


def open_gate(gate: asyncio.Event, overlap: Overlap[Any]) -> None:
    """Let what waits there end, on the loop."""
    before = sum(flight.ended for flight in overlap._flights)
    home().loop.call_soon_threadsafe(gate.set)
    wait_until(lambda: sum(flight.ended for flight in overlap._flights) > before)


def test_a_row_says_what_begins_before_it_begins() -> None:
    """A node that keeps the interpreter's lock from its first moment on is stopped by what its row says."""
    screen, seen, begun = Screen(), list[tuple[str, float | None]](), threading.Event()

    async def first() -> None:
        seen.extend(screen.said)
        begun.set()

    def second(place: Workplace) -> Generator[Any, Any, None]:
        assert begun.wait(10)
        yield asyncio.sleep(0)

    overlap: Overlap[int] = Overlap(screen.place())
    overlap.begin(1, timed("first", 30.0, first))
    overlap.begin(2, second)
    while overlap:
        overlap.landed()
    [(what, left)] = seen
    assert what.startswith(BESIDE + "n:first")
    assert left == pytest.approx(30, abs=5)


def test_one_that_has_to_end_sooner_is_said_at_once() -> None:
    screen, seen, gate = Screen(), list[tuple[str, float | None]](), asyncio.Event()

    async def sooner() -> None:
        seen.append(screen.last)

    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("later", limited(gate, "later"))
    assert overlap.landed(wait=False) == []
    overlap.begin("sooner", timed("sooner", 5.0, sooner))
    assert [owner for owner, _ in overlap.landed()] == ["sooner"]
    [(what, left)] = seen
    assert what.startswith(BESIDE + "n:sooner")
    assert left == pytest.approx(5, abs=1)
    overlap.give_up()


def test_what_ends_in_time_is_not_stopped_for_what_its_slot_does_meanwhile() -> None:
    """Such as to store what others came to, while the server is away; and whoever does not end in time is stopped."""
    screen, gate, never = Screen(), asyncio.Event(), asyncio.Event()
    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("soon", limited(gate, "soon", 30.0))
    overlap.begin("late", limited(never, "late", 90.0))
    overlap.begin("quick", lambda place: waits(place, result="quick"))
    assert [owner for owner, _ in overlap.landed()] == ["quick"]
    assert screen.last[0] == screen.said[0][0]
    assert screen.last[1] == pytest.approx(30, abs=5)
    open_gate(gate, overlap)
    wait_until(lambda: screen.last[1] == pytest.approx(90, abs=5))
    assert screen.last[0].startswith(BESIDE + "n:late")
    assert [what for what, _ in screen.again] == [screen.last[0]], "nothing began, and nobody is to be let pass"
    home().loop.call_soon_threadsafe(never.set)
    found = [owner for landed in iter(overlap.landed, []) for owner, _ in landed]
    assert sorted(found) == ["late", "soon"]
    assert screen.last == ("", None), "and then the row says that nothing runs"


def test_who_makes_progress_has_more_time_though_its_slot_is_busy() -> None:
    screen, gate, renewed = Screen(), asyncio.Event(), threading.Event()

    def steps(place: Workplace) -> Generator[Any, Any, None]:
        what = "n:idle\nt\n1/\n\n1\nidle\nnode"
        place.watch(what, 10.0)

        async def work() -> None:
            await gate.wait()
            place.renew(what, 50.0)
            renewed.set()
            await asyncio.Event().wait()

        yield work()

    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("idle", steps)
    overlap.landed(wait=False)
    assert screen.last[1] == pytest.approx(10, abs=5)
    home().loop.call_soon_threadsafe(gate.set)
    assert renewed.wait(10)
    assert screen.last[1] == pytest.approx(50, abs=5)
    overlap.give_up()


def test_code_of_a_node_before_its_coroutine_has_its_limit() -> None:
    """What names its cached result, say."""
    screen, seen = Screen(), list[tuple[str, float | None]]()

    def steps(place: Workplace) -> Generator[Any, Any, None]:
        place.watch("n:named\nt\n1/\n\n1\n\nnode", 30.0)
        seen.append(screen.last)
        yield asyncio.sleep(0)

    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("named", steps)
    assert [owner for owner, _ in overlap.landed()] == ["named"]
    [(what, left)] = seen
    assert what.startswith(BESIDE + "n:named")
    assert left == pytest.approx(30, abs=5)


def test_what_is_given_up_is_not_said_any_more() -> None:
    """A server may be away for longer than it had."""
    screen = Screen()
    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("waits", limited(asyncio.Event()))
    overlap.landed(wait=False)
    overlap.give_up()
    assert screen.last == ("", None)


def test_progress_counts_however_little_of_the_limit_is_used_up() -> None:
    """The next one may come after more than half of it, and the slot's own OS thread be busy all the while."""
    screen, now = Screen(), [100.0]
    overlap: Overlap[str] = Overlap(replace(screen.place(), monotonic=lambda: now[0]))
    what, renewals = "n:idle\nt\n1/\n\n1\nidle\nnode", list[Callable[[str, float], None]]()

    def steps(place: Workplace) -> Generator[Any, Any, None]:
        place.watch(what, 10.0)
        renewals.append(place.renew)
        yield asyncio.Event().wait()

    overlap.begin("idle", steps)
    overlap.landed(wait=False)
    now[0] += 4
    renewals[0](what, 10.0)
    assert [seconds for _, seconds in screen.again] == [pytest.approx(10.0)]
    overlap.give_up()


def test_who_lets_another_slot_pass_has_all_of_its_time_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wanted", lambda *_: True)
    screen, now, gate = Screen(), [100.0], asyncio.Event()

    def waits_first(what: str, seconds: float | None) -> None:
        if not screen.said:
            now[0] += 3.0
        screen.show(what, seconds)

    place = replace(screen.place(), watch=waits_first, monotonic=lambda: now[0])
    overlap: Overlap[str] = Overlap(place)
    overlap.begin("first", limited(gate, "first", 10.0))
    overlap.begin("sooner", lambda place: limited_at_once(place))
    while [owner for owner, _ in overlap.landed()] != ["sooner"]:
        pass
    overlap.landed(wait=False)
    assert screen.last[0].startswith(BESIDE + "n:first")
    assert screen.last[1] == pytest.approx(10.0)
    overlap.give_up()


def limited_at_once(place: Workplace) -> Generator[Any, Any, None]:
    place.watch("n:sooner\nt\n1/\n\n1\n\nnode", 1.0)
    yield asyncio.sleep(0)


def test_what_came_to_its_end_without_a_coroutine_is_not_said_of_others() -> None:
    """Its result was cached."""
    screen, seen = Screen(), list[tuple[str, float | None]]()

    def cached(place: Workplace) -> Generator[Any, Any, str]:
        place.watch("n:cached\nt\n1/\n\n1\n\nnode", 1.0)
        yield from ()
        return "cached"

    def later(place: Workplace) -> Generator[Any, Any, str]:
        place.watch("n:later\nt\n1/\n\n1\n\nnode", 30.0)

        async def work() -> None:
            seen.append(screen.last)

        yield work()
        return "later"

    overlap: Overlap[str] = Overlap(screen.place())
    overlap.begin("cached", cached)
    overlap.begin("later", later)
    found = [owner for landed in iter(overlap.landed, []) for owner, _ in landed]
    assert found == ["cached", "later"]
    assert [seconds for _, seconds in seen] == [pytest.approx(30, abs=5)]


def test_whether_it_has_ended_is_asked_while_its_slot_goes_on_with_it() -> None:
    """From the loop's OS thread, or that of a helper of a node."""

    class GoesOn(Flight[str]):
        reads = 0

        @property
        def running(self) -> Any:
            self.reads += 1
            return SimpleNamespace(future=Future[None]()) if self.reads == 1 else None

        @running.setter
        def running(self, value: Any) -> None: ...

    assert GoesOn("one", 0.0).ended is False


def test_those_that_are_not_wanted_are_told_though_others_end_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no others begin."""
    monkeypatch.setattr(module, "wanted", lambda *_: False)
    now, begun = [100.0], list[int]()

    def ends(n: int) -> Callable[[Workplace], Generator[Any, Any, None]]:
        def steps(place: Workplace) -> Generator[Any, Any, None]:
            begun.append(n)
            now[0] += WANTED_SECONDS
            place.watch(f"n:{n}\nt\n1/\n\n1\n\nnode", None)
            yield asyncio.sleep(0)

        return steps

    overlap: Overlap[int] = Overlap(place_of(overlap=1, monotonic=lambda: now[0]))
    for n in range(5):
        overlap.begin(n, ends(n))
    while overlap:
        overlap.landed()
    assert begun == [0]
    assert overlap.unwanted


class TestNodesOfItsOwnThread:
    def test_one_that_begins_is_said_though_somebody_else_is_writing(self) -> None:
        """Whoever that is may come to no end of it: the node keeps the interpreter's lock."""
        screen, writing = Screen(), threading.Event()

        def slowly(what: str, seconds: float) -> None:
            if not writing.is_set():
                writing.set()
                wait_until(lambda: overlap._stale)
            screen.renew(what, seconds)

        overlap: Overlap[str] = Overlap(replace(screen.place(), renew=slowly))

        renewals: list[Callable[[str, float], None]] = []

        def steps(place: Workplace) -> Generator[Any, Any, None]:
            place.watch("n:waits\nt\n1/\n\n1\nidle\nnode", 30.0)
            renewals.append(place.renew)
            yield asyncio.Event().wait()

        overlap.begin("waits", steps)
        overlap.landed(wait=False)
        helper = threading.Thread(target=renewals[0], args=("n:waits\nt\n1/\n\n1\nidle\nnode", 60.0))
        helper.start()
        assert writing.wait(10)
        overlap.place.watch("n:own\nt\n1/\n\n1\n\nnode", 5.0)
        assert screen.last[0].startswith(BESIDE + "n:own")
        helper.join(10)
        overlap.give_up()

    """Those that the slot runs itself while others wait."""

    def test_nobody_is_named_while_others_wait(self) -> None:
        screen, gate = Screen(), asyncio.Event()
        overlap: Overlap[str] = Overlap(screen.place())
        overlap.place.watch("n:alone", None)
        overlap.place.watch("", None)
        assert screen.said == [("n:alone", None), ("", None)]
        overlap.begin("waits", limited(gate))
        overlap.landed(wait=False)
        waiting = screen.last
        overlap.place.watch("n:own\nt\n1/\n\n1\n\nnode", 5.0)
        assert screen.last[0].startswith(BESIDE + "n:own")
        assert screen.last[1] == pytest.approx(5, abs=1)
        overlap.place.renew("n:own\nt\n1/\n\n1\n\nnode", 8.0)
        assert screen.last[1] == pytest.approx(8, abs=1)
        overlap.place.watch("", None)
        assert screen.last[0] == waiting[0]
        assert screen.last[1] == pytest.approx(30, abs=5), "it still waits, and has its limit"
        overlap.give_up()

    def test_who_waits_beside_them_is_stopped_in_time(self) -> None:
        """It may let nobody else go on, and the node of this thread have no limit."""
        screen, gate = Screen(), asyncio.Event()
        overlap: Overlap[str] = Overlap(screen.place())
        overlap.begin("waits", limited(gate))
        overlap.landed(wait=False)
        overlap.place.watch("n:own\nt\n1/\n\n1\n\nnode", None)
        assert screen.last[1] == pytest.approx(30, abs=5)
        open_gate(gate, overlap)
        wait_until(lambda: screen.last[1] is None)
        assert screen.last[0].startswith(BESIDE + "n:own"), (
            "but not one that has ended, however long the other one takes"
        )
        overlap.place.watch("", None)
        assert [owner for owner, _ in overlap.landed()] == ["waits"]


def test_nothing_more_begins_while_another_slot_is_to_run_alone() -> None:
    asked, gate = [True], asyncio.Event()
    screen = Screen()
    overlap: Overlap[str] = Overlap(screen.place(steps_aside=lambda: asked[0]))
    overlap.begin("first", limited(gate, "first"))
    overlap.begin("second", limited(gate, "second"))
    overlap.landed(wait=False)
    assert len(overlap._flights) == 1, "the first has waited for its turn, as any node does"
    asked[0] = False
    overlap.landed(wait=False)
    assert len(overlap._flights) == 2
    overlap.give_up()


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
