"""Taking over what a slot holds that has ended, or cannot go on.

Rights save work and decide nothing: taking one from a slot that lives after all costs work and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from distgraph.cluster.failures import describe
from distgraph.cluster.hints import BatchHint, Dispatcher, Hint, RunHint
from distgraph.cluster.registry import Registry
from distgraph.cluster.rows import result_row
from distgraph.cluster.workplace import CRASHES_ALLOWED
from distgraph.errors import PoisonTaskError
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.replies import Address, Taken
from distgraph.ledger.runs import RunLedger

log = logging.getLogger(__name__)


class Reclaimer:
    """Takes rights away from slots, so that others can go on."""

    def __init__(self, runs: RunLedger, batches: BatchLedger, registry: Registry, dispatcher: Dispatcher) -> None:
        self.runs, self.batches, self.registry, self.dispatcher = runs, batches, registry, dispatcher

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
            self.reclaim_slices(parts[0], slot, crashed=crashed)

    def reclaim(self, address: Address, slot: str, *, crashed: bool, task_id: str = "") -> None:
        """Take a dead slot's rights to a run away, and hint what it held: in a long queue nobody would come by soon."""
        freed, crashes = self.runs.reclaim(address, slot, crashed=crashed, task_id=task_id)
        if not freed:
            return
        log.warning("run %s: took over from dead slot %s (crashes counted: %s)", address.run_id, slot, crashes)
        partition = self.runs.keys.partition(address.thread_id)
        graph, fingerprint, plan = self.runs.peek(partition, address.run_id, ("graph", "fp", "plan"))
        if graph:
            hint = RunHint(address.run_id, address.thread_id, graph, fingerprint, again=plan not in ("", "0"))
            self.publish([hint], first=True)

    def reclaim_slices(self, batch_id: str, slot: str, *, crashed: bool = True) -> None:
        """Take over whatever a slot holds of a batch that has ended, or lets go; nobody is named."""
        for partition in range(self.runs.keys.partitions):
            for slice_id, (holder, taken) in self.batches.slices(batch_id, partition).items():
                if holder == slot:
                    self.reclaim_slice(batch_id, slice_id, slot, taken, crashed=crashed)

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
            row = result_row("f", b"", self.registry.plain_codec().encode(describe(_poison(batch_id, alone))))
        answer = self.batches.give_back(
            batch_id, slice_id, slot, taken, spans, crashed=alone, allowed=CRASHES_ALLOWED, row=row
        )
        log.warning("batch %s: %s items taken over from dead slot %s (%s)", batch_id, len(left), slot, answer.kind)
        self.hint_batch(batch_id, 1, first=True)

    def hint_batch(self, batch_id: str, count: int, *, first: bool = False) -> None:
        """Hint items of a batch so many times."""
        manifest = self.batches.manifest(batch_id)
        if manifest is not None:
            self.publish([BatchHint(batch_id, manifest["graph"], manifest["fp"])] * count, first=first)

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints."""
        self.dispatcher.publish(hints, first=first)


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
