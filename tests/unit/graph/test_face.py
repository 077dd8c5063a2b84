"""Running a graph: arguments, results, copies."""

from __future__ import annotations

import asyncio
import operator
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest

from distgraph.constants import START
from distgraph.errors import ConfigError, GraphRecursionError, RoutingError
from distgraph.graph.state import StateGraph
from distgraph.runtime import Runtime
from distgraph.types import Command, GraphOutput, Send, StreamWriter, interrupt
from distgraph.warnings import LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    value: int
    log: Annotated[list[str], operator.add]


@dataclass
class Record:
    value: int
    word: str = "w"


@dataclass
class Context:
    who: str = "nobody"


def first(state: State) -> State:
    return {"value": state["value"] + 1, "log": ["first"]}


def second(state: State) -> State:
    return {"log": ["second"]}


def line(*nodes: Any, schema: Any = State, **options: Any) -> Any:
    builder: Any = StateGraph(schema, **options)
    builder.add_sequence(list(nodes))
    return builder.add_edge(START, nodes[0].__name__)


GRAPH = line(first, second).compile()


def test_invoke_returns_the_final_state() -> None:
    assert GRAPH.invoke({"value": 1}) == {"value": 2, "log": ["first", "second"]}


def test_a_list_of_modes_gives_pairs_and_a_tuple_does_too() -> None:
    for modes in (["updates"], ("updates",)):
        assert list(GRAPH.stream({"value": 1}, stream_mode=modes)) == [
            ("updates", {"first": {"value": 2, "log": ["first"]}}),
            ("updates", {"second": {"log": ["second"]}}),
        ]


def test_stream_gives_updates_unless_told_otherwise() -> None:
    assert [list(chunk) for chunk in GRAPH.stream({"value": 1})] == [["first"], ["second"]]


def test_version_two_gives_instances_and_questions_apart() -> None:
    def asking(state: Record) -> Any:
        return {"word": interrupt("?")}

    graph = line(asking, schema=Record).compile()
    output = graph.invoke({"value": 1}, version="v2")
    assert isinstance(output, GraphOutput)
    assert output.value == Record(1)
    assert [question.value for question in output.interrupts] == ["?"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stream_mode": "vals"}, "Unknown stream mode 'vals'"),
        ({"durability": "always"}, "Unknown durability 'always'"),
        ({"version": "v3"}, "Unknown stream version"),
        ({"output_keys": ["valu"]}, r"Key valu not in channels. Did you mean 'value'"),
        ({"config": {"recursion_limit": 0}}, "recursion_limit must be at least 1"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        GRAPH.invoke({"value": 1}, **options)


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        GRAPH.invoke({"value": 1}, colour="red")


@pytest.mark.parametrize("target", [Command(goto="lost"), Send("lost", 1)])
def test_going_to_an_unknown_node_stops_the_run(target: Any) -> None:
    def lost(state: State) -> Any:
        return Command(goto=[target] if isinstance(target, Send) else target.goto)

    graph = StateGraph(State).add_node("n", lost).add_edge(START, "n").compile()
    with pytest.raises(RoutingError, match="Node 'n' goes to unknown node 'lost'"):
        graph.invoke({"value": 1})


def test_a_config_of_the_graph_holds_for_every_call() -> None:
    graph = GRAPH.with_config(recursion_limit=1)
    with pytest.raises(GraphRecursionError):
        graph.invoke({"value": 1})
    assert GRAPH.invoke({"value": 1})["value"] == 2
    assert graph.invoke({"value": 1}, {"recursion_limit": 9})["value"] == 2


def test_a_copy_changes_what_it_is_told_to() -> None:
    twin = GRAPH.copy({"name": "twin"})
    assert (twin.name, GRAPH.name) == ("twin", "LangGraph")
    assert twin.program is GRAPH.program


def test_names_of_schemas_follow_the_graphs_name() -> None:
    assert GRAPH.get_name("Input") == "LangGraphInput"
    assert GRAPH.get_name("Input", name="lower") == "lower_input"
    assert GRAPH.get_name() == "LangGraph"


def test_debug_prints_updates_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert GRAPH.invoke({"value": 1}, debug=True)["value"] == 2
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "[values] {'value': 1, 'log': []}"
    assert printed[1].startswith("[updates] {'first'")
    list(GRAPH.stream({"value": 1}, print_mode="updates", stream_mode="values"))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_context_given_as_dict_becomes_the_declared_class() -> None:
    seen: list[Any] = []

    def node(state: State, runtime: Runtime[Context]) -> None:
        seen.append(runtime.context)

    graph = line(node, context_schema=Context).compile()
    graph.invoke({"value": 1}, context={"who": "dict"})
    graph.invoke({"value": 1}, context=Context("instance"))
    assert seen == [Context("dict"), Context("instance")]


def test_the_older_name_of_durability_works_with_a_warning() -> None:
    with pytest.warns(LangGraphDeprecatedSinceV10, match="checkpoint_during"):
        GRAPH.invoke({"value": 1}, checkpoint_during=True)
    with pytest.warns(LangGraphDeprecatedSinceV10), pytest.raises(ConfigError, match="Cannot use both"):
        GRAPH.invoke({"value": 1}, checkpoint_during=True, durability="sync")


def test_the_async_methods_do_the_same() -> None:
    async def run() -> Any:
        chunks = [chunk async for chunk in GRAPH.astream({"value": 1}, stream_mode="values")]
        listed = await GRAPH.ainvoke({"value": 1}, stream_mode="updates")
        return chunks[-1], listed, await GRAPH.ainvoke({"value": 1}), await GRAPH.ainvoke({"value": 1}, version="v2")

    last, listed, result, output = asyncio.run(run())
    assert last == result == output.value == {"value": 2, "log": ["first", "second"]}
    assert [list(chunk) for chunk in listed] == [["first"], ["second"]]


def test_who_stops_reading_leaves_no_task_behind() -> None:
    async def endless(state: State, writer: StreamWriter) -> None:
        writer("begun")
        await asyncio.Event().wait()

    async def run() -> int:
        graph = StateGraph(State).add_node(endless).add_edge(START, "endless").compile()
        stream = graph.astream({"value": 1}, stream_mode="custom")
        assert await anext(stream) == "begun"
        await stream.aclose()  # type: ignore[attr-defined]
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_what_users_look_at_on_a_compiled_graph() -> None:
    graph = line(first, second).compile(interrupt_before=["second"])
    assert list(graph.nodes) == [START, "first", "second"]
    assert graph.input_channels == START
    assert graph.output_channels == graph.stream_channels == ["value", "log"]
    assert graph.interrupt_before_nodes == ("second",)
    assert graph.interrupt_after_nodes == ()
    assert "branch:to:first" in graph.channels
    assert graph.stream_mode == "updates"
