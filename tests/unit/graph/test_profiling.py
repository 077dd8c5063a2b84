"""Where a run's time goes."""

from __future__ import annotations

import asyncio
import json
import operator
import time
from pathlib import Path
from typing import Annotated, Any

import pytest
from typing_extensions import TypedDict

from distgraph import END, START, StateGraph
from distgraph.graph.profiling import Profile
from distgraph.graph.spans import Span
from distgraph.types import RetryPolicy

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    words: Annotated[list[str], operator.add]
    lock: Any


def wait(seconds: float) -> Any:
    def node(state: State) -> State:
        time.sleep(seconds)
        return {"words": ["x" * 100]}

    return node


SECONDS = {"first": 0.0, "short": 0.02, "long": 0.3}


def wide() -> Any:
    """START -> first -> (short, long) -> END, with a conditional edge after `first`."""
    builder = StateGraph(State)
    for name, seconds in SECONDS.items():
        builder.add_node(name, wait(seconds))
    builder.add_edge(START, "first")
    builder.add_conditional_edges("first", lambda _: ["short", "long"], ["short", "long"])
    builder.add_edge("short", END)
    builder.add_edge("long", END)
    return builder.compile(name="wide")


def check(found: Profile) -> None:
    """What holds on a busy machine too, where "first" and "short" may take as long as "long"."""
    assert found.value == {"words": ["x" * 100] * 3}
    assert {node.node: node.calls for node in found.nodes} == {"first": 1, "short": 1, "long": 1}
    assert all(node.total >= SECONDS[node.node] for node in found.nodes)
    assert [(step.step, step.tasks) for step in found.steps] == [(1, 1), (2, 2)]
    assert 0.3 <= found.critical <= found.wall
    assert found.steps[1].busy >= 0.32
    assert 0 < found.overhead < found.wall
    assert (found.state["words"] or 0) > 300


def test_nodes_supersteps_engine_and_state() -> None:
    graph = wide()
    check(graph.profile({}))
    assert graph.invoke({}) == {"words": ["x" * 100] * 3}, "the graph itself is as it was"


def test_under_an_event_loop() -> None:
    check(asyncio.run(wide().aprofile({})))


def test_every_attempt_counts() -> None:
    """A node that fails and is tried again takes time twice, as one task."""
    tried: list[int] = []

    def shaky(state: State) -> State:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("once")
        return {"words": []}

    builder = StateGraph(State)
    builder.add_node(
        "shaky", shaky, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ValueError)
    )
    builder.add_edge(START, "shaky")
    found = builder.compile(name="shaky").profile({})
    assert [span.attempt for span in found.spans] == [1, 2]
    assert (found.nodes[0].calls, found.steps[0].tasks) == (2, 1)


def test_what_cannot_be_stored_has_no_size() -> None:
    builder = StateGraph(State).add_node("take", lambda _: {"lock": object()}).add_edge(START, "take")
    assert builder.compile(name="lock").profile({}).state["lock"] is None


def test_a_failure_is_the_callers() -> None:
    def fail(state: State) -> State:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        StateGraph(State).add_node("fail", fail).add_edge(START, "fail").compile().profile({})


SPANS = [
    Span(1, "a", "", 1, 0.0, 1.0, "t1"),
    Span(2, "b", "", 1, 1.5, 2.5, "t2"),
    Span(2, "c", "", 1, 1.6, 3.5, "t3"),
    Span(2, "b", "edge", 1, 2.5, 2.6, "t2"),
]


def test_time_beside_each_other_counts_once() -> None:
    profile = Profile("g", wall=4.0, spans=SPANS)
    assert profile.overhead == pytest.approx(1.0)
    assert profile.critical == pytest.approx(2.9)
    assert profile.steps[1].busy == pytest.approx(3.0)


def test_the_slowest_of_a_superstep_and_the_most_expensive_of_all_are_named() -> None:
    profile = Profile("g", wall=4.0, spans=SPANS)
    assert [step.slowest for step in profile.steps] == ["a", "c"]
    assert [node.node for node in profile.nodes] == ["c", "b", "a"]


def test_the_trace_has_a_lane_for_each_that_runs_at_once(tmp_path: Path) -> None:
    Profile("g", wall=4.0, spans=SPANS).save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    lanes = [(event["name"], event["tid"], event["ts"], event["dur"]) for event in events]
    assert ("superstep 2", 0, 1.5e6, 2e6) in lanes
    assert ("b", 1, 1.5e6, 1e6) in lanes
    assert ("c", 2, 1.6e6, 1.9e6) in lanes
    assert ("b / edge", 1, 2.5e6, 1e5) in lanes
    assert all(event["ph"] == "X" for event in events)


def test_the_report_says_what_matters() -> None:
    text = str(Profile("g", wall=4.0, spans=SPANS, state={"small": 5, "large": 5000, "odd": None}))
    assert "engine 1 s (25%)" in text
    assert "critical path 2.9 s" in text
    rows = text.splitlines()
    assert [row.split()[0] for row in rows if row.startswith(("large", "small", "odd"))] == ["large", "small", "odd"]
    assert "5,000" in text
