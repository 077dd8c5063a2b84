"""What is promised whatever dies: each superstep once, one line of checkpoints, effects that are not repeated."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from distgraph.checkpoint.lines import decode_record, value_fields
from distgraph.checkpoint.retention import SLACK
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import ProcessFailedError
from distgraph.examples import sums
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "tests.graphs.hard")
PLACEMENTS = ("auto", "spread", "local")


@pytest.mark.parametrize("placement", PLACEMENTS)
class TestEffects:
    def test_of_a_run(self, placement: Placement, tmp_path: Path) -> None:
        """Charged once, though three attempts were made; all of them had the same key."""
        log = tmp_path / "log"
        with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
            run = cluster.bind(hard.pays, placement=placement).submit({"index": 1, "crashes": 2, "log": str(log)})
            assert run.result(60)["receipt"] == "receipt 1"
            self.check(log, {1: 3})
            wait_at_rest(cluster)

    def test_of_a_batch(self, placement: Placement, tmp_path: Path) -> None:
        log = tmp_path / "log"
        crashing = {3: 1, 17: 2}
        with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
            items = [{"index": index, "crashes": crashing.get(index, 0), "log": str(log)} for index in range(30)]
            batch = cluster.bind(hard.pays, placement=placement).submit_batch(items)
            assert batch.wait(60).done == 30
            assert [result.value["receipt"] for result in batch.results()] == [
                f"receipt {index}" for index in range(30)
            ]
            self.check(log, {index: 1 + crashing.get(index, 0) for index in range(30)})
            wait_at_rest(cluster)

    def check(self, log: Path, attempts: dict[int, int]) -> None:
        lines = [line.split() for line in log.read_text().splitlines()]
        for index, at_least in attempts.items():
            mine = [line for line in lines if line[0] == str(index)]
            keys = [line[2] for line in mine if line[1] == "attempt"]
            assert len(keys) >= at_least
            assert len(set(keys)) == 1
            assert sum(line[1] == "charged" for line in mine) == 1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_one_line_of_checkpoints_and_one_stream(placement: Placement) -> None:
    """Through five kills: superstep after superstep, each on the one before, and each told once."""
    item: sums.Item = {"index": 3, "width": 6, "rounds": 12, "delay_ms": 15}
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        remote = cluster.bind(sums.graph, placement=placement)
        run = remote.submit(item)
        chunks: list[Any] = []
        reader = threading.Thread(target=lambda: chunks.extend(run.stream(["updates", "values"])))
        reader.start()
        where: Any = {"configurable": {"thread_id": run.thread_id}}
        for kill in range(5):
            wait_until(lambda kill=kill: step(remote, where) >= 4 + 5 * kill, 30)  # type: ignore[misc]
            busy = [worker.pid for worker in cluster.workers() if worker.busy]
            for process in cluster.processes:
                if process.pid in busy:
                    process.kill_child()
        assert run.result(60) == sums.expected(item)
        reader.join(10)
        # In process each node tells of itself when it ends; on a cluster in the order of the tasks, as one by one here.
        quick: sums.Item = {**item, "delay_ms": 0}
        told = list(sums.graph.stream(quick, {"max_concurrency": 1}, stream_mode=["updates", "values"]))
        assert chunks == [(mode, _with_delay(chunk, item["delay_ms"])) for mode, chunk in told]
        history = list(remote.get_state_history(where))
        assert [snapshot.metadata["step"] for snapshot in history] == list(range(len(history) - 2, -2, -1))
        parents = [s.parent_config and s.parent_config["configurable"]["checkpoint_id"] for s in history]
        assert parents[:-1] == [s.config["configurable"]["checkpoint_id"] for s in history[1:]]
        wait_at_rest(cluster)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_run_that_keeps_few_checkpoints(placement: Placement) -> None:
    """Killed in the middle of anything, of deleting too: what stays is whole, and no value is left that nobody names."""
    item: sums.Item = {"index": 3, "width": 3, "rounds": 80, "delay_ms": 5}
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        remote = cluster.bind(sums.graph, placement=placement)
        run = remote.submit(item, keep=3)
        where: Any = {"configurable": {"thread_id": run.thread_id}}
        for kill in range(4):
            wait_until(lambda kill=kill: step(remote, where) >= 17 * (kill + 1), 30)  # type: ignore[misc]
            assert len(list(remote.get_state_history(where))) <= 3 + 2 * SLACK
            kill_busy(cluster)  # most of the run is still to come: it is busy
        assert run.result(60) == sums.expected(item)
        wait_at_rest(cluster)
        history = list(remote.get_state_history(where))
        assert [snapshot.metadata["step"] for snapshot in history] == list(range(step(remote, where), -2, -1))[:3]
        ledger, keys = cluster.ledger, cluster.ledger.keys
        found: Any = ledger.client.hkeys(keys.line(run.thread_id))
        named = set()
        for field in [name for name in found if name.startswith(b"c:")]:
            record: Any = ledger.client.hget(keys.line(run.thread_id), field)
            named |= set(value_fields(decode_record(cluster.codec(), field[2:].decode(), record)[0]))
        assert {name.decode() for name in found if name.startswith(b"v:")} == named


def step(graph: Any, where: Any) -> int:
    """The superstep of the head; -2 before there is one."""
    metadata = graph.get_state(where).metadata
    return int(metadata["step"]) if metadata else -2


def _with_delay(chunk: dict[str, Any], delay_ms: int) -> dict[str, Any]:
    return {**chunk, "delay_ms": delay_ms} if "delay_ms" in chunk else chunk


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_wide_superstep(placement: Placement) -> None:
    """1,500 tasks in one superstep, and kills in the middle of it: the barrier closes once, in order of the tasks."""
    item: sums.Item = {"index": 1, "width": 1500, "rounds": 1, "delay_ms": 2}
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        run = cluster.bind(sums.graph, placement=placement).submit(item)
        wait_until(lambda: run.status() == "running", 20)
        for _ in range(2):
            if placement != "local":
                _await_outcomes(cluster, run, 50)
            kill_busy(cluster)
        assert run.result(90) == sums.expected(item)
        wait_at_rest(cluster)


def _await_outcomes(cluster: EmbeddedCluster, run: Any, more: int) -> None:
    """Until ``more`` outcomes than now are stored."""
    runs, address = cluster.ledger.runs, run._address
    now = len(runs.outcomes(address))
    wait_until(lambda: len(runs.outcomes(address)) > now + more, 30)


def kill_busy(cluster: EmbeddedCluster) -> None:
    """Kill a child that works; one that died just now may still be told of as busy."""

    def killed() -> bool:
        busy = {worker.pid for worker in cluster.workers() if worker.busy}
        with suppress(ProcessFailedError):  # it died meanwhile
            return any(process.kill_child() > 0 for process in cluster.processes if process.pid in busy)
        return False

    wait_until(killed, 20, "some process is busy, and was killed")
