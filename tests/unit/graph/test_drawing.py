"""What of a graph is drawn."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal, TypedDict

import pytest

from distgraph.constants import END, START
from distgraph.graph.picture import Edge
from distgraph.graph.state import StateGraph
from distgraph.types import Command
from distgraph.warnings import DistgraphWarning

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def node(state: State) -> State:
    return {"log": ["n"]}


def either(state: State) -> Literal["b", "c"]:
    return "b"


def commanding(state: State) -> Command[Literal["b", "__end__"]]:
    return Command(goto="b")


def graph(*names: str, **actions: Any) -> StateGraph[State]:
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, actions.get(name, node))
    return builder.add_edge(START, names[0])


def edges(builder: StateGraph[State], **options: Any) -> list[Edge]:
    return builder.compile().get_graph(**options).edges


def test_plain_edges_are_solid_and_ways_that_stop_lead_to_the_end() -> None:
    assert edges(graph("a", "b").add_edge("a", "b")) == [Edge(START, "a"), Edge("a", "b"), Edge("b", END)]


def test_conditional_edges_carry_their_labels_unless_they_are_the_targets_name() -> None:
    builder = graph("a", "b", "c").add_conditional_edges("a", either).add_conditional_edges("b", node, {1: "c"})
    assert edges(builder)[1:4] == [Edge("a", "b", None, True), Edge("a", "c", None, True), Edge("b", "c", "1", True)]


def test_destinations_of_commands_are_drawn_dashed() -> None:
    assert Edge("a", "b", None, True) in edges(graph("a", "b", a=commanding))
    labelled = StateGraph(State).add_node("a", node, destinations={"b": "why"}).add_node("b", node)
    assert Edge("a", "b", "why", True) in edges(labelled.add_edge(START, "a"))


def test_an_error_handler_is_drawn_as_a_way_out() -> None:
    builder = StateGraph(State).add_node("a", node, error_handler=node).add_edge(START, "a")
    assert Edge("a", "__error_handler__a", "error", True) in edges(builder)


def test_a_join_is_drawn_as_an_edge_from_each_source() -> None:
    builder = graph("a", "b", "c").add_edge("a", "b").add_edge(["a", "b"], "c")
    assert {Edge("a", "c"), Edge("b", "c")} < set(edges(builder))


def test_metadata_tells_of_defer_and_breakpoints() -> None:
    builder = StateGraph(State).add_node("a", node, metadata={"k": 1}).add_node("b", node, defer=True)
    graph = builder.add_edge(START, "a").add_edge("a", "b").compile(interrupt_before=["a"], interrupt_after="*")
    nodes = graph.get_graph().nodes
    assert nodes["a"].metadata == {"k": 1, "__interrupt": "before"}
    assert nodes["b"].metadata == {"defer": True}


def test_nested_graphs_are_opened_as_deep_as_asked() -> None:
    inner = graph("x", "y").add_edge("x", "y").compile()
    middle = graph("m", "deep", deep=inner).add_edge("m", "deep").compile()
    outer = graph("a", "sub", sub=middle).add_edge("a", "sub").compile()
    assert list(outer.get_graph().nodes) == [START, "a", "sub", END]
    assert list(outer.get_graph(xray=1).nodes) == [START, "a", END, "sub:m", "sub:deep"]
    opened = outer.get_graph(xray=True)
    assert list(opened.nodes) == [START, "a", END, "sub:m", "sub:deep:x", "sub:deep:y"]
    assert Edge("sub:m", "sub:deep:x") in opened.edges
    assert Edge("sub:deep:y", END) in opened.edges


def test_a_nested_graph_with_several_ways_in_is_opened_with_its_start() -> None:
    inner = graph("x", "y").add_edge(START, "y").compile()
    opened = graph("a", "sub", sub=inner).add_edge("a", "sub").compile().get_graph(xray=True)
    assert list(opened.nodes) == [START, "a", END, "sub:__start__", "sub:x", "sub:y", "sub:__end__"]
    assert {Edge("a", "sub:__start__"), Edge("sub:__end__", END), Edge("sub:y", "sub:__end__")} < set(opened.edges)


def test_a_nested_graph_that_never_ends_stays_closed() -> None:
    with pytest.warns(DistgraphWarning, match="endless-loop"):
        inner = graph("x", "y").add_edge("x", "y").add_edge("y", "x").compile()
    assert "sub" in graph("a", "sub", sub=inner).add_edge("a", "sub").compile().get_graph(xray=True).nodes


def test_the_graph_that_a_function_calls_is_opened() -> None:
    inner = graph("x").compile()
    builder = StateGraph(State).add_node("a", lambda state: inner.invoke(state)).add_edge(START, "a")
    opened = builder.compile().get_graph(xray=True)
    assert list(opened.nodes) == [START, END, "a:x"]


def test_what_draws_itself_in_another_way_stays_closed() -> None:
    class Other:
        def invoke(self, input: Any, config: Any = None) -> Any:
            return input

        def get_graph(self, config: Any = None) -> Any:
            raise AssertionError("not asked")

    builder = StateGraph(State).add_node("a", Other()).add_edge(START, "a").compile()
    assert list(builder.get_graph(xray=True).nodes) == [START, "a", END]
