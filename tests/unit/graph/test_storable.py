"""Lints of what is stored and of what workers must reach."""

from __future__ import annotations

import io
import threading
import typing
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import partial, wraps
from types import FunctionType
from typing import IO, Annotated, Any, Literal, NamedTuple, NewType, Protocol, TypedDict, TypeVar

import pytest
from langchain_core.messages import AnyMessage, BaseMessage
from pydantic import BaseModel

from distgraph import START, StateGraph
from distgraph.channels import DeltaChannel, UntrackedValue
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.config import RunnableConfig
from distgraph.errors import GraphNotFoundError, GraphValidationError
from distgraph.graph.lint import check
from distgraph.graph.message import add_messages
from distgraph.graph.storable import unstorable
from distgraph.types import Send
from distgraph.warnings import DistgraphWarning
from tests.unit.cluster.small import chain, cluster_of
from tests.unit.graph.small import node

pytestmark = pytest.mark.unit

Name = NewType("Name", str)
T = TypeVar("T")


class Client:
    pass


class Color(Enum):
    RED = 1


class Point(NamedTuple):
    x: int


class Order(BaseModel):
    total: int


@dataclass
class Plain:
    orders: list[Order]
    when: datetime


@dataclass
class Holder:
    lock: Any = field(default=None)
    client: Client | None = None


class Inner(TypedDict):
    client: Client


class Able(Protocol):
    def work(self) -> None: ...


@pytest.mark.parametrize(
    "annotation",
    [
        *(int, str, float, bool, bytes, bytearray, complex, None, Any, object, list, dict, tuple, set, deque, datetime),
        *(list[int], dict[str, list[Point]], tuple[int, ...], Literal["a"], Color, Point, Order, Plain, Plain | None),
        *(
            Sequence[str],
            Mapping[str, Any],
            Able,
            Name,
            T,
            Send,
            AnyMessage,
            list[BaseMessage],
            "Unknown",
            Annotated[int, 1],
        ),
    ],
)
def test_what_is_data_or_may_be(annotation: Any) -> None:
    assert unstorable(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (Client, "test_storable.Client"),
        (list[Client], "Client"),
        (dict[str, Client | None], "Client"),
        (Holder, "Client"),
        (Inner, "Client"),
        (type(threading.Lock()), "_thread.lock"),
        (threading.Lock, "lock"),
        (threading.Event, "threading.Event"),
        (io.BytesIO, "_io.BytesIO"),
        (IO[str], "typing.IO"),
        (typing.TextIO, "typing.TextIO"),
        (Callable[[int], int], "collections.abc.Callable"),
        (Generator[int, None, None], "collections.abc.Generator"),
        (list[AsyncIterator[int]], "collections.abc.AsyncIterator"),
        (FunctionType, "function"),
        (type, "type"),
        (Exception, "Exception"),
    ],
)
def test_what_is_none(annotation: Any, name: str) -> None:
    assert name.lower() in str(unstorable(annotation)).lower()


class State(TypedDict, total=False):
    client: Client
    value: int
    scratch: Annotated[Client, UntrackedValue]


def holding(schema: Any = State) -> Any:
    return StateGraph(schema).add_node("a", node).add_edge(START, "a")


def test_a_key_that_cannot_be_stored_is_a_lint_where_it_would_be() -> None:
    """A graph that keeps nothing may hold what it likes; what is not tracked is never stored."""
    (problem,) = check(holding())
    assert (problem.code, problem.severity) == ("unstorable-type", "lint")
    assert problem.text.startswith("Key 'client' is declared with")
    assert holding().compile().invoke({"client": Client()})["value"] == 1
    with pytest.warns(DistgraphWarning, match="unstorable-type"):
        holding().compile(checkpointer=InMemorySaver())
    with pytest.raises(GraphValidationError, match="unstorable-type"):
        holding().compile(strict=True)


def add(left: int, right: int, *, scale: int = 1) -> int:
    return left + right * scale


class Reduced(TypedDict):
    plain: Annotated[int, add]
    total: Annotated[int, partial(add, scale=2)]
    grown: Annotated[list[Any], DeltaChannel(partial(lambda more, value, updates: value, 1))]
    messages: Annotated[list[Any], add_messages(format="langchain-openai")]


def test_a_partial_has_no_name_of_its_own() -> None:
    """One that the library makes is known by what it wraps."""
    problems = [problem for problem in check(holding(Reduced)) if problem.code == "partial-reducer"]
    assert [problem.text.split("'")[1] for problem in problems] == ["total", "grown"]


def in_main(name: str = "node") -> Any:
    function = FunctionType(node.__code__, {"__name__": "__main__"}, name)
    assert function.__module__ == "__main__"
    return function


def test_what_is_defined_in_main_is_a_lint_of_graphs_that_workers_are_to_know() -> None:
    def made() -> Any:
        return StateGraph(State, input_schema=dict).add_node("a", in_main()).add_edge(START, "a")

    made().compile(name="mine")
    assert "node-in-main" in [problem.code for problem in made().compile(name="mine").check()]
    assert "node-in-main" not in [problem.code for problem in made().compile().check()]
    with pytest.raises(GraphValidationError, match="node-in-main: Node 'a' of graph 'mine' is defined in __main__"):
        made().compile(name="mine", strict=True)


def test_whoever_misses_a_graph_is_told_what_keeps_workers_from_it() -> None:
    cluster = cluster_of(chain(name="served"))
    builder = StateGraph(State).add_node("a", in_main()).add_edge(START, "a")
    with pytest.raises(GraphNotFoundError, match="No worker has ever served .* defined in __main__.* to a module"):
        cluster.bind(builder.compile(name="mine")).submit({})
    builder = StateGraph(State).add_node("a", lambda state: None).add_edge(START, "a")
    with pytest.raises(GraphNotFoundError, match="defined in a function: workers find graphs in module attributes"):
        cluster.bind(builder.compile(name="mine")).submit_batch([{}])


def test_a_parameter_that_nobody_fills_is_found() -> None:
    def two(state: State, other: int) -> None: ...

    def filled(state: State, runtime: Any, config: RunnableConfig, other: int = 1) -> None: ...

    @wraps(two)
    def wrapped(state: State) -> None:
        return two(state, 1)

    def codes(action: Any) -> list[str]:
        problems = check(StateGraph(dict).add_node("a", action).add_edge(START, "a"))
        return [problem.code for problem in problems if problem.code != "unstorable-type"]

    assert codes(two) == ["node-arity"]
    assert codes(partial(two, other=1)) == codes(filled) == codes(wrapped) == []
