"""Nodes that change their input in place."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import pytest

from distgraph.engine.mutation import remembered, report
from distgraph.types import MISSING
from distgraph.warnings import DistgraphWarning
from tests.unit.engine.engines import ENGINES, run
from tests.unit.engine.small import ask, line

pytestmark = pytest.mark.unit


def appends(state: Any) -> Any:
    state["log"].append("sneaked in")


@ENGINES
def test_debugging_reports_who_changes_the_state_behind_its_back(engine: str) -> None:
    """With the node and the key."""
    with pytest.warns(DistgraphWarning, match=r"mutated-input: Node 'a' changed its input in place \(key 'log'\)"):
        run(engine, ask(line("a", a=appends), {"log": []}, debug=True))


@ENGINES
def test_well_behaved_nodes_are_not_reported(engine: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(engine, ask(line("a", "b"), {"log": []}, debug=True))
        run(engine, ask(line("a", a=appends), {"log": []}))


def test_what_cannot_be_copied_cannot_be_watched() -> None:
    assert remembered({"lock": threading.Lock()}) is MISSING
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("sync", ask(line("a", a=appends), {"n": threading.Lock()}, debug=True))


def test_inputs_that_are_no_dicts_are_watched_too() -> None:
    with pytest.warns(DistgraphWarning, match="Node 'a' changed its input in place. Its"):
        report("a", [1], [1, 2])
