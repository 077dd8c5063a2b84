"""Graphs whose streams are compared: in process, and read from the log of a run on workers.

told_fan      START -> (a, b, c) -> join -> three Sends -> END, with metadata, tags and values of its own
told_asks     one node asks, one beside it has finished
told_fails    one node fails, one beside it has finished
told_handled  a node fails for good, and its error handler takes over
told_retried  a node fails at first
told_nested   a graph in a node, which asks and has a graph in a node
told_talks    nodes that write to the stream and return messages
told_slow     two tasks that travel, and take long
told_flow     a workflow that calls tasks
told_dies     a node that writes to the stream, and kills its process once
"""

from __future__ import annotations

import operator
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.config import get_stream_writer
from distgraph.func import entrypoint, task
from distgraph.graph import MessagesState
from distgraph.runtime import Runtime
from distgraph.types import Command, RetryPolicy, Send, interrupt

Builder = StateGraph[Any, Any, Any, Any]


class State(TypedDict, total=False):
    """`hold`: a file that the node `held` waits for, if it is given; it says so in a file of that name and `.at`."""

    x: int
    hold: str
    trail: Annotated[list[Any], operator.add]


def noted(name: str, does: Callable[[Any], Any] = lambda state: None) -> Callable[[State], Any]:
    """A node that notes its name in the trail, and what it did."""

    def node(state: State) -> Any:
        found = does(state)
        return {"trail": [name if found is None else f"{name}:{found}"]}

    return node


def fan() -> Builder:
    builder = StateGraph(State)
    for arm in "bac":
        builder.add_node(arm, noted(arm)).add_edge(START, arm)
    builder.add_node("join", noted("join"), metadata={"kind": "join"}).add_edge(["a", "b", "c"], "join")
    builder.add_conditional_edges("join", lambda state: [Send("work", {"x": n}) for n in range(3)], ["work"])
    builder.add_node("work", lambda state: {"trail": [state["x"]]})
    return builder.add_edge("work", END)


def asks() -> Builder:
    builder = StateGraph(State).add_node("beside", noted("beside")).add_edge(START, "beside")
    builder.add_node("asks", noted("asks", lambda state: interrupt({"sure?": state["x"]}))).add_edge(START, "asks")
    return builder.add_node("last", noted("last")).add_edge(["beside", "asks"], "last")


def fail(state: State) -> None:
    raise ValueError(f"no {state['x']}")


def fails() -> Builder:
    builder = StateGraph(State).add_node("first", noted("first")).add_edge(START, "first")
    builder.add_node("beside", noted("beside")).add_edge("first", "beside")
    return builder.add_node("fails", noted("fails", fail)).add_edge("first", "fails")


def handle(state: State) -> Any:
    return Command(update={"trail": ["handled"]}, goto="last")


def handled() -> Builder:
    builder = StateGraph(State).add_node("last", noted("last"))
    builder.add_node("fails", noted("fails", fail), error_handler=handle).add_edge(START, "fails")
    return builder.add_node("beside", noted("beside")).add_edge(START, "beside")


def flaky(state: State, runtime: Runtime[Any]) -> Any:
    info = runtime.execution_info
    assert info is not None
    if info.node_attempt == 1:
        raise ConnectionError("not yet")
    return {"trail": [f"attempt {info.node_attempt}"]}


def retried() -> Builder:
    policy = RetryPolicy(initial_interval=0.01, jitter=False, retry_on=ConnectionError)
    builder = StateGraph(State).add_node("flaky", flaky, retry_policy=policy).add_edge(START, "flaky")
    return builder.add_node("last", noted("last")).add_edge("flaky", "last")


def held(state: State) -> Any:
    """Waits where it is told to, so that a test can kill its process then."""
    if state.get("hold"):
        Path(state["hold"] + ".at").touch()
        while not Path(state["hold"]).exists():
            time.sleep(0.01)
    return {"trail": ["held"]}


