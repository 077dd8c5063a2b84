"""Messages that are plain dicts; those of LangChain are compared with the peer's (tests/differential/projecting.py)."""

from __future__ import annotations

import asyncio
import sys
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


def test_messages_of_a_release_of_langchain_that_has_no_streams_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from langchain_core.messages import AIMessage

    from distgraph.stream import messages

    monkeypatch.setitem(sys.modules, "langchain_core.language_models.chat_model_stream", None)
    monkeypatch.delattr("langchain_core.language_models.chat_model_stream", raising=False)
    monkeypatch.setattr(messages, "_langchain", messages._langchain.__wrapped__)
    said = [AIMessage("hello", id="1")]
    graph = StateGraph(State).add_node("say", lambda state: {"said": said}).add_edge(START, "say").compile()
    found = list(graph.stream_events({"said": []}, version="v3").messages)
    assert [(m.message_id, str(m.text), m.output) for m in found] == [("1", "hello", said[0])]
