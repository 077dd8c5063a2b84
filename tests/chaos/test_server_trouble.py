"""The server is there and does not do what it is asked: read-only, full of clients, without room, asleep. All of it passes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis.exceptions import ResponseError

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.examples import sums
from distgraph.ledger.connection import connect
from distgraph.ledger.server import EmbeddedServer
from distgraph.types import Placement
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums",)

#: How long each trouble lasts: longer than any client tries again. Seconds.
LASTS = 3.0


@contextmanager
def replica(cluster: EmbeddedCluster) -> Iterator[None]:
    """A failover that leaves our address a read-only replica; then it is the primary again."""
    with EmbeddedServer(persistence="memory") as other, connect(cluster.server.url) as operator:
        # A full resynchronisation would empty it: it becomes a replica of a server that does not let it in.
        with connect(other.url) as client:
            client.config_set("requirepass", "closed")
        operator.replicaof("127.0.0.1", other.port)
        try:
            yield
        finally:
            operator.replicaof("NO", "ONE")


@contextmanager
def full(cluster: EmbeddedCluster) -> Iterator[None]:
    """Every place for a client is taken, and those that were there are sent away."""
    with connect(cluster.server.url) as operator:
        operator.ping()
        operator.config_set("maxclients", 1)
        operator.client_kill_filter(skipme=True)
        try:
            yield
        finally:
            operator.config_set("maxclients", 10_000)


@contextmanager
def disk_full(cluster: EmbeddedCluster) -> Iterator[None]:
    """A snapshot could not be written, so nothing is (MISCONF) until one could."""
    snapshot = cluster.server.directory / "dump.rdb"
    snapshot.mkdir()
    with connect(cluster.server.url) as operator:
        operator.config_set("save", "3600 1")
        operator.bgsave()
        wait_until(lambda: _saving(operator)["rdb_last_bgsave_status"] == "err")
        with pytest.raises(ResponseError, match="MISCONF"):
            operator.set("x", 1)
        try:
            yield
        finally:
            snapshot.rmdir()
            operator.bgsave()
            wait_until(lambda: _saving(operator)["rdb_last_bgsave_status"] == "ok")


def _saving(operator: Any) -> dict[str, Any]:
    found: dict[str, Any] = operator.info("persistence")
    return found


@contextmanager
def lonely(cluster: EmbeddedCluster) -> Iterator[None]:
    """Its replicas are away, and it was told to write nothing then (NOREPLICAS)."""
    with connect(cluster.server.url) as operator:
        operator.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            operator.config_set("min-replicas-to-write", 0)


@contextmanager
def no_memory(cluster: EmbeddedCluster) -> Iterator[None]:
    """It is over its limit by all it holds (OOM); whoever connects anew finds it so."""
    with connect(cluster.server.url) as operator:
        operator.config_set("maxmemory", 1)
        operator.client_kill_filter(skipme=True)
        try:
            yield
        finally:
            operator.config_set("maxmemory", 0)


@contextmanager
def paused(cluster: EmbeddedCluster) -> Iterator[None]:
    """CLIENT PAUSE, as before a planned failover."""
    with connect(cluster.server.url) as operator:
        operator.client_pause(int(LASTS * 1000))
        yield


@contextmanager
def asleep(cluster: EmbeddedCluster) -> Iterator[None]:
    """The server's process stands still, as in a swap storm."""
    os.kill(cluster.server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(cluster.server.pid, signal.SIGCONT)


TROUBLES = (replica, full, disk_full, lonely, no_memory, paused, asleep)
AUTO, SPREAD = ("auto", 800), ("spread", 60)


@pytest.mark.parametrize(
    ("trouble", "placement", "count"),
    [
        *[(trouble, *(SPREAD if at % 2 else AUTO)) for at, trouble in enumerate(TROUBLES)],
        *nightly(*[(trouble, *(AUTO if at % 2 else SPREAD)) for at, trouble in enumerate(TROUBLES)]),
    ],
)
def test_a_batch_goes_on_when_it_has_passed(
    trouble: Callable[[EmbeddedCluster], Any], placement: Placement, count: int
) -> None:
    """Nobody is blamed for it, and nothing is lost or done twice."""
    items = sums.items(count)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, count // 4)
        with trouble(cluster):
            time.sleep(LASTS)  # how long it lasts is its point
        status = batch.wait(90)
        assert (status.total, status.done, status.failed) == (count, count, 0)
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]
        wait_at_rest(cluster)
        assert crashes(cluster, batch.batch_id) == {}
        assert all(process.alive for process in cluster.processes)
