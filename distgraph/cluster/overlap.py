"""Async nodes of one slot that wait beside each other, on the event loop of the process.

The slot keeps one OS thread of control: it decides, asks the ledger and commits; the loop only runs the nodes. What comes
back is handed out as it comes, so that one that ended is stored while others still wait.

A row of the slot table has room for one call. While several run it names one of them that has the next time limit, and
says that it is not alone: if the process dies, nobody is named, and all of them are suspects (see ``liveness``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Hashable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from distgraph.cluster.home_loop import Running, home
from distgraph.cluster.liveness import Called, beside
from distgraph.cluster.wanted import wanted
from distgraph.cluster.workplace import Workplace
from distgraph.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
Steps = Generator[Coroutine[Any, Any, Any], Any, T]

#: How often it is looked whether a node that waits is still wanted: its slot's word for it. Seconds.
TOLD_SECONDS = 0.1
#: The same where nobody tells, and the ledger is asked. Seconds.
WANTED_SECONDS = 0.5


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
            running = _step(steps, running)
        except StopIteration as end:
            result: T = end.value
            return result
        told = False
        while not running.future.done():
            wait((running.future,), TOLD_SECONDS)
            if not told and not running.future.done() and cancelled():
                told = True
                running.cancel()


def _step(steps: Steps[Any], ended: Running | None) -> Running:
    """Go on with ``steps`` after what it had yielded has ended, and begin what it yields next.

    Raises:
        StopIteration: there is nothing next.
        Exception: what ``steps`` raises.
    """
    if ended is None:
        return home().begin(next(steps))
    result, exc = ended.future.result()
    return home().begin(steps.send(result) if exc is None else steps.throw(exc))


class _Flight(Generic[H]):
    """One task on its way."""

    __slots__ = ("called", "context", "ends", "owner", "running", "since", "steps", "told")

    def __init__(self, owner: H, since: float) -> None:
        self.owner, self.since = owner, since
        #: What its steps set stays theirs.
        self.context = copy_context()
        self.steps: Steps[Any]
        self.running: Running
        #: What a row would say of it, and when its time is over (monotonic seconds).
        self.called, self.ends = "", inf
        self.told = False

    @property
    def late_at(self) -> float:
        """When its time is over; never, if it has ended and was not fetched yet."""
        return inf if self.running.future.done() else self.ends


class Landed(NamedTuple, Generic[H]):
    """One task that has ended: whose it was, and what its steps returned."""

    owner: H
    result: Any


class Overlap(Generic[H]):
    """Tasks of one slot that wait beside each other, at most ``place.overlap`` at a time.

    Args:
        place: the slot's.
    """

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._todo: deque[tuple[H, Callable[[Workplace], Steps[Any]]]] = deque()
        self._flights: dict[Any, _Flight[H]] = {}
        self._landed: deque[Landed[H]] = deque()
        self._came: SimpleQueue[Future[Any]] = SimpleQueue()
        #: The call that the slot's row shows, by when that must have ended (monotonic seconds), and all that it says.
        self._shown: tuple[str, float, str] | None = None
        self._asked = place.monotonic()
        #: Seconds that this slot waited while its loop did nothing.
        self.idle = 0.0

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
                while self._todo and len(self._flights) < self._place.overlap:
                    self._take_off(*self._todo.popleft())
                if not self._flights and self._shown is not None:
                    self._shown = None
                    self._place.watch("", None)
                if self._landed or not self._flights or looked:
                    landed = [*self._landed]
                    self._landed.clear()
                    return landed
                looked = not wait
                for future in self._wait(TOLD_SECONDS if wait else 0.0):
                    self._go_on(self._flights.pop(future))
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Begin nothing more, and cancel what runs, to its end."""
        self.begin_no_more()
        for flight in self._flights.values():
            flight.running.cancel()
        wait(self._flights)
        for flight in self._flights.values():
            flight.context.run(flight.steps.close)
        self._flights.clear()

    # ------------------------------------------------------------ inside

    def _take_off(self, owner: H, steps: Callable[[Workplace], Steps[Any]]) -> None:
        flight = _Flight(owner, self._place.monotonic())

        def mark(what: str, seconds: float | None) -> None:
            if what:
                renew(what, inf if seconds is None else seconds)

        def renew(what: str, seconds: float) -> None:
            flight.called, flight.ends = what, self._place.monotonic() + seconds

        flight.steps = steps(replace(self._place, watch=mark, renew=renew, tidy=_nothing))
        self._go_on(flight)

    def _go_on(self, flight: _Flight[H]) -> None:
        try:
            flight.running = flight.context.run(_step, flight.steps, getattr(flight, "running", None))
        except StopIteration as end:
            self._landed.append(Landed(flight.owner, end.value))
            return
        self._flights[flight.running.future] = flight
        flight.running.future.add_done_callback(self._came.put)

    def _wait(self, seconds: float) -> Sequence[Future[Any]]:
        self._show()
        began, worked = self._place.monotonic(), home().worked()
        done: list[Future[Any]] = []
        with suppress(Empty):
            done.append(self._came.get(timeout=seconds))
            while True:
                done.append(self._came.get_nowait())
        self.idle += max(0.0, self._place.monotonic() - began - (home().worked() - worked))
        if done:
            self._allow_storing()
        else:
            self._cancel_unwanted()
        return done

    def _show(self) -> None:
        """Have the slot's row show one that should have ended, else that whose time is over first."""
        first = min(self._flights.values(), key=lambda flight: (not flight.told, flight.late_at))
        under_way = [flight for flight in self._flights.values() if not flight.running.future.done()]
        longest = min(under_way or [first], key=lambda flight: flight.since)
        self._say(first.called, first.late_at, beside(first.called, longest.called, longest.since))

    def _allow_storing(self) -> None:
        """Show a later end until this OS thread looks again: who ends in time must not be stopped for what it does meanwhile.

        To store what others came to may take long, where the server is away; but not for ever: a node that holds the
        interpreter's lock would stop this thread too, and be stopped by nobody.
        """
        if self._shown is not None and self._shown[1] != inf:
            called, ends, said = self._shown
            self._say(called, max(ends, self._place.monotonic()) + self._place.commit_patience, said)

    def _say(self, called: str, ends: float, said: str) -> None:
        before, self._shown = self._shown, (called, ends, said)
        left = ends - self._place.monotonic()
        if before == self._shown:
            return
        if before is not None and before[0] == called and (left != inf or before[1] == inf):
            # The same call, for whoever looks whether one that was told to stop goes on.
            self._place.renew(said, left)
        else:
            self._place.watch(said, None if left == inf else left)

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
        for flight in self._flights.values():
            called = Called.of(flight.called)
            if flight.told or called is None:
                continue
            # Items of one slice have one batch, and are wanted or not together.
            about = (called.kind, called.run_id if called.kind == "n" else called.other)
            if about not in known:
                known[about] = wanted(self._place.runs, self._place.batches, called)
            if not known[about]:
                flight.told = True
                flight.running.cancel()


def _nothing() -> None:
    """No node of another OS thread can leave anything to undo in this one."""
