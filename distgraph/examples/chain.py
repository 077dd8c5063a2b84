"""A chain: one node after the other, each adding to the state.

    START -> split -> measure -> grade -> END

The state is a `TypedDict`. A node takes the state and returns only what it changes; a key it does not return stays as
it is. Every arrow is a superstep: on a cluster the state is checkpointed after each.

    >>> graph.invoke({"text": "It rained. We stayed at home."})["verdict"]
    'easy'
"""

from __future__ import annotations

import re
from typing import Any, TypedDict

from distgraph import END, START, StateGraph


class State(TypedDict, total=False):
    text: str
    sentences: list[str]
    words: int
    letters: int
    verdict: str


def split(state: State) -> State:
    """Cut the text into sentences."""
    parts = re.split(r"[.!?]+", state["text"])
    return {"sentences": [part.strip() for part in parts if part.strip()]}


def measure(state: State) -> State:
    """Count words and letters."""
    words = [word for sentence in state["sentences"] for word in re.findall(r"\w+", sentence)]
    return {"words": len(words), "letters": sum(len(word) for word in words)}


def grade(state: State) -> State:
    """Long sentences of long words are hard to read."""
    sentences, words = len(state["sentences"]), state["words"]
    if not words:
        return {"verdict": "empty"}
    hard = words > 20 * sentences or state["letters"] > 6 * words
    return {"verdict": "hard" if hard else "easy"}


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State)
    builder.add_sequence([split, measure, grade])
    builder.add_edge(START, "split")
    builder.add_edge("grade", END)
    return builder


graph = build().compile(name="chain")
