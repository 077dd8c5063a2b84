"""Workers die: every item finishes once, sums are exact, and only what killed its process is blamed for it."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.batch import Batch
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.examples import sums
from distgraph.types import Placement
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums",)


def check(cluster: EmbeddedCluster, batch: Batch, items: list[sums.Item]) -> None:
    """Wait for the batch: each item once, each sum exact, nobody quarantined, nothing left over."""
    status = batch.wait(90)
    results = list(batch.results())
    assert [result.error for result in results if result.status != "done"] == []
    assert [result.index for result in results] == list(range(len(items)))
    wrong = [result.index for result, item in zip(results, items, strict=True) if result.value != sums.expected(item)]
    assert wrong == []
    assert (status.total, status.done, status.failed, status.cancelled) == (len(items), len(items), 0, 0)
    wait_at_rest(cluster)


def submit(cluster: EmbeddedCluster, items: list[Any], placement: Placement) -> Batch:
    batch: Batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
    return batch


@pytest.mark.parametrize(("placement", "count"), [("auto", 1000), ("spread", 60)])
class TestAChild:
    def test_is_killed_again_and_again(self, placement: Placement, count: int) -> None:
        """Its worker sees the death at once and starts another child; a kill costs one item a crash at most."""
        items = sums.items(count)
        kills = 5
        with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
            batch = submit(cluster, items, placement)
            for kill in range(kills):
                wait_for_progress(cluster, batch.batch_id, (kill + 1) * count // (kills + 2))
                cluster.processes[kill % 2].kill_child()
            counted = crashes(cluster, batch.batch_id)
            check(cluster, batch, items)
            assert sum(counted.values()) <= kills
            assert all(process.alive for process in cluster.processes)


@pytest.mark.parametrize(
    ("pool", "placement", "count"),
    [
        *[("prefork", "auto", 1000), ("prefork", "spread", 60), ("threads", "auto", 1000), ("solo", "spread", 60)],
        *nightly(("threads", "spread", 60), ("solo", "auto", 1000)),
    ],
)
class TestAWholeWorker:
    def test_is_killed_and_replaced(self, pool: str, placement: Placement, count: int) -> None:
        """Nobody is left to say what ran: its items are suspects and run alone.

        No crash is counted for them, but for the one that ran alone when the second worker was killed too.
        """
        items = sums.items(count)
        with Cluster.embedded(workers=2, graphs=GRAPHS, pool=pool) as cluster:
            batch = submit(cluster, items, placement)
            for kill in range(2):
                wait_for_progress(cluster, batch.batch_id, (kill + 1) * count // 4)
                cluster.processes[kill].kill_tree()
                cluster.add_worker(wait=False)
            check(cluster, batch, items)
            assert list(crashes(cluster, batch.batch_id).values()) in ([], [1])

    def test_all_at_once(self, pool: str, placement: Placement, count: int) -> None:
        """Nobody is left at all; whoever comes next finds everything in the ledger."""
        items = sums.items(count)
        with Cluster.embedded(workers=2, graphs=GRAPHS, pool=pool) as cluster:
            batch = submit(cluster, items, placement)
            wait_for_progress(cluster, batch.batch_id, count // 3)
            for process in cluster.processes:
                process.kill_tree()
            cluster.add_worker(wait=False)
            cluster.add_worker(wait=False)
            check(cluster, batch, items)
            assert crashes(cluster, batch.batch_id) == {}


def test_the_parent_alone_is_killed() -> None:
    """Its child goes on for a moment as an orphan that nobody vouches for; what it still commits is either whole or refused."""
    items = sums.items(1000)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = submit(cluster, items, "auto")
        wait_for_progress(cluster, batch.batch_id, 250)
        cluster.processes[0].kill()
        check(cluster, batch, items)


@pytest.mark.parametrize("placement", ["auto", "spread", "local"])
def test_a_worker_that_was_taken_for_dead_comes_back(placement: Placement) -> None:
    """Stopped (SIGSTOP) for longer than a beat lives: others take over; awake again, its late commits change nothing."""
    items = sums.items(200, delay_ms=1)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = submit(cluster, items, placement)
        wait_for_progress(cluster, batch.batch_id, 20)
        cluster.processes[0].pause()
        wait_until(lambda: len(cluster.workers()) == 1, 10, "the stopped worker is not seen any more")
        done = batch.status().done
        wait_for_progress(cluster, batch.batch_id, min(200, done + 20))
        cluster.processes[0].resume()
        check(cluster, batch, items)
        assert crashes(cluster, batch.batch_id) == {}
        wait_until(lambda: len(cluster.workers()) == 2, 10, "the worker is seen again")
