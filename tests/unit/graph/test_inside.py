"""Graphs that nodes run, found behind their functions."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any, TypedDict

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.graph import START, StateGraph
from distgraph.graph.inside import graph_in
from distgraph.types import interrupt


class State(TypedDict):
    n: int


def compiled(node: Any, **options: Any) -> Any:
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile(**options)


SHELF = SimpleNamespace(graph=compiled(lambda state: None))
ROOM = SimpleNamespace(shelf=SimpleNamespace(shelf=SHELF))
GRAPH = compiled(lambda state: None)


class Holder:
    def __init__(self) -> None:
        self.graph = GRAPH

    def method(self, state: State) -> Any:
        return self.graph.invoke(state)

    def __call__(self, state: State) -> Any:
        return self.graph.invoke(state)


def uses_a_global(state: State) -> Any:
    return GRAPH.invoke(state)


def uses_an_attribute(state: State) -> Any:
    return [SHELF.graph.invoke(each) for each in [state]]


def uses_what_an_attribute_has(state: State) -> Any:
    return [ROOM.shelf.shelf.graph.invoke(each) for each in [state]]


def uses_what_leads_to_none(state: State) -> Any:
    return ROOM.shelf.graph, ROOM.graph.shelf, ROOM.shelf.shelf


def uses_nothing(state: State) -> Any:
    return len(state)


def test_where_graphs_are_found() -> None:
    inner = compiled(lambda state: None)

    def closes_over(state: State) -> Any:
        return (lambda: inner.invoke(state))()

    room = SimpleNamespace(holder=Holder())

    def closes_over_a_holder(state: State) -> Any:
        return (lambda: room.holder.graph.invoke(state))()

    def never_reads(state: State) -> Any:
        if not __debug__:
            room.holder.graph.invoke(state)
        return SHELF

    def names_itself(state: State) -> Any:
        return names_itself(state)

    assert graph_in(GRAPH) is GRAPH
    assert graph_in(uses_a_global) is GRAPH
    assert graph_in(partial(uses_a_global)) is GRAPH
    assert graph_in(uses_an_attribute) is SHELF.graph
    assert graph_in(uses_what_an_attribute_has) is SHELF.graph
    assert graph_in(closes_over) is inner
    assert graph_in(closes_over_a_holder) is GRAPH
    assert graph_in(Holder().method) is GRAPH
    assert graph_in(Holder()) is GRAPH
    assert [graph_in(fn) for fn in (uses_nothing, names_itself, len, dict, None)] == [None] * 5
    assert [graph_in(fn) for fn in (never_reads, uses_what_leads_to_none)] == [None] * 2


def test_the_state_of_a_graph_that_a_node_calls() -> None:
    inner = compiled(lambda state: {"n": interrupt("n?")}, checkpointer=True)

    def calls(state: State) -> Any:
        return inner.invoke(state)

    graph = compiled(calls, checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"n": 1}, config)
    (task,) = graph.get_state(config, subgraphs=True).tasks
    assert task.state.values == {"n": 1}
    assert task.state.next == ("node",)


def test_a_node_shows_the_graph_that_it_runs() -> None:
    assert compiled(uses_a_global).nodes["node"].subgraphs == [GRAPH]
    assert compiled(lambda state: None).nodes["node"].subgraphs == []
