"""What a driver works with in one process: the ledger, the broker, the graphs, its slot, and its clocks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distgraph.cluster.hints import Dispatcher
from distgraph.cluster.registry import Registry, Served
from distgraph.cluster.shelves import Shelf, shelf_of
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.contract.fleet import Fleet
from distgraph.ledger.contract.items import Items, Kept
from distgraph.ledger.contract.lines import NestedLines
from distgraph.ledger.replies import Address
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.identity import checkpoint_id, next_version, ticks_of

#: A driver works this long for one hint, then goes to the end of the queue. Seconds.
QUANTUM = 0.5
#: A leased entry is looked at again after this. Milliseconds.
LEASE_CHECK_MS = 1000
#: A hint that was just published is given this long before a sweep repeats it. Milliseconds.
HINT_GRACE_MS = 1000
#: About so many hints of a batch wait for each slot: more would only stand in the way of other work.
HINTS_A_SLOT = 2
#: Crashes of one task, alone or named, that make it poison.
CRASHES_ALLOWED = 3
#: So long records of effects are kept of a run or batch item that is done, unless the worker is told otherwise. Seconds.
EFFECTS_SECONDS = 3600
#: Why a slot died that nobody saw dying: its worker went with it, so whatever it held may have done it.
TREE_DIED = "its whole worker died"
#: The end of why one died in which several nodes of a run waited beside each other.
BESIDE_OTHERS = ", while several nodes of the run waited"


def _nobody(_: str, __: float | None = None) -> None:
    """A slot nobody watches: in tests, and in a process that runs one task at a time for itself."""


@dataclass(slots=True)
class Workplace:
    """One slot's view of its surroundings. Everything a driver does to the world goes through here.

    Attributes:
        slot: this slot's name: worker boot nonce, then the process (and OS thread) that works.
        watch: tells whoever watches the slot what runs there and by when it must have ended (seconds from now; None:
            no limit), so that a crash has a culprit and a node that hangs can be stopped.
        renew: what runs makes progress and has so many seconds from now.
        cancelled: whether what runs was told that nobody wants it any more.
        alone: run what comes while no other slot of this worker runs a node (False: another slot does so), or stop.
        steps_aside: whether another slot of this worker is to run alone: nothing is to begin beside what runs here.
        tidy: undo what the node that has ended may not leave to the next one.
        full: the server is so full that no new items of batches are to be taken.
        take_over: before a delivery, see that the process is as the first delivery found it.
        hand_over: undo what a delivery's nodes did to their process.
        effects_ms: how long records of effects are kept of a run or batch item that is done, for one who was taken for
            dead while he did it, and comes back.
        draining: whether to hand work back instead of going on.
        idle: how many slots of the fleet wait for work, as far as this process knows.
        slots: how many slots the fleet has.
        threads: how many tasks that a node calls may run beside it, in OS threads of their own.
        at_run: whether a slot lives and is at a run, as far as beats tell; None: nobody can say, and no task of a node
            is shared.
        overlap: how many async nodes of this slot may wait at the same time.
        served: whether a worker that lives serves a graph (name and fingerprint), as far as this process knows.
    """

    runs: RunLedger
    batches: BatchLedger
    items: Items
    kept: Kept
    lines: NestedLines
    fleet: Fleet
    registry: Registry
    dispatcher: Dispatcher
    slot: str
    watch: Callable[[str, float | None], None] = _nobody
    renew: Callable[[str, float], None] = _nobody
    cancelled: Callable[[], bool] = lambda: False
    alone: Callable[[bool], bool] = lambda wanted: wanted
    steps_aside: Callable[[], bool] = lambda: False
    tidy: Callable[[], None] = lambda: None
    full: Callable[[], bool] = lambda: False
    take_over: Callable[[], None] = lambda: None
    hand_over: Callable[[], None] = lambda: None
    draining: Callable[[], bool] = lambda: False
    effects_ms: int = EFFECTS_SECONDS * 1000
    idle: Callable[[], int] = lambda: 1
    slots: Callable[[], int] = lambda: 1
    threads: int = 0
    at_run: Callable[[str, str], bool] | None = None
    overlap: int = 100
    served: Callable[[str, str], bool] = lambda graph, fingerprint: True
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    noise: Callable[[int], int] = random.Random().getrandbits
    #: Seconds an item of a batch took lately, by batch; decides how many are taken at a time.
    pace: dict[str, float] = field(default_factory=dict)
    #: Items of batches that this delivery made runs of their own: their leases are this slot's.
    promoted: list[Address] = field(default_factory=list)
    #: Nodes that did nothing but fail when this slot last had to do with them, as the fleet names them.
    failing: set[str] = field(default_factory=set)
    #: The run and head that was worked on last: the tasks of a wide superstep mostly come one after another.
    recent: tuple[tuple[str, str, int], Any] | None = None
    shelves: dict[tuple[str, str], Shelf] = field(default_factory=dict)

    def shelf(self, served: Served) -> Shelf:
        """The store and the cache of a graph's nodes, made when they are first asked for."""
        key = (served.name, served.fingerprint)
        found = self.shelves.get(key)
        if found is None:
            found = self.shelves[key] = shelf_of(served.graph, self.items, self.kept, served.codec, self.lines)
        return found

    def new_checkpoint_id(self, parent: str) -> str:
        """An id above ``parent``'s, at about now."""
        ticks = max(ticks_of(parent) + 1 if parent else 0, int(self.now() * 1_000_000))
        return checkpoint_id(ticks, self.noise(64))

    def bump(self, last: str | None) -> str:
        """The next version along a line."""
        return next_version(last, self.noise(32))

    def nonce(self) -> bytes:
        """16 bytes that name one attempt."""
        return b"%016x" % self.noise(64)
