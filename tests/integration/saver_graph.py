"""A graph with a question and a fan-out, and a saver on the session's server that must leave no key behind."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypedDict

from distgraph.checkpoint.base import CheckpointTuple
from distgraph.checkpoint.redis import RedisSaver
from distgraph.graph import START, StateGraph
from distgraph.ledger.keys import Keys
from distgraph.types import Send, interrupt

CONFIG: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    x: int
    log: Annotated[list[Any], operator.add]


def count(state: State) -> State:
    return {"x": state["x"] + 1, "log": ["count"]}


def ask(state: State) -> State:
    return {"log": [interrupt("well?")]}


def beside(state: State) -> State:
    return {"log": ["beside"]}


def each(state: State) -> State:
    return {"log": [state["x"]]}


def graph(saver: Any = None, name: str = "asks") -> Any:
    """`count`, then `ask` and `beside`; after `ask` three times `each`."""
    builder = StateGraph(State)
    for node in (count, ask, beside, each):
        builder.add_node(node)
    builder.add_edge(START, "count")
    builder.add_edge("count", "ask")
    builder.add_edge("count", "beside")
    builder.add_conditional_edges("ask", lambda _: [Send("each", {"x": i}) for i in range(3)], ["each"])
    return builder.compile(checkpointer=saver, name=name)


@contextmanager
def opened(url: str, namespace: str) -> Iterator[RedisSaver]:
    """A saver; at the end its thread is deleted, and the fixture `namespace` fails on what is left."""
    with RedisSaver.from_conn_string(url, namespace=namespace) as saver:
        yield saver
        saver.delete_thread("t")


def saved(saver: RedisSaver, config: Any = CONFIG) -> CheckpointTuple:
    """The checkpoint that ``config`` names; it must be there."""
    found = saver.get_tuple(config)
    assert found is not None
    return found


def line_key(namespace: str) -> str:
    """The key of the thread's line."""
    return Keys(namespace).line("t")


def pend_key(namespace: str) -> str:
    """The key of its writes."""
    return Keys(namespace).of("t", "pend", "t", "")
