"""Versions come and go under load: nothing is lost, and nothing runs in a version that is not its own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.celery.envelope import RUN_TASK, going_round
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import queue_name
from tests.graphs import deploys, hard
from tests.integration.cluster.at_rest import wait_at_rest
from tests.nightly import FULL
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800 if FULL else 180)]

SWAPS = 200 if FULL else 4


#: Runs of a version that are not done, at most: a machine that is slow is not buried under what it cannot do.
OPEN = 20


class Load(threading.Thread):
    """Submits runs of one version until told to stop."""

    def __init__(self, cluster: EmbeddedCluster, version: str) -> None:
        super().__init__(daemon=True)
        self.version, self.remote = version, cluster.bind(deploys.make(version))
        self.runs: list[RunHandle] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            if len(self.runs) < OPEN or self.runs[-OPEN].status() == "done":
                self.runs.append(self.remote.submit({}))


def test_versions_are_swapped_under_load() -> None:
    with Cluster.embedded(workers=1, graphs=["tests.graphs.deploys"]) as cluster:
        cluster.add_worker(env={"GRAPH_VERSION": "2"})
        serving = {"1": cluster.processes[0], "2": cluster.processes[1]}
        loads = [Load(cluster, version) for version in "12"]
        for load in loads:
            load.start()
        batches = [
            cluster.bind(deploys.make(version)).submit_batch([{} for _ in range(100 * SWAPS)], batch_id=f"v{version}")
            for version in "12"
        ]
        for swap in range(SWAPS):
            # v1 -> v2 -> v1: the worker of one version goes, and for a while nobody serves it.
            gone, other = ("1", "2") if swap % 2 == 0 else ("2", "1")
            assert serving[gone].stop(30)
            assert serving[gone].exit_code == 0
            before = len(loads[int(other) - 1].runs)
            wait_until(lambda at=before, name=other: _done(loads[int(name) - 1], at), 60)  # type: ignore[misc]
            serving[gone] = cluster.add_worker(env={"GRAPH_VERSION": gone})
        for load in loads:
            load.over.set()
            load.join()
        for load in loads:
            for run in load.runs:
                assert run.result(120)["by"] == [load.version] * deploys.STEPS
                assert cluster.ledger.runs.record(run._address).get("x", b"0") == b"0"
        for version, batch in zip("12", batches, strict=True):
            status = batch.wait(300)
            assert (status.done, status.failed) == (100 * SWAPS, 0)
            assert all(result.value["by"] == [version] * deploys.STEPS for result in batch.results())
        assert min(len(load.runs) for load in loads) > SWAPS
        wait_at_rest(cluster)


def _done(load: Load, at: int) -> bool:
    """Whether a run that was submitted after the ``at``-th is done."""
    return any(run.status() == "done" for run in load.runs[at : at + 5])


def test_a_run_whose_version_is_gone_says_so_within_ten_seconds() -> None:
    with Cluster.embedded(workers=1, graphs=["tests.graphs.deploys"]) as cluster:
        run = cluster.bind(deploys.make("1")).submit({"slow": 30.0})
        wait_until(lambda: run.status() == "running", 10)
        cluster.add_worker(env={"GRAPH_VERSION": "2"})
        cluster.processes[0].kill()
        wait_until(lambda: run.status() == "waiting_for_worker", 10)
        told = run.waits_for()
        assert deploys.make("1").fingerprint[:12] in told
        assert "node 'extra' added" in told


@pytest.mark.parametrize("policy", ["compatible", "force"])
def test_a_new_version_takes_over_when_the_old_one_is_gone(policy: str, tmp_path: Path) -> None:
    env: dict[str, Any] = {"GRAPH_VERSION": "2", "DISTGRAPH_VERSIONS": policy}
    if policy == "compatible":
        env["GRAPH_ACCEPTS"] = deploys.make("1").fingerprint
    with Cluster.embedded(workers=1, graphs=["tests.graphs.deploys"]) as cluster:
        remote = cluster.bind(deploys.make("1"))
        run = remote.submit({"slow": 0.3})
        where: Any = {"configurable": {"thread_id": run.thread_id}}
        batch = remote.submit_batch([{"slow": 0.1} for _ in range(20)])
        wait_until(lambda: bool(remote.get_state(where).values.get("by")), 20)
        assert cluster.processes[0].stop(30)
        cluster.add_worker(env=env)
        by = run.result(30)["by"]
        assert by[0] == "1"
        assert by[-1] == "2"
        assert len(by) == deploys.STEPS + 1, "the new version has one more node"
        assert batch.wait(60).done == 20
        wait_at_rest(cluster)


def test_a_node_that_outlasts_the_drain_is_handed_back(tmp_path: Path) -> None:
    """Another worker runs it again, and nobody is blamed."""
    gate, log = tmp_path / "open", tmp_path / "log"
    with Cluster.embedded(workers=0, graphs=["tests.graphs.hard"]) as cluster:
        worker = cluster.add_worker(env={"DISTGRAPH_DRAIN_TIMEOUT": "1"})
        run = cluster.bind(hard.gate).submit({"file": str(gate), "log": str(log)})
        wait_until(log.exists)
        worker.terminate()
        assert worker.wait(20)
        assert run.status() == "waiting_for_worker"
        gate.touch()
        cluster.add_worker()
        assert run.result(20)["steps"] == ["first", "wait", "last"]
        assert len(log.read_text().splitlines()) == 2
        assert cluster.ledger.runs.record(run._address).get("x", b"0") == b"0"
        wait_at_rest(cluster)


def test_a_hint_that_a_worker_does_not_understand_is_counted_and_does_not_stop_the_run(tmp_path: Path) -> None:
    """As a newer release in the same queue would send it: the worker of today hands it on, and what is due is done."""
    with Cluster.embedded(workers=1, graphs=["tests.graphs.deploys"]) as cluster:
        newer: list[Any] = ["run-9", "run-9", "deploys", "f" * 32, 0, False, {"new": "field"}]
        sent = going_round(queue_name(cluster.namespace), RUN_TASK, newer, {"v": 2})
        assert sent is not None
        cluster.dispatcher.queues.push([sent])
        assert cluster.bind(deploys.make("1")).submit({}).result(20)["by"] == ["1"] * deploys.STEPS
        wait_until(lambda: cluster.ledger.fleet.counts().get("unknown_hints", 0) >= 19, 20)
        assert "is not understood" in cluster.processes[0].log.read_text()
        wait_at_rest(cluster)
