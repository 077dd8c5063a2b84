"""The sweep: what is overdue is looked at, freed from the dead, and hinted again. Every worker sweeps; none is special.

A sweep only ever repeats hints and frees what a dead slot holds. It decides nothing about results, so two sweeps at
once, or one that is wrong about a death, cost work and nothing else.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distgraph.cluster.aging import Ager
from distgraph.cluster.collect import Collector
from distgraph.cluster.hints import MOST_EXPECTED, Dispatcher, Hint, NodeHint, RunHint, path_from
from distgraph.cluster.limits import GRACE_MS, late_field, queue_to_end
from distgraph.cluster.liveness import Called
from distgraph.cluster.overload import FULL
from distgraph.cluster.reclaim import Reclaimer
from distgraph.cluster.registry import Registry
from distgraph.cluster.suspects import Suspects
from distgraph.cluster.wanted import wanted
from distgraph.cluster.workplace import HINT_GRACE_MS, TREE_DIED
from distgraph.errors import LedgerCorruptError, ServerAuthError, ServerSettingError, StoreError
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.contract.lines import NestedLines
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.keys import CHUNK, item_id
from distgraph.ledger.replies import Address, Due
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.lifecycle import AT_REST

log = logging.getLogger(__name__)

#: Entries one sweep looks at in one partition.
MOST = 200
#: Entries of a partition that are looked at before their time when a worker has stopped beating.
SEIZED = 50
#: A swept entry comes back after this. Milliseconds.
PUSH_MS = 1000
#: While the queue is long, a run is hinted again only when its last hint is this old. Milliseconds.
STALE_MS = 30_000
#: A worker whose beat has not changed for so long has missed one or two. Seconds.
OVERDUE = 1.2
#: How long a death that was seen is remembered, so that all it held is freed. Seconds.
GONE_SECONDS = 60.0
#: A hint that is this old, and is not to be seen in a short queue, is lost. Milliseconds.
LOST_MS = 2000
#: How long deaths are not believed after an outage of the server, or of one's own beat: one time to live. Seconds.
DISTRUST = 2.5
#: So long it is believed who beats and who does not: half a beat's life. Seconds.
FRESH = 1.0


class Sweeper(Reclaimer):
    """Looks at what is overdue in a namespace."""

    def __init__(
        self,
        runs: RunLedger,
        batches: BatchLedger,
        fleet: FleetLedger,
        lines: NestedLines,
        registry: Registry,
        dispatcher: Dispatcher,
        monotonic: Callable[[], float],
        died: Callable[[Mapping[str, Any]], bool] = lambda record: False,
    ) -> None:
        """``died``: whether a worker, by its beat, is certainly gone, though its beat still stands."""
        super().__init__(runs, batches, registry, dispatcher)
        self.fleet, self.monotonic, self.died = fleet, monotonic, died
        self._server = ""
        self._trusted_from = 0.0
        #: When the beats were looked at.
        self._seen = 0.0
        self._live: set[str] = set()
        #: Worker -> its latest beat, and since when that is known.
        self._beats: dict[str, tuple[Any, float]] = {}
        #: Workers whose death was seen, since when.
        self._gone: dict[str, float] = {}
        self._fallen: set[str] = set()
        self._suspects = Suspects()
        self._collector = Collector(runs, batches, monotonic)
        self._ager = Ager(lines, runs, registry, monotonic)
        #: Task -> which retry of it this process hinted last, and when: one that still waits in its queue is not hinted again.
        self._sent: dict[str, tuple[int, float]] = {}
        #: What the workers that live serve: (graph, fingerprint); since when, in ms of the server's clock (0: always).
        self._served: set[tuple[str, str]] = set()
        self._since: dict[tuple[str, str], int] = {}
        self._now_ms = 0
        #: What the hints that wait are for, once this sweep has looked.
        self._expected: frozenset[str] | None = None
        #: Batches of which no hint waits though others' do, since when.
        self._missed: dict[str, float] = {}
        self._idle = 0
        self._slots = 0
        #: The server is so full that no new items of batches are to be taken.
        self.full = False
        self._waiting = 0
        #: Whether hints arrive. Where they do not, nothing counts as hinted, and all of it is when they do again.
        self._heard = True

    def distrust(self) -> None:
        """An outage was seen: for one time to live, a missing beat proves no death."""
        self._trusted_from = self.monotonic() + DISTRUST

    @property
    def slots(self) -> int:
        """Slots of the fleet, as of the last sweep."""
        return self._slots

    @property
    def served(self) -> set[tuple[str, str]]:
        """(graph, fingerprint) of all that the fleet serves, as of the last sweep."""
        return self._served

    @property
    def idle(self) -> int:
        """Slots of the fleet that wait for work, as of the last sweep."""
        return self._idle

    def wanted(self, what: str) -> bool:
        """Whether what a slot's row says it runs can still be committed."""
        called = Called.of(what)
        return called is None or wanted(self.runs, self.batches, called)

    def sweep(self) -> float:
        """Look once at every partition; returns the seconds until something is due next (at most 1)."""
        self._introduce()
        before = self._live
        self._look_around()
        if before - self._live:
            self._seize()
        soonest = 1.0
        for partition in range(self.runs.keys.partitions):
            swept = self.runs.sweep(partition, most=MOST, push_ms=PUSH_MS)
            again = self._suspects.among(partition)
            for due in dict.fromkeys([*swept.due, *again]):
                self._handle_safely(partition, due, swept.now_ms)
            if swept.next_ms >= 0:
                soonest = min(soonest, swept.next_ms / 1000)
        self._now_ms = swept.now_ms
        self._collector.collect(swept.now_ms)
        self._ager.look()
        # Somebody has missed beats: the moment in which the last one lapses is not to be missed.
        overdue = any(self.monotonic() - since > OVERDUE for _, since in self._beats.values())
        return max(0.02, min(soonest, 0.15) if overdue else soonest)

    def _introduce(self) -> None:
        """Say again what is served here, should the server have lost it with all else: what comes next is to be taken."""
        name, fingerprint = next(iter(self.registry.names().items()), ("", ""))
        if name and not self.fleet.is_served(name, fingerprint):
            self.fleet.join()
            self.fleet.serve(self.registry.about())

    def _look_around(self) -> None:
        used, limit = self.fleet.memory()
        self.full = bool(limit) and used >= FULL * limit
        server, seconds = self.fleet.server()
        # Whoever has just come does not know the server from before: it may have been out of reach until a moment ago.
        if server != self._server:
            if self._server or seconds < DISTRUST:
                self.distrust()
            self._renew_file(server)
        self._server = server
        workers = self._those_who_live()
        self._live = set(workers)
        self._served = {graph for record in workers.values() for graph in record["graphs"].items()}
        # Others may not know of a version yet that has just come, and drop its hints for a moment.
        come = self._now_ms + HINT_GRACE_MS if self._now_ms else 0
        self._since = {graph: self._since.get(graph, come) for graph in self._served}
        self._fallen = {slot for record in workers.values() for slot in record["dead"]}
        self._suspects.listen(workers)
        self._slots = sum(record["concurrency"] for record in workers.values())
        self._waiting, self._expected = self.dispatcher.waiting(), None
        self._heard = self.dispatcher.reachable()
        # A slot for which a hint waits already is not idle: what is offered to it would only wait behind that hint.
        self._idle = max(0, sum(record["idle"] for record in workers.values()) - self._waiting)
        horizon = self.monotonic() - STALE_MS / 1000
        self._sent = {task: sent for task, sent in self._sent.items() if sent[1] > horizon}

    def _renew_file(self, server: str) -> None:
        try:
            self.fleet.renew_file(server)
        except (ServerAuthError, ServerSettingError) as exc:
            log.warning(
                "the server has started, and may not be told to write its append-only file anew (%s). If it lost power, "
                "have that done by hand, with BGREWRITEAOF, before it loses power again.",
                exc,
            )

    def _those_who_live(self) -> dict[str, dict[str, Any]]:
        """The workers whose beats stand, but for those whose death can be seen from here: they are told to all."""
        now = self.monotonic()
        self._seen = self.monotonic()
        workers = self.fleet.workers()
        self._gone = {boot: since for boot, since in self._gone.items() if now - since < GONE_SECONDS}
        for boot in [boot for boot, record in workers.items() if self.died(record)]:
            log.warning("worker %s is gone, and did not say goodbye", workers.pop(boot)["name"])
            self._gone[boot] = now
            self.fleet.leave(boot)
        known = self._beats
        self._beats = {}
        for boot, record in workers.items():
            beat, since = known.get(boot, (None, now))
            self._beats[boot] = (record["beat"], since if beat == record["beat"] else now)
        return workers

    def _seize(self) -> None:
        """Some workers have just stopped beating: free what they hold, though it may not be its turn in the due index."""
        for partition in range(self.runs.keys.partitions):
            for due in self.runs.coming(partition, most=SEIZED):
                if due.kind == "slice":
                    self._slice(partition, due)
                elif due.kind == "run":
                    lease, plan, thread = self.runs.peek(partition, due.name, ("lease", "plan", "thread"))
                    address = Address(due.name, thread)
                    offered = plan not in ("", "0") and not lease
                    for slot in sorted(set(self.runs.claims(address).values())) if offered else [lease]:
                        if slot and self.dead(slot):
                            self._take_over(address, slot)

    def dead(self, slot: str) -> bool:
        """Whether ``slot`` is known to be dead: its worker says so, or does not beat any more and that can be trusted."""
        boot = slot.partition(":")[0]
        if slot in self._fallen or boot in self._gone:
            return True
        # Whoever stood still since it looked has not seen who came meanwhile.
        fresh = self._trusted_from <= self.monotonic() < self._seen + FRESH
        return fresh and boot not in self._live

    def _handle_safely(self, partition: int, due: Due, now_ms: int) -> None:
        """What is damaged is said, and holds up nothing else."""
        try:
            self._handle(partition, due, now_ms)
        except StoreError as exc:
            if not isinstance(exc, LedgerCorruptError):
                raise
            log.warning("%s %r cannot be looked after: %s", due.kind, due.name, exc)
        except (ValueError, LookupError) as exc:
            log.warning("%s %r cannot be looked after: %r", due.kind, due.name, exc)

    def _handle(self, partition: int, due: Due, now_ms: int) -> None:
        self._suspects.begin(partition, due)
        if due.kind == "run":
            self._run(partition, due, now_ms)
        elif due.kind == "task":
            self._task(partition, due.name, due.part)
        elif due.kind == "slice":
            self._slice(partition, due)
        else:
            self._batch(partition, due.name)

    # ------------------------------------------------------------------ runs

    def _run(self, partition: int, due: Due, now_ms: int) -> None:
        run_id = due.name
        fields = ("status", "lease", "plan", "hinted", "wake", "thread", "graph", "fp", "late", "ends", "step_ends")
        found = self.runs.peek(partition, run_id, fields)
        status, lease, plan, hinted, wake, thread, graph, fingerprint, late, *ends = found
        if not status or status in AT_REST:
            self.runs.forget_due(partition, f"r:{run_id}")
            return
        address = Address(run_id, thread)
        hint = RunHint(run_id, thread, graph, fingerprint, again=plan not in ("", "0"))
        if not late and self._is_late(address, lease, now_ms, *ends):
            self.publish([hint._replace(again=False)])
            return
        if lease:
            if self.dead(lease):
                self._take_over(address, lease)
            elif self._suspects.proven(partition, due, lease, run_id):
                self.reclaim(address, lease, crashed=False)
            return
        if hint.again and self._free_tasks(partition, due, address):
            return
        if (graph, fingerprint) not in self._served:
            self._adopt(address, graph, fingerprint)
            return
        if self._heard and self._hint_is_lost(
            run_id, int(hinted or 0), now_ms, wake=int(wake or 0), since=self._since[graph, fingerprint]
        ):
            self.runs.hinted(address, now_ms)
            self.publish([hint])

    def _is_late(self, address: Address, lease: str, now_ms: int, ends: str, step_ends: str) -> bool:
        """Whether a run's time is over, and it was queued anew for that, to be ended."""
        late, since = late_field(now_ms, ends, step_ends)
        # Whoever drives it sees that himself, or is stopped.
        if not late or (lease and not self.dead(lease) and now_ms - since < GRACE_MS):
            return False
        log.warning("run %s: its time is over (%s)", address.run_id, late)
        return queue_to_end(self.runs, address, late)

    def _hint_is_lost(self, run_id: str, hinted: int, now_ms: int, *, wake: int, since: int) -> bool:
        """Whether a run is to be hinted again. In a long queue its hint is late, mostly. All in milliseconds."""
        if hinted < wake <= now_ms or hinted < since:
            # It has had none since it was to wake, or since there is a worker for it again.
            return True
        if self._waiting == 0 or now_ms - hinted > STALE_MS:
            return True
        return now_ms - hinted > LOST_MS and not self._expects(run_id)

    def _expects(self, name: str) -> bool:
        """Whether a hint for this run or batch waits, or may, for all one can see."""
        if self._waiting > MOST_EXPECTED:
            return True
        if self._expected is None:
            self._expected = self.dispatcher.expected()
        return self._expected is None or name in self._expected

    def _adopt(self, address: Address, graph: str, fingerprint: str) -> None:
        """Nobody serves this version: the run waits for a worker of it, unless the graph that is here may go on with it."""
        served = self.registry.taking_over(graph, fingerprint)
        if served is None or self.monotonic() < self._trusted_from:
            return
        fields = {"fp": served.fingerprint, "was": fingerprint}
        answer = self.runs.control("repin", address, uuid.uuid4().hex, fields=fields, due_ms=PUSH_MS)
        if answer.kind == "ok":
            log.warning("run %s: version %s is taken over by %s", address.run_id, fingerprint, served.fingerprint)
            self.publish([RunHint(address.run_id, address.thread_id, graph, served.fingerprint)])

    def _free_tasks(self, partition: int, due: Due, address: Address) -> bool:
        """Free tasks whose slots are gone; whether some are, or may be."""
        gone = False
        for slot in sorted(set(self.runs.claims(address).values())):
            if self.dead(slot):
                self._take_over(address, slot)
                gone = True
            elif self._suspects.proven(partition, due, slot, address.run_id):
                self.reclaim(address, slot, crashed=False)
                gone = True
        return gone or self._suspects.suspected(partition, due)

    def _take_over(self, address: Address, slot: str) -> None:
        """Free what a dead slot held. Whoever saw its process die has counted the culprit's crash, and this is not it."""
        self.reclaim(address, slot, crashed=slot not in self._fallen, why=TREE_DIED)

    def _task(self, partition: int, run_id: str, task_id: str) -> None:
        """A retry is due."""
        if not self._heard:
            return
        fields = ("status", "epoch", "thread", "graph", "fp", f"p:{task_id}")
        status, epoch, thread, graph, fingerprint, path = self.runs.peek(partition, run_id, fields)
        head = self.runs.read_line(thread, ["head"])[0] if thread else None
        if status != "running" or not path or not head:
            self.runs.forget_due(partition, f"t:{run_id}\n{task_id}")
            return
        node, at = path_from(path)
        served = self.registry.find(graph, fingerprint)
        queue = served.program.nodes[node].queue if served and node in served.program.nodes else None
        made = self.runs.attempts(Address(run_id, thread), task_id)
        before, sent = self._sent.get(task_id, (0, 0.0))
        if before == made and self.monotonic() - sent < STALE_MS / 1000 and self.dispatcher.waiting(queue):
            return
        self._sent[task_id] = made, self.monotonic()
        self.publish(
            [NodeHint(run_id, thread, graph, fingerprint, int(epoch), head.decode(), [(task_id, at)], node, 0, queue)]
        )

    # --------------------------------------------------------------- batches

    def _slice(self, partition: int, due: Due) -> None:
        batch_id, slice_id = due.name, due.part
        found = self.batches.slice_of(batch_id, partition, slice_id)
        if found is None:
            self.runs.forget_due(partition, f"s:{batch_id}\n{slice_id}")
            return
        slot, taken = found
        if self.dead(slot):
            self.reclaim_slice(batch_id, slice_id, slot, taken, crashed=slot not in self._fallen)
        elif self._suspects.proven(partition, due, slot, item_id(batch_id, taken.chunk * CHUNK + taken.start)):
            self.reclaim_slice(batch_id, slice_id, slot, taken, crashed=False)

    def _batch(self, partition: int, batch_id: str) -> None:
        if not self.batches.ready(batch_id, partition):
            self.runs.forget_due(partition, f"b:{batch_id}")
        elif self.batches.manifest(batch_id) is None:
            self._delete_strays(batch_id)
        elif self.full or not self._heard:
            return
        elif self._waiting == 0:
            if self._may_go_on(batch_id):
                self.hint_batch(batch_id, max(1, self._idle))
        elif self._overlooked(batch_id) and self._may_go_on(batch_id):
            self.hint_batch(batch_id, 1)

    def _overlooked(self, batch_id: str) -> bool:
        """Whether others' hints wait and none of this batch, for a while now: it may have items that nobody comes for."""
        now = self.monotonic()
        self._missed = {batch: since for batch, since in self._missed.items() if now - since < STALE_MS / 1000}
        if self._expects(batch_id):
            self._missed.pop(batch_id, None)
        elif now - self._missed.setdefault(batch_id, now) > LOST_MS / 1000:
            del self._missed[batch_id]
            return True
        return False

    def _delete_strays(self, batch_id: str) -> None:
        """The submitter of a batch went on while somebody deleted it."""
        log.warning("items of batch %s came after it was deleted; they are deleted too", batch_id)
        self.batches.control(batch_id, "cancel")
        for partition in range(self.batches.keys.partitions):
            self.batches.delete_items(batch_id, self.batches.chunks_in(batch_id, partition))
        self.batches.delete(batch_id, 0)

    def _may_go_on(self, batch_id: str) -> bool:
        """Whether a worker that lives may take items of the batch; if this one may take it over, it does."""
        manifest = self.batches.manifest(batch_id)
        if manifest is None or (manifest["graph"], manifest["pinned"]) in self._served:
            return manifest is not None
        served = self.registry.taking_over(manifest["graph"], manifest["pinned"])
        if served is None or self.monotonic() < self._trusted_from:
            return False
        log.warning("batch %s: version %s is taken over by %s", batch_id, manifest["pinned"], served.fingerprint)
        self.batches.repin(batch_id, served.fingerprint)
        return True

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        super().publish(hints, first=first)
        self._waiting += len(hints)
