"""``distgraph runs``, ``graphs`` and ``workers``: lists and single runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeCluster


@pytest.fixture
def run_id(call: Call) -> str:
    call("run", "double", "--input", '{"n": 4}')
    return "run-1"


def test_list(call: Call, run_id: str) -> None:
    assert "run-1" in call("runs", "list").out
    row = {
        "run_id": "run-1",
        "thread_id": "thread-1",
        "graph": "double",
        "status": "done",
        "submitted": "2030-01-01T12:30:00+00:00",
    }
    assert call("runs", "list", "--json").json == {"runs": [row]}


def test_only_some(call: Call, run_id: str) -> None:
    for which in (("--graph", "double"), ("--status", "done")):
        assert len(call("runs", "list", *which, "--json").json["runs"]) == 1
    for which in (("--graph", "other"), ("--status", "failed")):
        assert call("runs", "list", *which, "--json").json["runs"] == []
        assert call("runs", "list", *which).out == "No run here is like that.\n"
    assert "'lost' is not one of 'queued'" in call("runs", "list", "--status", "lost").err


def test_one_that_is_damaged_does_not_hide_the_others(call: Call, cluster: FakeCluster, run_id: str) -> None:
    call("run", "double", "--input", '{"n": 5}')
    cluster.all_runs[run_id].damaged = True
    rows = call("runs", "list", "--json").json["runs"]
    assert [(row["run_id"], row["status"]) for row in rows] == [("run-1", "damaged"), ("run-2", "done")]


def test_an_empty_list(call: Call) -> None:
    assert call("runs", "list").out == "No run has been submitted here yet.\n"
    assert call("runs", "list", "--json").json == {"runs": []}


def test_show(call: Call, run_id: str) -> None:
    answer = call("runs", "show", run_id)
    assert answer.code == 0
    assert "status       done" in answer.out
    document = call("runs", "show", run_id, "--json").json
    assert (document["status"], document["result"]) == ("done", {"n": 8})


def test_show_a_failed_run(call: Call) -> None:
    call("run", "double", "--input", '{"n": -4}')
    document = call("runs", "show", "run-1", "--json").json
    assert document["status"] == "failed"
    assert document["error"]["type"] == "ValueError"


def test_show_a_sleeping_run(call: Call, cluster: FakeCluster, run_id: str) -> None:
    cluster.run(run_id).wakes = datetime(2030, 1, 2, tzinfo=UTC)
    assert "wakes_at     2030-01-02T00:00:00+00:00" in call("runs", "show", run_id).out
    document = call("runs", "show", run_id, "--json").json
    assert (document["status"], document["wakes_at"]) == ("sleeping", "2030-01-02T00:00:00+00:00")


def test_show_a_time_limit_and_when_it_is_over(call: Call, cluster: FakeCluster, run_id: str) -> None:
    run = cluster.run(run_id)
    run.looks = 0
    assert "time_limit" not in call("runs", "show", run_id, "--json").json
    run.limit = timedelta(minutes=2), None
    document = call("runs", "show", run_id, "--json").json
    assert (document["status"], document["time_limit"]) == ("running", 120.0)
    assert "ends_at" not in document
    run.limit = timedelta(minutes=2), datetime(2030, 1, 2, tzinfo=UTC)
    assert "ends_at      2030-01-02T00:00:00+00:00" in call("runs", "show", run_id).out


def test_cancel(call: Call, cluster: FakeCluster, run_id: str) -> None:
    assert call("runs", "cancel", run_id).out == "Run run-1: cancelled.\n"
    assert cluster.run(run_id).cancelled
    assert call("runs", "cancel", run_id, "--json").json["status"] == "cancelled"


def test_delete(call: Call, cluster: FakeCluster, run_id: str) -> None:
    assert call("runs", "delete", run_id).out == "Run run-1: deleted.\n"
    assert cluster.run(run_id).deleted
    assert call("runs", "delete", run_id, "--json").json == {"run_id": run_id, "deleted": True}


def test_resume_to_a_node_that_is_not_there_is_a_wrong_name(call: Call, run_id: str) -> None:
    answer = call("runs", "resume", run_id, "--goto", "nowhere")
    assert answer.code == 2
    assert "'nowhere'" in answer.err
    assert call("runs", "resume", run_id, "--goto", "nowhere", "--json").error["code"] == "INPUT_INVALID"
    assert call("runs", "resume", run_id, "--goto", "double").code == 0


@pytest.mark.parametrize("verb", ["show", "cancel", "delete"])
def test_an_unknown_run_is_a_wrong_name(call: Call, verb: str) -> None:
    assert call("runs", verb, "nope").err == "Error [RUN_NOT_FOUND]: There is no run 'nope'.\n"
    answer = call("runs", verb, "nope", "--json")
    assert (answer.code, answer.error["code"]) == (2, "RUN_NOT_FOUND")


def test_graphs(call: Call) -> None:
    assert "double" in call("graphs").out
    assert call("graphs", "--json").json == {"graphs": [{"name": "double", "version": "0123456789ab", "workers": 1}]}


def test_workers(call: Call) -> None:
    out = call("workers").out
    assert "worker-1" in out
    assert "prefork" in out
    (row,) = call("workers", "--json").json["workers"]
    assert (row["name"], row["slots"], row["busy"], row["graphs"]) == ("worker-1", 2, 1, ["double"])


def test_workers_say_what_has_run_there_the_longest(call: Call, cluster: FakeCluster) -> None:
    cluster.running = [("charge", "order-17", 185.4, 41, None), ("wait", "order-9", 2.0, 42, 8.5)]
    last = call("workers").out.splitlines()[-1]
    assert last == (
        "Longest: node charge of order-17 has run for 3:05 min on worker-1. All: distgraph workers --running"
    )
    out = call("workers", "--running").out
    assert [line.split() for line in out.splitlines() if "order" in line] == [
        ["3:05", "min", "charge", "order-17", "worker-1", "41", "none"],
        ["2.0", "s", "wait", "order-9", "worker-1", "42", "8.5", "s"],
    ]
    found = call("workers", "--running", "--json").json["running"]
    assert found[0] == {
        **{"worker": "worker-1", "node": "charge", "run_id": "order-17"},
        **{"seconds": 185.4, "pid": 41, "left": None},
    }


def test_nothing_runs_for_long(call: Call) -> None:
    assert call("workers", "--running").out == "No node has run for a second or more.\n"
    assert call("workers", "--running", "--json").json == {"running": []}


def test_no_workers_says_how_to_start_one(call: Call, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "workers", list)
    assert "distgraph worker --graphs MODULE" in call("workers").out
