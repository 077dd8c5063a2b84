"""Is the ledger at rest? After the last run and batch have ended nothing may be owed, held or half done."""

from __future__ import annotations

from distgraph.chaos.rest import crashes, settle, unrest
from distgraph.cluster import Cluster
from tests.waiting import wait_until

__all__ = ["crashes", "unrest", "wait_at_rest", "wait_for_progress"]


def wait_at_rest(cluster: Cluster, timeout: float = 10.0) -> None:
    """Wait until nothing is due, leased, claimed or open; fail with what is left if that does not come."""
    left = settle(lambda: unrest(cluster), timeout)
    assert not left, left[:20]


def wait_for_progress(cluster: Cluster, batch_id: str, done: int, timeout: float = 60.0) -> None:
    """Wait until so many items of a batch have come to rest."""
    batch = cluster.batch(batch_id)
    wait_until(
        lambda: batch.status().done + batch.status().failed >= done, timeout, f"{done} items of {batch_id} at rest"
    )
