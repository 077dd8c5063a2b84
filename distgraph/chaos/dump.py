"""What a ledger holds, for the checker, which compares it with the histories."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from distgraph.chaos.rest import crashes, keys_of, unrest
from distgraph.cluster import Cluster
from distgraph.ledger.keys import item_id


@dataclass(slots=True)
class Dump:
    """The ledger at one moment, as plain data.

    Attributes:
        rows: run id -> ``status``, and ``value`` or ``error``, of the batch items at rest.
        batches: batch id -> its counters.
        keys: every key of the namespace.
        waiting: hints in the namespace's own queue.
        unrest: what is owed or held, one line each.
        crashes: run id -> crashes counted, of batch items.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, dict[str, int]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    waiting: int = 0
    unrest: list[str] = field(default_factory=list)
    crashes: dict[str, int] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def dump(cluster: Cluster, batches: list[str]) -> Dump:
    """Read all of it. Only at rest is this one moment's view."""
    found = Dump(keys=every_key(cluster), unrest=unrest(cluster), waiting=cluster.dispatcher.waiting())
    for name in batches:
        batch = cluster.find_batch(name)
        if batch is None:
            continue
        status = batch.status()
        counters = ("total", "done", "failed", "cancelled")
        found.batches[name] = {counter: getattr(status, counter) for counter in counters}
        for result in batch.results():
            row: dict[str, Any] = {"status": result.status}
            row |= {"error": result.error} if result.error is not None else {"value": result.value}
            found.rows[result.run_id] = row
        found.crashes |= {item_id(name, index): count for index, count in crashes(cluster, name).items()}
    return found


def every_key(cluster: Cluster) -> list[str]:
    """The keys of the ledger of the namespace."""
    return keys_of(cluster, f"dg:{{{cluster.namespace}/")
