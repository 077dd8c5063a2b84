"""Graphs whose lists grow for long, by every rule that is stored by ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.channels import DeltaChannel
from distgraph.graph import add_messages


def extend(state: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*state, *(item for write in writes for item in write)]


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], DeltaChannel(extend)]
    messages: Annotated[list[Any], add_messages]


def talk(state: State) -> dict[str, Any]:
    """Says something; every tenth time it says something else in place of what it said before."""
    n = state["n"] - 1
    said = n + 3 if n % 10 == 4 else n
    return {"n": n, "log": [f"talk {n}"], "messages": [{"role": "ai", "content": f"{n} of {said}", "id": f"{said}"}]}


def listen(state: State) -> dict[str, Any]:
    return {"log": [f"heard {len(state['messages'])} and {len(state['log'])}"]}


def more(state: State) -> Any:
    return ["talk", "listen"] if state["n"] else END


builder = StateGraph(State).add_node("talk", talk).add_node("listen", listen)
builder.add_edge(START, "talk").add_edge(START, "listen").add_conditional_edges("talk", more, ["talk", "listen", END])
graph = builder.compile(name="growing")
