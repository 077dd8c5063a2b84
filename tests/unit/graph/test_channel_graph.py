"""Graphs of channels, written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.channels import EphemeralValue, LastValue
from distgraph.errors import GraphValidationError
from distgraph.graph.node_builder import SKIP_WRITE
from distgraph.managed import RemainingStepsManager
from distgraph.pregel import NodeBuilder, Pregel
from distgraph.warnings import LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.unit


def plus_one() -> NodeBuilder:
    return NodeBuilder().subscribe_only("input").do(lambda value: value + 1).write_to("output")


def graph(node: NodeBuilder, **changes: Any) -> Any:
    options: dict[str, Any] = {
        "channels": {"input": EphemeralValue(int), "output": LastValue(int)},
        "input_channels": "input",
        "output_channels": "output",
    }
    return Pregel(nodes={"one": node}, **{**options, **changes})


def test_one_node_between_two_channels() -> None:
    made = graph(plus_one())
    assert made.invoke(2) == 3
    assert made.stream_mode == "values"
    assert list(made.stream(2, stream_mode="updates")) == [{"one": {"output": 3}}]


def test_nodes_run_as_long_as_channels_change() -> None:
    counting = (
        NodeBuilder()
        .subscribe_only("input")
        .do(lambda value: value + 1)
        .write_to("output", input=lambda value: value if value < 5 else SKIP_WRITE)
    )
    made = graph(counting, channels={"input": LastValue(int), "output": LastValue(int)})
    assert list(made.stream(2, stream_mode="updates", output_keys="output")) == [{"one": 3}, {"one": 4}, {"one": 5}]


def test_computed_values_can_be_read() -> None:
    node = NodeBuilder().subscribe_to("input").read_from("left").do(lambda view: view["left"]).write_to("output")
    channels = {"input": LastValue(int), "output": LastValue(int), "left": RemainingStepsManager}
    assert graph(node, channels=channels).invoke(1, {"recursion_limit": 7}) in (6, 7)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"input_channels": "missing"}, "Input channel 'missing' not in known channels"),
        ({"input_channels": "output"}, "Input channel output is not subscribed to by any node"),
        ({"output_channels": ["missing"]}, "Output channel 'missing' not in known channels"),
        ({"stream_channels": "missing"}, "Output channel 'missing' not in known channels"),
        ({"interrupt_before_nodes": ["two"]}, "Node two not in nodes"),
        (
            {"channels": {"input": LastValue(int), "output": LastValue(int), "__resume__": LastValue(int)}},
            "Channel name '__resume__' is reserved",
        ),
        (
            {"channels": {"input": LastValue(int), "output": LastValue(int), "__pregel_tasks": LastValue(int)}},
            "'__pregel_tasks' is reserved and cannot be used",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        graph(plus_one(), **changes)
    assert text in str(caught.value)


def test_all_of_them_are_reported_at_once() -> None:
    node = NodeBuilder().subscribe_only("in").write_to("output")
    with pytest.raises(GraphValidationError) as caught:
        graph(node, output_channels="out")
    assert len(caught.value.problems) == 4


def test_the_fingerprint_is_of_names_and_rules() -> None:
    assert graph(plus_one()).fingerprint == graph(plus_one(), debug=True).fingerprint
    other = NodeBuilder().subscribe_to("input").write_to("output")
    assert graph(plus_one()).fingerprint != graph(other.subscribe_to("output")).fingerprint


def test_built_nodes_are_taken_as_they_are() -> None:
    made = graph(plus_one().build())  # type: ignore[arg-type]
    assert made.invoke(2) == 3
    assert made.nodes["one"].name == "one"


def test_a_saver_must_be_one() -> None:
    with pytest.raises(TypeError, match="Invalid checkpointer"):
        graph(plus_one(), checkpointer=object())


def test_the_older_name_of_its_context_schema_is_taken_with_a_warning() -> None:
    with pytest.warns(LangGraphDeprecatedSinceV10, match="`config_type` is deprecated and will be removed"):
        made = graph(plus_one(), config_type=dict)
    assert made.context_schema is dict
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        graph(plus_one(), nonsense=1)


def test_it_is_drawn_by_who_wakes_whom() -> None:
    """Where nothing leads on, the run may end."""
    chain = {
        "one": NodeBuilder().subscribe_only("input").do(lambda value: value).write_to("middle"),
        "two": NodeBuilder().subscribe_only("middle").do(lambda value: value).write_to("output"),
    }
    channels: Any = {name: EphemeralValue(int) for name in ("input", "middle", "output")}
    drawn = Pregel(nodes=chain, channels=channels, input_channels="input", output_channels="output").get_graph()
    assert list(drawn.nodes) == ["one", "two", "__start__", "__end__"]
    assert [(edge.source, edge.target, edge.conditional) for edge in drawn.edges] == [
        ("__start__", "one", False),
        ("one", "two", False),
        ("two", "__end__", False),
    ]
    (first, last) = graph(plus_one()).get_graph().edges
    assert (first.target, last.source, last.conditional) == ("one", "one", True)
