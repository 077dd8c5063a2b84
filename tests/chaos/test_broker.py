"""Hints are lost, repeated, shuffled: they decide nothing, so nothing goes wrong. The ledger goes: that is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.cluster.hints import queue_name
from distgraph.errors import BatchNotFoundError, RunNotFoundError
from distgraph.examples import sums
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import crashes, wait_at_rest, wait_for_progress
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "tests.graphs.hard")


def lose(client: Any, queue: str) -> None:
    client.delete(queue)


def repeat(client: Any, queue: str) -> None:
    for message in client.lrange(queue, 0, 20):
        client.lpush(queue, message, message)


def shuffle(client: Any, queue: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.lrange(queue, 0, -1)
        pipe.delete(queue)
        messages, _ = pipe.execute()
    random.Random(7).shuffle(messages)
    if messages:
        client.lpush(queue, *messages)


def cut(client: Any, queue: str) -> None:
    """Every connection is dropped, also in the middle of a reply."""
    client.client_kill_filter(_type="normal", skipme=True)


def forget_scripts(client: Any, queue: str) -> None:
    client.script_flush()


@pytest.mark.parametrize(
    ("mishap", "placement", "count"),
    [
        *[(lose, "auto", 600), (repeat, "spread", 40), (shuffle, "auto", 600), (cut, "spread", 40)],
        *[(cut, "auto", 600), (forget_scripts, "auto", 600)],
        *nightly((lose, "spread", 40), (repeat, "auto", 600), (shuffle, "spread", 40), (forget_scripts, "spread", 40)),
    ],
)
def test_a_dozen_mishaps_in_one_batch(mishap: Callable[[Any, str], None], placement: Placement, count: int) -> None:
    items = sums.items(count)
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        for turn in range(12):
            wait_for_progress(cluster, batch.batch_id, turn * count // 15)
            mishap(cluster.ledger.runs.client, queue_name(cluster.namespace))
        status = batch.wait(90)
        assert (status.done, status.failed) == (count, 0)
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]
        wait_at_rest(cluster)
        assert crashes(cluster, batch.batch_id) == {}


def flushed(cluster: EmbeddedCluster) -> None:
    cluster.ledger.runs.client.flushall()


def restarted_without_a_file(cluster: EmbeddedCluster) -> None:
    cluster.server.kill()
    cluster.server.restart()


@pytest.mark.parametrize(("persistence", "loss"), [("standard", flushed), ("memory", restarted_without_a_file)])
def test_a_ledger_that_is_gone_is_said(
    persistence: str, loss: Callable[[EmbeddedCluster], None], tmp_path: Any
) -> None:
    """Whoever waits gets a clear error soon, and the workers serve what comes next."""
    gate = tmp_path / "open"
    with Cluster.embedded(workers=1, graphs=GRAPHS, persistence=persistence) as cluster:
        remote = cluster.bind(hard.gate)
        run = remote.submit({"file": str(gate)})
        batch = remote.submit_batch([{"file": str(gate)}] * 3)
        wait_until(lambda: run.status() == "running")
        loss(cluster)
        with pytest.raises(RunNotFoundError, match=run.run_id):
            run.result(10)
        with pytest.raises(BatchNotFoundError, match=batch.batch_id):
            batch.wait(10)
        gate.touch()
        wait_until(lambda: [worker.busy for worker in cluster.workers()] == [0], 10)
        wait_until(lambda: len(cluster.graphs()) > 1, 10)
        assert remote.submit({"file": str(gate)}).result(20)["steps"] == ["first", "wait", "last"]
        wait_at_rest(cluster)
