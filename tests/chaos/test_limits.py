"""Nodes that do not end by themselves: stopped at their time limit from outside, whatever they do to their process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import NodeTimeoutError, RunTimeoutError, StepTimeoutError
from distgraph.types import Placement
from tests.graphs import limits
from tests.integration.cluster.at_rest import wait_at_rest
from tests.nightly import nightly
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedCluster]:
    with Cluster.embedded(workers=1, concurrency=2, graphs=["tests.graphs.limits"]) as made:
        yield made


@pytest.mark.parametrize("how", ["sleep", "read", "lock"])
def test_a_node_that_hangs_is_stopped_at_its_limit(cluster: EmbeddedCluster, tmp_path: Path, how: str) -> None:
    """A loop, a dead connection, a regular expression that holds the interpreter's lock."""
    began = time.monotonic()
    run = cluster.bind(limits.hangs).submit({"how": how, "log": str(tmp_path / "log")})
    with pytest.raises(NodeTimeoutError, match="Node 'work' exceeded its run timeout of 1.000s"):
        run.result(30)
    assert 1.0 < time.monotonic() - began < 10
    assert (tmp_path / "log").read_text().split() == ["1"]
    wait_at_rest(cluster)


@pytest.mark.parametrize(
    ("placement", "how"),
    [("auto", "stubborn"), ("spread", "coroutine"), *nightly(("spread", "stubborn"), ("auto", "coroutine"))],
)
def test_a_run_ends_at_its_time_limit(cluster: EmbeddedCluster, tmp_path: Path, placement: Placement, how: str) -> None:
    """Though its node does not look, and its process is killed on the way: that prolongs nothing and is no crash."""
    log, began = tmp_path / "log", time.monotonic()
    run = cluster.bind(limits.waits, placement=placement).submit({"how": how, "log": str(log)}, time_limit=4)
    wait_until(lambda: log.exists() and log.read_text(), 20)
    os.kill(int(log.read_text().split()[1]), signal.SIGKILL)
    with pytest.raises(RunTimeoutError, match="time_limit of 4 s"):
        run.result(30)
    assert 4 <= time.monotonic() - began < 15
    assert cluster.dead_letters() == []
    wait_at_rest(cluster)


@pytest.mark.parametrize("batch", [False, True])
def test_a_superstep_ends_at_its_time_limit(cluster: EmbeddedCluster, tmp_path: Path, batch: bool) -> None:
    graph = cluster.bind(limits.waits)
    graph.step_timeout = 1.5
    given = {"how": "stubborn", "log": str(tmp_path / "log")}
    if batch:
        items = graph.submit_batch([given])
        items.wait(30)
        [failure] = items.failures()
        assert failure.error is not None
        assert "step_timeout of 1.5 s" in failure.error["message"]
    else:
        with pytest.raises(StepTimeoutError, match=r"step_timeout of 1\.5 s"):
            graph.submit(given).result(30)
    wait_at_rest(cluster)


@pytest.mark.parametrize("how", ["lock", "sleep"])
def test_what_hangs_between_nodes_ends_with_its_run(cluster: EmbeddedCluster, how: str) -> None:
    """A reducer, say. And its slot works again: it has two of them, and three such runs pass."""
    graph = cluster.bind(limits.merges)
    for _ in range(3):
        with pytest.raises(RunTimeoutError, match="time_limit of 1 s"):
            graph.submit({"how": how}, time_limit=1).result(30)
    assert graph.invoke({"how": "well"})["merged"] == "well"
    assert cluster.dead_letters() == []
    wait_at_rest(cluster)


def test_what_names_the_cached_result_of_a_node_has_its_time_limit(cluster: EmbeddedCluster) -> None:
    run = cluster.bind(limits.keyed, placement="local").submit({"width": 3, "bad": 1})
    assert run.result(60)["done"] == [0, -1, 2]
    wait_at_rest(cluster)


def test_only_the_item_that_hangs_is_failed_of_those_that_wait_beside_it(cluster: EmbeddedCluster) -> None:
    """It lets no other go on, and others are over their time limits first: who it was is seen when each runs alone."""
    # However two slots share them, it is not the first of those that one of them has begun.
    batch = cluster.bind(limits.beside).submit_batch([{"at": at, "bad": 6} for at in range(8)])
    batch.wait(60)
    [failure] = batch.failures()
    assert failure.index == 6
    assert failure.error is not None
    assert "exceeded its run timeout of 2.500s" in failure.error["message"]
    assert [row.value["done"] for row in batch.results() if row.status == "done"] == [[0], [1], [2], [3], [4], [5], [7]]
    assert cluster.dead_letters() == []
    wait_at_rest(cluster)


def test_only_the_node_that_hangs_is_failed_of_those_that_wait_beside_it(cluster: EmbeddedCluster) -> None:
    run = cluster.bind(limits.fans, placement="local").submit({"width": 5, "bad": 3})
    assert run.result(60)["done"] == [0, 1, 2, -3, 4]
    wait_at_rest(cluster)


def test_its_retry_policy_applies(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert cluster.bind(limits.hangs_again).submit({"how": "second", "log": str(log)}).result(30)["done"]
    assert log.read_text().split() == ["1", "2"]
    with pytest.raises(NodeTimeoutError):
        cluster.bind(limits.hangs_again).submit({"how": "lock", "log": str(log)}).result(30)
    assert log.read_text().split() == ["1", "2", "1", "2"]
    wait_at_rest(cluster)


def test_a_node_that_shows_signs_of_life_may_take_its_time(cluster: EmbeddedCluster) -> None:
    """Two seconds of work at an idle limit of one; when it falls silent, it is stopped."""
    graph = cluster.bind(limits.beats_graph)
    assert graph.submit({"how": "lively"}).result(30)["done"]
    with pytest.raises(NodeTimeoutError, match="Node 'beats' exceeded its idle timeout of 1.000s"):
        graph.submit({"how": "silent"}).result(30)
    wait_at_rest(cluster)


def test_what_a_node_leaves_behind_harms_nobody(cluster: EmbeddedCluster) -> None:
    """A daemon thread, signal handlers, an alarm, another directory: whoever comes next to that process finds none of it."""
    graph = cluster.bind(limits.leaves, placement="local")
    here = graph.invoke({"how": "nothing"})["how"].split()[1]
    for how in ("thread", "signals", "chdir"):
        graph.invoke({"how": how})
        for _ in range(8):
            found = graph.invoke({"how": "nothing"})
            assert found["found"] == "set"
            assert found["how"] == f"nothing {here}"


def test_a_worker_whose_node_replaced_its_signal_handlers_still_drains() -> None:
    with Cluster.embedded(workers=1, graphs=["tests.graphs.limits"]) as cluster:
        cluster.bind(limits.leaves).invoke({"how": "signals"})
        [worker] = cluster.processes
        worker.terminate()
        wait_until(lambda: not worker.alive, 20)
        assert worker.exit_code == 0


def test_a_pool_that_cannot_stop_a_node_says_so() -> None:
    with Cluster.embedded(workers=1, graphs=["tests.graphs.limits"], pool="threads") as cluster:
        log = (cluster.directory / "worker-1.log").read_text()
        assert "pool threads cannot stop a node" in log
        assert "the time limits of work in graph 'hangs'" in log
