"""``distgraph run``: one run, waited for, streamed, let go of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster.options import RETRIES
from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeCluster, FakeRun


def test_the_result_is_json(call: Call) -> None:
    answer = call("run", "double", "--input", '{"n": 4}')
    assert answer.code == 0
    assert json.loads(answer.out) == {"n": 8}
    assert call("run", "double", "--input", '{"n": 4}', "--json").json == {
        "run_id": "run-2",
        "thread_id": "thread-1",
        "result": {"n": 8},
    }


def test_a_thread_is_continued_by_its_id(call: Call, cluster: FakeCluster) -> None:
    call("run", "double", "--input", '{"n": 4}', "--thread", "ada")
    assert cluster.run("run-1").thread_id == "ada"


@pytest.mark.parametrize(
    ("given", "limits"),
    [
        ((), {"time_limit": None, "retry_budget": RETRIES}),
        (("--time-limit", "90"), {"time_limit": 90.0, "retry_budget": RETRIES}),
        (("--retry-budget", "0", "--time-limit", "2h"), {"time_limit": 7200.0, "retry_budget": 0}),
        (("--retry-budget", "unlimited"), {"time_limit": None, "retry_budget": None}),
    ],
)
def test_limits(call: Call, cluster: FakeCluster, given: tuple[str, ...], limits: dict[str, Any]) -> None:
    assert call("run", "double", "--input", '{"n": 4}', *given).code == 0
    assert cluster.limits == [limits]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--time-limit", "long"), "'long' is no length of time"),
        (("--time-limit", "0"), "'0' is no limit"),
        (("--time-limit", "never"), "'never' is no limit"),
        (("--retry-budget", "-1"), "'-1' is no number of retries"),
        (("--retry-budget", "many"), "'many' is no number of retries"),
    ],
)
def test_what_is_no_limit(call: Call, cluster: FakeCluster, given: tuple[str, ...], words: str) -> None:
    answer = call("run", "double", "--input", '{"n": 4}', *given)
    assert answer.code == 2
    assert words in " ".join(answer.err.split())
    assert cluster.all_runs == {}


def test_the_input_can_be_a_file_or_a_pipe(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_text('\ufeff{\n  "n": 5\n}\n')
    assert json.loads(call("run", "double", "--input", f"@{path}").out) == {"n": 10}
    assert json.loads(call("run", "double", "--input", "@-", stdin=b'{"n": 6}').out) == {"n": 12}


def test_a_stream_is_one_document_a_line(call: Call) -> None:
    answer = call("run", "double", "--input", '{"n": 4}', "--stream")
    assert [json.loads(line) for line in answer.out.splitlines()] == [{"double": {"n": 8}}, {"finish": None}]
    document = call("run", "double", "--input", '{"n": 4}', "--stream", "--json").json
    assert document["events"] == [{"double": {"n": 8}}, {"finish": None}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{n: 4}", "is no JSON: expecting property name enclosed in double quotes (line 1, column 2)"),
        ("", "is no JSON"),
        ('{"n": NaN}', "NaN is no JSON"),
        ('{"n": 1, "n": 2}', "stands twice"),
        ("[" * 100_000, "nested deeper"),
        ("@/no/such/file", "no such file"),
        ("@/dev/zero", "no regular file"),
    ],
)
def test_what_is_no_input_is_told(call: Call, cluster: FakeCluster, given: str, words: str) -> None:
    answer = call("run", "double", "--input", given)
    assert answer.code == 2
    assert words in answer.err
    assert cluster.all_runs == {}
    assert call("run", "double", "--input", given, "--json").error["code"] == "INPUT_INVALID"


def test_a_file_that_is_no_utf8_is_told(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_bytes(b'{"n": "\xe9"}')
    assert "is no UTF-8 (byte 7)" in call("run", "double", "--input", f"@{path}").err


def test_the_input_is_required(call: Call) -> None:
    answer = call("run", "double")
    assert answer.code == 2
    assert "--input" in answer.err


def test_an_unknown_graph(call: Call) -> None:
    answer = call("run", "tripple", "--input", "{}")
    assert answer.code == 2
    assert "[GRAPH_NOT_FOUND]" in answer.err


def interrupted(self: FakeRun, timeout: float | None = None) -> object:
    raise KeyboardInterrupt


def test_ctrl_c_leaves_the_run_to_the_workers(
    call: Call, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeRun, "result", interrupted)
    answer = call("run", "double", "--input", '{"n": 4}')
    assert answer.code == 5
    assert "run run-1 goes on" in answer.err
    assert "distgraph runs show run-1" in answer.err
    assert not cluster.run("run-1").cancelled


def test_a_run_that_fails_ends_with_1_whatever_its_node_raised(call: Call) -> None:
    answer = call("run", "double", "--input", '{"n": -4}')
    assert answer.code == 1
    assert answer.err.startswith("Error [RUN_FAILED]: Run run-1 failed: ValueError: n is -4, which is below zero\n")
    assert "Traceback" not in answer.err
    assert call("run", "double", "--input", '{"n": -4}', "--json").error["code"] == "RUN_FAILED"
    streamed = call("run", "double", "--input", '{"n": -4}', "--stream", "--json")
    assert (streamed.code, streamed.error["code"]) == (1, "RUN_FAILED")


def test_a_run_without_a_worker_says_that_it_waits(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeRun, "status", lambda self: "waiting_for_worker")
    answer = call("run", "double", "--input", '{"n": 4}')
    assert answer.err.count("The run waits for a worker of version v1.") == 1
