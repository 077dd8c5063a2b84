"""A ToolNode of LangGraph, which has no copy here, in a graph of this library: it does what it does there."""

from __future__ import annotations

import asyncio
import importlib
from typing import Annotated, Any

import pytest

pytest.importorskip("langgraph.prebuilt")

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, ToolRuntime, tools_condition
from langgraph.types import Command, Send

pytestmark = pytest.mark.differential


@tool
def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


@tool
def look(state: Annotated[dict[str, Any], InjectedState]) -> str:
    """Looks at the state."""
    return f"{len(state['messages'])} messages, {state['note']}"


@tool
def surroundings(runtime: ToolRuntime) -> str:
    """Says what is around it."""
    runtime.stream_writer({"from": "surroundings"})
    thread = runtime.config["configurable"]["thread_id"]
    return f"{runtime.state['note']} {runtime.context} {runtime.tool_call_id} {thread} {type(runtime.store).__name__}"


@tool
def keep(key: str, store: Annotated[Any, InjectedStore()]) -> str:
    """Keeps something."""
    store.put(("kept",), key, {"value": 1})
    return str(store.get(("kept",), key).value)


@tool
def change(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Changes the state."""
    return Command(update={"note": "changed", "messages": [ToolMessage("ok", tool_call_id=tool_call_id)]})


@tool
def send(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
    """Goes elsewhere too."""
    told = [ToolMessage("sent", tool_call_id=tool_call_id)]
    return Command(update={"messages": told}, goto=[Send("noted", {"note": "by Send"})])


@tool
def broken() -> str:
    """Fails."""
    raise ValueError("no")


@tool
def count(to: int, runtime: ToolRuntime) -> int:
    """Counts, and says so as it goes."""
    for number in range(to):
        runtime.emit_output_delta({to: number})
    return to


TOOLS = [add, look, surroundings, keep, change, send, broken, count]


def converse(library: str, calls: Any, aio: bool, **how: Any) -> list[Any]:
    """What a model that makes these calls, and then is done, comes to."""
    graph_of, types, memory, store = (
        importlib.import_module(f"{library}.{name}") for name in ("graph", "types", "checkpoint.memory", "store.memory")
    )

    @tool
    def ask(question: str) -> str:
        """Asks a person."""
        return f"was told {types.interrupt(question)}"

    class State(graph_of.MessagesState):  # type: ignore[name-defined,misc]
        note: str

    def model(state: Any) -> Any:
        made = [{"name": name, "args": given, "id": str(at)} for at, (name, given) in enumerate(calls)]
        first = state["messages"][-1].type == "human"
        return {"messages": [AIMessage("", id="m", tool_calls=made) if first else AIMessage("done", id="d")]}

    builder = graph_of.StateGraph(State, context_schema=dict)
    builder.add_node("model", model).add_node("noted", lambda state: {"note": state["note"]})
    builder.add_node("tools", ToolNode([*TOOLS, ask], **how))
    builder.add_edge(graph_of.START, "model").add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    graph = builder.compile(checkpointer=memory.InMemorySaver(), store=store.InMemoryStore())
    config = {"configurable": {"thread_id": "1"}}

    def stream(given: Any) -> list[Any]:
        told = {"stream_mode": ["updates", "custom", "tools"], "context": {"user": "u"}}
        if not aio:
            return list(graph.stream(given, config, **told))

        async def all_of() -> list[Any]:
            return [chunk async for chunk in graph.astream(given, config, **told)]

        return asyncio.run(all_of())

    try:
        chunks = stream({"messages": [HumanMessage("hello", id="h")], "note": "at first"})
        if graph.get_state(config).interrupts:
            chunks += stream(types.Command(resume="yes"))
    except Exception as exc:
        return [type(exc).__name__, str(exc)]
    # Nodes that run beside each other tell in any order.
    return [*sorted(map(plain, chunks), key=repr), plain(graph.get_state(config).values)]


def plain(value: Any) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if hasattr(value, "content"):
        return [value.type, value.content, getattr(value, "status", "")]
    return value.value if hasattr(value, "id") else value


@pytest.mark.parametrize("aio", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("calls", "how"),
    [
        ([("add", {"a": 1, "b": 2}), ("look", {})], {}),
        ([("surroundings", {})], {}),
        ([("count", {"to": 2}), ("count", {"to": 3})], {}),
        ([("keep", {"key": "k"})], {}),
        ([("change", {}), ("add", {"a": 1, "b": 2})], {}),
        ([("send", {})], {}),
        ([("ask", {"question": "may I?"})], {}),
        ([("broken", {})], {}),
        ([("broken", {})], {"handle_tool_errors": True}),
        ([("unknown", {})], {}),
        ([("add", {"a": "x", "b": 2})], {}),
    ],
)
def test_a_tool_node_of_langgraph(calls: Any, how: Any, aio: bool) -> None:
    ours = converse("distgraph", calls, aio, **how)
    assert ours == converse("langgraph", calls, aio, **how)
    assert len(ours) > 1
