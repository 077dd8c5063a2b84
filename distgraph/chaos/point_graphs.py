"""The graphs of the crash points, besides those of ``distgraph.examples``: each passes what the others do not.

gated     START -> first -> wait -> last -> END     `wait` takes until a file exists, and writes which process it is in
needing   START -> need -> END                      `need` fails while a file does not exist
paying    START -> pay -> END                       `pay` records an effect with ``runtime.once``
napping   START -> nap -> END                       `nap` sleeps as long as it is told, beside a task that does not
dice      START -> throw (x 4) -> END               throws dice: what is computed again shows, and the sum is exact
nesting   START -> inner -> last -> END             `inner` is a graph: first -> middle
chaos_flow  a workflow: the tasks `before`, then `gate`, which is as `wait`, then `after`
keeping   START -> keep -> END                      `keep` uses the store, and its result is cached
"""

from __future__ import annotations

import operator
import os
import random
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph.cache.memory import InMemoryCache
from distgraph.constants import END, START
from distgraph.func import entrypoint, task
from distgraph.graph.state import StateGraph
from distgraph.runtime import Runtime
from distgraph.types import CachePolicy


class State(TypedDict, total=False):
    """What all of them work on."""

    file: str
    log: str  # a file that gets a line for each attempt or effect
    index: int
    seconds: float
    steps: Annotated[list[str], operator.add]


def _note(path: str, line: str) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def first(state: State) -> State:
    """Come before the gate."""
    return {"steps": ["first"]}


def wait(state: State) -> State:
    """Stand at the gate until it is there."""
    _note(state["log"], str(os.getpid()))
    while not Path(state["file"]).exists():
        time.sleep(0.005)
    return {"steps": ["wait"]}


def last(state: State) -> State:
    """Come after the gate."""
    return {"steps": ["last"]}


def need(state: State) -> State:
    """Fail without the file."""
    if not Path(state["file"]).exists():
        raise FileNotFoundError(state["file"])
    return {"steps": ["need"]}


def pay(state: State, runtime: Runtime[Any]) -> State:
    """Charge, once."""

    def charge() -> str:
        _note(state["log"], "charged")
        return "receipt"

    return {"steps": [runtime.once("charge", charge)]}


def nap(state: State, runtime: Runtime[Any]) -> State:
    """Sleep, and say when that is over."""
    runtime.sleep(state["seconds"])
    _note(state["log"], repr(time.time()))
    return {"steps": ["nap"]}


@task
def step(name: str) -> str:
    """Come before the gate, or after it."""
    return name


@task
def gate(state: State) -> str:
    """Stand at the gate until it is there."""
    return wait(state)["steps"][0]


@entrypoint()
def chaos_flow(state: State) -> list[str]:
    """As `gated`, of functions."""
    return [step("first").result(), gate(state).result(), step("last").result()]


class Throws(TypedDict, total=False):
    """What the dice show."""

    index: int
    delay_ms: int
    sum: Annotated[int, operator.add]
    throws: Annotated[list[int], operator.add]


def throw(state: Throws) -> Throws:
    """Throw once: the first throw counts the item's index in, so that no two items are alike."""
    time.sleep(state.get("delay_ms", 0) / 1000)
    shown = random.getrandbits(48)
    first = not state.get("throws")
    return {"sum": shown, "throws": [shown + state["index"] if first else shown]}


def once_more(state: Throws) -> str:
    """Four times in all."""
    return "throw" if len(state["throws"]) < 4 else END


def _dice() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Throws)
    builder.add_node(throw)
    builder.add_edge(START, "throw")
    builder.add_conditional_edges("throw", once_more, ["throw", END])
    return builder


def keep(state: State, runtime: Runtime[Any]) -> State:
    """Put an item, read it, delete it."""
    place = ((state["file"],), "item")
    runtime.store.put(*place, {"kept": 1}, ttl=60)
    found = runtime.store.get(*place)
    runtime.store.delete(*place)
    return {"steps": ["kept" if found is not None else "lost"]}


def _gated() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State)
    builder.add_sequence([first, wait, last])
    builder.add_edge(START, "first")
    return builder


def _single(node: Any) -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State)
    builder.add_node(node)
    builder.add_edge(START, node.__name__)
    builder.add_edge(node.__name__, END)
    return builder


def middle(state: State) -> State:
    """Come between."""
    return {"steps": ["middle"]}


def _nesting() -> StateGraph[Any, Any, Any, Any]:
    inner = StateGraph(State).add_sequence([first, middle]).add_edge(START, "first").compile(name="inner")
    builder = StateGraph(State).add_node("inner", inner).add_node(last)
    return builder.add_edge(START, "inner").add_edge("inner", "last").add_edge("last", END)


gated = _gated().compile(name="chaos-gated")
needing = _single(need).compile(name="chaos-needing")
paying = _single(pay).compile(name="chaos-paying")
napping = _single(nap).compile(name="chaos-napping")
nesting = _nesting().compile(name="chaos-nesting")
dice = _dice().compile(name="chaos-dice")
keeping = (
    StateGraph(State)
    .add_node("keep", keep, cache_policy=CachePolicy(key_func=lambda state: state["file"], ttl=60))
    .add_edge(START, "keep")
    .compile(name="chaos-keeping", cache=InMemoryCache())
)
