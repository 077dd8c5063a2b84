"""Slots of an in-process cluster: they work, and they die or stall where they are told to.

A *point* is a place where a process can die and be noticed: before and after every call of the ledger, before hints
are published, before a node is called. A dead process does nothing more: every later call it tries ends it again, so
whatever a driver catches on its way out reaches nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from distgraph.cluster.hints import BatchHint, Hint
from distgraph.cluster.liveness import BESIDE, LONGEST, Called
from distgraph.cluster.registry import Registry
from distgraph.cluster.wanted import wanted
from distgraph.cluster.workplace import Workplace
from distgraph.testing.broker import Broker

_WORKING: ContextVar[Slot] = ContextVar("distgraph-testing-slot")
#: Calls that only make a call, for ``settle`` to perform.
_PREPARE = ("settle_call", "commit_call", "keys")


class SlotDied(BaseException):
    """The process of a slot ends here."""


def die() -> None:
    """What a node calls to take its process along, as ``os._exit`` does on a worker.

    Raises:
        RuntimeError: this is no slot of an in-process cluster.
    """
    slot = working()
    if slot is None:
        raise RuntimeError("die() ends a slot of an InProcessCluster; this code runs outside of one.")
    slot.die()


def working() -> Slot | None:
    """The slot whose node or driver calls; None outside of an in-process cluster."""
    return _WORKING.get(None)


class Guarded:
    """A part of the ledger as one slot reaches it: every call is performed by the slot."""

    def __init__(self, target: Any, slot: Slot, name: str) -> None:
        self._target, self._slot, self._name = target, slot, name

    def __getattr__(self, operation: str) -> Any:
        found = getattr(self._target, operation)
        if operation not in _PREPARE:
            found = self._slot.guarded(f"{self._name}.{operation}", found)
        # The next call finds it without coming here.
        self.__dict__[operation] = found
        return found


class GuardedBroker:
    """The broker as one slot reaches it."""

    def __init__(self, broker: Broker, slot: Slot) -> None:
        self._broker, self._slot = broker, slot

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints, one point before each: a process may die with some of them sent."""
        for hint in hints:
            self._slot.point("before publish")
            self._broker.publish([hint], first=first)

    def reachable(self) -> bool:
        """Whether hints arrive now."""
        return self._broker.reachable()

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait."""
        return self._broker.waiting(queue)

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What they are for."""
        return self._broker.expected(queue)


class Slot:
    """One place where a task can run: a worker with one process.

    Attributes:
        boot: names the worker; a new one after the whole worker died.
        pid: counts its processes.
        dead: the process has died; what it still tries does not happen.
        late: it was stopped because its node was over its time limit.
        frozen: it makes no step, and its worker does not beat.
        draining: it hands its work back and takes no more.
        what: what the slot's row says: what runs here.
        buried: slots of this worker that died, by name.
    """

    def __init__(self, number: int, registry: Registry, at_point: Callable[[Slot, str], None]) -> None:
        self.number, self.registry, self._at_point = number, registry, at_point
        self.boot, self.pid = f"w{number}", 1
        self.dead = self.frozen = self.draining = self.busy = self.late = False
        self.what = ""
        self.hint = ""
        self.buried: list[str] = []
        self.on_call: Callable[[str, Any], None] = lambda operation, answer: None
        self.place: Workplace

    def __repr__(self) -> str:
        return f"Slot({self.name!r})"

    @property
    def name(self) -> str:
        """The slot as leases name it."""
        return f"{self.boot}:{self.pid}.0"

    def guarded(self, label: str, found: Callable[..., Any]) -> Callable[..., Any]:
        """A call of the ledger (``found``, called ``label``: "<part>.<operation>"), with a point before and after it."""
        before, after, operation = f"before {label}", f"after {label}", label.partition(".")[2]

        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.point(before)
            answer = found(*args, **kwargs)
            self.on_call(operation, answer)
            self.point(after)
            return answer

        return guarded

    def point(self, label: str) -> None:
        """Pass a point.

        Raises:
            SlotDied: the process is dead, or dies here.
        """
        if self.dead:
            raise SlotDied(self.name)
        self._at_point(self, label)

    def die(self) -> None:
        """End the process.

        Raises:
            SlotDied: always.
        """
        self.dead = True
        raise SlotDied(self.name)

    def watch(self, what: str, seconds: float | None) -> None:
        """What ``Workplace.watch`` calls: a node begins, or has ended ('')."""
        if self.dead:
            # What its row said last is what it died of.
            return
        self.what = what or self.hint
        if what:
            kind = "nodes" if what.startswith(BESIDE) else "node"
            self.point(f"{kind} {what.partition(LONGEST)[0].rpartition(chr(10))[2]}")

    def overrun(self) -> None:
        """The node that runs exceeds its time limit: the watcher notes it and ends the process.

        Raises:
            SlotDied: always.
        """
        self.late = True
        self.die()

    def renew(self, what: str, seconds: float) -> None:
        """What ``Workplace.renew`` calls: a node makes progress."""
        if not self.dead:
            self.what = what

    def cancelled(self) -> bool:
        """What ``Workplace.cancelled`` calls. Nobody watches in between: a node that asks is told what is so."""
        called = Called.of(self.what)
        return called is not None and not wanted(self.place.runs, self.place.batches, called)

    def work(self, driver: Callable[[Workplace, Any], None], hint: Hint) -> None:
        """Work for one hint, to its end or to the end of this process."""
        self.busy = True
        self.hint = f"b:{hint[0]}" if isinstance(hint, BatchHint) else f"h:{hint[0]}\n{hint[1]}"
        self.what = self.hint
        token = _WORKING.set(self)
        try:
            driver(self.place, hint)
        except SlotDied:
            # Of another slot's process: that a node of this one was waiting for. That is no death of ours.
            if not self.dead:
                raise
        finally:
            _WORKING.reset(token)
            self.busy = False
