"""What nodes that LangGraph made return is taken as ours."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from distgraph.engine.foreign import asked_by, ours
from distgraph.types import Command, Send, TimeoutPolicy

pytestmark = pytest.mark.unit


def test_commands_and_sends_of_langgraph_are_ours() -> None:
    theirs = pytest.importorskip("langgraph.types")
    assert ours(theirs.Send("a", 1, timeout=2.0)) == Send("a", 1, TimeoutPolicy(run_timeout=2.0))
    there = theirs.Command(graph=theirs.Command.PARENT, update={"x": 1}, goto=[theirs.Send("a", 1), "b"])
    here = Command(graph=Command.PARENT, update={"x": 1}, goto=[Send("a", 1), "b"])
    assert ours(there) == here
    assert ours([there, {"y": 2}]) == [here, {"y": 2}]
    assert ours((there, 1)) == (here, 1)
    assert ours({"x": [1]}) == {"x": [1]}


def test_nothing_is_looked_for_where_langgraph_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "langgraph.types", raising=False)
    given = [Command(goto="a")]
    assert ours(given) is given


def test_what_langgraph_made_says_what_it_asks_for() -> None:
    assert asked_by(SimpleNamespace(func_accepts={"store": ("store", None)})) == {"store": ("store", None)}
    assert asked_by(SimpleNamespace(func_accepts=lambda: None)) is None
    assert asked_by(SimpleNamespace()) is None
