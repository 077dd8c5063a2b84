"""One graph in two versions of several steps; each step says by which version it was run.

deploys    START -> s0 -> s1 -> s2 -> s3 -> END      version 2 has one node more: `extra`, at the end

`GRAPH_VERSION` says which one a worker serves, `GRAPH_ACCEPTS` the fingerprint that it declares itself compatible with.
"""

from __future__ import annotations

import operator
import os
import time
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph

#: Steps of version 1; of version 2 the extra one says nothing unless it finishes what version 1 began.
STEPS = 4


class State(TypedDict, total=False):
    slow: float  # seconds that each step takes
    by: Annotated[list[str], operator.add]


def make(version: str, accepts: str = "") -> Any:
    """The graph in this version."""

    def step(state: State) -> State:
        time.sleep(state.get("slow", 0.002))
        return {"by": [version]}

    def extra(state: State) -> State:
        return {"by": [version]} if set(state["by"]) != {version} else {}

    builder = StateGraph(State)
    names = [f"s{number}" for number in range(STEPS)]
    for name in names:
        builder.add_node(name, step)
    if version == "2":
        builder.add_node("extra", extra)
        names.append("extra")
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder.compile(name="deploys", compatible_with=[accepts] if accepts else [])


graph = make(os.environ.get("GRAPH_VERSION", "1"), os.environ.get("GRAPH_ACCEPTS", ""))
