"""Cancel: once it has returned nothing later is applied; what runs is told, then stopped, and nobody is to blame."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import RunCancelledError
from tests.graphs import limits
from tests.integration.cluster.at_rest import crashes, wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=0, concurrency=2, graphs=["tests.graphs.limits"]) as made:
        made.add_worker(arguments=["--cancel-grace", "1"])
        yield made


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def begun(cluster: EmbeddedCluster, thread: str) -> bool:
    return cluster.ledger.runs.read_line(thread, ["head"])[0] is not None


def children(cluster: EmbeddedCluster) -> set[int]:
    return set(cluster.processes[0].children())


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_a_node_that_looks_is_told_and_keeps_its_process(
    cluster: EmbeddedCluster, tmp_path: Path, placement: Any
) -> None:
    log, before = tmp_path / "log", children(cluster)
    run = cluster.bind(limits.waits, placement=placement).submit({"how": "told", "log": str(log)})
    wait_until(lambda: lines(log), 20)
    assert run.cancel()
    wait_until(lambda: "told" in lines(log), 10)
    with pytest.raises(RunCancelledError):
        run.result(5)
    wait_at_rest(cluster)
    assert "last" not in lines(log)
    assert children(cluster) == before


def test_a_coroutine_is_cancelled_where_it_waits(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    log, before = tmp_path / "log", children(cluster)
    run = cluster.bind(limits.waits).submit({"how": "coroutine", "log": str(log)})
    wait_until(lambda: lines(log), 20)
    run.cancel()
    wait_until(lambda: "cancelled" in lines(log), 10)
    wait_at_rest(cluster)
    assert children(cluster) == before


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_a_node_that_does_not_look_is_stopped(cluster: EmbeddedCluster, tmp_path: Path, placement: Any) -> None:
    log = tmp_path / "log"
    run = cluster.bind(limits.waits, placement=placement).submit({"how": "stubborn", "log": str(log)})
    wait_until(lambda: lines(log), 20)
    pid = int(lines(log)[0].split()[1])
    run.cancel()
    wait_until(lambda: pid not in children(cluster), 10)
    wait_until(lambda: len(children(cluster)) == 2, 10)
    with pytest.raises(RunCancelledError):
        run.result(5)
    assert cluster.dead_letters() == []
    wait_at_rest(cluster)


def test_items_of_a_cancelled_batch_are_stopped_too(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    logs = [tmp_path / str(index) for index in range(6)]
    batch = cluster.bind(limits.waits).submit_batch([{"how": "stubborn", "log": str(log)} for log in logs])
    wait_until(lambda: sum(bool(lines(log)) for log in logs) == 2, 20)
    busy = {int(lines(log)[0].split()[1]) for log in logs if lines(log)}
    batch.cancel()
    wait_until(lambda: busy.isdisjoint(children(cluster)), 10)
    assert batch.status().cancelled == 6
    assert crashes(cluster, batch.batch_id) == {}
    wait_at_rest(cluster)
    assert sum(bool(lines(log)) for log in logs) == 2


def test_nothing_is_applied_after_cancel_has_returned(cluster: EmbeddedCluster) -> None:
    """500 runs that advance as fast as they can, each cancelled at a moment of its own."""
    noise, heads = random.Random(63), {}
    graph, ledger = cluster.bind(limits.loops), cluster.ledger.runs
    for _ in range(500):
        run = graph.submit({"n": 0}, {"recursion_limit": 1_000_000}, keep="latest", log=False)
        wait_until(partial(begun, cluster, run.thread_id), 20)
        time.sleep(noise.random() * 0.003)
        assert run.cancel()
        heads[run] = ledger.read_line(run.thread_id, ["head"])[0]
    wait_at_rest(cluster)
    for run, head in heads.items():
        assert ledger.read_line(run.thread_id, ["head"])[0] == head
        assert run.status() == "cancelled"
