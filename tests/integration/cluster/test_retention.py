"""What is deleted after its time, and that nothing else is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster import Cluster
from distgraph.errors import BatchExpiredError
from distgraph.examples import flaky
from distgraph.examples.chain import graph as chain
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.mark.leaves_keys
def test_a_run_that_keeps_the_latest_leaves_the_history_it_found(cluster: Cluster) -> None:
    """First a run with its whole history, then one that keeps only its latest checkpoint, on the same thread."""
    remote = cluster.bind(chain)
    config: Any = {"configurable": {"thread_id": "kept"}}
    first = remote.submit({"text": "One. Two."}, config, keep="all").result(timeout=20)
    before = [snapshot.values for snapshot in remote.get_state_history(config)]
    remote.submit({"text": "Three words here."}, config, keep="latest").result(timeout=20)
    after = [snapshot.values for snapshot in remote.get_state_history(config)]
    assert remote.get_state(config).values["words"] == 3
    assert first in before
    assert after[-len(before) :] == before
    assert isinstance(remote.checkpointer, RedisSaver)


def test_workers_delete_a_batch_whose_time_is_over(cluster: Cluster) -> None:
    """Its results, failures and counters go; nothing of it is left but that it was."""
    items = [{"index": n, "invalid": n % 100 == 3} for n in range(600)]
    batch = cluster.bind(flaky.graph).submit_batch(items, retention=timedelta(seconds=3))
    assert batch.wait(60).finished
    assert [result.index for result in batch.results()] == [*range(600)]
    wait_until(lambda: cluster.find_batch(batch.batch_id) is None, 30, "the batch has expired")
    with pytest.raises(BatchExpiredError):
        list(batch.results())
    with pytest.raises(BatchExpiredError, match="has expired: it was kept until"):
        cluster.batch(batch.batch_id)
    ledger = cluster.ledger
    left = [key.decode() for key in ledger.client.scan_iter(match=f"*{batch.batch_id}*", count=1000)]
    assert left == [ledger.keys.shared("gone", batch.batch_id)]


def test_workers_delete_checkpoints_that_are_too_old(cluster: Cluster) -> None:
    """Nobody comes by on the thread any more; its newest checkpoint stays, and nothing is owed a look."""
    remote = cluster.bind(chain)
    old: Any = {"configurable": {"thread_id": "aged"}}
    other: Any = {"configurable": {"thread_id": "ageless"}}
    remote.submit({"text": "One. Two."}, old, keep=timedelta(seconds=2)).result(timeout=20)
    remote.submit({"text": "One. Two."}, other).result(timeout=20)
    before = list(remote.get_state_history(other))
    assert len(before) > 2
    wait_until(lambda: len(list(remote.get_state_history(old))) == 1, 30, "the old ones are deleted")
    assert list(remote.get_state_history(other)) == before
    assert remote.get_state(old).values == before[0].values
    listed = [cluster.ledger.keys.ages(part) for part in range(cluster.ledger.keys.partitions)]
    wait_until(lambda: not cluster.ledger.client.exists(*listed), 30, "no thread is to be looked at again")
    for config in (old, other):
        remote.checkpointer.delete_thread(config["configurable"]["thread_id"])
