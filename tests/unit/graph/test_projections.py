"""``stream_events(version="v3")`` of a graph in process, on workers, and within a node; what it refuses.

What it tells is compared with the peer in tests/differential/projecting.py.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from distgraph import START, StateGraph
from distgraph.config import RunnableConfig
from distgraph.errors import ConfigError
from distgraph.graph import MessagesState
from distgraph.pregel import NodeBuilder, Pregel
from distgraph.runtime import RunControl
from distgraph.stream import CustomTransformer, DebugTransformer, StreamTransformer, UpdatesTransformer
from distgraph.testing import InProcessCluster
from distgraph.types import Command
from distgraph.warnings import LangGraphDeprecatedSinceV10
from tests.graphs.streamed import GRAPHS, State, comparable, here

pytestmark = pytest.mark.unit

CONFIG: Any = {"configurable": {"thread_id": "t"}}
ALSO: Any = (UpdatesTransformer, CustomTransformer, DebugTransformer)


def inputs(name: str) -> Any:
    return {"messages": [{"role": "user", "content": "hi", "id": "m0"}]} if name == "told_talks" else {"x": 2}


def told(graph: Any, given: Any) -> list[str]:
    """Every event of a run, and what it came to."""
    run = graph.stream_events(given, CONFIG, version="v3", transformers=ALSO)
    events: list[Any] = []
    try:
        for event in run:
            params = event["params"]
            events.append((params["namespace"], event["method"], params["data"], params.get("interrupts")))
        events += [run.output, run.interrupts]
    except ValueError as exc:
        events.append(repr(exc))
    return comparable(events)


@pytest.mark.parametrize("name", GRAPHS)
def test_workers_tell_what_the_graph_tells_here(name: str) -> None:
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS[name]), here(name)
    assert told(remote, inputs(name)) == told(local, inputs(name))
    if name in ("told_asks", "told_nested"):
        assert told(remote, Command(resume="yes")) == told(local, Command(resume="yes"))


def talks() -> Any:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    def call(state: MessagesState) -> Any:
        model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
        return {"messages": [model.invoke("say")]}

    inner = StateGraph(MessagesState).add_node("deep", call).add_edge(START, "deep").compile()
    builder = StateGraph(MessagesState).add_sequence([("call", call), ("inner", inner)])
    return builder.add_edge(START, "call").compile(name="talks")


def test_models_on_workers_are_heard_word_by_word() -> None:
    graph = InProcessCluster([talks()]).bind(talks())
    run = graph.stream_events({"messages": "hi"}, version="v3")
    heard = [(message.node, list(message.text)) for message in run.messages]
    assert heard == [("call", ["one", " ", "two"])]
    run = graph.stream_events({"messages": "hi"}, version="v3")
    nested = [[(message.node, list(message.text)) for message in handle.messages] for handle in run.subgraphs]
    assert nested == [[("deep", ["one", " ", "two"])]]

    async def program() -> Any:
        async with await graph.astream_events({"messages": "hi"}, version="v3") as run:
            return [[word async for word in message.text] async for message in run.messages]

    assert asyncio.run(program()) == [["one", " ", "two"]]


def test_who_goes_on_with_a_run_hears_models_as_it_asked_for_them() -> None:
    """A run keeps one log; from when it goes on, it is that of the new reader."""

    def ask(state: MessagesState) -> Any:
        from distgraph.types import interrupt

        return {"messages": [("user", interrupt("?"))]}

    def build() -> Any:
        builder = StateGraph(MessagesState).add_sequence([("ask", ask), ("talks", talks())])
        return builder.add_edge(START, "ask").compile(name="asking")

    graph = InProcessCluster([build()]).bind(build())
    assert graph.stream_events({"messages": "hi"}, CONFIG, version="v3").interrupted
    parts = list(graph.stream(Command(resume="x"), CONFIG, stream_mode="messages", subgraphs=True))
    assert {type(message).__name__ for _, (message, _) in parts if message.type != "human"} == {"AIMessageChunk"}


def test_within_a_node_it_is_part_of_the_run_around() -> None:
    inner = StateGraph(State).add_node("deep", lambda state: {"trail": ["x"]}).add_edge(START, "deep").compile()
    seen: list[Any] = []

    def reads(state: State) -> Any:
        for number in range(2):
            run = inner.stream_events({"x": number}, version="v3")
            seen.append((list(run.values)[-1]["trail"], run.output["trail"]))
        return {}

    outer = StateGraph(State).add_node("reads", reads).add_edge(START, "reads").compile()
    started = [dict(told)["event"] for told in outer.stream_events({"x": 1}, version="v3").lifecycle]
    assert seen == [(["x"], ["x"])] * 2
    # The node is one nested graph to those who look at it from outside, however many it runs.
    assert started == ["started", "completed"]


def test_a_stream_of_ones_own_is_what_is_read() -> None:
    """Whoever puts another ``stream`` in place of a graph's own is asked for every version of events."""
    control, asked = RunControl(), list[Any]()
    graph: Any = StateGraph(State).add_node("a", lambda state: {"trail": ["a"]}).add_edge(START, "a").compile()
    stream, astream = graph.stream, graph.astream

    def ours(input: Any, config: Any = None, **options: Any) -> Any:
        asked.append(options)
        return list(stream(input, config, **options))

    async def later(input: Any, config: Any = None, **options: Any) -> Any:
        asked.append(options)
        async for part in astream(input, config, **options):
            yield part

    async def program() -> Any:
        return await (await graph.astream_events({"x": 1}, version="v3", control=control)).output()

    graph.stream, graph.astream = ours, later
    assert graph.stream_events({"x": 1}, version="v3", interrupt_after=["a"], context=None).output["trail"] == ["a"]
    assert asyncio.run(program())["trail"] == ["a"]
    named = [[options[name] for name in ("control", "interrupt_before", "interrupt_after")] for options in asked]
    assert named == [[None, None, ["a"]], [control, None, None]]
    assert [(options["version"], options["subgraphs"]) for options in asked] == [("v2", True)] * 2


