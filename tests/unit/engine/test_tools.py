"""What tools do is told as they do it, with the id of the call that a model asked for."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.constants import TAG_NOSTREAM
from distgraph.engine.context import RunContext
from distgraph.engine.tools import ToolHandler
from distgraph.errors import GraphDrained, GraphInterrupt
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit


def listening() -> tuple[list[Any], ToolHandler]:
    sent: list[Any] = []
    ctx = RunContext(
        line("a"),
        ns="sub:1",
        emit=lambda ns, mode, chunk, key="": sent.append((ns, mode, chunk)),
        modes=frozenset({"tools"}),
    )
    return sent, ToolHandler(ctx)


def test_a_call_has_the_id_that_a_model_gave_it() -> None:
    sent, handler = listening()
    handler.on_tool_start({"name": "add"}, "", run_id=1, inputs={"n": 1}, tool_call_id="call")
    handler.on_tool_end(2, run_id=1)
    assert sent == [
        (("sub:1",), "tools", {"event": "tool-started", "tool_call_id": "call", "tool_name": "add", "input": {"n": 1}}),
        (("sub:1",), "tools", {"event": "tool-finished", "tool_call_id": "call", "output": 2}),
    ]


def test_a_call_without_an_id_has_that_of_its_run() -> None:
    sent, handler = listening()
    handler.on_tool_start(None, "", run_id=1, name="add")
    handler.on_tool_error(ValueError("bad"), run_id=1)
    assert [chunk for _, _, chunk in sent] == [
        {"event": "tool-started", "tool_call_id": "1", "tool_name": "add"},
        {"event": "tool-error", "tool_call_id": "1", "message": "bad"},
    ]


@pytest.mark.parametrize("stop", [GraphInterrupt(()), GraphDrained("later")])
def test_a_tool_that_stops_to_go_on_later_has_not_failed(stop: BaseException) -> None:
    sent, handler = listening()
    handler.on_tool_start({"name": "ask"}, "", run_id=1)
    handler.on_tool_error(stop, run_id=1)
    handler.on_tool_end("of nobody", run_id=1)
    assert [chunk["event"] for _, _, chunk in sent] == ["tool-started"]


def test_a_quiet_call_is_not_told() -> None:
    sent, handler = listening()
    handler.on_tool_start({"name": "add"}, "", run_id=1, tags=[TAG_NOSTREAM])
    handler.on_tool_end(2, run_id=1)
    assert sent == []
