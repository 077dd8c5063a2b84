"""Small graphs to find problems in."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypedDict

from distgraph.constants import END, START
from distgraph.graph.lint import check
from distgraph.graph.state import StateGraph
from distgraph.types import Command


class State(TypedDict, total=False):
    value: int
    found: Annotated[list[int], operator.add]


def node(state: State) -> State:
    return {"value": 1}


def declared(state: State) -> Command[Literal["b"]]:
    return Command(goto="b")


def anywhere(state: State) -> str:
    return "b"


def some_of(state: State) -> Literal["b", "__end__"]:
    return "b"


def graph(*names: str, edges: str = "", **actions: Callable[..., Any]) -> StateGraph[State]:
    """Nodes by name, and edges such as "a-b b-end"; "a+b-c" is a join."""
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, actions.get(name, node))
    for edge in edges.split():
        start, end = (part.replace("start", START).replace("end", END) for part in edge.split("-"))
        builder.add_edge(start.split("+") if "+" in start else start, end)
    return builder


def codes(builder: StateGraph[State]) -> list[str]:
    return [problem.code for problem in check(builder)]
