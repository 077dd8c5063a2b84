"""``distgraph runs stream``: a run read from the start, from now on, and on from a cursor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.cluster.following import RunEvent
from distgraph.errors import ConfigError
from tests.unit.cli.conftest import Call
from tests.unit.cli.fakes import FakeRun


@pytest.fixture
def run_id(call: Call) -> str:
    call("run", "double", "--input", '{"n": 4}')
    return "run-1"


def test_one_mode_is_one_document_a_line(call: Call, run_id: str) -> None:
    answer = call("runs", "stream", run_id)
    assert [json.loads(line) for line in answer.out.splitlines()] == [{"double": {"n": 8}}, {"finish": None}]


def test_several_modes_and_nested_graphs_say_which(call: Call, run_id: str) -> None:
    answer = call("runs", "stream", run_id, "--mode", "values", "--mode", "tasks", "--subgraphs")
    assert answer.out.splitlines()[0] == 'values      in {"double":{"n":8}}'


def test_as_one_document_each_event_has_its_cursor(call: Call, run_id: str) -> None:
    found = call("runs", "stream", run_id, "--json").json
    assert found == {
        "run_id": run_id,
        "events": [
            {"cursor": "1", "mode": "updates", "ns": [], "data": {"double": {"n": 8}}},
            {"cursor": "2", "mode": "updates", "ns": [], "data": {"finish": None}},
        ],
    }


@pytest.mark.parametrize(("start", "lines"), [("start", 2), ("now", 0), ("1", 1)])
def test_where_to_begin(call: Call, run_id: str, start: str, lines: int) -> None:
    assert len(call("runs", "stream", run_id, "--from", start).out.splitlines()) == lines


def test_ctrl_c_says_how_to_read_on(call: Call, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: FakeRun, modes: list[str], **options: Any) -> Iterator[RunEvent]:
        yield RunEvent(modes[0], {"first": 1}, cursor="7-0/1/values")
        yield RunEvent(modes[0], {"second": 2}, cursor="7-0/2/values")
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeRun, "events", interrupted)
    answer = call("runs", "stream", run_id, "--mode", "values")
    assert (answer.code, answer.out) == (5, '{"first":1}\n{"second":2}\n')
    assert f"distgraph runs stream {run_id} --mode values --from 7-0/2/values" in answer.err
    told = call("runs", "stream", run_id, "--mode", "values", "--json").json
    assert (told["events"][1]["cursor"], told["error"]["code"]) == ("7-0/2/values", "INTERRUPTED")


def test_a_run_that_fails_ends_with_1_after_what_it_told(call: Call) -> None:
    call("run", "double", "--input", '{"n": -4}')
    answer = call("runs", "stream", "run-1")
    assert (answer.code, answer.err.partition("\n")[0]) == (
        1,
        "Error [RUN_FAILED]: Run run-1 failed: ValueError: n is -4, which is below zero",
    )


def test_what_is_no_cursor_is_no_failure_of_the_run(call: Call, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: FakeRun, modes: list[str], **options: Any) -> Iterator[RunEvent]:
        raise ConfigError("'x' is no cursor")

    monkeypatch.setattr(FakeRun, "events", refused)
    answer = call("runs", "stream", run_id, "--from", "x", "--json")
    assert (answer.code, answer.error["code"]) == (2, "CONFIG_INVALID")


def test_a_mode_that_does_not_exist(call: Call, run_id: str) -> None:
    assert call("runs", "stream", run_id, "--mode", "value").code == 2
