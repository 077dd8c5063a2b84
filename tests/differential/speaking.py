"""Programs whose nodes call chat models, or send messages themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any, TypedDict
from uuid import UUID

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableConfig, RunnableLambda

from tests.differential.harness import Api, outcome

#: Who made a chunk and what its sequence is called are each library's own.
_OWN = ("lc_versions", "langgraph_checkpoint_ns", "checkpoint_ns")


def _model(*answers: str) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter([AIMessage(answer) for answer in answers]))


def _said(chunk: Any) -> Any:
    message, metadata = chunk
    return type(message).__name__, message.content, {k: v for k, v in metadata.items() if k not in _OWN}


def _graph(api: Api, *nodes: tuple[str, Any]) -> Any:
    return api.StateGraph(api.MessagesState).add_sequence([*nodes]).add_edge(api.START, nodes[0][0]).compile()


def _stream(graph: Any, **options: Any) -> list[Any]:
    config = {"tags": ["mine"], "metadata": {"about": 1}, "run_id": UUID(int=7)}
    return [_said(chunk) for chunk in graph.stream({"messages": "hi"}, config, stream_mode="messages", **options)]


def tokens(api: Api) -> Any:
    """With and without the config passed on, kept from readers by a tag, and within a sequence."""
    model = _model("one two", "three four", "five six", "seven eight")

    def returns(state: Any) -> Any:
        return {"messages": [model.invoke(state["messages"])]}

    def passes_on(state: Any, config: RunnableConfig) -> Any:
        model.invoke("?", config)

    def quiet(state: Any) -> Any:
        model.with_config(tags=["nostream"]).invoke("?")

    said = ChatPromptTemplate.from_messages([("human", "?")]) | model | (lambda message: {"messages": [message]})
    return _stream(
        _graph(api, ("returns", returns), ("passes_on", passes_on), ("quiet", quiet), ("sequence", said.with_config()))
    )


def tokens_of_async_models(api: Api) -> Any:
    model = _model("one two", "three four")

    async def returns(state: Any) -> Any:
        return {"messages": [await model.ainvoke(state["messages"])]}

    async def streams(state: Any) -> Any:
        return {"messages": [AIMessage("".join([str(part.content) async for part in model.astream("?")]), id="1")]}

    async def run() -> list[Any]:
        graph = _graph(api, ("returns", returns), ("streams", streams))
        return [_said(chunk) async for chunk in graph.astream({"messages": "hi"}, stream_mode="messages")]

    return asyncio.run(run())


def tokens_of_nested_graphs(api: Api) -> Any:
    """With the graph as a node, called without and with the node's config, and read by the node itself."""
    model = _model(*(["one two"] * 20))
    inner = _graph(api, ("speaks", lambda state: {"messages": [model.invoke("?")]}))

    def calls(state: Any) -> Any:
        inner.invoke({"messages": "?"})

    def passes_on(state: Any, config: RunnableConfig) -> Any:
        inner.invoke({"messages": "?"}, config)

    def reads(state: Any) -> Any:
        parts = [_said(chunk)[1] for chunk in inner.stream({"messages": "?"}, stream_mode="messages")]
        return {"messages": [AIMessage("+".join(parts), id="parts")]}

    graph = _graph(api, ("node", inner), ("calls", calls), ("passes_on", passes_on), ("reads", reads))
    deep = graph.stream({"messages": "hi"}, stream_mode="messages", subgraphs=True)
    return [(len(ns), _said(chunk)[:2]) for ns, chunk in deep], [chunk[:2] for chunk in _stream(graph)]


def pushed_messages(api: Api) -> Any:
    push = api.module("graph.message").push_message

    def pushes(state: Any) -> Any:
        first = push(AIMessage("first", id="1"))
        push(("ai", "no id")) if state["messages"][0].content == "bad" else None
        push({"role": "assistant", "content": "not kept", "id": "2"}, state_key=None)
        return {"messages": [AIMessage("last", id="3"), first]}

    graph = _graph(api, ("pushes", pushes))

    def contents(messages: Iterable[Any]) -> Any:
        return [message.content for message in messages]

    return (
        _stream(graph),
        contents(graph.invoke({"messages": "hi"})["messages"]),
        outcome(lambda: graph.invoke({"messages": "bad"})),
    )


def user_interface(api: Api) -> Any:
    ui = api.module("graph.ui")

    make: Any = TypedDict
    state = make("state", {"ui": Annotated[list[Any], ui.ui_message_reducer]})

    def shows(state: Any) -> Any:
        ui.push_ui_message("chart", {"x": 1, "y": 1}, id="a", metadata={"m": 1}, message=AIMessage("", id="1"))
        ui.push_ui_message("chart", {"x": 2}, id="a", merge=True)
        ui.push_ui_message("text", {"t": 1}, id="b", message={"id": "2"})
        ui.push_ui_message("only sent", {}, id="c", state_key=None)

    def hides(state: Any) -> Any:
        ui.delete_ui_message("b")

    def fails(state: Any) -> Any:
        ui.delete_ui_message("none")

    def graph(*nodes: tuple[str, Any]) -> Any:
        return api.StateGraph(state).add_sequence([*nodes]).add_edge(api.START, nodes[0][0]).compile()

    return (
        list(graph(("shows", shows), ("hides", hides)).stream({"ui": []}, stream_mode=["custom", "values"])),
        outcome(lambda: graph(("fails", fails)).invoke({"ui": []})),
    )


def graphs_in_sequences(api: Api) -> Any:
    """A graph's methods as a step of a sequence, alone and within a node, in either colour."""
    graph = _graph(api, ("answers", lambda state: {"messages": [AIMessage("a", id="1")]}))
    step = RunnableLambda(graph.invoke, graph.ainvoke)
    sequence: Any = (
        RunnableLambda(lambda text: {"messages": text}) | step | (lambda state: state["messages"][-1].content)
    )
    outer = _graph(api, ("calls", lambda state: {"messages": [AIMessage(sequence.invoke("?") + "!", id="2")]}))
    return sequence.invoke("?"), asyncio.run(sequence.ainvoke("?")), sequence.batch(["?", "!"]), _stream(outer)


def models_keep_a_node_from_being_idle(api: Api) -> Any:
    """Though nobody reads the tokens."""

    class Slow(GenericFakeChatModel):
        async def _astream(self, *args: Any, **more: Any) -> Any:
            async for part in super()._astream(*args, **more):
                await asyncio.sleep(0.1)
                yield part

    model = Slow(messages=iter([AIMessage("a b c")] * 2))

    async def says(state: Any) -> Any:
        return {"messages": [AIMessage("".join([str(part.content) async for part in model.astream("?")]), id="1")]}

    limit = api.module("types").TimeoutPolicy(idle_timeout=0.3)
    builder = api.StateGraph(api.MessagesState).add_node("says", says, timeout=limit).add_edge(api.START, "says")
    return asyncio.run(builder.compile().ainvoke({"messages": "hi"}))["messages"][-1].content
