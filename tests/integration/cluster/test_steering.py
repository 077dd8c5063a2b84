"""Ids, threads, cancelling: what callers may do to runs, and what they may not."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import GraphRecursionError, RunCancelledError, RunExistsError, ThreadBusyError
from distgraph.examples import sums
from tests.graphs import hard, versions
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]

ITEM = sums.items(3)[2]


def new_id() -> str:
    return f"run-{uuid.uuid4().hex[:12]}"


class TestRunIds:
    """A run id names one piece of work, however often it is submitted."""

    def test_the_same_again_is_the_same_run(self, cluster: EmbeddedCluster, tmp_path: Path) -> None:
        name, log = new_id(), tmp_path / "log"
        remote = cluster.bind(hard.poison)
        item = {"index": 1, "log": str(log)}
        runs = [remote.submit(item, run_id=name) for _ in range(3)]
        assert [run.result(20)["trail"] for run in runs] == [["before", "risky", "after"]] * 3
        remote.submit(item, run_id=name).result(20)  # also after it has ended
        assert log.read_text() == "1\n"

    def test_fifty_at_once_make_one_run(self, cluster: EmbeddedCluster, tmp_path: Path) -> None:
        name, log = new_id(), tmp_path / "log"
        results: list[Any] = []
        start = threading.Barrier(10)

        def submit() -> None:
            start.wait()
            for _ in range(5):
                results.append(cluster.bind(hard.poison).submit({"index": 1, "log": str(log)}, run_id=name).result(30))

        threads = [threading.Thread(target=submit) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 50
        assert log.read_text() == "1\n"

    def test_another_input_is_a_conflict(self, cluster: EmbeddedCluster) -> None:
        name = new_id()
        remote = cluster.bind(sums.graph)
        first = remote.submit(ITEM, run_id=name)
        with pytest.raises(RunExistsError, match=name):
            remote.submit({**ITEM, "index": 99}, run_id=name)
        assert first.result(20) == sums.expected(ITEM)

    def test_another_thread_is_a_conflict(self, cluster: EmbeddedCluster, config: Config) -> None:
        name = new_id()
        remote = cluster.bind(sums.graph)
        first = remote.submit(ITEM, config("a"), run_id=name)
        with pytest.raises(RunExistsError, match=name):
            remote.submit(ITEM, config("b"), run_id=name)
        with pytest.raises(RunExistsError, match=name):
            remote.submit(ITEM, run_id=name)
        assert first.result(20) == sums.expected(ITEM)


class TestThreads:
    """One active run a thread."""

    def test_a_busy_thread_refuses_another_run(self, cluster: EmbeddedCluster, config: Config, gate: Path) -> None:
        remote, where = cluster.bind(hard.gate), config()
        first = remote.submit({"file": str(gate)}, where)
        with pytest.raises(ThreadBusyError, match=first.run_id) as caught:
            remote.submit({"file": str(gate)}, where)
        assert caught.value.run_id == first.run_id
        gate.touch()
        assert first.result(20)["steps"] == ["first", "wait", "last"]
        assert remote.invoke({"file": str(gate)}, where)["steps"] == ["first", "wait", "last"] * 2


class TestCancel:
    def test_once_it_returns_nothing_more_is_applied(
        self, cluster: EmbeddedCluster, config: Config, gate: Path, tmp_path: Path
    ) -> None:
        """The node that runs is not torn down, but what it returns is not taken."""
        log = tmp_path / "log"
        where = config()
        remote = cluster.bind(hard.gate)
        run = remote.submit({"file": str(gate), "log": str(log)}, where)
        wait_until(log.exists)
        assert run.cancel()
        before = remote.get_state(where).values
        gate.touch()
        with pytest.raises(RunCancelledError, match=run.run_id):
            run.result(20)
        assert run.status() == "cancelled"
        wait_at_rest(cluster)
        wait_until(lambda: all(worker.busy == 0 for worker in cluster.workers()))
        assert remote.get_state(where).values == before
        assert before["steps"] == ["first"]

    def test_before_a_worker_took_it(self, cluster: EmbeddedCluster, gate: Path) -> None:
        """Both slots are held by others; the cancelled run never starts."""
        holders = [cluster.bind(hard.gate).submit({"file": str(gate)}) for _ in range(2)]
        wait_until(lambda: all(run.status() == "running" for run in holders))
        waiting = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(gate.with_name("never"))})
        assert waiting.cancel()
        gate.touch()
        assert [run.result(20)["steps"] for run in holders] == [["first", "wait", "last"]] * 2
        wait_at_rest(cluster)
        assert not gate.with_name("never").exists()

    def test_a_run_that_has_ended(self, cluster: EmbeddedCluster) -> None:
        run = cluster.bind(sums.graph).submit(ITEM)
        run.result(20)
        assert not run.cancel()
        assert run.status() == "done"

    def test_twice(self, cluster: EmbeddedCluster, gate: Path) -> None:
        run = cluster.bind(hard.gate).submit({"file": str(gate)})
        assert [run.cancel(), run.cancel()] == [True, False]
        gate.touch()

    def test_while_its_tasks_are_spread(self, cluster: EmbeddedCluster) -> None:
        item = sums.items(1, width=20, rounds=3, delay_ms=5)[0]
        run = cluster.bind(sums.graph, placement="spread").submit(item)
        wait_until(lambda: run.status() == "running")
        assert run.cancel()
        with pytest.raises(RunCancelledError):
            run.result(5)
        wait_at_rest(cluster)

    def test_the_stream_says_so(self, cluster: EmbeddedCluster, gate: Path) -> None:
        run = cluster.bind(hard.gate).submit({"file": str(gate)})
        chunks = run.stream("updates")
        assert next(chunks) == {"first": {"steps": ["first"]}}
        run.cancel()
        gate.touch()
        with pytest.raises(RunCancelledError):
            list(chunks)


def test_the_recursion_limit_holds_across_workers(cluster: EmbeddedCluster) -> None:
    item = {**ITEM, "rounds": 50}
    for placement in ("auto", "spread"):
        with pytest.raises(GraphRecursionError, match="Recursion limit of 10"):
            cluster.bind(sums.graph, placement=placement).invoke(item, {"recursion_limit": 10})


def test_a_graph_without_live_workers_waits_for_one() -> None:
    """Served once, no worker alive: the run says so, and is done when a worker comes."""
    with Cluster.embedded(workers=1, graphs=["distgraph.examples.sums"]) as cluster:
        assert cluster.processes[0].stop()
        wait_until(lambda: not cluster.workers(), 10)
        run = cluster.bind(sums.graph).submit(ITEM)
        assert run.status() == "waiting_for_worker"
        cluster.add_worker()
        assert run.result(20) == sums.expected(ITEM)


def test_two_versions_of_a_graph_side_by_side() -> None:
    """During a deployment each run is run by workers of its own version, and waits for one where there is none."""
    with Cluster.embedded(workers=1, graphs=["tests.graphs.versions"]) as cluster:
        cluster.add_worker(env={"GRAPH_VERSION": "2"})
        old, new = (cluster.bind(versions.make(version)) for version in "12")
        runs = [remote.submit({}) for _ in range(10) for remote in (old, new)]
        assert [run.result(20)["seen"] for run in runs] == ["old", "new"] * 10
        assert cluster.processes[0].stop()
        wait_until(lambda: len(cluster.workers()) == 1, 10)
        left, right = old.submit({}), new.submit({})
        assert right.result(20) == {"seen": "new"}
        assert left.status() == "waiting_for_worker"
        cluster.add_worker()
        assert left.result(20) == {"seen": "old"}