def test_pieces_are_asked_for_by_nothing_that_nodes_see() -> None:
    seen: list[Any] = []

    def looks(state: State, config: RunnableConfig) -> Any:
        seen.append(sorted(key for key in config.get("configurable", {}) if "pieces" in key))
        return {}

    graph: Any = StateGraph(State).add_node("looks", looks).add_edge(START, "looks").compile()
    for config in CONFIG, {"configurable": {"own": 1}}, None:
        assert graph.stream_events({"x": 1}, config, version="v3").output["x"] == 1
    assert seen == [[]] * 3


def test_an_older_name_warns_once() -> None:
    graph = StateGraph(State).add_node("a", lambda state: {}).add_edge(START, "a").compile()
    with pytest.warns(LangGraphDeprecatedSinceV10, match="checkpoint_during") as told:
        assert graph.stream_events({"x": 1}, version="v3", checkpoint_during=True).output["x"] == 1
    assert len(told) == 1


def test_graphs_of_channels_have_transformers_too() -> None:
    from distgraph.channels import LastValue

    graph = Pregel(
        nodes={"one": NodeBuilder().subscribe_only("a").do(lambda a: a + 1).write_to("b")},
        channels={"a": LastValue(int), "b": LastValue(int)},
        input_channels="a",
        output_channels="b",
        stream_transformers=[UpdatesTransformer],
    )
    assert list(graph.stream_events(1, version="v3").updates) == [{"one": {"b": 2}}]


def test_refused() -> None:
    graph = GRAPHS["told_fan"]
    for options in {"stream_mode": "values"}, {"subgraphs": False}:
        with pytest.raises(TypeError, match="do not accept"):
            graph.stream_events({"x": 1}, version="v3", **options)
        with pytest.raises(TypeError, match="do not accept"):
            graph.astream_events({"x": 1}, version="v3", **options)
    with pytest.raises(TypeError, match=r"pre-built instance UpdatesTransformer.*lambda scope"):
        graph.stream_events({"x": 1}, version="v3", transformers=[UpdatesTransformer()])
    with pytest.raises(TypeError, match="got 3"):
        graph.stream_events({"x": 1}, version="v3", transformers=[3])
    with pytest.raises(TypeError, match="nonsense"):
        graph.stream_events({"x": 1}, version="v3", nonsense=1)
    with pytest.raises(ConfigError, match="'values' \\(of ValuesTransformer\\)"):
        graph.stream_events({"x": 1}, version="v3", transformers=[Values])


class Values(StreamTransformer):
    def init(self) -> dict[str, Any]:
        return {"values": json}
