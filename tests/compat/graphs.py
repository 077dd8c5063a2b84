"""The graphs whose runs are in the golden files. They are part of those files: not a name in here may change.

golden   START -> first -> wait -> last -> END      `wait` takes until the file named by GOLDEN_GATE exists
fan      START -> (left, right) -> join -> END      `right` waits in the same way; every task is a message
asks     START -> ask -> note -> END                `ask` asks a person, twice
fails    START -> work -> END                       `work` fails until that file exists
"""

from __future__ import annotations

import operator
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.types import interrupt

#: The variable that names the file.
GATE = "GOLDEN_GATE"


@dataclass(frozen=True)
class Point:
    """A type of a schema's own, in the state."""

    x: int
    label: str = ""


class State(TypedDict, total=False):
    x: int
    point: Point
    holds: bool
    steps: Annotated[list[str], operator.add]


def _open() -> bool:
    return Path(os.environ[GATE]).exists()


def first(state: State) -> State:
    """Half of the way."""
    return {"steps": ["first"], "point": Point(state["x"], "first")}


def wait(state: State) -> State:
    """Waits, if the item says so."""
    while state.get("holds") and not _open():
        time.sleep(0.01)
    return {"steps": ["wait"]}


def last(state: State) -> State:
    """The other half."""
    return {"steps": ["last"], "x": state["x"] + state["point"].x}


def left(state: State) -> State:
    """Settles at once."""
    return {"steps": ["left"]}


def join(state: State) -> State:
    """After both."""
    return {"steps": ["join"]}


def ask(state: State) -> State:
    """Asks twice."""
    return {"steps": [f"{interrupt('name?')} {interrupt('age?')}"]}


def work(state: State) -> State:
    """Fails for want of a file."""
    if not _open():
        raise FileNotFoundError("the gate is shut")
    return {"steps": ["work"]}


def _line(name: str, *nodes: Any) -> Any:
    builder = StateGraph(State).add_sequence(list(nodes))
    builder.add_edge(START, nodes[0].__name__).add_edge(nodes[-1].__name__, END)
    return builder.compile(name=name)


def _fan() -> Any:
    builder = StateGraph(State).add_node("left", left).add_node("right", wait).add_node("join", join)
    builder.add_edge(START, "left").add_edge(START, "right")
    return builder.add_edge(["left", "right"], "join").add_edge("join", END).compile(name="fan")


golden = _line("golden", first, wait, last)
fan = _fan()
asks = _line("asks", ask, join)
fails = _line("fails", work)
