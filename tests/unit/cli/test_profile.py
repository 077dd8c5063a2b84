"""``distgraph profile``: a table, a document, a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Call

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
