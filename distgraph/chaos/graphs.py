"""What runs in a storm: a graph whose result tells a loss from a repeat from a swap, and whose nodes keep a log.

    START -> work -> work -> ...                      `steps` supersteps, where `width` is 1
    START -> work -> part (x width, Send) -> work     every other superstep is a fan-out, where it is more

Branch b of superstep s adds 10**s * (index + 1 + b) to ``total``, and the name of the very execution to ``marks``. Every
execution writes a line before and after its work to a file of its process, so that what the ledger holds can be compared
with what was done. The last superstep of some items has an effect on a service outside: ``keyed`` hands over the task's
idempotency key, ``once`` leaves it to ``runtime.once`` that the call is not repeated.
"""

from __future__ import annotations

import itertools
import operator
import os
import time
from collections.abc import Sequence
from functools import cache
from http.client import HTTPConnection
from typing import Annotated, Any, Literal, TypedDict

from distgraph.chaos.history import Journal
from distgraph.graph import END, START, StateGraph
from distgraph.runtime import Runtime
from distgraph.types import Send

#: Where nodes keep their log, and host:port of the service that effects reach. Variables of workers' environment.
FOLDER_VARIABLE = "DISTGRAPH_STORM_FOLDER"
SERVICE_VARIABLE = "DISTGRAPH_STORM_SERVICE"

_count = itertools.count()


class Item(TypedDict):
    """The input of one run. ``delay_ms``: how long a node takes at least; ``effect``: none, keyed or once; ``done``: 0."""

    index: int
    done: int
    steps: int
    width: int
    delay_ms: float
    effect: Literal["none", "keyed", "once"]


class Part(Item):
    """What one task of a fan-out is sent."""

    step: int
    branch: int


class State(TypedDict, total=False):
    """An item, and what its supersteps have added."""

    index: int
    done: int  # supersteps up to the last one of `work`
    steps: int
    width: int
    delay_ms: float
    effect: str
    total: Annotated[int, operator.add]
    marks: Annotated[list[str], operator.add]  # "superstep.branch:execution"


def work(state: State, runtime: Runtime[Any]) -> State:
    """One superstep of its own, or the first and the last of a fan-out."""
    step = state["done"] if alone(state, state["done"]) else state["done"] + 1
    return {"done": step + 1, **_contribute(state, step, 0, runtime)}


def part(sent: Part, runtime: Runtime[Any]) -> State:
    """One task of a fan-out."""
    return _contribute(sent, sent["step"], sent["branch"], runtime)


def _contribute(item: Any, step: int, at: int, runtime: Runtime[Any]) -> State:
    info = runtime.execution_info
    assert info is not None
    name = f"{os.getpid()}-{next(_count)}"
    about: dict[str, Any] = {"run": info.run_id, "step": step, "branch": at, "uid": name, "head": info.checkpoint_id}
    journal = _journal()
    journal.write("node", "invoke", **about, task=info.task_id, key=runtime.idempotency_key)
    if item["delay_ms"]:
        time.sleep(item["delay_ms"] / 1000)
    if step == item["steps"] - 1 and at == 0:
        _affect(item["effect"], str(info.run_id), runtime, journal)
    journal.write("node", "ok", **about)
    return {"total": value(item["index"], step, at), "marks": [f"{step}.{at}:{name}"]}


def _affect(kind: str, run: str, runtime: Runtime[Any], journal: Journal) -> None:
    if kind == "keyed":
        _post("keyed", run, runtime.idempotency_key)
    elif kind == "once":
        attempt = f"{os.getpid()}-{next(_count)}"

        def call() -> str:
            journal.write("once", "info", run=run, attempt=attempt, at="call")
            answer = _post("once", run, "")
            journal.write("once", "info", run=run, attempt=attempt, at="called")
            return answer

        journal.write("once", "invoke", run=run, attempt=attempt, at="look")
        runtime.once("charge", call)
        journal.write("once", "ok", run=run, attempt=attempt, at="recorded")


def _post(kind: str, run: str, key: str) -> str:
    # Not urllib: that would ask the environment for a proxy on the way to this very machine.
    connection = HTTPConnection(os.environ[SERVICE_VARIABLE], timeout=10)
    try:
        connection.request("POST", f"/{kind}", run.encode(), {"Idempotency-Key": key})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@cache
def _journal() -> Journal:
    return Journal(os.environ[FOLDER_VARIABLE], "node")


def on(state: State) -> Literal["work", "__end__"] | Sequence[Send]:
    """The next superstep: one task, a fan-out, or the end."""
    step = state["done"]
    if step >= state["steps"]:
        return END
    if alone(state, step):
        return "work"
    return [Send("part", {**_item(state), "step": step, "branch": at}) for at in range(state["width"])]


def _item(state: State) -> dict[str, Any]:
    return {name: state[name] for name in Item.__annotations__}  # type: ignore[literal-required]


# ------------------------------------------------------------- the model: what must come out, without any graph


def alone(item: Any, step: int) -> bool:
    """Whether a superstep of an item has one task."""
    return bool(item["width"] == 1 or step % 2 == 0 or step == item["steps"] - 1)


def value(index: int, step: int, at: int) -> int:
    """What branch ``at`` of superstep ``step`` adds to the total of item ``index``."""
    return int(10**step) * (index + 1 + at)


def tasks(item: Item) -> list[tuple[int, int]]:
    """(superstep, branch) of every task of an item, in order."""
    return [(step, at) for step in range(item["steps"]) for at in range(1 if alone(item, step) else item["width"])]


def total(item: Item) -> int:
    """What an item must come to."""
    return sum(value(item["index"], step, at) for step, at in tasks(item))


def item(index: int, *, steps: int = 5, delay_ms: float = 0.0) -> Item:
    """The item of that index: one in 25 fans out, one in 20 has a keyed effect, one in 20 an effect with ``once``."""
    effect: Literal["none", "keyed", "once"] = "none"
    if index % 20 == 0:
        effect = "keyed"
    elif index % 20 == 1:
        effect = "once"
    return {
        "index": index,
        "done": 0,
        "steps": steps,
        "width": 3 if index % 25 == 7 else 1,
        "delay_ms": delay_ms,
        "effect": effect,
    }


def build() -> StateGraph[Any, Any, Any, Any]:
    """The graph, not yet compiled."""
    builder = StateGraph(State, input_schema=Item)
    builder.add_node("work", work)
    builder.add_node("part", part)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", on, ["work", "part", END])
    builder.add_edge("part", "work")
    return builder


graph = build().compile(name="storm")
