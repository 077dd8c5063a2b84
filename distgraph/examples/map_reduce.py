"""Map and reduce: `Send` makes one task for every document, a reducer merges what they return.

    START -> plan -> count (x documents) -> rank -> END

How wide the fan-out is depends on the data: `each_document` is a conditional edge that returns a list of `Send`. What a
`Send` carries is the whole input of its task; the task does not see the rest of the state. All counts are written in
one superstep, so `counts` needs a reducer: without one, several writers of a key are an error.

    >>> graph.invoke({"documents": ["to be or", "not to be"], "top": 2})["ranking"]
    [['be', 2], ['to', 2]]
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.types import Send


def add_counts(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """Reducer: both counts together. Called with what is there and with what one task returned."""
    return {word: left.get(word, 0) + right.get(word, 0) for word in {**left, **right}}


class State(TypedDict, total=False):
    documents: list[str]
    top: int  # how many words are wanted
    counts: Annotated[dict[str, int], add_counts]
    ranking: list[list[str | int]]


class Document(TypedDict):
    text: str


def plan(state: State) -> State:
    """Fill in what the caller left out."""
    return {"top": state.get("top", 3)}


def each_document(state: State) -> list[Send] | str:
    """One task a document; without any, straight to the end of the graph."""
    return [Send("count", {"text": text}) for text in state["documents"]] or "rank"


def count(document: Document) -> State:
    """How often each word occurs in one document."""
    return {"counts": dict(Counter(document["text"].lower().split()))}


def rank(state: State) -> State:
    """The most frequent words of all documents; this runs once, after all counts."""
    ranked = sorted(state["counts"].items(), key=lambda entry: (-entry[1], entry[0]))
    return {"ranking": [[word, times] for word, times in ranked[: state["top"]]]}


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State)
    builder.add_node("plan", plan)
    builder.add_node("count", count)
    builder.add_node("rank", rank)
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", each_document, ["count", "rank"])
    builder.add_edge("count", "rank")
    builder.add_edge("rank", END)
    return builder


graph = build().compile(name="map_reduce")
