"""``distgraph profile``: a table, a document, a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeCluster

pytestmark = pytest.mark.unit
CHAIN, INPUT = "distgraph.examples.chain:graph", '{"text": "One. Two."}'


def test_a_table(call: Call) -> None:
    answer = call("profile", CHAIN, "--input", INPUT)
    assert answer.code == 0
    assert answer.out.startswith("chain: ")
    assert "critical path" in answer.out


def test_a_document_and_a_trace(call: Call, tmp_path: Path) -> None:
    answer = call("profile", CHAIN, "--input", INPUT, "--json", "--trace", str(tmp_path / "trace.json"))
    assert [step["tasks"] for step in answer.json["steps"]] == [1, 1, 1]
    names = [event["name"] for event in json.loads((tmp_path / "trace.json").read_text())["traceEvents"]]
    assert names[:3] == ["superstep 1", "superstep 2", "superstep 3"]
    assert "trace.json" in answer.err


def test_a_wrong_input_is_the_users(call: Call) -> None:
    assert call("profile", CHAIN, "--input", "{").code == 2


def test_a_graph_that_workers_serve(call: Call, cluster: FakeCluster) -> None:
    answer = call("profile", "double", "--input", '{"n": 1}')
    assert answer.out.startswith("double: 2 s, of it nodes 500 ms, waiting 1 s (50%), engine 500 ms (25%)")
    assert [run.profiled for run in cluster.all_runs.values()] == [True]
    (double,) = call("profile", "double", "--input", '{"n": 1}', "--json").json["nodes"]
    assert double["waited"] == 1.0


def test_a_run_that_was_submitted_for_it(call: Call, tmp_path: Path) -> None:
    answer = call("run", "double", "--input", '{"n": 1}', "--profile")
    assert "Where its time went: distgraph profile --run run-1" in answer.err
    assert call("profile", "--run", "run-1", "--trace", str(tmp_path / "trace.json")).out.startswith("double: 2 s")
    assert "double waits" in (tmp_path / "trace.json").read_text()


def test_a_run_that_keeps_no_times(call: Call) -> None:
    assert "Where its time went" not in call("run", "double", "--input", '{"n": 1}').err
    answer = call("profile", "--run", "run-1")
    assert (answer.code, "keeps no times" in answer.err) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("double",),
        ("--input", "{}"),
        ("double", "--input", "{}", "--run", "r"),
        ("--run", "r", "--input", "{}"),
        ("a b:c", "--input", "{}"),
    ],
)
def test_what_cannot_be_meant(call: Call, words: tuple[str, ...]) -> None:
    assert call("profile", *words).code == 2


def test_a_graph_that_nobody_serves(call: Call) -> None:
    assert call("profile", "nobody", "--input", "{}").code != 0


def test_a_run_that_fails_says_why(call: Call) -> None:
    answer = call("profile", "double", "--input", '{"n": -1}')
    assert answer.code != 0
    assert "below zero" in answer.err
