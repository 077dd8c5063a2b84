"""Deletes runs and batches whose retention is over, a portion at a time. Every worker does; the ledger decides, by its clock.

It walks the list of a partition's runs, then the next partition's, and so on round: however many runs are kept, or go on
for ever, one step looks at a bounded number of them, and each is come to. Batches come in the order in which they are over;
one is deleted by one worker, and by another one if that dies.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from functools import cached_property

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.keys import CHUNK
from distgraph.ledger.replies import Address
from distgraph.ledger.runs import RunLedger

log = logging.getLogger(__name__)

#: Runs that one step looks at.
PORTION = 200
#: Batches that may have come to rest, of which one step counts the items.
BATCHES = 20
#: Chunks of a batch that one step deletes at most, and the seconds it may take.
CHUNKS, BUDGET = 64, 0.1
#: Seconds between two steps.
EVERY = 1.0


class Collector:
    """One worker's walk."""

    def __init__(self, runs: RunLedger, batches: BatchLedger, monotonic: Callable[[], float]) -> None:
        self.runs, self.batches, self.monotonic = runs, batches, monotonic
        self._partition = self._place = self._first = 0
        self._next = 0.0
        #: The batch that is being deleted here: its id, its chunks, the next of them.
        self._batch: tuple[str, int, int] | None = None

    @cached_property
    def _name(self) -> str:
        return uuid.uuid4().hex

    def collect(self, now_ms: int) -> None:
        """Take one step, if it is time; ``now_ms`` is the ledger's clock."""
        if self.monotonic() < self._next:
            return
        self._next = self.monotonic() + EVERY
        self._runs(now_ms)
        self._note_ends()
        if self._batch is None:
            self._batch = self._begin(now_ms)
        if self._batch is not None:
            self._batch = self._go_on(*self._batch)

    # ------------------------------------------------------------- runs

    def _runs(self, now_ms: int) -> None:
        try:
            found = self.runs.ended(self._partition, self._place, PORTION)
        except LedgerCorruptError as exc:
            log.warning("expired runs of partition %d cannot be looked for: %s", self._partition, exc)
            found = []
        over = [address for address, expires in found if expires is not None and expires <= now_ms]
        dropped = sum(self._drop(address) for address in over)
        if len(found) == PORTION:
            self._place += PORTION - dropped
        else:
            self._partition, self._place = (self._partition + 1) % self.runs.keys.partitions, 0

    def _drop(self, address: Address) -> bool:
        """Whether the run went. What is damaged is said, and holds up nothing else."""
        try:
            return self.runs.delete(address, expired=True).kind == "ok"
        except LedgerCorruptError as exc:
            log.warning("expired run %s cannot be deleted: %s", address.run_id, exc)
            return False

    # ------------------------------------------------------------- batches

    def _note_ends(self) -> None:
        """Batches come to rest without anybody's noticing: their items are in many partitions."""
        active = self.batches.active()
        self._first = 0 if self._first >= len(active) else self._first
        portion = active[self._first : self._first + BATCHES]
        self._first += BATCHES
        for batch_id in portion:
            try:
                manifest = self.batches.manifest(batch_id)
                if manifest is None or self.batches.counts(batch_id).at_rest(manifest["total"]):
                    self.batches.finish(batch_id)
            except LedgerCorruptError as exc:
                log.warning("batch %s cannot be looked at: %s", batch_id, exc)

    def _begin(self, now_ms: int) -> tuple[str, int, int] | None:
        """A batch that is over and that nobody else deletes."""
        for batch_id in self.batches.over(now_ms, most=BATCHES):
            try:
                manifest, counts = self.batches.manifest(batch_id), self.batches.counts(batch_id)
            except LedgerCorruptError as exc:
                log.warning("expired batch %s cannot be deleted: %s", batch_id, exc)
                continue
            if manifest is not None and not manifest["dropped"] and not counts.at_rest(manifest["total"]):
                self.batches.reopen(batch_id)  # whoever took it for finished saw it before a retry
            elif self.batches.drop(batch_id, self._name, expired=True).kind == "ok":
                # whoever still holds a slice of it is refused from here on
                self.batches.control(batch_id, "cancel")
                total = (manifest or {}).get("total")
                return batch_id, -(-(counts.total if total is None else int(total)) // CHUNK), 0
        return None

    def _go_on(self, batch_id: str, chunks: int, first: int) -> tuple[str, int, int] | None:
        """Delete some chunks; what is left to do then. The last step deletes the batch itself."""
        if self.batches.drop(batch_id, self._name, expired=True).kind != "ok":
            return None
        until = self.monotonic() + BUDGET
        for chunk in range(first, min(chunks, first + CHUNKS)):
            self.batches.delete_items(batch_id, [chunk])
            first = chunk + 1
            if self.monotonic() > until:
                break
        if first < chunks:
            return batch_id, chunks, first
        self.batches.delete(batch_id, 0)
        return None
