"""Deletes runs whose retention is over, a portion at a time. Every worker does; the ledger decides, by its own clock.

It walks the list of a partition's runs, then the next partition's, and so on round: however many runs are kept, or go on
for ever, one step looks at a bounded number of them, and each is come to.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.replies import Address
from distgraph.ledger.runs import RunLedger

log = logging.getLogger(__name__)

#: Runs that one step looks at.
PORTION = 200
#: Seconds between two steps.
EVERY = 1.0


class Collector:
    """One worker's walk."""

    def __init__(self, runs: RunLedger, monotonic: Callable[[], float]) -> None:
        self.runs, self.monotonic = runs, monotonic
        self._partition = self._place = 0
        self._next = 0.0

    def collect(self, now_ms: int) -> None:
        """Take one step, if it is time; ``now_ms`` is the ledger's clock."""
        if self.monotonic() < self._next:
            return
        self._next = self.monotonic() + EVERY
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
