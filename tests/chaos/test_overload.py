"""A server that is nearly full: submissions stop, what runs pauses without harm, and deleting makes it go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import OverloadedError
from tests.graphs import limits
from tests.integration.cluster.at_rest import crashes, wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

#: Bytes of each of the results that fill the server; noise, so that nothing makes them smaller.
BULK = 200_000


@pytest.fixture
def cluster() -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=1, concurrency=2, graphs=["tests.graphs.limits"], persistence="memory") as made:
        yield made


def filled(cluster: EmbeddedCluster) -> Any:
    """A batch that is done, whose results take most of the server's memory."""
    bulk = cluster.bind(limits.mixed).submit_batch(
        [{"index": at, "log": Random(at).randbytes(BULK).hex()} for at in range(60)]
    )
    assert bulk.wait(60).done == 60
    return bulk


def used(cluster: Cluster) -> int:
    return cluster.ledger.fleet.memory()[0]


def may_hold(cluster: Cluster, size: int) -> None:
    cluster.ledger.runs.client.config_set("maxmemory", size)


def test_submissions_wait_or_are_refused_until_there_is_room(cluster: EmbeddedCluster) -> None:
    bulk = filled(cluster)
    may_hold(cluster, int(used(cluster) * 1.08))
    items = [{"index": at} for at in range(300)]
    url, namespace = cluster.server.url, cluster.namespace
    with Cluster.connect(url, namespace=namespace, overload="refuse") as refused:
        with pytest.raises(OverloadedError, match=r"MiB of its maxmemory of .* submissions stop at 85%"):
            refused.bind(limits.mixed).submit_batch(items)
        with pytest.raises(OverloadedError):
            refused.bind(limits.mixed).submit(items[0])
    done: list[Any] = []
    submitter = threading.Thread(
        target=lambda: done.append(cluster.bind(limits.mixed).submit_batch(items, batch_id="b"))
    )
    submitter.start()
    assert not done
    bulk.delete()
    submitter.join(30)
    assert done[0].wait(60).done == 300
    wait_at_rest(cluster)


def test_a_batch_pauses_on_a_full_server_and_goes_on_when_there_is_room(cluster: EmbeddedCluster) -> None:
    """Commits are refused whole, no crash is counted, and deleting goes on."""
    bulk = filled(cluster)
    batch = cluster.bind(limits.mixed).submit_batch([{"index": at} for at in range(4000)])
    may_hold(cluster, used(cluster) - (1 << 20))
    with pytest.raises(TimeoutError):
        batch.wait(3)
    paused = batch.status().done
    assert paused < 4000
    run_alive = cluster.processes[0].alive
    bulk.delete()
    assert run_alive
    assert batch.wait(60).done == 4000
    assert crashes(cluster, batch.batch_id) == {}
    wait_at_rest(cluster)


def test_a_batch_can_be_cancelled_on_a_full_server(cluster: EmbeddedCluster) -> None:
    bulk = filled(cluster)
    batch = cluster.bind(limits.mixed).submit_batch([{"index": at} for at in range(4000)])
    may_hold(cluster, used(cluster) - (1 << 20))
    batch.cancel()
    status = batch.status()
    assert status.finished
    bulk.delete()
    may_hold(cluster, 0)
    wait_until(lambda: batch.status().done == status.done, 10)
    wait_at_rest(cluster)
