"""What a builder becomes: channels, nodes, fingerprint."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypedDict

import pytest

from distgraph.channels import (
    EphemeralValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
)
from distgraph.constants import END, START, TAG_HIDDEN, TASKS
from distgraph.graph.build import join_channel
from distgraph.graph.state import StateGraph
from distgraph.types import CachePolicy, RetryPolicy

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    value: int
    found: Annotated[list[int], operator.add]


class View(TypedDict):
    value: int


def node(state: State) -> State:
    return {"value": 1}


def viewing(state: View) -> View:
    return {"value": state["value"]}


def path(state: State) -> Literal["b", "__end__"]:
    return "b"


def seeing(state: View) -> str:
    return "b"


def graph(*names: str) -> StateGraph[State]:
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, node)
    return builder.add_edge(START, names[0])


def test_every_node_is_woken_by_a_channel_of_its_own() -> None:
    program = graph("a", "b").add_edge("a", "b").compile().program
    assert program.nodes["b"].triggers == ("branch:to:b",)
    assert program.nodes["a"].edges == (("branch:to:b", None),)
    assert isinstance(program.channels["branch:to:b"], EphemeralValue)
    assert program.woken_by["branch:to:b"] == ("b",)


def test_start_is_a_hidden_node_that_takes_the_input() -> None:
    program = graph("a").compile().program
    start = program.nodes[START]
    assert program.inputs == START
    assert start.hidden
    assert start.tags == (TAG_HIDDEN,)
    assert start.edges == (("branch:to:a", None),)
    assert start.writer({"value": 1}) == [("value", 1)]


def test_edges_to_the_end_write_nothing() -> None:
    assert graph("a").add_edge("a", END).compile().program.nodes["a"].edges == ()


def test_a_join_is_a_barrier_that_all_its_sources_write() -> None:
    program = graph("a", "b", "c").add_edge(START, "b").add_edge(["a", "b"], "c").compile().program
    key = join_channel(("a", "b"), "c")
    assert isinstance(program.channels[key], NamedBarrierValue)
    assert program.nodes["c"].triggers == ("branch:to:c", key)
    assert program.nodes["a"].edges == ((key, "a"),)
    assert program.nodes["b"].edges == ((key, "b"),)


def test_channels_of_a_deferred_node_open_at_the_end() -> None:
    builder = graph("a", "b").add_node("c", node, defer=True)
    program = builder.add_edge("a", "b").add_edge("b", "c").add_edge(["a", "b"], "c").compile().program
    assert isinstance(program.channels["branch:to:c"], LastValueAfterFinish)
    assert isinstance(program.channels[join_channel(("a", "b"), "c")], NamedBarrierValueAfterFinish)
    assert program.nodes["c"].defer


def test_what_a_node_was_given_reaches_the_program() -> None:
    retry = RetryPolicy()
    cache: CachePolicy[Any] = CachePolicy(ttl=3)
    builder = StateGraph(State)
    builder.add_node(
        "a",
        viewing,
        retry_policy=retry,
        cache_policy=cache,
        metadata={"k": 1},
        queue="gpu",
        placement="spread",
        error_handler=node,
    )
    made = builder.add_edge(START, "a").compile().program.nodes["a"]
    assert made.reads == ("value",)
    assert made.retry == (retry,)
    assert made.cache is cache
    assert made.metadata == {"k": 1}
    assert (made.queue, made.placement) == ("gpu", "spread")
    assert made.error_handler == "__error_handler__a"


def test_a_handler_is_woken_by_nothing_but_a_failure() -> None:
    builder = StateGraph(State).add_node("a", node, error_handler=node).add_edge(START, "a")
    assert builder.compile().program.nodes["__error_handler__a"].triggers == ()


def test_a_branch_reads_its_nodes_view_or_its_own() -> None:
    builder = graph("a", "b").add_conditional_edges("a", path).add_conditional_edges("a", seeing, ["b"])
    own, annotated = builder.compile().program.nodes["a"].branches
    assert own.reads == ("value", "found")
    assert own.ends == {"b": "b", END: END}
    assert annotated.reads == ("value",)
    assert not annotated.sees_output


def test_keys_of_input_output_and_streams() -> None:
    builder = StateGraph(State, input_schema=View, output_schema=View).add_node("a", node).add_edge(START, "a")
    program = builder.compile().program
    assert program.outputs == ("value",)
    assert program.streamed == ("value", "found")
    assert program.nodes[START].writer({"value": 1, "found": [1]}) == [("value", 1)]


def test_the_graph_has_a_channel_for_sends() -> None:
    assert TASKS in graph("a").compile().program.channels


def test_breakpoints_are_kept_as_names() -> None:
    program = graph("a").compile(interrupt_before="a", interrupt_after="*").program
    assert (program.interrupt_before, program.interrupt_after) == (("a",), "*")


# ---------------------------------------------------------------- fingerprint


def other(left: list[int], right: list[int]) -> list[int]:
    return right


class Changed(TypedDict, total=False):
    value: int
    found: Annotated[list[int], other]


def test_equal_graphs_have_equal_fingerprints_in_any_order_of_declaration() -> None:
    first = graph("a", "b").add_edge("a", "b").add_edge(START, "b").add_conditional_edges("b", path)
    second = StateGraph(State).add_conditional_edges("b", path).add_node("b", node).add_node("a", node)
    second.add_edge(START, "b").add_edge("a", "b").add_edge(START, "a")
    assert first.compile().fingerprint == second.compile(name="other").fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda builder: builder.add_node("c", node).add_edge("b", "c"),
        lambda builder: builder.add_edge(START, "b"),
        lambda builder: builder.add_conditional_edges("b", path),
        lambda builder: builder.add_edge(["a", "b"], END).add_edge(["a"], "b"),
    ],
)
def test_another_graph_has_another_fingerprint(change: Callable[[StateGraph[State]], Any]) -> None:
    builder = graph("a", "b").add_edge("a", "b")
    before = builder.compile().fingerprint
    builder.compiled = False
    change(builder)
    assert builder.compile().fingerprint != before


def test_another_reducer_or_a_deferred_node_changes_the_fingerprint() -> None:
    plain = graph("a").compile().fingerprint
    assert StateGraph(Changed).add_node("a", viewing).add_edge(START, "a").compile().fingerprint != plain
    assert StateGraph(State).add_node("a", node, defer=True).add_edge(START, "a").compile().fingerprint != plain


def test_where_a_node_runs_does_not_change_the_fingerprint() -> None:
    builder = StateGraph(State).add_node("a", node, queue="q", placement="local").add_edge(START, "a")
    assert builder.compile().fingerprint == graph("a").compile().fingerprint


def test_every_process_computes_the_same_fingerprint() -> None:
    """Under another hash seed too: nothing depends on the order of a set."""
    code = (
        "from tests.unit.graph.test_build import graph; print(graph('a', 'b').add_edge('a', 'b').compile().fingerprint)"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert made == {graph("a", "b").add_edge("a", "b").compile().fingerprint}


def test_channels_that_have_their_name_are_shared_not_copied() -> None:
    channel: EphemeralValue[int, int] = EphemeralValue(int, key="k")
    assert channel.named("k") is channel
    assert channel.named("other") is not channel
