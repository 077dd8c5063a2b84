"""What somebody sees who watches: what runs for long, and where the time of a run went."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from distgraph.cli.app import app
from distgraph.cluster import Cluster, RunningTask
from distgraph.examples import sums
from tests.graphs import hard
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
ITEM: sums.Item = {"index": 7, "width": 5, "rounds": 3}


def running(cluster: Cluster) -> list[RunningTask]:
    return [task for worker in cluster.workers() for task in worker.running]


def asked(cluster: Cluster, *words: str) -> Any:
    """What the command line answers, as JSON."""
    answer = CliRunner().invoke(app, [*words, "--url", cluster.ledger.url, "--json"])
    assert answer.exit_code == 0, answer.output
    return json.loads(answer.stdout)


def test_a_node_that_runs_for_long_is_told_with_its_run(cluster: Cluster, gate: Path) -> None:
    run = cluster.bind(hard.gate).submit({"file": str(gate)})
    wait_until(lambda: running(cluster), 20, "a worker tells of it")
    (task,) = running(cluster)
    assert (task.node, task.run_id, task.left) == ("wait", run.run_id, None)
    wait_until(lambda: running(cluster)[0].seconds > task.seconds, 10, "its time goes on")
    (told,) = asked(cluster, "workers", "--running")["running"]
    assert (told["node"], told["run_id"], told["worker"][:7]) == ("wait", run.run_id, "worker-")
    gate.touch()
    assert run.result(20)["steps"] == ["first", "wait", "last"]
    wait_until(lambda: not running(cluster), 10, "nothing runs any more")


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_a_profile(cluster: Cluster, placement: Any) -> None:
    found = cluster.bind(sums.graph, placement=placement).profile(ITEM)
    here = sums.graph.profile(ITEM)
    assert found.value == sums.expected(ITEM)
    assert {node.node: node.calls for node in found.nodes} == {node.node: node.calls for node in here.nodes}
    assert [(step.step, step.tasks) for step in found.steps] == [(step.step, step.tasks) for step in here.steps]
    assert sorted(found.state) == sorted(here.state)
    assert found.wall == pytest.approx(found.working + found.waiting + found.overhead)
    assert all(part >= 0 for part in (found.working, found.waiting, found.overhead))
    assert all(0 <= span.start <= span.end <= found.wall for span in found.spans)
    assert found.critical <= found.wall


def test_a_profile_of_a_run_that_was_interrupted(cluster: Cluster, config: Callable[..., Any]) -> None:
    run = cluster.bind("human_review").submit({"topic": "rain"}, config(), profile=True)
    run.result(20)
    run.resume({"approved": True})
    run.result(20)
    found = asked(cluster, "profile", "--run", run.run_id)
    assert found["wall"] == pytest.approx(found["working"] + found["waiting"] + found["overhead"])
    assert {node["node"] for node in found["nodes"]} >= {"review"}
