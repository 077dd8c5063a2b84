"""Savers that others wrote for LangGraph keep the states of this library's graphs as its own ones do."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest

pytest.importorskip("langgraph.checkpoint.memory")

from langgraph.checkpoint.memory import InMemorySaver as TheirSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.memory import InMemoryStore as TheirStore

from distgraph import END, START, StateGraph
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.runtime import Runtime
from distgraph.store.memory import InMemoryStore
from distgraph.types import Command, Overwrite, Send, interrupt

pytestmark = pytest.mark.differential


class State(TypedDict, total=False):
    words: Annotated[list[str], operator.add]
    answer: str
    kept: int


def ask(state: State) -> State:
    return {"answer": f"{interrupt('first?')}, {interrupt('second?')}"}


def keep(state: State, runtime: Runtime[Any]) -> State:
    assert runtime.store is not None
    runtime.store.put(("kept",), "words", {"count": len(state["words"])})
    found = runtime.store.get(("kept",), "words")
    assert found is not None
    return {"kept": found.value["count"]}


def build(saver: Any, store: Any) -> Any:
    attempts: list[int] = []

    def fails_first(state: State) -> State:
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("not yet")
        return {"words": ["tried"]}

    inner = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()
    builder = StateGraph(State)
    builder.add_node("spread", lambda state: {}).add_node("word", lambda word: {"words": [word]})
    builder.add_node("fails", fails_first).add_node("inner", inner).add_node("keep", keep)
    builder.add_edge(START, "spread").add_edge("spread", "fails")
    builder.add_conditional_edges("spread", lambda state: [Send("word", word) for word in ("a", "b")], ["word"])
    builder.add_edge(["fails", "word"], "inner").add_edge("inner", "keep").add_edge("keep", END)
    return builder.compile(checkpointer=saver, store=store)


def seen(snapshot: Any) -> Any:
    asked = [question.value for question in snapshot.interrupts]
    return snapshot.values, snapshot.next, snapshot.metadata["source"], snapshot.metadata["step"], asked


def live(saver: Any, store: Any, aio: bool) -> list[Any]:
    """A failure, questions inside a nested graph, a look back, a fork, an update, a deletion."""
    graph = build(saver, store)
    config: Any = {"configurable": {"thread_id": "1"}}
    told: list[Any] = []

    def invoke(given: Any, at: Any = config) -> None:
        try:
            came = asyncio.run(graph.ainvoke(given, at)) if aio else graph.invoke(given, at)
        except ValueError as exc:
            came = str(exc)
        asked = [question.value for question in came.pop("__interrupt__", ())] if isinstance(came, dict) else []
        told.append((came, asked))

    invoke({"words": ["zero"]})
    invoke(None)
    invoke(Command(resume="1"))
    invoke(Command(resume="2"))
    history = list(graph.get_state_history(config))
    told += map(seen, history)
    told.append([seen(snapshot) for snapshot in graph.get_state_history(config, filter={"step": 1}, limit=1)])
    forked = graph.update_state(history[-2].config, {"words": Overwrite(["other"])})
    invoke(None, forked)
    told.append(seen(graph.get_state(config, subgraphs=True)))
    told.append(len(list(graph.get_state_history(config))))
    saver.delete_thread("1")
    told.append(seen(graph.get_state(config)) if list(saver.list(config)) else "gone")
    return told


@pytest.mark.parametrize("aio", [False, True], ids=["sync", "async"])
def test_a_saver_and_a_store_of_langgraph(aio: bool) -> None:
    serde = JsonPlusSerializer(allowed_msgpack_modules=[("distgraph.types", name) for name in ("Interrupt", "Send")])
    ours = live(InMemorySaver(), InMemoryStore(), aio)
    assert live(TheirSaver(serde=serde), TheirStore(), aio) == ours
    assert ours[0] == ("not yet", [])
    assert ours[-1] == "gone"


@pytest.mark.parametrize("given", [TheirSaver, {"get": 1}, "memory"])
def test_what_is_none_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="Invalid checkpointer"):
        build(given, None)
