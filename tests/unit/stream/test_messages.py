"""Messages that are plain dicts; those of LangChain are compared with the peer's (tests/differential/projecting.py)."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest

from distgraph import START, StateGraph

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    said: list[Any]


SAID = [
    {"role": "assistant", "content": "hello", "id": "1"},
    {"role": "tool", "content": "4", "id": "2"},
    {"type": "ai", "content": [{"type": "text", "text": "two "}, "parts", {"type": "image"}], "id": "3"},
]
GRAPH = StateGraph(State).add_node("say", lambda state: {"said": SAID}).add_edge(START, "say").compile()


def test_dicts() -> None:
    found = list(GRAPH.stream_events({"said": []}, version="v3").messages)
    assert [(m.node, m.message_id, list(m.text), str(m.text), m.done) for m in found] == [
        ("say", "1", ["hello"], "hello", True),
        ("say", "3", ["two parts"], "two parts", True),
    ]
    assert [m.output for m in found] == [SAID[0], SAID[2]]


def test_dicts_in_async_runs() -> None:
    async def program() -> Any:
        run = await GRAPH.astream_events({"said": []}, version="v3")
        return [(await m.text, [part async for part in m.text], (await m.output)["id"]) async for m in run.messages]

    assert asyncio.run(program()) == [("hello", ["hello"], "1"), ("two parts", ["two parts"], "3")]
