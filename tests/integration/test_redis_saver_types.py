"""A graph tells its saver which types its states hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.checkpoint.redis import RedisSaver

pytestmark = pytest.mark.integration


@dataclass
class Point:
    x: int


class State(TypedDict, total=False):
    at: Point


@pytest.mark.leaves_keys
def test_a_dataclass_in_the_state_comes_back_as_itself(redis_url: str, namespace: str) -> None:
    builder = StateGraph(State)
    builder.add_node("move", lambda state: {"at": Point(state["at"].x + 1)})
    builder.add_edge(START, "move")
    builder.add_edge("move", END)
    config: Any = {"configurable": {"thread_id": "t"}}
    with RedisSaver.from_conn_string(redis_url, namespace=namespace) as saver:
        builder.compile(checkpointer=saver).invoke({"at": Point(1)}, config)
    with RedisSaver.from_conn_string(redis_url, namespace=namespace) as another:
        assert builder.compile(checkpointer=another).get_state(config).values == {"at": Point(2)}
