"""Is the ledger at rest? After the last run and batch have ended nothing may be owed, held or half done, and no key left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from distgraph.cluster import Cluster
from distgraph.ledger.faults import guard
from distgraph.ledger.leaks import leaks


def unrest(cluster: Cluster) -> list[str]:
    """What is still owed or held in the cluster's namespace, or has no owner; one line each.

    Raises:
        StoreError: the server cannot be reached or used; all of this room's questions do.
    """
    keys = cluster.ledger.keys
    with guard():
        found = [line for partition in range(keys.partitions) for line in _unrest(cluster, partition)]
    return [*found, *leaks(cluster.ledger.client, keys)]


def _unrest(cluster: Cluster, partition: int) -> Iterator[str]:
    client, keys = cluster.ledger.client, cluster.ledger.keys
    tag = keys.tag(partition)
    due: Any = client.zrange(keys.due(partition), 0, -1, withscores=True)
    yield from (f"due in partition {partition}: {entry!r} at {at}" for entry, at in due)
    for kind in ("claims", "ready", "slices"):
        yield from (f"{kind}: {key!r}" for key in client.scan_iter(match=f"{tag}{kind}:*", count=1000))
    for key in client.scan_iter(match=f"{tag}run:*", count=1000):
        held: Any = client.hmget(key, ["status", "lease"])
        status, lease = held
        if lease or status in (b"queued", b"running"):
            yield f"run {key!r}: status {status!r}, lease {lease!r}"
    for key in client.scan_iter(match=f"{tag}batch:*", count=1000):
        promoted, state = client.hmget(key, "promoted", "state")
        if int(promoted or 0) and state != b"cancelled":
            yield f"batch {key!r}: {promoted!r} items promoted and never ended"


def crashes(cluster: Cluster, batch_id: str) -> dict[int, int]:
    """Index -> crashes counted, of a batch's items."""
    client, keys = cluster.ledger.client, cluster.ledger.keys
    counted: dict[int, int] = {}
    with guard():
        for partition in range(keys.partitions):
            found: Any = client.hgetall(keys.batch(partition, "crash", batch_id))
            for index, count in found.items():
                counted[int(index)] = int(count)
    return counted


def keys_of(cluster: Cluster, name: str) -> list[str]:
    """The keys that have ``name`` (a run, thread or batch id of letters and digits) in them."""
    with guard():
        return sorted(key.decode() for key in cluster.ledger.client.scan_iter(match=f"*{name}*", count=1000))


def settle(look: Callable[[], list[str]], timeout: float) -> list[str]:
    """Wait until ``look()`` finds nothing; what it still finds after ``timeout`` seconds.

    A driver that lost its work to another one may still be at it when the result is there, and sweeps drop entries of what
    has ended only when they come by: hence the wait.
    """
    give_up = time.monotonic() + timeout
    while (left := look()) and time.monotonic() < give_up:
        time.sleep(0.02)
    return left
