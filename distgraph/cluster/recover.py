"""The sweep: what is overdue is looked at, freed from the dead, and hinted again. Every worker sweeps; none is special.

A sweep only ever repeats hints and frees what a dead slot holds. It decides nothing about results, so two sweeps at
once, or one that is wrong about a death, cost work and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from distgraph.cluster.failures import describe
from distgraph.cluster.hints import BatchHint, Dispatcher, NodeHint, RunHint, path_from
from distgraph.cluster.registry import Registry
from distgraph.cluster.rows import result_row
from distgraph.cluster.workplace import CRASHES_ALLOWED
from distgraph.errors import PoisonTaskError
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.replies import Address, Due, Taken
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.lifecycle import AT_REST

log = logging.getLogger(__name__)

#: Entries one sweep looks at in one partition.
MOST = 200
#: A swept entry comes back after this. Milliseconds.
PUSH_MS = 1000
#: While the queue is long, a run is hinted again only when its last hint is this old. Milliseconds.
STALE_MS = 30_000
#: How long deaths are not believed after an outage of the server, or of one's own beat: one time to live. Seconds.
DISTRUST = 2.5


class Sweeper:
    """Looks at what is overdue in a namespace."""

    def __init__(
        self,
        runs: RunLedger,
        batches: BatchLedger,
        fleet: FleetLedger,
        registry: Registry,
        dispatcher: Dispatcher,
        monotonic: Callable[[], float],
    ) -> None:
        self.runs, self.batches, self.fleet = runs, batches, fleet
        self.registry, self.dispatcher, self.monotonic = registry, dispatcher, monotonic
        self._server = ""
        self._trusted_from = 0.0
        self._live: set[str] = set()
        self._fallen: set[str] = set()
        #: When this process hinted retries, by task: one that still waits in its queue is not hinted again.
        self._sent: dict[str, float] = {}
        self._idle = 0
        self._slots = 0
        self._waiting = 0

    def distrust(self) -> None:
        """An outage was seen: for one time to live, a missing beat proves no death."""
        self._trusted_from = self.monotonic() + DISTRUST

    @property
    def slots(self) -> int:
        """Slots of the fleet, as of the last sweep."""
        return self._slots

    @property
    def idle(self) -> int:
        """Slots of the fleet that wait for work, as of the last sweep."""
        return self._idle

    def sweep(self) -> float:
        """Look once at every partition; returns the seconds until something is due next (at most 1)."""
        self._look_around()
        soonest = 1.0
        for partition in range(self.runs.keys.partitions):
            swept = self.runs.sweep(partition, most=MOST, push_ms=PUSH_MS)
            for due in swept.due:
                self._handle(partition, due, swept.now_ms)
            if swept.next_ms >= 0:
                soonest = min(soonest, swept.next_ms / 1000)
        return max(0.02, soonest)

    def _look_around(self) -> None:
        server = self.fleet.server_id()
        if server != self._server:
            if self._server:
                self.distrust()
            self._server = server
        workers = self.fleet.workers()
        self._live = set(workers)
        self._fallen = {slot for record in workers.values() for slot in record["dead"]}
        self._slots = sum(record["concurrency"] for record in workers.values())
        self._idle = sum(record["idle"] for record in workers.values())
        self._waiting = self.dispatcher.waiting()
        horizon = self.monotonic() - STALE_MS / 1000
        self._sent = {task: sent for task, sent in self._sent.items() if sent > horizon}

    def dead(self, slot: str) -> bool:
        """Whether ``slot`` is known to be dead: its worker says so, or does not beat any more and that can be trusted."""
        if slot in self._fallen:
            return True
        return slot.partition(":")[0] not in self._live and self.monotonic() >= self._trusted_from

    def _handle(self, partition: int, due: Due, now_ms: int) -> None:
        if due.kind == "run":
            self._run(partition, due.name, now_ms)
        elif due.kind == "task":
            self._task(partition, due.name, due.part)
        elif due.kind == "slice":
            self._slice(partition, due.name, due.part)
        else:
            self._batch(partition, due.name)

    def bury(self, slot: str, what: str, *, crashed: bool = True) -> None:
        """Free what a slot held that has ended.

        Args:
            slot: the slot.
            what: what its row said last, hence the culprit.
            crashed: False where it was stopped, not killed by what it ran.
        """
        kind, _, rest = what.partition(":")
        parts = rest.split("\n")
        if kind in ("n", "h") and len(parts) >= 2:
            self.reclaim(Address(parts[0], parts[1]), slot, crashed=crashed)
        elif kind == "s" and len(parts) >= 2 and (item := split_item(parts[0])) is not None:
            batch_id, index = item
            found = self.batches.slice_of(batch_id, self.runs.keys.chunk_partition(batch_id, index // CHUNK), parts[1])
            if found is not None:
                self.reclaim_slice(batch_id, parts[1], slot, found[1], index if crashed else None, crashed=crashed)
        elif kind == "b":
            self.reclaim_slices(parts[0], slot)

    # ------------------------------------------------------------------ runs

    def _run(self, partition: int, run_id: str, now_ms: int) -> None:
        fields = ("status", "lease", "plan", "hinted", "thread", "graph", "fp")
        status, lease, plan, hinted, thread, graph, fingerprint = self.runs.peek(partition, run_id, fields)
        if not status or status in AT_REST:
            self.runs.forget_due(partition, f"r:{run_id}")
            return
        address = Address(run_id, thread)
        hint = RunHint(run_id, thread, graph, fingerprint, again=plan not in ("", "0"))
        if lease:
            if self.dead(lease):
                self.reclaim(address, lease, crashed=True)
                self._publish([hint])
            return
        freed = self._free_tasks(address) if hint.again else False
        # A hint is lost if nothing waits in the queue; in a long queue it is only late.
        if freed or self._waiting == 0 or now_ms - int(hinted or 0) > STALE_MS:
            self.runs.hinted(address, now_ms)
            self._publish([hint])

    def _free_tasks(self, address: Address) -> bool:
        dead = {slot for slot in self.runs.claims(address).values() if self.dead(slot)}
        for slot in dead:
            self.reclaim(address, slot, crashed=True)
        return bool(dead)

    def reclaim(self, address: Address, slot: str, *, crashed: bool, task_id: str = "") -> None:
        """Take a dead slot's rights to a run away."""
        freed, crashes = self.runs.reclaim(address, slot, crashed=crashed, task_id=task_id)
        if freed:
            log.warning("run %s: took over from dead slot %s (crashes counted: %s)", address.run_id, slot, crashes)

    def _task(self, partition: int, run_id: str, task_id: str) -> None:
        """A retry is due."""
        fields = ("status", "epoch", "thread", "graph", "fp", f"p:{task_id}")
        status, epoch, thread, graph, fingerprint, path = self.runs.peek(partition, run_id, fields)
        head = self.runs.read_line(thread, ["head"])[0] if thread else None
        if status != "running" or not path or not head:
            self.runs.forget_due(partition, f"t:{run_id}\n{task_id}")
            return
        node, at = path_from(path)
        served = self.registry.find(graph, fingerprint)
        queue = served.program.nodes[node].queue if served and node in served.program.nodes else None
        sent = self._sent.get(task_id)
        if sent is not None and self.monotonic() - sent < STALE_MS / 1000 and self.dispatcher.waiting(queue):
            return
        self._sent[task_id] = self.monotonic()
        self._publish(
            [NodeHint(run_id, thread, graph, fingerprint, int(epoch), head.decode(), [(task_id, at)], node, 0, queue)]
        )

    # --------------------------------------------------------------- batches

    def _slice(self, partition: int, batch_id: str, slice_id: str) -> None:
        found = self.batches.slice_of(batch_id, partition, slice_id)
        if found is None:
            self.runs.forget_due(partition, f"s:{batch_id}\n{slice_id}")
        elif self.dead(found[0]):
            self.reclaim_slice(batch_id, slice_id, found[0], found[1])

    def reclaim_slices(self, batch_id: str, slot: str) -> None:
        """Take over whatever a dead slot holds of a batch; nobody is named."""
        for partition in range(self.runs.keys.partitions):
            for slice_id, (holder, taken) in self.batches.slices(batch_id, partition).items():
                if holder == slot:
                    self.reclaim_slice(batch_id, slice_id, slot, taken)

    def reclaim_slice(
        self,
        batch_id: str,
        slice_id: str,
        slot: str,
        taken: Taken,
        culprit: int | None = None,
        *,
        crashed: bool = True,
    ) -> None:
        """Make a dead slot's unfinished items ready again.

        Args:
            batch_id: the batch.
            slice_id: its slice.
            slot: the dead slot, which must still hold the slice.
            taken: the slice's items.
            culprit: the item that ran when the process died, if it is known. Without one all items are suspects and
                run alone; only a crash while alone or named is counted.
            crashed: False where the slot was stopped, not killed by what it ran: nobody is suspect.
        """
        done = self.batches.settled_items(batch_id, taken)
        first = taken.chunk * CHUNK
        left = [index for index in range(first + taken.start, first + taken.stop) if index not in done]
        alone = culprit if culprit is not None else (left[0] if taken.flag == "a" and left else None)
        alone = alone if crashed else None
        innocent = culprit is not None or not crashed
        spans = _spans(taken.chunk, [i - first for i in left if i != alone], "r" if innocent else "a")
        row = b""
        if alone is not None and alone not in done:
            spans.append(f"{taken.chunk}:{alone - first}:{alone - first + 1}:a")
            row = result_row(
                "f", b"", self.registry.plain_codec().encode(describe(_poison(batch_id, alone), kind="poison"))
            )
        answer = self.batches.give_back(
            batch_id, slice_id, slot, taken, spans, crashed=alone, allowed=CRASHES_ALLOWED, row=row
        )
        log.warning("batch %s: %s items taken over from dead slot %s (%s)", batch_id, len(left), slot, answer.kind)
        self._hint_batch(batch_id, 1)

    def _batch(self, partition: int, batch_id: str) -> None:
        if not self.batches.ready(batch_id, partition):
            self.runs.forget_due(partition, f"b:{batch_id}")
        elif self._waiting == 0:
            self._hint_batch(batch_id, max(1, self._idle))

    def _hint_batch(self, batch_id: str, count: int) -> None:
        manifest = self.batches.manifest(batch_id)
        if manifest is not None:
            self._publish([BatchHint(batch_id, manifest["graph"], manifest["fp"])] * count)

    def _publish(self, hints: Sequence[RunHint | NodeHint | BatchHint]) -> None:
        self.dispatcher.publish(hints)
        self._waiting += len(hints)


def _spans(chunk: int, offsets: Sequence[int], flag: str) -> list[str]:
    """Ranges that cover ``offsets`` (sorted)."""
    spans: list[str] = []
    start = 0
    for position, offset in enumerate(offsets):
        if position == 0 or offset != offsets[position - 1] + 1:
            start = offset
        if position == len(offsets) - 1 or offsets[position + 1] != offset + 1:
            spans.append(f"{chunk}:{start}:{offset + 1}:{flag}")
    return spans


def _poison(batch_id: str, index: int) -> PoisonTaskError:
    return PoisonTaskError(
        f"Item {index} of batch {batch_id!r} was quarantined: {CRASHES_ALLOWED} worker processes died while it ran. Look at "
        "what its nodes do to their process (memory, os._exit, native code), then retry the failed items."
    )
