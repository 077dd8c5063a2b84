"""A server as a released distgraph left it, full of work half done, is finished by today's workers.

The golden files are made by `tests/compat/make.py`, one for a release, and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distgraph.checkpoint.redis import RedisSaver
from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from tests.compat import graphs
from tests.compat.make import ITEMS, NAMESPACE, fingerprints, items
from tests.compat.stored import load
from tests.integration.cluster.at_rest import wait_at_rest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

FILES = sorted(Path(__file__).parent.glob("*.json"))
STEPS = ["first", "wait", "last"]


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def golden(request: pytest.FixtureRequest) -> Any:
    """What a release left."""
    return json.loads(request.param.read_text())


@pytest.fixture(scope="module")
def cluster(golden: Any, server_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """A fresh server with all that, a worker of today, and the gate open."""
    gate = tmp_path_factory.mktemp("golden") / "open"
    gate.touch()
    with Cluster.embedded(workers=0, graphs=["tests.compat.graphs"], namespace=NAMESPACE) as running:
        running.ledger.client.flushall()
        load(running.ledger.client, golden["keys"])
        running.ledger.fleet.join()
        for graph in (graphs.golden, graphs.fan, graphs.asks, graphs.fails):
            running.bind(graph)
        running.add_worker(env={graphs.GATE: str(gate)})
        yield running
        wait_at_rest(running)


def test_fingerprints_are_computed_as_they_were(golden: Any) -> None:
    """Else no worker of today would take a run of then."""
    assert fingerprints() == golden["fingerprints"]


def test_a_batch_is_finished(cluster: EmbeddedCluster) -> None:
    batch = cluster.batch("batch")
    status = batch.wait(60)
    assert (status.total, status.done, status.failed) == (ITEMS, ITEMS, 0)
    results = list(batch.results())
    assert [result.key for result in results] == list(range(ITEMS))
    assert [result.value["x"] for result in results] == [2 * x for x in range(ITEMS)]
    assert all(result.value["steps"] == STEPS for result in results)


def test_a_batch_is_continued_by_the_same_call(cluster: EmbeddedCluster) -> None:
    again = cluster.bind(graphs.golden).submit_batch(items(), batch_id="batch", key="x")
    assert again.wait(60).done == ITEMS


def test_a_run_is_finished_and_the_one_in_line_after_it(cluster: EmbeddedCluster) -> None:
    done = cluster.run("half").result(30)
    assert (done["x"], done["steps"], done["point"]) == (10, STEPS, graphs.Point(5, "first"))
    assert cluster.run("in-line").result(30)["steps"] == STEPS * 2
    assert cluster.run("queued").result(30)["x"] == 14


def test_a_wide_superstep_keeps_what_had_settled(cluster: EmbeddedCluster) -> None:
    assert cluster.run("fan").result(30)["steps"] == ["left", "wait", "join"]


@pytest.mark.parametrize(("run_id", "answers"), [("asks", ["Ada", 36]), ("asks-again", [36])])
def test_questions_are_answered(cluster: EmbeddedCluster, run_id: str, answers: list[Any]) -> None:
    run = cluster.run(run_id)
    asked = ["name?", "age?"][-len(answers) :]
    for question, answer in zip(asked, answers, strict=True):
        assert [pending.value for pending in run.interrupts()] == [question]
        out = run.resume(answer).result(30)
    assert out["steps"] == ["Ada 36", "join"]


def test_a_failed_run_is_retried(cluster: EmbeddedCluster) -> None:
    run = cluster.run("fails")
    with pytest.raises(FileNotFoundError, match="the gate is shut"):
        run.result(5)
    assert run.retry().result(30)["steps"] == ["work"]


def test_events_of_then_are_read(cluster: EmbeddedCluster) -> None:
    updates = list(cluster.run("asks").stream())
    assert [list(update) for update in updates][:1] == [["__interrupt__"]]


def test_a_history_is_read_and_gone_on_from(cluster: EmbeddedCluster) -> None:
    where: Any = {"configurable": {"thread_id": "history"}}
    remote = cluster.bind(graphs.golden)
    states = list(remote.get_state_history(where))[::-1]
    assert [state.metadata["step"] for state in states[:10]] == list(range(-1, 9))
    assert states[9].values["steps"] == STEPS * 2
    assert remote.invoke({"x": 3}, where)["steps"][-3:] == STEPS


def test_a_saver_of_today_reads_a_thread_of_then(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local graph goes on from it."""
    monkeypatch.setenv(graphs.GATE, "/nowhere")
    where: Any = {"configurable": {"thread_id": "history"}}
    with RedisSaver.from_conn_string(cluster.server.url, namespace=NAMESPACE) as saver:
        here = graphs.golden.builder.compile(checkpointer=saver)
        state = here.get_state(where)
        assert state.values["point"].label == "first"
        assert here.invoke({"x": 4}, where)["x"] == 8
