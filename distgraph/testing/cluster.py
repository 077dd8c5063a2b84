"""A cluster in one process, step by step: one hint, one sweep, one death at a time."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from distgraph.cluster.batch import Batch
from distgraph.cluster.client import Cluster
from distgraph.cluster.deliver import deliver
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import Hint, queue_name
from distgraph.cluster.liveness import TTL_MS, work_of
from distgraph.cluster.recover import Sweeper
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.errors import ServerUnreachableError, StoreError, WaitTimeoutError
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.memory.runs import MemoryRuns
from distgraph.ledger.replies import Address
from distgraph.testing.broker import Broker, Faults
from distgraph.testing.clock import Clock
from distgraph.testing.slots import Guarded, GuardedBroker, Slot, SlotDied
from distgraph.types import Placement

log = logging.getLogger(__name__)

#: Calls of the ledger after which there is something new.
_WORK = frozenset({"commit", "settle", "offer", "retry_task", "sleep_task", "reclaim", "give_back", "take"})
#: A cluster that did none of these for so long has come to its end. Milliseconds; longer than any patience of the sweep.
_QUIET_MS = 90_000
#: The shortest time between two looks at the ledger. Milliseconds.
_LOOK_MS = 20


@dataclass(slots=True)
class _Plan:
    """What happens at the ``nth`` point from now whose label begins with ``point``."""

    point: str
    nth: int
    slot: int | None
    act: Callable[[Slot], None]
    #: Only points at which the server is asked: there is no other way to it that could fail.
    calls: bool


class _WaitingRuns(MemoryRuns):
    """Runs as a client reads them: where it would wait at the server, the cluster works."""

    work: Callable[[], None]

    def log(
        self, address: Address, after: str, *, most: int = 500, block_ms: int | None = None
    ) -> list[tuple[str, bytes]]:
        found = super().log(address, after, most=most)
        if found or block_ms is None:
            return found
        self.work()
        return super().log(address, after, most=most)


class InProcessCluster(Cluster):
    """A cluster whose workers are slots of this process. Nothing happens in it unless somebody asks.

    Whoever waits - ``run.result()``, ``batch.wait()``, ``bind(graph).invoke(...)`` - makes it work; ``step``,
    ``run_until_idle``, ``sweep`` and ``advance_clock`` do so one thing at a time. Threads' states are not read here
    (``get_state``): a bound graph has no saver.

    Args:
        graphs: compiled graphs with names; every slot serves all of them.
        slots: workers of one process each.
        seed: decides all that is left to chance.
        faults: what may happen to hints; none by default.
        partitions: of the ledger.
        secret: signs stored values.

    Attributes:
        clock: the time of ledger, workers and clients.
        broker: the hints on their way.
        slots: the workers.
        deaths: how many processes died so far.
    """

    def __init__(
        self,
        graphs: Iterable[Any],
        *,
        slots: int = 2,
        seed: int = 0,
        faults: Faults | None = None,
        partitions: int = 2,
        secret: bytes | None = None,
    ) -> None:
        self.random, self.clock = Random(seed), Clock()
        self.broker = Broker(self.clock, self.random, faults)
        self.memory = MemoryLedger(Keys("in-process", partitions), self.clock.ms)
        waiting = _WaitingRuns(self.memory.state)
        waiting.work = self._work_or_give_up
        self.memory.runs = waiting
        super().__init__(cast(Any, self.memory), cast(Any, self.broker), persistence="memory", secret=secret)
        self.memory.fleet.join()
        self.registry = Registry(secret=secret)
        for graph in graphs:
            self.registry.add(graph)
            self._graphs[graph.name] = graph
        self.deaths = self._submitted = self._generation = 0
        self._plans: list[_Plan] = []
        self._quiet_since = self.clock.ms()
        self._falling: list[tuple[Slot, str, str, bool]] = []
        self.slots: list[Slot] = []
        self._beats = itertools.count()
        for _ in range(slots):
            self.add_slot()
        self._watch = self._new_watch()

    # ------------------------------------------------------------- slots

    def add_slot(self, graphs: Iterable[Any] | None = None) -> Slot:
        """Start one more worker, of all graphs or of these alone."""
        registry = self.registry
        if graphs is not None:
            registry = Registry(secret=self._secret)
            for graph in graphs:
                registry.add(graph)
        slot = Slot(len(self.slots), registry, self._at_point)
        slot.boot += self._generation * "+"
        self.slots.append(slot)
        self._start(slot)
        self.memory.fleet.serve(registry.about())
        self._beat()
        return slot

    def deploy(self, *graphs: Any, versions: str = "compatible") -> None:
        """All workers end in an orderly way, and as many begin that serve these graphs.

        Args:
            graphs: compiled graphs with names: other versions, maybe, of those that were served.
            versions: what the new workers take over: "pin", "compatible" or "force".
        """
        old, self.slots = self.slots, []
        for slot in old:
            self.memory.fleet.leave(slot.boot)
        self.registry = Registry(secret=self._secret, versions=versions)
        for graph in graphs:
            self.registry.add(graph)
            self._graphs[graph.name] = graph
        self._generation += 1
        for _ in old:
            self.add_slot()
        self._watch = self._new_watch()
        self._quiet_since = self.clock.ms()

    def _start(self, slot: Slot) -> None:
        """A new process works in this slot."""
        slot.dead = slot.late = False
        slot.what = ""
        slot.on_call = self._called
        slot.place = Workplace(
            runs=cast(Any, Guarded(self.memory.runs, slot, "runs")),
            batches=cast(Any, Guarded(self.memory.batches, slot, "batches")),
            items=cast(Any, Guarded(self.memory.items, slot, "items")),
            kept=cast(Any, Guarded(self.memory.kept, slot, "kept")),
            lines=cast(Any, Guarded(self.memory.lines, slot, "lines")),
            fleet=cast(Any, Guarded(self.memory.fleet, slot, "fleet")),
            registry=slot.registry,
            dispatcher=GuardedBroker(self.broker, slot),
            slot=slot.name,
            watch=slot.watch,
            renew=slot.renew,
            cancelled=slot.cancelled,
            draining=lambda: slot.draining,
            idle=lambda: len(self._idle()),
            slots=lambda: len(self.slots),
            monotonic=self.clock.seconds,
            now=self.clock.seconds,
            noise=self.random.getrandbits,
        )

    def _new_watch(self) -> tuple[Slot, Sweeper]:
        """A watcher: sweeps for all workers, and may die like any of them."""
        slot = Slot(-1, self.registry, self._at_point)
        slot.on_call = self._called
        return slot, Sweeper(
            cast(Any, Guarded(self.memory.runs, slot, "runs")),
            cast(Any, Guarded(self.memory.batches, slot, "batches")),
            cast(Any, self.memory.fleet),
            cast(Any, Guarded(self.memory.lines, slot, "lines")),
            self.registry,
            GuardedBroker(self.broker, slot),
            self.clock.seconds,
        )

    def _idle(self) -> list[Slot]:
        return [slot for slot in self.slots if not (slot.busy or slot.dead or slot.frozen or slot.draining)]

    def drain(self, slot: Slot) -> None:
        """Tell a worker to hand its work back and take no more."""
        slot.draining = True

    def crash(self, slot: Slot, *, tree: bool = False) -> None:
        """End the process of a slot that works just now (from within a node, or while it stalls), or idles.

        Args:
            slot: the slot.
            tree: the whole worker dies: nobody tells of the death, its beats end.
        """
        slot.dead = True
        slot.frozen = tree
        if not slot.busy:
            self._bury(slot)

    def crash_at(self, point: str = "", nth: int = 1, *, slot: Slot | None = None, tree: bool = False) -> None:
        """Let a process die at a point to come.

        Args:
            point: how the point's label begins: "before runs.commit", "after batches.take", "before publish",
                "node <name>", "nodes <name>" of one that waits beside others; '' for any.
            nth: the how manieth such point from now, from 1.
            slot: of this slot; None: of any, the watcher that sweeps included.
            tree: as ``crash``.
        """

        def act(dying: Slot) -> None:
            dying.frozen = tree
            dying.die()

        self._plan(point, nth, slot, act)

    def overrun_at(self, point: str = "node", nth: int = 1, *, slot: Slot | None = None) -> None:
        """Let a node exceed its time limit at a point to come (see ``crash_at``): its process is ended for that."""
        self._plan(point, nth, slot, Slot.overrun)

    def stall_at(self, point: str = "", nth: int = 1, *, steps: int = 20, slot: Slot | None = None) -> None:
        """Let a worker stand still at a point to come (see ``crash_at``) while ``steps`` other things happen.

        It does not beat meanwhile: if that takes long it is believed dead, and goes on as one that came back.
        """

        def act(stalling: Slot) -> None:
            stalling.frozen = True
            for _ in range(steps):
                if not self.turn():
                    break
            stalling.frozen = False

        self._plan(point, nth, slot, act)

    def fail_at(self, point: str = "", nth: int = 1, *, slot: Slot | None = None) -> None:
        """Let the server be out of reach at a point to come (see ``crash_at``): after a call, its reply is lost."""

        def act(_: Slot) -> None:
            lost = ServerUnreachableError("The server cannot be reached: this test says so.")
            lost.of_ledger = True
            raise lost

        self._plan(point, nth, slot, act, calls=True)

    def _plan(
        self, point: str, nth: int, slot: Slot | None, act: Callable[[Slot], None], *, calls: bool = False
    ) -> None:
        self._plans.append(_Plan(point, nth, slot.number if slot is not None else None, act, calls))

    def _at_point(self, slot: Slot, label: str) -> None:
        if label.startswith("node") and self.broker.faults.node_ms:
            self.clock.advance(self.random.random() * self.broker.faults.node_ms)
        for plan in [*self._plans]:
            if plan.calls and label.startswith("node"):
                continue
            if label.startswith(plan.point) and plan.slot in (None, slot.number) and plan in self._plans:
                plan.nth -= 1
                if plan.nth <= 0:
                    self._plans.remove(plan)
                    plan.act(slot)

    def _called(self, operation: str, answer: Any) -> None:
        if operation in _WORK and answer is not None:
            self._quiet_since = self.clock.ms()

    def _bury(self, slot: Slot) -> None:
        """A process has died. Its worker notices with the next sweep; of a worker, others notice that it does not beat."""
        self.deaths += 1
        if slot.frozen:
            slot.boot = f"w{slot.number}.{self.deaths}"
            slot.frozen = False
            slot.buried = []
        else:
            self._falling.append((slot, slot.name, slot.what, slot.late))
            slot.pid += 1
        self._start(slot)

    # ------------------------------------------------------------- what happens

    def step(self) -> bool:
        """Deliver one hint to an idle slot, which works for it to its end. False: none has arrived, or nobody is idle."""
        idle = self._idle()
        hint = self.broker.take() if idle else None
        if hint is None:
            return False
        self._deliver(self.random.choice(idle), hint)
        return True

    def _deliver(self, slot: Slot, hint: Hint) -> None:
        slot.work(lambda place, given: deliver(place, given, lambda: None), hint)
        if slot.dead:
            self._bury(slot)

    def sweep(self) -> float:
        """Notice deaths, beat, and look once at all that is overdue; seconds until something is due next."""
        self._beat()
        if self._watch[0].busy:
            # That one stands still: another worker's watcher sweeps.
            self._watch = self._new_watch()
        slot, sweeper = self._watch
        slot.busy = True
        try:
            self._notice(sweeper)
            return sweeper.sweep()
        except SlotDied:
            if not slot.dead:
                raise
            self._watch = self._new_watch()
        except StoreError as exc:
            log.warning("a sweep is put off: %s", exc)
            sweeper.distrust()
        finally:
            slot.busy = False
        return 1.0

    def _notice(self, sweeper: Sweeper) -> None:
        """Name the dead in beats, and free what they held; should this watcher die first, a sweep does."""
        while self._falling:
            slot, name, what, late = self._falling.pop(0)
            slot.buried.append(name)
            stopped = late and sweeper.note_late(what)
            if what:
                sweeper.bury(name, what, crashed=not stopped)
        self._beat()

    def _beat(self) -> None:
        for slot in self.slots:
            if not slot.frozen:
                self.memory.fleet.beat(slot.boot, self._beat_of(slot), ttl_ms=TTL_MS)

    def _beat_of(self, slot: Slot) -> dict[str, Any]:
        return {
            "name": f"worker-{slot.number}",
            "host": "in-process",
            "pid": slot.pid,
            "pool": "in-process",
            "concurrency": 1,
            "graphs": slot.registry.names(),
            "queues": [queue_name(self.namespace)],
            "boot": slot.boot,
            "slots": [slot.name],
            "works": {slot.name: work_of(slot.what)} if slot.busy else {},
            "beat": next(self._beats),
            "dead": slot.buried,
            "busy": int(slot.busy),
            "idle": int(not slot.busy and not slot.draining),
        }

    def advance_clock(self, ms: float) -> None:
        """Let time pass. Workers beat; nothing else happens until somebody sweeps."""
        self.clock.advance(ms)
        self._beat()

    def turn(self) -> bool:
        """The next thing happens: a hint arrives, or time passes until the ledger must be looked at.

        Returns:
            Whether there was anything left to happen.
        """
        if self.step():
            return True
        soonest = self._next_ms()
        if soonest is None:
            return False
        self.advance_clock(max(_LOOK_MS, soonest - self.clock.ms()))
        self.sweep()
        return True

    def _next_ms(self) -> int | None:
        """When something may happen next; None: never."""
        due = [(ms, entry) for table in self.memory.state.due.values() for entry, ms in table.items()]
        times = [ms for ms, _ in due]
        arrival = self.broker.next_ms()
        if arrival is not None:
            times.append(arrival)
        if self._falling:
            times.append(self.clock.ms())
        waits = (
            arrival is not None
            or self._falling
            or any(entry.startswith("t:") for _, entry in due)
            or any(self.memory.state.naps.values())
        )
        if not times or (not waits and self.clock.ms() - self._quiet_since > _QUIET_MS):
            return None
        return min(times)

    def run_until_idle(self, most: int = 100_000) -> int:
        """Go on until nothing is left to happen: everything is at rest, or waits for somebody outside.

        Returns:
            How many things happened.

        Raises:
            WaitTimeoutError: more than ``most`` did, and there is no end.
        """
        self._quiet_since = self.clock.ms()
        for count in range(most):
            if not self.turn():
                return count
        raise WaitTimeoutError(
            f"The cluster is not idle after {most} steps; these hints wait: {self.broker.hints()[:5]}."
        )

    # ------------------------------------------------------------- the client

    def submit(
        self, graph: Any, input: Any, config: Any = None, *, placement: Placement = "auto", **more: Any
    ) -> RunHandle:
        """``bind(graph).submit(...)``; runs without an id are called run-1, run-2, so that every time is like the first."""
        self._submitted += 1
        more.setdefault("run_id", f"run-{self._submitted}")
        found: RunHandle = self.bind(graph, placement=placement).submit(input, config, **more)
        return found

    def submit_batch(self, graph: Any, items: Iterable[Any], *, placement: Placement = "auto", **more: Any) -> Batch:
        """``bind(graph).submit_batch(...)``; batches without an id are called batch-1, batch-2."""
        self._submitted += 1
        more.setdefault("batch_id", f"batch-{self._submitted}")
        found: Batch = self.bind(graph, placement=placement).submit_batch(items, **more)
        return found

    def pause(self, seconds: float) -> None:
        """Somebody waits: the cluster works."""
        self._work_or_give_up()

    def _work_or_give_up(self) -> None:
        if not self.turn():
            raise WaitTimeoutError(
                "Nothing is left to happen in this cluster, and what is waited for has not come: an answer is missing, "
                "the batch is paused, or every slot drains."
            )

    def saver(self, codec: Any) -> None:
        """None: states of threads are not read from here."""

    def now_ms(self) -> int:
        """The cluster's clock."""
        return self.clock.ms()
