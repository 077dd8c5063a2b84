"""One graph in two versions, as before and after a deployment: `GRAPH_VERSION` says which one a worker serves."""

from __future__ import annotations

import os
from typing import Any, TypedDict

from distgraph import START, StateGraph


class State(TypedDict, total=False):
    seen: str


def old(state: State) -> State:
    return {"seen": "old"}


def new(state: State) -> State:
    return {"seen": "new"}


def make(version: str) -> Any:
    """Version "1" has the node `old`, version "2" the node `new`."""
    builder = StateGraph(State)
    node = {"1": old, "2": new}[version]
    builder.add_node(node)
    builder.add_edge(START, node.__name__)
    return builder.compile(name="versions")


graph = make(os.environ.get("GRAPH_VERSION", "1"))
