"""Workers that are asked to go lose nothing and are blamed for nothing; workers that come take work at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.batch import Batch
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import BatchExistsError
from distgraph.examples import sums
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "distgraph.examples.crunch", "tests.graphs.hard")
ROOT = Path(__file__).resolve().parents[2]


def finished(cluster: EmbeddedCluster, batch: Batch, items: list[sums.Item]) -> None:
    status = batch.wait(90)
    results = list(batch.results())
    assert [result.error for result in results if result.status != "done"] == []
    assert [result.value for result in results] == [sums.expected(item) for item in items]
    assert (status.total, status.done, status.failed) == (len(items), len(items), 0)
    wait_at_rest(cluster)
    assert crashes(cluster, batch.batch_id) == {}


@pytest.mark.parametrize(
    ("pool", "placement", "count"),
    [
        *[("prefork", "auto", 600), ("prefork", "spread", 60), ("threads", "auto", 600), ("solo", "spread", 60)],
        *nightly(("threads", "spread", 60), ("solo", "auto", 600)),
    ],
)
def test_a_worker_is_asked_to_stop(pool: str, placement: Placement, count: int) -> None:
    """SIGTERM: it hands its work back, ends in seconds by itself, and is gone from the list of workers at once."""
    items = sums.items(count, delay_ms=1)
    with Cluster.embedded(workers=2, graphs=GRAPHS, pool=pool) as cluster:
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, count // 4)
        began = time.monotonic()
        assert cluster.processes[0].stop(20)
        assert time.monotonic() - began < 10
        assert cluster.processes[0].exit_code == 0
        assert [worker.pid for worker in cluster.workers()] == [cluster.processes[1].pid]
        assert batch.status().done < count
        finished(cluster, batch, items)


def test_the_last_worker_is_asked_to_stop() -> None:
    """What it hands back waits for the next one."""
    items = sums.items(600, delay_ms=1)
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, 100)
        assert cluster.processes[0].stop(20)
        status = batch.status()
        assert status.running == 0
        assert status.done + status.queued == 600
        cluster.add_worker()
        finished(cluster, batch, items)


def test_a_rolling_restart() -> None:
    """One after the other, all workers are replaced while a batch runs."""
    items = sums.items(1000, delay_ms=1, width=2, rounds=2)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph).submit_batch(items)
        for turn in range(2):
            wait_for_progress(cluster, batch.batch_id, (turn + 1) * 200)
            cluster.add_worker()
            assert cluster.processes[turn].stop(20)
        finished(cluster, batch, items)


def test_a_node_that_runs_may_end_first(tmp_path: Path) -> None:
    """A stop waits for the node at hand, and what it returned is kept."""
    gate, log = tmp_path / "open", tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
        wait_until(log.exists)
        cluster.processes[0].terminate()
        wait_until(lambda: "shutdown" in cluster.processes[0].log.read_text(), 10)
        assert cluster.processes[0].alive
        gate.touch()
        assert cluster.processes[0].wait(20)
        cluster.add_worker()
        assert run.result(20)["steps"] == ["first", "wait", "last"]
        assert len(log.read_text().splitlines()) == 1


@pytest.mark.parametrize(("placement", "count"), [("auto", 500), ("spread", 150)])
def test_a_worker_that_comes_late_takes_work(placement: Placement, count: int) -> None:
    items = sums.items(count, delay_ms=2, width=2, rounds=2)
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, count // 20)
        late = cluster.add_worker()
        wait_until(lambda: any(worker.pid == late.pid and worker.busy for worker in cluster.workers()), 5)
        assert batch.status().done < count
        finished(cluster, batch, items)


SUBMITTER = """
import sys
from distgraph.cluster import Cluster
from distgraph.examples import sums

def items():
    for item in sums.items(1000):
        if item["index"] == int(sys.argv[2]):
            print("here", flush=True)
            sys.stdin.read()
        yield item

with Cluster.connect(sys.argv[1]) as cluster:
    cluster.bind(sums.graph).submit_batch(items(), batch_id="mine")
"""


@pytest.mark.parametrize("reached", [0, 700, 999])
def test_a_submitter_is_killed_and_the_same_call_goes_on(reached: int) -> None:
    """Whatever it had submitted runs meanwhile; the batch has each item once in the end."""
    items = sums.items(1000)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        command = [sys.executable, "-c", SUBMITTER, cluster.server.url, str(reached)]
        submitter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
        assert submitter.stdout is not None
        assert submitter.stdin is not None
        try:
            assert submitter.stdout.readline() == b"here\n"
        finally:
            submitter.kill()
            submitter.wait()
            submitter.stdout.close()
            submitter.stdin.close()
        batch = cluster.batch("mine")
        stored = reached // 256 * 256
        wait_until(lambda: batch.status().done == stored, 30, "the items that were submitted are done")
        assert not batch.status().sealed
        assert not batch.status().finished
        again = cluster.bind(sums.graph).submit_batch(iter(items), batch_id="mine")
        finished(cluster, again, items)
        with pytest.raises(BatchExistsError):
            cluster.bind(sums.graph).submit_batch(items[:-1], batch_id="mine")


def test_twenty_submitters_of_one_batch() -> None:
    """All make the same call at once; there is one batch."""
    import threading

    items = sums.items(1000)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batches: list[Any] = []
        threads = [
            threading.Thread(
                target=lambda: batches.append(cluster.bind(sums.graph).submit_batch(iter(items), batch_id="ours"))
            )
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [batch.batch_id for batch in batches] == ["ours"] * 20
        finished(cluster, batches[0], items)
