"""Graphs that run graphs.

Graph            What it is for
---------------  --------------------------------------------------------------
nest             one node is a graph that notes, may die or ask, and notes again
nest_pair        two graphs side by side, each asks
nest_loop        a node that runs a graph three times; each asks
"""

from __future__ import annotations

import operator
import os
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.types import interrupt


def latest(before: str, after: str) -> str:
    return after


class State(TypedDict, total=False):
    """`log`: a file that notes calls. `kill`: a file; while it is not there, the node `middle` makes it and dies."""

    log: Annotated[str, latest]
    kill: Annotated[str, latest]
    ask: Annotated[str, latest]
    trail: Annotated[list[str], operator.add]


def _note(state: State, what: str) -> None:
    if state.get("log"):
        with Path(state["log"]).open("a") as out:
            out.write(f"{what}\n")


def first(state: State) -> Any:
    _note(state, "first")
    return {"trail": ["first"]}


def middle(state: State) -> Any:
    _note(state, "middle")
    if state.get("kill") and not Path(state["kill"]).exists():
        Path(state["kill"]).touch()
        os._exit(9)
    return {"trail": [f"middle {interrupt(state['ask'])}" if state.get("ask") else "middle"]}


def last(state: State) -> Any:
    _note(state, "last")
    return {"trail": ["last"]}


def behind(state: State) -> Any:
    return {"trail": ["behind"]}


def build_inner() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State)
    for node in (first, middle, last):
        builder.add_node(node)
    return builder.add_edge(START, "first").add_edge("first", "middle").add_edge("middle", "last").add_edge("last", END)


inner = build_inner().compile(name="nest_inner")


def again(state: State) -> Any:
    """Runs the graph three times."""
    return {"trail": [entry for n in range(3) for entry in inner.invoke({"ask": f"{n}?"})["trail"]]}


def build_nest(*names: str) -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State).add_node(behind)
    for name in names:
        builder.add_node(name, inner)
        builder.add_edge(START, name)
    return builder.add_edge([*names], "behind").add_edge("behind", END)


nest = build_nest("within").compile(name="nest")
nest_pair = build_nest("one", "two").compile(name="nest_pair")
nest_loop = StateGraph(State).add_node(again).add_edge(START, "again").add_edge("again", END).compile(name="nest_loop")
