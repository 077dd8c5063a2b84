"""A worker that is told to stop ends within its time to drain and a few seconds, whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.celery.app import END_SECONDS
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.examples import sums
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

#: What a loaded machine may add. Seconds.
MARGIN = 5.0


def one_worker(drain: int = 30, pool: str = "prefork") -> EmbeddedCluster:
    cluster = Cluster.embedded(workers=0, graphs=["distgraph.examples.sums"])
    try:
        cluster.add_worker(pool=pool, env={"DISTGRAPH_DRAIN_TIMEOUT": str(drain)})
    except BaseException:
        cluster.close()
        raise
    return cluster


def test_one_of_a_busy_queue_goes_at_once() -> None:
    """Its pool may have been handed a hint that nobody asks about any more."""
    with one_worker() as cluster:
        batch = cluster.bind(sums.graph).submit_batch(sums.items(2000, width=1, rounds=2))
        slowest = 0.0
        for _ in range(6):
            worker = cluster.processes[-1]
            done = batch.status().done
            wait_until(lambda done=done: batch.status().done > done, 20)  # type: ignore[misc]
            began = time.monotonic()
            assert worker.stop(30)
            slowest = max(slowest, time.monotonic() - began)
            assert worker.exit_code == 0
            cluster.add_worker()
        assert slowest < 3 + MARGIN
        assert batch.wait(60).done == 2000
        wait_at_rest(cluster)


def test_one_whose_process_hangs() -> None:
    """Nothing in the pool answers: the worker says goodbye and ends without it."""
    with one_worker(drain=1) as cluster:
        worker = cluster.processes[0]
        (child,) = worker.children()
        os.kill(child, signal.SIGSTOP)
        worker.terminate()
        assert worker.wait(1 + END_SECONDS + MARGIN)
        assert worker.exit_code == 0
        assert cluster.workers() == []
        wait_until(lambda: not Path(f"/proc/{child}").exists(), 5)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_one_whose_server_is_gone(pool: str) -> None:
    with one_worker(drain=1, pool=pool) as cluster:
        cluster.server.kill()
        worker = cluster.processes[0]
        wait_until(lambda: "Cannot connect" in worker.log.read_text(), 20)
        worker.terminate()
        assert worker.wait(1 + END_SECONDS + 2 * MARGIN)
        assert worker.exit_code == 0
        cluster.server.restart()
