"""Live output of chat models."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.engine.context import RunContext
from distgraph.engine.tokens import PieceHandler, ProgressHandler, TokenHandler, for_models, without_tokens
from distgraph.graph import START, MessagesState, StateGraph
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit


def listening() -> tuple[list[Any], RunContext]:
    sent: list[Any] = []
    ctx = RunContext(
        line("a"), emit=lambda ns, mode, chunk, key="": sent.append((mode, *chunk)), modes=frozenset({"messages"})
    )
    return sent, ctx


def scope(ctx: RunContext, progress: Any = None) -> Any:
    task = SimpleNamespace(id="00000000-0000-0000-0000-000000000001")
    return SimpleNamespace(ctx=ctx, progress=progress, made_progress=progress, told=None, task=task)


def handlers(config: Any) -> list[Any]:
    """Who is told; where LangChain is loaded, a manager of its keeps them."""
    callbacks = config.get("callbacks", [])
    return list(getattr(callbacks, "handlers", callbacks))


def said(content: str, id: str | None = "1") -> Any:
    return SimpleNamespace(content=content, type="ai", id=id)


def answer(message: Any) -> Any:
    return SimpleNamespace(generations=[[SimpleNamespace(message=message)]])


def test_pieces_are_sent_and_the_whole_is_not_sent_again() -> None:
    sent, ctx = listening()
    handler = TokenHandler(ctx, {"langgraph_node": "a"})
    handler.on_chat_model_start({}, [], run_id=1, tags=["t", "seq:step:1"], metadata={"m": 1})
    first, second = said("x"), said("y")
    handler.on_llm_new_token("x", run_id=1, chunk=SimpleNamespace(message=first))
    handler.on_llm_new_token("y", run_id=1, chunk=SimpleNamespace(message=second))
    handler.on_llm_end(answer(said("xy")), run_id=1)
    metadata = {"langgraph_node": "a", "m": 1, "tags": ["t"]}
    assert sent == [("messages", first, metadata), ("messages", second, metadata)]
    assert ctx.seen == {"1"}


def test_pieces_of_messages_are_sent_as_they_are() -> None:
    """The whole, and what a node returns of it, is not sent again: readers know it by the id of its first piece."""
    sent, ctx = listening()
    handler = PieceHandler(ctx, {"langgraph_node": "a"})
    handler.on_chat_model_start({}, [], run_id=1)
    for event in (begin := {"event": "message-start", "id": "1"}), (end := {"event": "message-finish"}):
        handler.on_stream_event(event, run_id=1)
    handler.on_llm_new_token("x", run_id=1, chunk=SimpleNamespace(message=said("x", "2")))
    handler.on_llm_end(answer(said("x", "3")), run_id=1)
    handler.on_stream_event(begin, run_id=2)
    assert sent == [("messages", each, {"langgraph_node": "a", "run_id": "1"}) for each in (begin, end)]
    assert ctx.seen == {"1", "3"}


def test_a_model_that_makes_no_pieces_of_messages_is_heard_at_its_end() -> None:
    sent, ctx = listening()
    handler = PieceHandler(ctx, {})
    handler.on_chat_model_start({}, [], run_id=1)
    handler.on_llm_end(answer(whole := said("x", None)), run_id=1)
    assert sent == [("messages", whole, {})] and whole.id


def test_an_answer_without_pieces_is_sent_whole_and_named() -> None:
    sent, ctx = listening()
    handler = TokenHandler(ctx, {})
    handler.on_chat_model_start({}, [], run_id=1)
    handler.on_llm_end(answer(said("xy", None)), run_id=1)
    [(_, message, _)] = sent
    assert message.content == "xy"
    assert message.id in ctx.seen


def test_models_that_are_not_shown_or_failed_send_nothing() -> None:
    sent, ctx = listening()
    handler = TokenHandler(ctx, {})
    handler.on_chat_model_start({}, [], run_id=1, tags=["nostream"])
    handler.on_chat_model_start({}, [], run_id=2)
    handler.on_llm_error(ValueError(), run_id=2)
    for run_id in (1, 2):
        handler.on_llm_new_token("x", run_id=run_id, chunk=SimpleNamespace(message=said("x")))
        handler.on_llm_end(answer(said("x")), run_id=run_id)
    handler.on_chat_model_start({}, [], run_id=3)
    handler.on_llm_end(SimpleNamespace(generations=[]), run_id=3)
    assert sent == []


def test_only_who_is_read_gets_a_handler() -> None:
    _, ctx = listening()
    config: Any = for_models(scope(ctx), {"metadata": {}, "callbacks": ["own"], "run_id": 1, "run_name": "n"})
    assert handlers(config)[0] == "own"
    assert isinstance(handlers(config)[1], TokenHandler)
    assert "run_id" not in config
    assert "run_name" not in config
    assert without_tokens({**config, "callbacks": handlers(config)})["callbacks"] == ["own"]
    assert handlers(for_models(scope(RunContext(line("a"))), {"metadata": {}})) == []


def test_readers_of_pieces_get_a_handler_that_langchain_knows() -> None:
    from langchain_core.tracers._streaming import _V2StreamingCallbackHandler as Marker

    _, ctx = listening()
    ctx.pieces = True
    (handler,) = handlers(for_models(scope(ctx), {"metadata": {}}))
    assert isinstance(handler, PieceHandler) and isinstance(handler, Marker)


def test_what_is_called_tells_limits_on_idling_that_it_makes_progress() -> None:
    told: list[int] = []
    idle = scope(RunContext(line("a")), lambda: told.append(1))
    config: Any = for_models(idle, {"metadata": {}})
    (handler,) = handlers(config)
    assert isinstance(handler, ProgressHandler)
    handler.on_chat_model_start({}, [], run_id=1)
    handler.on_tool_end("x", run_id=2)
    handler.on_llm_new_token("x", run_id=1)
    assert told == [1, 1, 1]


def test_every_answer_has_an_id_of_its_own_though_the_run_has_one() -> None:
    models = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    model = models.FakeListChatModel(responses=["one", "two"])

    def speak(state: Any) -> Any:
        return {"messages": [model.invoke("?"), model.invoke("?")]}

    graph = StateGraph(MessagesState).add_node(speak).add_edge(START, "speak").compile()
    run_id = "00000000-0000-0000-0000-000000000007"
    spoken = graph.invoke({"messages": []}, {"run_id": run_id})["messages"]
    assert [message.content for message in spoken] == ["one", "two"]


def test_callbacks_of_a_run_reach_models_in_its_nodes() -> None:
    models = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    callbacks = pytest.importorskip("langchain_core.callbacks")
    called: list[Any] = []

    class Counting(callbacks.BaseCallbackHandler):  # type: ignore[misc, name-defined]
        def on_chat_model_start(self, serialized: Any, messages: Any, **more: Any) -> None:
            called.append(more["metadata"]["langgraph_node"])

    def speak(state: Any) -> Any:
        models.FakeListChatModel(responses=["one"]).invoke("?")

    graph = StateGraph(MessagesState).add_node(speak).add_edge(START, "speak").compile()
    graph.invoke({"messages": []}, {"callbacks": [Counting()]})
    assert called == ["speak"]
    config = pytest.importorskip("langchain_core.runnables.config")
    assert config.var_child_runnable_config.get() is None
