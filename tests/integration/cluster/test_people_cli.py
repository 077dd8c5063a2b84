"""People at the command line: what is asked, answered, looked at, forked and deleted, on a real cluster."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from distgraph.cli.app import app
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.examples import human_review
from tests.graphs import hard
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


class Line:
    """The command line, pointed at a cluster."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self.options = ["--url", cluster.ledger.url, "--namespace", cluster.namespace]

    def __call__(self, *words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, [*self.options, *words])
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 or "--json" in words else result.output

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def line(cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> Line:
    # Tables as wide as their content.
    monkeypatch.setenv("COLUMNS", "400")
    return Line(cluster)


@pytest.fixture
def asked(cluster: EmbeddedCluster) -> Any:
    """A run that waits for a person."""
    run = cluster.bind(human_review.graph).submit({"topic": "rain"})
    wait_until(lambda: run.status() == "interrupted", 20)
    return run


def test_a_question_is_found_and_answered(line: Line, asked: Any) -> None:
    (found,) = [one for one in line.json("interrupts", "list")["interrupts"] if one["run_id"] == asked.run_id]
    assert found["value"]["question"] == "Publish this?"
    assert found["id"] in line("interrupts", "list")
    answer = line.json("interrupts", "answer", found["id"], "--value", '{"approved": true}', "--wait")
    assert answer["result"]["published"] == "About rain"
    again = line("interrupts", "answer", found["id"], "--value", "1", code=2)
    assert "It may have been answered" in again


def test_what_items_of_a_batch_ask_is_found_and_answered(line: Line, tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text('{"topic": "rain"}\n{"topic": "snow"}\n')
    shown = line("batch", "submit", "human_review", str(items), "--batch-id", "asks", "--watch")
    assert "0 of 2 done, 2 waiting for an answer." in shown
    assert "interrupts list --batch asks" in " ".join(shown.split())
    assert {row["status"] for row in line.json("batch", "results", "asks")["results"]} == {"interrupted"}
    questions = line.json("interrupts", "list", "--batch", "asks")["interrupts"]
    assert [one["run_id"] for one in questions] == ["asks:0", "asks:1"]
    everybody = line.json("interrupts", "list")["interrupts"]
    assert all(one in everybody for one in questions)
    for one in questions:
        line("interrupts", "answer", one["id"], "--value", '{"approved": true}', "--wait")
    assert "2 of 2 done" in line("batch", "status", "asks", "--watch")
    assert line.json("interrupts", "list", "--batch", "asks")["interrupts"] == []


def test_a_run_goes_on_with_an_answer(line: Line, asked: Any) -> None:
    """Twice asked, twice answered."""
    no = '{"approved": false, "comment": "mention snow"}'
    assert line.json("runs", "resume", asked.run_id, "--value", no)["run_id"] == asked.run_id
    wait_until(lambda: asked.status() == "interrupted", 20)
    shown = line("runs", "resume", asked.run_id, "--value", '{"approved": true}', "--wait")
    assert json.loads(shown)["published"] == "About rain (mention snow)"
    assert "does not wait" in line("runs", "resume", asked.run_id, code=2) or asked.status() == "done"


def test_an_answer_that_changes_the_state_and_the_way(cluster: EmbeddedCluster, line: Line, asked: Any) -> None:
    assert "nowhere" in line("runs", "resume", asked.run_id, "--goto", "nowhere", code=2)
    words = ["--value", '{"approved": true}', "--update", '{"text": "About snow"}', "--wait"]
    assert json.loads(line("runs", "resume", asked.run_id, *words))["published"] == "About snow"


def test_one_of_several_questions(cluster: EmbeddedCluster, line: Line) -> None:
    run = cluster.bind(hard.polls).submit({"names": []})
    wait_until(lambda: run.status() == "interrupted", 20)
    first, second = (one.id for one in run.interrupts())
    line("interrupts", "answer", first, "--value", '"a"')
    wait_until(lambda: run.status() == "interrupted" and len(run.interrupts()) == 1, 20)
    line("interrupts", "answer", second, "--value", '"b"', "--wait")
    assert run.status() == "done"


def test_an_answer_that_does_not_fit_is_refused_and_the_run_goes_on_waiting(
    cluster: EmbeddedCluster, line: Line
) -> None:
    run = cluster.bind(hard.amounts).submit({})
    wait_until(lambda: run.status() == "interrupted", 20)
    (asked,) = run.interrupts()
    for words in (
        ["interrupts", "answer", asked.id, "--value", '"many"'],
        ["runs", "resume", run.run_id, "--value", '"x"'],
    ):
        for more in ([], ["--wait"]):
            assert "valid integer" in line(*words, *more, code=2)
            assert (run.status(), run.interrupts()) == ("interrupted", (asked,))
    (found,) = [one for one in line.json("interrupts", "list")["interrupts"] if one["run_id"] == run.run_id]
    assert found["id"] == asked.id
    assert "question still waits" in line("runs", "show", run.run_id)
    line("interrupts", "answer", asked.id, "--value", "5", "--wait")
    assert run.result(20) == {"answers": ["5"]}


def test_a_thread_is_looked_at_forked_and_deleted(cluster: EmbeddedCluster, line: Line, asked: Any) -> None:
    """A fork goes on by itself: the question is asked there, too."""
    thread, fork = asked.thread_id, f"fork-{uuid.uuid4().hex[:8]}"
    assert thread in line.json("threads", "list", "--limit", "100000")["threads"]
    history = line.json("threads", "history", thread, "--values")["checkpoints"]
    assert [row["step"] for row in history] == [1, 0, -1]
    assert history[0]["values"]["text"] == "About rain"
    assert history[0]["checkpoint_id"] in line("threads", "history", thread)
    assert line.json("threads", "fork", thread, fork)["checkpoint_id"] == history[0]["checkpoint_id"]
    assert "already" in line("threads", "fork", thread, fork, code=2)
    there = cluster.bind(human_review.graph).submit(None, {"configurable": {"thread_id": fork}})
    wait_until(lambda: there.status() == "interrupted", 20)
    there.resume({"approved": True})
    assert there.result(20)["published"] == "About rain"
    assert asked.status() == "interrupted"
    line("threads", "delete", fork)
    assert "no thread" in line("threads", "history", fork, code=2)
    assert "no checkpoint 'x'" in line("threads", "fork", thread, "y", "--checkpoint", "x", code=2)


def test_threads_are_copied_and_pruned(line: Line, cluster: EmbeddedCluster, asked: Any) -> None:
    """A copy has what was done and what is asked; pruning leaves the newest checkpoint, and what it needs."""
    remote, name = cluster.bind(human_review.graph), f"copy-{uuid.uuid4().hex[:8]}"
    assert f"Thread {name} is a copy of {asked.thread_id}." in line("threads", "copy", asked.thread_id, name)
    assert "already" in line("threads", "copy", asked.thread_id, name, code=2)
    copied: Any = {"configurable": {"thread_id": name}}
    whole = line.json("threads", "history", name)["checkpoints"]
    assert whole == line.json("threads", "history", asked.thread_id)["checkpoints"]
    assert [one.value["question"] for one in remote.get_state(copied).interrupts] == ["Publish this?"]
    values = remote.get_state(copied).values
    assert line.json("threads", "prune", name, asked.thread_id, "--last", "1") == {"pruned": 2, "busy": []}
    assert len(line.json("threads", "history", name)["checkpoints"]) == 1 < len(whole)
    assert remote.get_state(copied).values == values
    assert line.json("threads", "prune", name, "--older-than", "7d") == {"pruned": 1, "busy": []}
    asked.resume({"approved": True})
    assert asked.result(20)["published"] == "About rain"
    line("threads", "delete", name)


@pytest.mark.parametrize("words", [(), ("t", "--all"), ("t", "--last", "0"), ("t", "--older-than", "long")])
def test_what_is_to_be_pruned_must_be_said(line: Line, words: tuple[str, ...]) -> None:
    line("threads", "prune", *words, code=2)


def test_a_thread_with_an_active_run_is_not_pruned(line: Line, cluster: EmbeddedCluster, gate: Path) -> None:
    run = cluster.bind(hard.gate).submit({"file": str(gate)})
    at: Any = {"configurable": {"thread_id": run.thread_id}}
    wait_until(lambda: len([*cluster.bind(hard.gate).get_state_history(at)]) > 1, 20)
    assert line.json("threads", "prune", run.thread_id, code=1) == {"pruned": 0, "busy": [run.thread_id]}
    gate.touch()
    run.result(20)
    assert line.json("threads", "prune", run.thread_id) == {"pruned": 1, "busy": []}


def test_what_takes_memory_is_told(line: Line, cluster: EmbeddedCluster, asked: Any) -> None:
    items = [{"topic": "x" * 2000} for _ in range(300)]
    batch = cluster.bind(human_review.graph).submit_batch(items)
    found = line.json("memory", "--top", "1000")
    assert sum(kind["bytes"] for kind in found["kinds"]) == found["bytes"] < found["server_used"]
    owners = {(one["of"], one["id"]): one["bytes"] for one in found["owners"]}
    assert owners["batch", batch.batch_id] > 300 * 2000
    assert owners["thread", asked.thread_id] > 0 < owners["run", asked.run_id]
    assert batch.batch_id in line("memory", "--top", "1")
    batch.delete()
    assert batch.batch_id not in line("memory", "--top", "1000")
