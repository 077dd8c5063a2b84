"""``astream_events``: what starts, tells and ends, in the peer's form."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph import START, StateGraph
from distgraph.errors import ConfigError
from distgraph.graph.events import Events
from distgraph.stream import UpdatesTransformer
from distgraph.testing import InProcessCluster
from distgraph.warnings import LangGraphDeprecatedSinceV10
from tests.graphs.streamed import GRAPHS, State, nested

pytestmark = pytest.mark.unit


def events(graph: Any, given: Any, **options: Any) -> list[Any]:
    async def read() -> list[Any]:
        return [event async for event in graph.astream_events(given, {"tags": ["t"]}, **options)]

    return asyncio.run(read())


def test_graphs_nodes_and_graphs_in_nodes() -> None:
    found = events(nested().compile(name="outer"), {"x": 1})
    assert [(e["event"].removeprefix("on_chain_"), e["name"], len(e["parent_ids"])) for e in found] == [
        ("start", "outer", 0),
        ("start", "inner", 1),
        ("start", "inner", 2),
        ("start", "one", 3),
        ("stream", "one", 3),
        ("end", "one", 3),
        ("start", "inmost", 3),
        ("start", "inmost", 4),
        ("start", "deep", 5),
        ("stream", "deep", 5),
        ("end", "deep", 5),
        ("end", "inmost", 4),
        ("stream", "inmost", 3),
        ("end", "inmost", 3),
        ("start", "held", 3),
        ("stream", "held", 3),
        ("end", "held", 3),
        ("start", "asks", 3),
        ("stream", "asks", 3),
        ("end", "asks", 3),
        ("end", "inner", 2),
        ("stream", "inner", 1),
        ("end", "inner", 1),
        ("stream", "outer", 0),
        ("start", "last", 1),
        ("stream", "last", 1),
        ("end", "last", 1),
        ("stream", "outer", 0),
        ("end", "outer", 0),
    ]
    first, node = found[0], next(e for e in found if e["name"] == "last" and e["event"] == "on_chain_end")
    assert first["data"] == {"input": {"x": 1}}
    assert node["data"]["output"] == {"trail": ["last"]}
    assert node["data"]["input"]["x"] == 1
    assert (node["tags"], node["metadata"]["langgraph_node"]) == (["graph:step:2", "t"], "last")
    assert found[-1]["data"]["output"]["trail"][-1] == "last"
    assert node["parent_ids"] == [first["run_id"]]


def test_a_graph_on_a_cluster_has_them_too() -> None:
    remote = InProcessCluster(GRAPHS.values()).bind(GRAPHS["told_nested"])
    ours, theirs = events(remote, {"x": 1}), events(GRAPHS["told_nested"], {"x": 1})
    assert [(e["event"], e["name"], e["data"]) for e in ours] == [(e["event"], e["name"], e["data"]) for e in theirs]


def test_what_nodes_write() -> None:
    given = {"messages": [{"role": "user", "content": "hi", "id": "m0"}]}
    assert [e["data"] for e in events(GRAPHS["told_talks"], given) if e["event"] == "on_custom_event"] == [
        {"page": 1},
        "two",
    ]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"include_names": ["last"]}, ["last"] * 3),
        ({"include_types": ["chat_model"]}, []),
        ({"include_tags": ["graph:step:2"], "exclude_names": ["inmost", "deep"]}, ["last"] * 3),
        ({"exclude_tags": ["t"]}, []),
    ],
)
def test_filters(filters: Any, names: list[str]) -> None:
    assert [e["name"] for e in events(GRAPHS["told_retried"], {"x": 1}, **filters)] == names


def test_refused() -> None:
    with pytest.raises(ConfigError, match="versions 'v2' and 'v3', not 'v4'"):
        GRAPHS["told_fan"].astream_events({"x": 1}, version="v4")
    with pytest.raises(TypeError, match="include_name"):
        events(GRAPHS["told_fan"], {"x": 1}, include_name=["x"])


def test_transformers_are_for_another_version() -> None:
    for read in GRAPHS["told_fan"].stream_events, GRAPHS["told_fan"].astream_events:
        with pytest.raises(TypeError, match="version='v3'"):
            read({"x": 1}, transformers=[UpdatesTransformer])


def test_who_stops_reading_leaves_nothing_behind() -> None:
    async def program() -> list[str]:
        ran: list[str] = []

        async def waits(state: State) -> Any:
            try:
                await asyncio.sleep(600)
            finally:
                ran.append("ended")

        graph = StateGraph(State).add_node("waits", waits).add_node("quick", lambda state: {"trail": ["quick"]})
        events: Any = graph.add_edge(START, "waits").add_edge(START, "quick").compile().astream_events({"x": 1})
        async for event in events:
            if (event["event"], event["name"]) == ("on_chain_end", "quick"):
                break
        await events.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return ran

    assert asyncio.run(program()) == ["ended"]


def test_the_chunks_of_the_graph_itself_are_updates_or_values() -> None:
    def chunks(**options: Any) -> list[Any]:
        graph = nested().compile(name="outer")
        streamed = [e for e in events(graph, {"x": 1}, **options) if e["event"] == "on_chain_stream"]
        return [e["data"]["chunk"] for e in streamed if e["name"] == "outer"]

    assert (
        [[*chunk] for chunk in chunks()] == [["inner"], ["last"]] == [[*each] for each in chunks(stream_mode="updates")]
    )
    values = chunks(stream_mode="values")
    assert values == list(nested().compile().stream({"x": 1}, stream_mode="values"))
    with pytest.raises(ConfigError, match="'updates' or 'values', not 'custom'"):
        chunks(stream_mode="custom")


def test_without_a_loop() -> None:
    graph = nested().compile(name="outer")
    found = [(e["event"], e["name"]) for e in graph.stream_events({"x": 1}, {"tags": ["t"]}, exclude_names=["last"])]
    assert found == [(e["event"], e["name"]) for e in events(graph, {"x": 1}, exclude_names=["last"])]
    with pytest.raises(ConfigError, match="not 'v4'"):
        graph.stream_events({"x": 1}, version="v4")  # at once, not when it is read


def test_the_oldest_version_has_the_events_of_the_next() -> None:
    graph = GRAPHS["told_fan"]
    with pytest.warns(LangGraphDeprecatedSinceV10, match="version='v1' is deprecated: these are the events of 'v2'"):
        old = [(event["event"], event["name"]) for event in graph.stream_events({"x": 1}, version="v1")]
    assert sorted(old) == sorted((event["event"], event["name"]) for event in graph.stream_events({"x": 1}))


def test_nothing_is_kept_of_a_graph_whose_task_has_ended() -> None:
    """A node may run several graphs; the second one has a number for its namespace."""
    events = Events("outer", GRAPHS["told_fan"].program, {}, {})
    task: Any = {"id": "1", "name": "node", "input": {}, "triggers": (), "result": {}, "error": None, "interrupts": []}
    list(events.of((), "debug", {"type": "task", "step": 1, "payload": task}))
    for ns in ("node:1",), ("node:1", "1"), ("node:1", "1", "deep:2"):
        list(events.of(ns, "custom", "told"))
    assert len(events._levels) == 4
    list(events.of((), "debug", {"type": "task_result", "step": 1, "payload": task}))
    assert list(events._levels) == [()]