def nested() -> Builder:
    inmost = StateGraph(State).add_node("deep", noted("deep")).add_edge(START, "deep").compile(name="inmost")
    inner = StateGraph(State).add_node("one", noted("one")).add_edge(START, "one")
    inner.add_node("inmost", inmost).add_edge("one", "inmost")
    inner.add_node("held", held).add_edge("inmost", "held")
    inner.add_node("asks", noted("asks", lambda state: interrupt("and now?") if state["x"] > 1 else None))
    inner.add_edge("held", "asks").add_edge("asks", END)
    builder = StateGraph(State).add_node("inner", inner.compile(name="inner")).add_edge(START, "inner")
    return builder.add_node("last", noted("last")).add_edge("inner", "last")


def speak(state: Any) -> Any:
    write = get_stream_writer()
    write({"page": 1})
    write("two")
    return {"messages": [{"role": "ai", "content": "hello", "id": "m1"}]}


def repeat(state: Any) -> Any:
    return {"messages": [state["messages"][-1], {"role": "ai", "content": "bye", "id": "m2"}]}


def talks() -> Builder:
    builder = StateGraph(MessagesState).add_node("speak", speak).add_edge(START, "speak")
    return builder.add_node("repeat", repeat).add_edge("speak", "repeat")


@task
def twice(n: int) -> int:
    return n * 2


@task
def refuse(n: int) -> int:
    raise ValueError(f"no {n}")


def flow(**options: Any) -> Any:
    """A workflow whose tasks are told of: it asks where its number is above 5, and fails above 7."""

    @entrypoint(**options)
    def told_flow(n: int) -> list[Any]:
        found: list[Any] = [twice(number).result() for number in range(3)]
        if n > 5:
            found.append(interrupt("go on?"))
        if n > 7:
            found.append(refuse(n).result())
        return found

    told_flow.name = "told_flow"
    return told_flow


def slow() -> Builder:
    """Two tasks that travel: one takes a moment, and one until it may end."""
    builder = StateGraph(State).add_node("held", held, placement="spread").add_edge(START, "held")
    builder.add_node("brief", brief, placement="spread").add_edge(START, "brief")
    return builder.add_node("last", noted("last")).add_edge(["held", "brief"], "last")


def brief(state: State) -> Any:
    time.sleep(1.1)
    return {"trail": ["brief"]}


def dies(state: State) -> Any:
    """Dies where the file `hold` is missing, and makes it first."""
    get_stream_writer()("here")
    if not Path(state["hold"]).exists():
        Path(state["hold"]).touch()
        os._exit(9)
    return {"trail": ["dies"]}


BUILDERS: dict[str, Callable[[], Builder]] = {
    "told_fan": fan,
    "told_asks": asks,
    "told_fails": fails,
    "told_handled": handled,
    "told_retried": retried,
    "told_nested": nested,
    "told_talks": talks,
}
GRAPHS = {name: build().compile(name=name) for name, build in BUILDERS.items()}
told_flow = flow()
told_slow = slow().compile(name="told_slow")
told_dies = StateGraph(State).add_node(dies).add_edge(START, "dies").compile(name="told_dies")


def here(name: str) -> Any:
    """The graph with a saver of its own, for this process."""
    return BUILDERS[name]().compile(name=name, checkpointer=InMemorySaver())


def comparable(chunks: Iterable[Any]) -> list[str]:
    """Chunks as texts, without ids and times.

    Updates, questions and results of one superstep come in the order in which its tasks end: those between two other chunks are
    put in order.
    """
    texts = [_IDS.sub("<id>", _TIMES.sub("<time>", repr(chunk))) for chunk in chunks]
    made: list[str] = []
    ended: list[str] = []
    for text in texts:
        if _ENDS.search(text):
            ended.append(text)
            continue
        made += [*sorted(ended), text]
        ended = []
    return [*made, *sorted(ended)]


_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{32}\b")
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(\+00:00)?")
_ENDS = re.compile(r"'updates', \{|'result': |task_result|'__interrupt__'")
