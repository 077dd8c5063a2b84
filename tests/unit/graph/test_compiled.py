"""What a compiled graph knows of itself."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypedDict

import pytest
from pydantic import BaseModel

from distgraph.constants import START
from distgraph.graph.compiled import CompiledGraph, CompiledStateGraph
from distgraph.graph.message import MessagesState
from distgraph.graph.state import StateGraph
from distgraph.pregel import Pregel

pytestmark = pytest.mark.unit


class Colour(Enum):
    RED = 1


class Point(NamedTuple):
    x: int


@dataclass
class Order:
    colour: Colour


class Model(BaseModel):
    order: Order | None = None


class State(TypedDict, total=False):
    models: list[Model]
    value: int


class View(TypedDict, total=False):
    point: Point


class Context(BaseModel):
    who: str = ""


def node(state: State) -> State:
    return {}


def viewing(state: View) -> View:
    return {}


def graph(**nodes: Any) -> Any:
    builder = StateGraph(State, context_schema=Context)
    for name, action in nodes.items():
        builder.add_node(name, action)
        builder.add_edge(START, name)
    return builder.compile()


def test_a_compiled_graph_is_a_graph_of_channels_too() -> None:
    assert isinstance(graph(a=node), Pregel)
    assert CompiledStateGraph is CompiledGraph


def test_its_types_are_those_that_any_schema_names() -> None:
    """Views of single nodes and the context count, and fields of fields."""
    assert set(graph(a=viewing).types()) == {Model, Order, Colour, Point, Context}


def test_types_of_nested_graphs_and_of_messages_count() -> None:
    pytest.importorskip("langchain_core.messages")
    inner = graph(x=viewing)
    outer = StateGraph(MessagesState).add_node("inner", inner).add_edge(START, "inner").compile()
    names = {typ.__name__ for typ in outer.types()}
    assert {"Point", "Model", "HumanMessage", "AIMessage", "ToolMessage", "RemoveMessage"} <= names


def test_nested_graphs_are_found_by_name() -> None:
    inner = graph(x=node)
    middle = graph(m=node, deep=inner)
    outer = graph(a=node, mid=middle)
    assert [name for name, _ in outer.get_subgraphs()] == ["mid"]
    assert dict(outer.get_subgraphs(recurse=True)) == {"mid": middle, "mid|deep": inner}
    assert dict(outer.get_subgraphs(namespace="mid|deep", recurse=True)) == {"mid|deep": inner}

    async def found() -> list[str]:
        return [name async for name, _ in outer.aget_subgraphs(recurse=True)]

    assert asyncio.run(found()) == ["mid", "mid|deep"]


def test_it_can_be_checked_and_drawn() -> None:
    compiled = graph(a=node)
    assert compiled.check() == []
    assert list(compiled.get_graph().nodes) == ["__start__", "a", "__end__"]
    assert asyncio.run(compiled.aget_graph()).to_json() == compiled.get_graph().to_json()
