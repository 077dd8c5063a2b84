"""Async nodes of one slot that wait beside each other, on the event loop of the process.

The slot keeps one OS thread of control: it decides, asks the ledger and commits; the loop only runs the nodes. What comes
back is handed out as it comes, so that one that ended is stored while others still wait.

A row of the slot table has room for one call. While several run it names one of them that has the next time limit, and
says that it is not alone: if the process dies, nobody is named, and all of them are suspects (see ``liveness``). It says so
before any of them begins: one that keeps the interpreter's lock stops every OS thread of its process, and what the row
said by then is all that whoever watches the slot will ever know.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from concurrent.futures import wait
from contextlib import suppress
from dataclasses import replace
from math import inf
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, Generic, NamedTuple, TypeVar

from distgraph.cluster.flights import Call, Ends, Flight, Steps
from distgraph.cluster.home_loop import Running, home
from distgraph.cluster.liveness import Called, beside
from distgraph.cluster.wanted import wanted
from distgraph.cluster.workplace import Workplace
from distgraph.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

#: How often it is looked whether a node that waits is still wanted: its slot's word for it. Seconds.
TOLD_SECONDS = 0.1
#: The same where nobody tells, and the ledger is asked. Seconds.
WANTED_SECONDS = 0.5
#: A row may say an end that is so much too early: less than the grace of what has an idle limit. Seconds.
SLACK = 0.1


def to_its_end(steps: Steps[T], cancelled: Callable[[], bool]) -> T:
    """Drive ``steps`` alone: what it yields runs on the loop, and this OS thread waits.

    Args:
        steps: yields coroutines.
        cancelled: asked while one runs; once it says so, that one is cancelled.

    Returns:
        What ``steps`` returns.
    """
    running: Running | None = None
    while True:
        try:
            running = home().begin(_next(steps, running))
        except StopIteration as end:
            result: T = end.value
            return result
        told = False
        while not running.future.done():
            wait((running.future,), TOLD_SECONDS)
            if not told and not running.future.done() and cancelled():
                told = True
                running.cancel()


def _next(steps: Steps[Any], ended: Running | None) -> Coroutine[Any, Any, Any]:
    """Go on with ``steps`` after what it had yielded has ended: what it yields next.

    Raises:
        StopIteration: there is nothing next.
        Exception: what ``steps`` raises.
    """
    if ended is None:
        return next(steps)
    result, exc = ended.future.result()
    return steps.send(result) if exc is None else steps.throw(exc)


class Landed(NamedTuple, Generic[H]):
    """One task that has ended: whose it was, and what its steps returned."""

    owner: H
    result: Any


class Overlap(Generic[H]):
    """Tasks of one slot that wait beside each other, at most ``place.overlap`` at a time.

    Args:
        place: the slot's.

    Attributes:
        place: the same, for nodes that this OS thread runs itself while others wait.
        idle: seconds that this slot waited while its loop did nothing.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self.place = replace(place, watch=self._watch, renew=self._renew)
        self._todo: deque[tuple[H, Callable[[Workplace], Steps[Any]]]] = deque()
        #: Those that are on their way: a set in the order in which they began.
        self._flights: dict[Flight[H], None] = {}
        #: When they have to have ended; those of which that is new; and those that were told to.
        self._ends, self._begun, self._told = Ends(), deque[Flight[H]](), list[Flight[H]]()
        self._landed: deque[Landed[H]] = deque()
        self._came: SimpleQueue[Flight[H]] = SimpleQueue()
        #: What this OS thread runs itself beside them.
        self._own: Call | None = None
        #: The call that the slot's row shows, by when that must have ended (monotonic seconds), and all that it says.
        self._shown: tuple[Call, float, str] | None = None
        #: Held by the OS thread that writes the row, and reads what it is to say; whether that is to be done again.
        self._pen, self._stale = Lock(), False
        #: The same in the order in which they began; some have ended.
        self._oldest = deque[Flight[H]]()
        self._asked = place.monotonic()
        self.idle = 0.0

    @property
    def unwanted(self) -> bool:
        """Whether some were found to be wanted no more: no others begin then."""
        return bool(self._told)

    def __len__(self) -> int:
        """How many are to come yet."""
        return len(self._todo) + len(self._flights) + len(self._landed)

    def begin(self, owner: H, steps: Callable[[Workplace], Steps[Any]]) -> None:
        """Begin a task as soon as there is room.

        Args:
            owner: handed back with its result.
            steps: given a workplace that keeps its row apart from those of the others, the task's steps.
        """
        self._todo.append((owner, steps))

    def begin_no_more(self) -> None:
        """Forget what there was no room for yet."""
        self._todo.clear()

    def landed(self, *, wait: bool = True) -> list[Landed[H]]:
        """What has ended since; waits until there is something, unless told not to.

        Raises:
            Exception: what the steps of one raised. The others are cancelled.
        """
        looked = False
        try:
            while True:
                while self._todo and self._has_room():
                    self._take_off(*self._todo.popleft())
                if not self._flights:
                    self._show_nothing()
                if self._landed or not self._flights or looked:
                    landed = [*self._landed]
                    self._landed.clear()
                    return landed
                looked = not wait
                for flight in self._wait(TOLD_SECONDS if wait else 0.0):
                    self._go_on(flight)
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Begin nothing more, and cancel what runs, to its end."""
        self.begin_no_more()
        running = [flight.running for flight in self._flights if flight.running is not None]
        for one in running:
            one.cancel()
        wait(one.future for one in running)
        for flight in self._flights:
            flight.context.run(flight.steps.close)
            flight.landed = True
        self._flights.clear()
        self._show_nothing()

    # ------------------------------------------------------------ inside

    def _has_room(self) -> bool:
        # Whoever is to run alone in this worker waits until what has begun here has ended.
        return not self._flights or (len(self._flights) < self._place.overlap and not self._place.steps_aside())

    def _take_off(self, owner: H, steps: Callable[[Workplace], Steps[Any]]) -> None:
        flight, now = Flight(owner, self._place.monotonic()), self._place.monotonic

        def mark(what: str, seconds: float | None) -> None:
            if not what:
                return
            began = now()
            flight.called, flight.ends = what, began + (inf if seconds is None else seconds)
            self._announce(flight)
            waited = now() - began
            if waited > SLACK:
                # Another slot's task was let pass, which is none of its own time.
                flight.ends += waited

        def renew(what: str, seconds: float) -> None:
            before = flight.ends
            flight.called, flight.ends = what, now() + seconds
            if flight.ends < before:
                self._begun.append(flight)
            # In this order: what is being written may be when this one had to end before.
            writing, shown = self._pen.locked(), self._shown
            if shown is None:
                return
            if writing or flight.ends < shown[1] or (shown[0] is flight and flight.ends > shown[1] + SLACK):
                self._show(same=True)

        flight.steps = steps(replace(self._place, watch=mark, renew=renew, tidy=_nothing))
        self._go_on(flight)

    def _go_on(self, flight: Flight[H]) -> None:
        try:
            work = flight.context.run(_next, flight.steps, flight.running)
        except BaseException as end:
            flight.landed = True
            self._flights.pop(flight, None)
            if not isinstance(end, StopIteration):
                raise
            self._landed.append(Landed(flight.owner, end.value))
            return
        try:
            if flight.running is not None or flight not in self._flights:
                # Its steps have not said what begins.
                self._announce(flight)
        except BaseException:
            work.close()
            raise
        flight.running = flight.context.run(home().begin, work)
        flight.running.future.add_done_callback(lambda _: self._end(flight))

    def _announce(self, flight: Flight[H]) -> None:
        """See that the row says by when a flight has to have ended, before anything of it runs."""
        flight.running = None
        self._flights[flight] = None
        self._begun.append(flight)
        # Who writes just now may not know of it yet.
        writing, shown = self._pen.locked(), self._shown
        if writing or shown is None or shown[0].ended or flight.ends < shown[1]:
            self._show()

    def _end(self, flight: Flight[H]) -> None:
        """A coroutine has ended. This is the loop's OS thread; the other one may be busy for long.

        Who ends in time must not be stopped for what that one does meanwhile, such as to offer results to a server that is
        away; nor the next coroutine, which may let nobody else write, by when this one had to end.
        """
        self._came.put(flight)
        # In this order: what is being written may be that this one runs.
        writing, shown = self._pen.locked(), self._shown
        if writing or (shown is not None and shown[0] is flight):
            self._show(same=True)

    def _wait(self, seconds: float) -> Sequence[Flight[H]]:
        self._show()
        began, worked = self._place.monotonic(), home().worked()
        done: list[Flight[H]] = []
        with suppress(Empty):
            done.append(self._came.get(timeout=seconds))
            while True:
                done.append(self._came.get_nowait())
        self.idle += max(0.0, self._place.monotonic() - began - (home().worked() - worked))
        self._cancel_unwanted()
        return done

    # ----------------------------------------------------------- its row

    def _watch(self, what: str, seconds: float | None) -> None:
        """What ``Workplace.watch`` is for a node of this OS thread."""
        if not self._flights:
            with self._pen:
                self._place.watch(what, seconds)
            return
        now = self._place.monotonic()
        self._own = Call(now, what, inf if seconds is None else now + seconds) if what else None
        self._show()

    def _renew(self, what: str, seconds: float) -> None:
        """What ``Workplace.renew`` is for a node of this OS thread."""
        if self._own is None:
            self._place.renew(what, seconds)
            return
        self._own.called, self._own.ends = what, self._place.monotonic() + seconds
        self._show(same=True)

    def _show(self, *, same: bool = False) -> None:
        """Have the slot's row show one that should have ended, else that whose time is over first.

        Several OS threads come here. The one of control waits for its turn: what it begins then may keep whoever writes
        from ever ending. The others leave it to whoever writes to look again.

        Args:
            same: no call has begun: the row's number stays, and nobody has to be let pass.
        """
        self._stale = True
        while self._pen.acquire(blocking=not same):
            try:
                self._stale = False
                self._write(same)
            finally:
                self._pen.release()
            if not self._stale:
                return

    def _show_nothing(self) -> None:
        """Have it show that no node runs. Nobody can say anything else from then on until one begins."""
        with self._pen:
            if self._shown is not None:
                self._shown = None
                self._place.watch("", None)

    def _write(self, same: bool) -> None:
        while self._begun:
            flight = self._begun.popleft()
            self._ends.add(flight)
            self._oldest.append(flight)
        while self._oldest and self._oldest[0].ended:
            self._oldest.popleft()
        first, ends = self._first()
        if first is None or (same and self._shown is None):
            # What begins is said by whoever begins it.
            return
        longest, before = self._oldest[0] if self._oldest else first, self._shown
        self._shown = shown = (first, ends, beside(first.called, longest.called, longest.since))
        if shown == before:
            return
        left = ends - self._place.monotonic()
        if same or (before is not None and before[0] is first):
            # The same call, for whoever looks whether one that was told to stop goes on.
            self._place.renew(shown[2], left)
        else:
            self._place.watch(shown[2], None if left == inf else left)

    def _first(self) -> tuple[Call | None, float]:
        """What the row is to name, and by when that has to end: of those that run, else any; None: there is none.

        Who ends from here on has this looked at again: until then its end is said, not that there is none.
        """
        told = next((flight for flight in self._told if not flight.ended), None)
        if told is not None:
            return told, told.ends
        first, own = self._ends.first(), self._own
        if own is not None and (first is None or own.ends < first.ends):
            return own, own.ends
        return (first, first.ends) if first is not None else (next(iter([*self._flights]), None), inf)

    def _cancel_unwanted(self) -> None:
        """Cancel calls whose run or batch was cancelled: nobody tells a row that shows one of many."""
        try:
            self._ask_who_is_wanted()
        except StoreError as exc:
            # What they come to outlives the outage; then it is asked again.
            log.debug("it cannot be asked now what is still wanted: %s", exc)

    def _ask_who_is_wanted(self) -> None:
        now = self._place.monotonic()
        if now - self._asked < WANTED_SECONDS:
            return
        self._asked = now
        known: dict[tuple[str, str], bool] = {}
        for flight in self._flights:
            called = Called.of(flight.called)
            if flight.told or called is None:
                continue
            # Items of one slice have one batch, and are wanted or not together.
            about = (called.kind, called.run_id if called.kind == "n" else called.other)
            if about not in known:
                known[about] = wanted(self._place.runs, self._place.batches, called)
            if not known[about]:
                flight.told = True
                self._told.append(flight)
                if flight.running is not None:
                    flight.running.cancel()
        if self.unwanted:
            # All are of one run, or of one batch.
            self.begin_no_more()


def _nothing() -> None:
    """No node of another OS thread can leave anything to undo in this one."""
