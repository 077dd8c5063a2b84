"""``distgraph demo``: what it does on the way, and that it would notice a wrong result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cli import census as module
from distgraph.cli import progress, up
from distgraph.examples.census import corpus
from distgraph.examples.census.graph import graph
from tests.unit.cli.conftest import Answer, Call
from tests.unit.cli.fakes import FakeBatch, FakeCluster, FakeStage

Demo = Callable[..., Answer]


def count(item: dict[str, Any]) -> dict[str, Any]:
    """What a worker does with an item: the real graph."""
    return dict(graph.invoke(item))


@pytest.fixture
def stages(cluster: FakeCluster) -> list[FakeStage]:
    return []


@pytest.fixture
def demo(call: Call, cluster: FakeCluster, stages: list[FakeStage], monkeypatch: pytest.MonkeyPatch) -> Demo:
    monkeypatch.setattr(up, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(progress, "LOOK_EVERY", 0.0)
    cluster.graphs_here = {"census": count}

    def make(settings: Any, say: Any) -> FakeStage:
        stages.append(FakeStage(cluster, settings, say))
        return stages[-1]

    return lambda *words: call("demo", *words, stage=make)


def test_it_kills_a_worker_starts_another_and_proves_the_result(demo: Demo, stages: list[FakeStage]) -> None:
    answer = demo("--items", "6")
    assert answer.code == 0
    assert "6 modules, one batch item each" in answer.err
    assert "4 modules done: killed worker-1 (SIGKILL, pid 100 and 1 child) in the middle of its work." in answer.err
    assert "Started worker-3 in its place." in answer.err
    assert "worker-3 is at work." in answer.err
    assert "The library in numbers" in answer.out
    assert "Compared item by item: 6 of 6 results are equal." in answer.out
    assert answer.out.endswith("PROVEN: the kill changed nothing.\n")
    (stage,) = stages
    assert [worker.alive for worker in stage.workers] == [False, True, True]


def test_as_json(demo: Demo) -> None:
    document = demo("--items", "6", "--json").json
    assert (document["items"], document["equal"], document["proven"], document["killed_at"]) == (6, 6, True, 4)
    assert document["findings"]["modules"] == 6


def test_a_wrong_result_is_noticed_and_named(demo: Demo, cluster: FakeCluster) -> None:
    victim = corpus.items(6)[3]["module"]

    def wrong(item: dict[str, Any]) -> dict[str, Any]:
        value = count(item)
        return {"summary": {**value["summary"], "rounds": 99}} if item["module"] == victim else value

    cluster.graphs_here["census"] = wrong
    answer = demo("--items", "6")
    assert answer.code == 1
    assert "5 of 6 results are equal" in answer.out
    assert f"They differ in {victim}." in answer.out
    assert "NOT PROVEN" in answer.out


def test_a_lost_item_is_noticed(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = FakeBatch.results
    monkeypatch.setattr(FakeBatch, "results", lambda self, ordered=False: list(whole(self, ordered))[:-1])
    answer = demo("--items", "6", "--json")
    assert answer.code == 1
    assert (answer.json["equal"], answer.json["proven"]) == (5, False)


def test_a_measure_that_was_counted_twice_is_noticed(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the plain run makes the same mistake."""

    def twice(item: dict[str, Any]) -> dict[str, Any]:
        summary = whole(item)["summary"]
        return {"summary": {**summary, "measured": summary["measured"] + 1}}

    whole = graph.invoke
    monkeypatch.setattr(graph, "invoke", twice)
    answer = demo("--items", "4")
    assert answer.code == 1
    assert "4 measures lost or counted twice." in answer.out


def test_a_batch_that_is_over_too_soon_is_not_sold_as_a_kill(demo: Demo) -> None:
    answer = demo("--items", "3")
    assert answer.code == 0
    assert "the batch was over before one could be killed" in answer.out


def test_keep_says_where_to_look_and_waits_for_ctrl_c(demo: Demo) -> None:
    answer = demo("--items", "3", "--keep")
    assert answer.code == 0
    assert "http://127.0.0.1:7001  (user distgraph, password hush)" in answer.err
    assert "distgraph batch results census --url redis://127.0.0.1:7000/0" in answer.err
    assert "Draining." in answer.err


@pytest.mark.parametrize("as_json", [False, True])
def test_ctrl_c_ends_everything(
    demo: Demo, stages: list[FakeStage], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    def interrupted(self: object, shown: object, status: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Census, "_look", interrupted)
    answer = demo("--items", "6", *["--json"] * as_json)
    assert answer.code == 5
    assert "goes on" not in answer.err
    assert stages[0].ended is KeyboardInterrupt
    assert not as_json or answer.error["code"] == "INTERRUPTED"


def test_without_flower(demo: Demo, stages: list[FakeStage]) -> None:
    demo("--items", "1", "--no-flower")
    assert not stages[0].settings.flower
