"""The state methods of a graph, in both colours."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import START
from distgraph.errors import InvalidUpdateError
from distgraph.graph.state import StateGraph
from distgraph.types import StateUpdate

pytestmark = pytest.mark.unit

ONE: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def a(state: State) -> State:
    return {"log": ["a"]}


def b(state: State) -> State:
    return {"log": ["b"]}


def make() -> Any:
    builder = StateGraph(State).add_sequence([a, b]).add_edge(START, "a")
    return builder.compile(checkpointer=InMemorySaver(), interrupt_before=["b"])


def test_a_thread_can_be_looked_at_and_changed() -> None:
    graph = make()
    graph.invoke({"log": ["in"]}, ONE)
    assert graph.get_state(ONE).next == ("b",)
    config = graph.update_state(ONE, {"log": ["edited"]})
    assert graph.get_state(config).values == {"log": ["in", "a", "edited"]}
    graph.bulk_update_state(ONE, [[StateUpdate({"log": ["x"]}, "a")], [StateUpdate({"log": ["y"]}, "b")]])
    history = list(graph.get_state_history(ONE, limit=2))
    assert [snapshot.metadata["step"] for snapshot in history] == [4, 3]
    assert history[0].next == ()


def test_the_async_methods_do_the_same() -> None:
    async def run() -> Any:
        graph = make()
        await graph.ainvoke({"log": ["in"]}, ONE)
        state = await graph.aget_state(ONE)
        await graph.aupdate_state(ONE, {"log": ["edited"]})
        await graph.abulk_update_state(ONE, [[StateUpdate({"log": ["x"]}, "a")]])
        return state.next, [snapshot.values async for snapshot in graph.aget_state_history(ONE, limit=1)]

    assert asyncio.run(run()) == (("b",), [{"log": ["in", "a", "edited", "x"]}])


def test_the_graphs_own_config_can_name_the_thread() -> None:
    graph = make().with_config(ONE)
    graph.invoke({"log": []})
    assert graph.get_state({}).next == ("b",)


def test_a_graph_without_saver_says_so() -> None:
    graph = StateGraph(State).add_node(a).add_edge(START, "a").compile()
    with pytest.raises(ValueError, match="No checkpointer set"):
        graph.get_state(ONE)
    with pytest.raises(ValueError, match="No checkpointer set"):
        list(graph.get_state_history(ONE))


def test_an_update_as_an_unknown_node_is_refused() -> None:
    graph = make()
    graph.invoke({"log": []}, ONE)
    with pytest.raises(InvalidUpdateError, match="Node c does not exist"):
        graph.update_state(ONE, {"log": []}, as_node="c")
