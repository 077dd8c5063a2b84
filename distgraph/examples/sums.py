"""Fan-out, join and loop with exact sums: whatever is lost, repeated or swapped shows in the result.

    START -> open -> add (x width, Send) -> close ─┬─> END
              ^                                    │
              └──────── until all rounds are done ─┘

Branch b of round r adds 10**r * (index + b + 1) to `total`, so rounds, branches and items all differ in what they
add. `counts` says how often each branch was counted (always 1), and `trail` in which order: the order of branches, not
of arrival. `expected` computes all of it in a few lines, without any graph. `delay_ms` makes every node take its time,
so that a test can kill what is busy with it.

    >>> item = {"index": 7, "width": 4, "rounds": 3}
    >>> graph.invoke(item) == expected(item)
    True
"""

from __future__ import annotations

import operator
import time
from typing import Annotated, Any, Literal, TypedDict

from distgraph import END, START, StateGraph
from distgraph.types import Send

WIDTH = 4
ROUNDS = 3


def add_counts(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """Reducer that adds instead of replacing: what is counted twice shows as 2."""
    return {name: left.get(name, 0) + right.get(name, 0) for name in {**left, **right}}


class Item(TypedDict, total=False):
    index: int
    width: int  # branches a round, by default `WIDTH`
    rounds: int  # at least 1, by default `ROUNDS`
    delay_ms: int  # how long every node takes at least, by default 0


class Branch(TypedDict):
    """What one task of the fan-out is sent."""

    index: int
    round: int
    branch: int
    delay_ms: int


class State(Item, total=False):
    round: int
    total: Annotated[int, operator.add]
    counts: Annotated[dict[str, int], add_counts]  # "round.branch" -> how often it was counted
    trail: Annotated[list[str], operator.add]  # "round.branch" in order


def open_round(state: State) -> State:
    """Begin the first round or the next one."""
    _pause(state.get("delay_ms", 0))
    return {"round": state.get("round", -1) + 1}


def branches(state: State) -> list[Send] | str:
    """One task a branch, each with all it needs to know."""
    sends = [
        Send(
            "add",
            {
                "index": state["index"],
                "round": state["round"],
                "branch": branch,
                "delay_ms": state.get("delay_ms", 0),
            },
        )
        for branch in range(state.get("width", WIDTH))
    ]
    return sends or "close"


def add(branch: Branch) -> State:
    """One branch's contribution."""
    _pause(branch["delay_ms"])
    name = f"{branch['round']}.{branch['branch']}"
    return {"total": value(branch["index"], branch["round"], branch["branch"]), "counts": {name: 1}, "trail": [name]}


def close_round(state: State) -> None:
    """All branches of the round are in."""
    _pause(state.get("delay_ms", 0))


def again(state: State) -> Literal["open", "__end__"]:
    """Another round, until all are done."""
    return "open" if state["round"] + 1 < state.get("rounds", ROUNDS) else END


def value(index: int, step: int, branch: int) -> int:
    """What branch `branch` of round `step` adds to the total of item `index`."""
    return int(10**step) * (index + branch + 1)


def expected(item: Item) -> dict[str, Any]:
    """The right result for `item`: what `invoke` returns for it, key by key."""
    steps = range(item.get("rounds", ROUNDS))
    every = [(step, branch) for step in steps for branch in range(item.get("width", WIDTH))]
    return {
        **item,
        "round": len(steps) - 1,
        "total": sum(value(item["index"], step, branch) for step, branch in every),
        "counts": {f"{step}.{branch}": 1 for step, branch in every},
        "trail": [f"{step}.{branch}" for step, branch in every],
    }


def items(count: int, *, width: int = WIDTH, rounds: int = ROUNDS, delay_ms: int = 0) -> list[Item]:
    """A batch of `count` items that differ in their index alone."""
    return [{"index": index, "width": width, "rounds": rounds, "delay_ms": delay_ms} for index in range(count)]


def _pause(delay_ms: int) -> None:
    if delay_ms:
        time.sleep(delay_ms / 1000)


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State, input_schema=Item)
    builder.add_node("open", open_round)
    builder.add_node("add", add)
    builder.add_node("close", close_round)
    builder.add_edge(START, "open")
    builder.add_conditional_edges("open", branches, ["add", "close"])
    builder.add_edge("add", "close")
    builder.add_conditional_edges("close", again)
    return builder


graph = build().compile(name="sums")
