"""What a ledger holds: for the checker, which compares it with the histories, and for tests that end with nothing owed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from distgraph.cluster import Cluster
from distgraph.cluster.hints import queue_name
from distgraph.ledger.keys import Keys, item_id
from distgraph.superstep.lifecycle import AT_REST


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
    found = Dump(keys=keys_of(cluster), unrest=unrest(cluster), waiting=waiting(cluster))
    for name in batches:
        batch = cluster.batch(name)
        status = batch.status()
        counters = ("total", "done", "failed", "cancelled")
        found.batches[name] = {counter: getattr(status, counter) for counter in counters}
        for result in batch.results():
            row: dict[str, Any] = {"status": result.status}
            row |= {"error": result.error} if result.error is not None else {"value": result.value}
            found.rows[result.run_id] = row
        found.crashes |= {item_id(name, index): count for index, count in crashes(cluster, name).items()}
    return found


def keys_of(cluster: Cluster) -> list[str]:
    """Every key of the ledger of the namespace."""
    pattern = f"dg:{{{cluster.namespace}/*"
    return sorted(key.decode() for key in cluster.ledger.runs.client.scan_iter(match=pattern, count=1000))


def waiting(cluster: Cluster) -> int:
    """Hints in the namespace's own queue."""
    return cluster.dispatcher.queues.length(queue_name(cluster.namespace))


def unrest(cluster: Cluster) -> list[str]:
    """What is still owed or held, one line each; nothing, once the last run and batch have ended."""
    client, keys = cluster.ledger.runs.client, Keys(cluster.namespace)
    found: list[str] = []
    for partition in range(keys.partitions):
        tag = keys.tag(partition)
        due: Any = client.zrange(keys.due(partition), 0, -1, withscores=True)
        for entry, at in due:
            found.append(f"due in partition {partition}: {entry!r} at {at}")
        for kind in ("claims", "ready", "slices"):
            found += [f"{kind}: {key!r}" for key in client.scan_iter(match=f"{tag}{kind}:*", count=1000)]
        for key in client.scan_iter(match=f"{tag}run:*", count=1000):
            held: Any = client.hmget(key, ["status", "lease"])
            status, lease = held
            if lease or (status is not None and status.decode() not in AT_REST):
                found.append(f"run {key!r}: status {status!r}, lease {lease!r}")
        for key in client.scan_iter(match=f"{tag}batch:*", count=1000):
            promoted, state = client.hmget(key, "promoted", "state")
            if int(promoted or 0) and state != b"cancelled":
                found.append(f"batch {key!r}: {promoted!r} items promoted and never ended")
    return found


def crashes(cluster: Cluster, batch_id: str) -> dict[int, int]:
    """Index -> crashes counted, of a batch's items."""
    client, keys = cluster.ledger.runs.client, Keys(cluster.namespace)
    counted: dict[int, int] = {}
    for partition in range(keys.partitions):
        for index, count in client.hgetall(keys.batch(partition, "crash", batch_id)).items():
            counted[int(index)] = int(count)
    return counted
