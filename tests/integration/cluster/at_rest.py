"""Is the ledger at rest? After the last run and batch have ended nothing may be owed, held or half done."""

from __future__ import annotations

import time
from typing import Any

from distgraph.cluster import Cluster
from distgraph.ledger.keys import Keys
from tests.waiting import wait_until


def wait_at_rest(cluster: Cluster, timeout: float = 10.0) -> None:
    """Wait until nothing is due, leased, claimed or open; fail with what is left if that does not come.

    A driver that lost its work to another one may still be at it when the result is there, and sweeps drop entries of
    what has ended only when they come by: hence the wait.
    """
    give_up = time.monotonic() + timeout
    while (left := unrest(cluster)) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert not left, left[:20]


def unrest(cluster: Cluster) -> list[str]:
    """What is still owed or held, one line each."""
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
            if lease or status in (b"queued", b"running"):
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


def wait_for_progress(cluster: Cluster, batch_id: str, done: int, timeout: float = 60.0) -> None:
    """Wait until so many items of a batch have come to rest."""
    batch = cluster.batch(batch_id)
    wait_until(
        lambda: batch.status().done + batch.status().failed >= done, timeout, f"{done} items of {batch_id} at rest"
    )
