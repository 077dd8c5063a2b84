"""What runs in a slot, as its row would say it: tasks that wait beside each other, and which of them must end first."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Hashable
from contextvars import copy_context
from heapq import heappop, heappush
from math import inf
from typing import Any, Generic, TypeVar

from distgraph.cluster.home_loop import Running

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
#: Yields coroutines that are to run on the event loop; what it returns is what comes of them.
Steps = Generator[Coroutine[Any, Any, Any], Any, T]


class Call:
    """What runs, as a row would say it.

    Attributes:
        called: what a row says of it, see ``liveness.Called``.
        since: when it began. Monotonic seconds.
        ends: when its time is over. Monotonic seconds.
    """

    __slots__ = ("called", "ends", "since")

    def __init__(self, since: float, called: str = "", ends: float = inf) -> None:
        self.since, self.called, self.ends = since, called, ends

    @property
    def ended(self) -> bool:
        """Whether only its result is left of it."""
        return False


class Flight(Call, Generic[H]):
    """One task on its way."""

    __slots__ = ("context", "entry", "landed", "owner", "running", "steps", "told")

    def __init__(self, owner: H, since: float) -> None:
        super().__init__(since)
        self.owner = owner
        #: The number of its place among those that end.
        self.entry = 0
        #: It was told that nobody wants it any more.
        self.told = False
        #: What its steps set stays theirs.
        self.context = copy_context()
        self.steps: Steps[Any]
        #: None while no coroutine of it has begun.
        self.running: Running | None = None
        #: Its steps have ended.
        self.landed = False

    @property
    def ended(self) -> bool:
        # Read once: the OS thread of control may be about to go on with it.
        running = self.running
        return self.landed or (running is not None and running.future.done())


class Ends:
    """Calls by the time at which each has to have ended: the first is found without a look at all of them."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Flight[Any]]] = []
        self._count = 0

    def add(self, flight: Flight[Any]) -> None:
        """A call begins, or has to end sooner than it had to."""
        self._count += 1
        flight.entry = self._count
        heappush(self._heap, (flight.ends, flight.entry, flight))

    def first(self) -> Flight[Any] | None:
        """The one whose time is over first, of those that have not ended."""
        while self._heap:
            ends, entry, flight = self._heap[0]
            runs = entry == flight.entry and not flight.ended
            if runs and ends == flight.ends:
                return flight
            heappop(self._heap)
            if runs:
                # It has shown progress since.
                self.add(flight)
        return None
