"""Events of models and tools that nodes call, and of nodes themselves."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from distgraph.graph import START, StateGraph

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    said: str


def graph(action: Any) -> Any:
    return StateGraph(State).add_node("n", action).add_edge(START, "n").compile()


def read(graph: Any, colour: str, **options: Any) -> list[Any]:
    if colour == "sync":
        return list(graph.stream_events({}, **options))

    async def collect() -> list[Any]:
        return [event async for event in graph.astream_events({}, **options)]

    return asyncio.run(collect())


def inside(events: list[Any]) -> list[Any]:
    return [event for event in events if "chain" not in event["event"]]


COLOURS = pytest.mark.parametrize("colour", ["sync", "aio"])


@COLOURS
def test_a_model_tells_its_begin_its_pieces_and_its_answer(colour: str) -> None:
    def node(state: State) -> State:
        answer = GenericFakeChatModel(messages=iter([AIMessage("a b")])).invoke("q")
        return {"said": str(answer.content)}

    found = read(graph(node), colour)
    begun, *pieces, done = inside(found)
    assert [event["event"] for event in (begun, *pieces, done)] == [
        "on_chat_model_start",
        *["on_chat_model_stream"] * 3,
        "on_chat_model_end",
    ]
    assert {event["name"] for event in inside(found)} == {"GenericFakeChatModel"}
    assert len({event["run_id"] for event in inside(found)}) == 1
    assert begun["parent_ids"] == [found[0]["run_id"], found[1]["run_id"]]
    assert begun["metadata"]["langgraph_node"] == "n"
    assert [each.content for each in begun["data"]["input"]["messages"][0]] == ["q"]
    assert "".join(piece["data"]["chunk"].content for piece in pieces) == done["data"]["output"].content == "a b"
    assert inside(read(graph(node), colour, include_types=["chain"])) == []
    assert len(read(graph(node), colour, include_types=["chat_model"])) == 5


@COLOURS
def test_a_tool_tells_what_it_got_and_gave(colour: str) -> None:
    @tool
    def double(value: int) -> int:
        """Twice the value."""
        return value * 2

    found = inside(read(graph(lambda state: {"said": str(double.invoke({"value": 2}))}), colour))
    assert [(event["event"], event["name"], event["data"]) for event in found] == [
        ("on_tool_start", "double", {"input": {"value": 2}}),
        ("on_tool_end", "double", {"input": {"value": 2}, "output": 4}),
    ]


@COLOURS
def test_events_that_a_node_dispatches(colour: str) -> None:
    def node(state: State) -> None:
        dispatch_custom_event("news", {"n": 1})

    async def anode(state: State) -> None:
        await adispatch_custom_event("news", {"n": 1})

    events = read(graph(node if colour == "sync" else anode), colour)
    (found,) = inside(events)
    assert (found["event"], found["name"], found["data"]) == ("on_custom_event", "news", {"n": 1})
    assert (found["parent_ids"], found["run_id"]) == ([events[0]["run_id"]], events[1]["run_id"])
    assert found["metadata"]["langgraph_node"] == "n"


def test_what_fails_ends_without_an_answer() -> None:
    @tool
    def broken(value: int) -> int:
        """Fails."""
        raise ValueError("broken")

    def node(state: State) -> State:
        try:
            broken.invoke({"value": 2})
        except ValueError:
            return {"said": "caught"}
        return {}

    assert [event["event"] for event in inside(read(graph(node), "sync"))] == ["on_tool_start"]
