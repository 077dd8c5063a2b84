"""What a run can come to, whether it can end, and what is written side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypedDict

import pytest

from distgraph.graph.lint import check
from distgraph.graph.specs import NodeSpec
from distgraph.graph.state import StateGraph
from distgraph.graph.ways import may_route
from distgraph.types import Command, Send
from tests.unit.graph.small import State, anywhere, codes, declared, graph, node, some_of

pytestmark = pytest.mark.unit


class Value(TypedDict):
    value: int


class Found(TypedDict):
    found: list[int]


def commanding(state: State):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return Command(goto="b")


def writes_value(state: State) -> Value:
    return {"value": 1}


def writes_found(state: State) -> Found:
    return {"found": [1]}


def test_an_unreachable_node_is_a_lint() -> None:
    problems = check(graph("a", "b", edges="start-a a-end b-end"))
    assert [(problem.code, problem.severity) for problem in problems] == [("unreachable-node", "lint")]
    assert "'b'" in problems[0].text


@pytest.mark.parametrize("action", [commanding, declared])
def test_a_node_that_a_command_may_lead_to_is_reachable(action: Callable[..., Any]) -> None:
    assert codes(graph("a", "b", edges="start-a b-end", a=action)) == []


def test_a_conditional_edge_without_ends_may_lead_anywhere() -> None:
    assert codes(graph("a", "b", "c", edges="start-a b-end c-end").add_conditional_edges("a", anywhere)) == []


def test_a_loop_without_a_way_out_is_a_lint() -> None:
    assert codes(graph("a", "b", "c", edges="start-a a-b b-c c-b")) == ["endless-loop"]


@pytest.mark.parametrize(
    "builder",
    [
        graph("a", "b", edges="start-a a-b b-a b-end"),
        graph("a", "b", edges="start-a a-b b-a", b=commanding),
        graph("a", "b", edges="start-a a-b b-a").add_conditional_edges("b", some_of),
        graph("a", "b", "c", edges="start-a a-b b-a b-c"),
    ],
)
def test_a_loop_with_a_way_out_is_none(builder: StateGraph[State]) -> None:
    assert codes(builder) == []


def test_a_join_that_waits_for_an_unreachable_node_is_a_lint() -> None:
    assert codes(graph("a", "b", "c", edges="start-a a+b-c c-end")) == ["unreachable-node", "join-never-fires"]


def test_two_nodes_that_surely_write_one_key_in_one_superstep_are_a_lint() -> None:
    both = {"a": writes_value, "b": writes_value}
    assert codes(graph("a", "b", edges="start-a start-b", **both)) == ["parallel-writers"]
    assert codes(graph("a", "b", edges="start-a a-b", **both)) == []


def test_a_reducer_allows_parallel_writers() -> None:
    assert codes(graph("a", "b", edges="start-a start-b", a=writes_found, b=writes_found)) == []


def test_sends_lead_anywhere_too() -> None:
    def fan(state: State) -> list[Send]:
        return [Send("b", 1)]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph("a", "b", edges="start-a").add_conditional_edges("a", fan).compile()


def nested(state: State) -> Any:
    def inner() -> Any:
        return Send("b", 1)

    return inner()


@pytest.mark.parametrize(("action", "may"), [(node, False), (commanding, True), (nested, True), (print, True)])
def test_what_may_return_a_command_is_seen_by_the_names_it_uses(action: Callable[..., Any], may: bool) -> None:
    """A callable that cannot be looked into may do anything."""
    assert may_route(NodeSpec(action, None, State)) is may
