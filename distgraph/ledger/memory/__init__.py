"""The ledger's in-memory twin: the same operations, for one process, with a clock that somebody else turns.

Written from :mod:`distgraph.ledger.contract`. It is deterministic (nothing is random, no order is left to chance, no
time passes but the caller's), may be called from several OS threads, and can be taken back to an earlier state at the
cost of what changed since: that is how a simulation plays a server that lost its last seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from distgraph.ledger.keys import Keys
from distgraph.ledger.memory.batches import MemoryBatches
from distgraph.ledger.memory.fleet import MemoryFleet
from distgraph.ledger.memory.items import MemoryItems, MemoryKept
from distgraph.ledger.memory.lines import MemoryLines
from distgraph.ledger.memory.runs import MemoryRuns
from distgraph.ledger.memory.tables import State

__all__ = ["MemoryLedger"]


class MemoryLedger:
    """What a process needs of the ledger, in memory.

    Args:
        keys: namespace and partitions.
        now_ms: the ledger's clock: milliseconds since the epoch, never going back.
    """

    def __init__(self, keys: Keys, now_ms: Callable[[], int]) -> None:
        self.keys, self.namespace = keys, keys.namespace
        self.state = State(keys, now_ms)
        self.runs = MemoryRuns(self.state)
        self.batches = MemoryBatches(self.state)
        self.fleet = MemoryFleet(self.state)
        self.lines = MemoryLines(self.state)
        self.items = MemoryItems(self.state)
        self.kept = MemoryKept(self.state)

    def snapshot(self) -> int:
        """Remember the present. Costs nothing now; from the first one on, every change writes down what it undoes."""
        with self.state.lock:
            return self.state.journal.mark()

    def restore(self, snapshot: int) -> None:
        """Go back to a snapshot, as a server does that lost what it had not saved; later snapshots are void.

        The clock does not go back, and the ledger's server id becomes another one.
        """
        with self.state.lock:
            self.state.journal.unwind(snapshot)
            self.restart()

    def restart(self) -> None:
        """The server starts anew, with all it has."""
        with self.state.lock:
            self.state.starts += 1
            self.state.started_ms = self.state.now_ms()

    def close(self) -> None:
        """Nothing to close; what a caller of either kind may call."""
