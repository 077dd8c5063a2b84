"""The functional API and async nodes on real workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.types import Command, Placement
from tests.graphs import flows
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]
placements = pytest.mark.parametrize("placement", get_args(Placement))


def lines(log: Path) -> Counter[str]:
    """How often each line was written."""
    return Counter(log.read_text().split())


@placements
def test_a_workflow_dies_in_the_middle(cluster: EmbeddedCluster, placement: Placement, tmp_path: Path) -> None:
    """What had finished does not run again; what ran beside may, once."""
    log = tmp_path / "log"
    given: Any = {"width": 30, "log": str(log), "kill": str(tmp_path / "kill"), "dies_after": 20, "seconds": 0.005}
    assert cluster.bind(flows.fans, placement=placement).submit(given).result(60) == 2 * sum(range(30))
    ran = lines(log)
    assert {ran[str(n)] for n in range(20)} == {1}
    assert len(ran) == 30
    assert max(ran.values()) <= 2
    wait_at_rest(cluster)


def test_a_task_dies(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    given: Any = {"width": 10, "log": str(tmp_path / "log"), "kill": str(tmp_path / "kill"), "deadly": 4}
    assert cluster.bind(flows.fans).submit(given).result(60) == 90
    wait_at_rest(cluster)


def test_coroutines_die_in_the_middle(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    given: Any = {"width": 20, "log": str(log), "kill": str(tmp_path / "kill")}
    assert cluster.bind(flows.afans).submit(given).result(60) == 2 * sum(range(20))
    assert set(lines(log).values()) == {1}, "the first half is kept, the second had not begun"
    wait_at_rest(cluster)


def test_tasks_of_tasks_in_a_full_pool(cluster: EmbeddedCluster) -> None:
    """More workflows than slots, each with callers that wait for callers."""
    remote = cluster.bind(flows.tree)
    runs = [remote.submit(4) for _ in range(6)]
    assert [run.result(60) for run in runs] == [16] * 6


def test_a_task_is_tried_again(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    assert cluster.bind(flows.stubborn).invoke(str(tmp_path / "log")) == 3


@placements
def test_questions_of_tasks(cluster: EmbeddedCluster, config: Config, placement: Placement, tmp_path: Path) -> None:
    log, where, remote = tmp_path / "log", config(), cluster.bind(flows.talks, placement=placement)
    turns: list[Any] = [str(log), Command(resume="Ann"), Command(resume=7)]
    asked = [remote.invoke(given, where) for given in turns]
    assert [found["__interrupt__"][0].value for found in asked] == ["name?", "age?", "sure?"]
    assert remote.invoke(Command(resume=True), where) == [6, "Ann, 7", True]
    assert lines(log) == {"3": 1, "asks": 3}
    wait_at_rest(cluster)


def test_the_last_run_is_remembered(cluster: EmbeddedCluster, config: Config) -> None:
    where, remote = config(), cluster.bind(flows.counts)
    assert [remote.invoke(n, where) for n in (1, 2, 3)] == [0, 1, 3]


def test_results_of_tasks_are_cached(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    remote, log = cluster.bind(flows.cached), tmp_path / "log"
    assert [remote.invoke((5, str(log))) for _ in range(2)] == [[5, 5], [5, 5]]
    assert lines(log) == {"5": 1}


def test_a_batch_of_workflows(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """Items whose process dies go on with what their tasks had come to."""
    log, kill = tmp_path / "log", tmp_path / "kill"
    items: list[Any] = [
        {"width": 3, "log": str(log) if n == 7 else "", "kill": str(kill) if n == 7 else ""} for n in range(40)
    ]
    items[7]["dies_after"] = 2
    batch = cluster.bind(flows.fans).submit_batch(items)
    assert batch.wait(60).done == 40
    assert {result.value for result in batch.results()} == {6}
    assert lines(log)["0"] == lines(log)["1"] == 1
    batch.delete()
    wait_at_rest(cluster)


def test_slots_without_work_take_tasks(cluster: EmbeddedCluster) -> None:
    wait_until(lambda: not any(worker.busy for worker in cluster.workers()), 20)
    ran = Counter(cluster.bind(flows.shares).submit({"width": 60, "seconds": 0.2}).result(60))
    assert len(ran) == 2
    assert ran.total() == 60
    wait_at_rest(cluster)


def test_a_slot_dies_that_took_a_task(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """Its caller runs the task itself; what the slot had done is kept."""
    log = tmp_path / "log"
    wait_until(lambda: not any(worker.busy for worker in cluster.workers()), 20)
    given = {"width": 60, "seconds": 0.2, "log": str(log), "kill": True}
    ran = Counter(cluster.bind(flows.shares).submit(given).result(60))
    assert Path(f"{log}.died").exists()
    assert ran.total() == lines(log).total() == 60
    wait_at_rest(cluster)


def test_local_tasks_stay(cluster: EmbeddedCluster) -> None:
    ran = cluster.bind(flows.shares, placement="local").submit({"width": 20, "seconds": 0.05}).result(60)
    assert len(set(ran)) == 1


# ---------------------------------------------------------------- async nodes


def test_async_nodes_of_a_batch_wait_together(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    batch = cluster.bind(flows.waits).submit_batch([{"x": n, "seconds": 0.3, "log": str(log)} for n in range(60)])
    assert batch.wait(60).done == 60
    assert max(accumulate(map(int, log.read_text().split()))) > 6, "one after the other, on two slots, two wait at once"
    assert {result.value["trail"][0] for result in batch.results()} == {f"waited {n}" for n in range(60)}
    batch.delete()
    wait_at_rest(cluster)


def test_one_of_many_that_wait_dies(cluster: EmbeddedCluster, tmp_path: Path) -> None:
    """Nobody knows which of them it was: all are suspects, none is given up."""
    items: list[Any] = [{"x": n, "kill": str(tmp_path / "kill") if n == 5 else ""} for n in range(12)]
    batch = cluster.bind(flows.waits).submit_batch(items)
    assert batch.wait(60).done == 12
    batch.delete()
    wait_at_rest(cluster)


@placements
def test_async_nodes_beside_each_other(cluster: EmbeddedCluster, placement: Placement) -> None:
    remote = cluster.bind(flows.several, placement=placement)
    assert remote.invoke({"x": 1})["trail"] == ["waited 1"] * 3
    wait_at_rest(cluster)


def test_a_run_that_waits_is_cancelled(cluster: EmbeddedCluster) -> None:
    began = time.monotonic()
    run = cluster.bind(flows.several).submit({"x": 1, "seconds": 60.0})
    while run.status() == "queued":
        time.sleep(0.02)
    run.cancel()
    wait_at_rest(cluster)
    assert time.monotonic() - began < 20


def test_one_slot_for_a_hundred_tasks(server_binary: str) -> None:
    with Cluster.embedded(workers=1, graphs=("tests.graphs.flows",)) as alone:
        began = time.monotonic()
        assert alone.bind(flows.fans).submit({"width": 100, "seconds": 0.01}).result(60) == 2 * sum(range(100))
        assert time.monotonic() - began < 30
        assert alone.bind(flows.tree).submit(5).result(60) == 32
