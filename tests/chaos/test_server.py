"""The server is killed and comes back with its append-only file: the work goes on, and nobody is blamed for the outage."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.batch import Batch
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import StoreError
from distgraph.examples import sums
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "tests.graphs.hard")


def outage(cluster: EmbeddedCluster, seconds: float) -> None:
    """Kill the server and start it again so much later; how long an outage is, is its point."""
    cluster.server.kill()
    time.sleep(seconds)
    cluster.server.restart()


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
        ("prefork", "auto", 1000),
        ("prefork", "spread", 80),
        ("threads", "auto", 1000),
        ("solo", "spread", 80),
        *nightly(("solo", "auto", 1000)),
    ],
)
def test_killed_and_restarted_in_the_middle_of_a_batch(pool: str, placement: Placement, count: int) -> None:
    """Once for a moment, once for longer than any client tries again and any beat lives."""
    items = sums.items(count)
    with Cluster.embedded(workers=2, graphs=GRAPHS, pool=pool) as cluster:
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        for part, seconds in enumerate((0.0, 4.0), 1):
            wait_for_progress(cluster, batch.batch_id, part * count // 4)
            outage(cluster, seconds)
        finished(cluster, batch, items)
        assert all(process.alive for process in cluster.processes)
        wait_until(lambda: len(cluster.workers()) == 2, 10)


def test_in_the_middle_of_a_node(tmp_path: Any) -> None:
    """A node that outlives the outage commits what it did: it does not run again."""
    gate, log = tmp_path / "open", tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
        wait_until(log.exists)
        outage(cluster, 3.0)
        wait_until(lambda: len(cluster.workers()) == 1, 10)
        gate.touch()
        assert run.result(30)["steps"] == ["first", "wait", "last"]
        assert len(log.read_text().splitlines()) == 1
        wait_at_rest(cluster)


def test_ended_during_the_outage(tmp_path: Any) -> None:
    """A node ends while nobody answers: its result is kept and offered again, and the run goes on."""
    gate, log = tmp_path / "open", tmp_path / "log"
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
        wait_until(log.exists)
        cluster.server.kill()
        gate.touch()
        time.sleep(4.0)  # longer than a call is tried again
        cluster.server.restart()
        assert run.result(30)["steps"] == ["first", "wait", "last"]
        assert len(log.read_text().splitlines()) == 1
        wait_at_rest(cluster)


def test_a_submitter_that_meets_an_outage_goes_on_with_the_same_call() -> None:
    items = sums.items(1000)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        reached = threading.Event()

        def slowly() -> Any:
            for item in items:
                if item["index"] == 500:
                    reached.set()
                    wait_until(lambda: not cluster.server.alive, 20)
                yield item

        def kill() -> None:
            reached.wait()
            cluster.server.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(StoreError):
            cluster.bind(sums.graph).submit_batch(slowly(), batch_id="again")
        killer.join()
        cluster.server.restart()
        batch = cluster.bind(sums.graph).submit_batch(iter(items), batch_id="again")
        finished(cluster, batch, items)


def test_people_wait_through_an_outage() -> None:
    """A run that rests on a question is still there."""
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(hard.polls).submit({})
        run.result(20)
        outage(cluster, 0.0)
        answers = {question.id: "yes" for question in run.interrupts()}
        assert run.resume(answers).result(30)["answers"] == ["left yes", "middle", "right yes"]
