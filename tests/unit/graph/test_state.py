"""Declaring a graph: what each call accepts, and what it refuses at once."""

from __future__ import annotations

import operator
from datetime import timedelta
from typing import Annotated, Any, Literal, TypedDict

import pytest

from distgraph.constants import END, START
from distgraph.errors import GraphValidationError
from distgraph.graph.state import StateGraph
from distgraph.managed import RemainingSteps
from distgraph.types import Command, RetryPolicy, TimeoutPolicy
from distgraph.warnings import DistgraphWarning, LangGraphDeprecatedSinceV05, LangGraphDeprecatedSinceV10

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    value: int
    found: Annotated[list[int], operator.add]


class View(TypedDict):
    private: str


class Limits(TypedDict):
    left: RemainingSteps


def add(left: list[int], right: list[int]) -> list[int]:
    return left + right


class Conflicting(TypedDict):
    found: Annotated[list[int], add]


class Looser(TypedDict):
    found: list[int]


def node(state: State) -> State:
    return {"value": 1}


def other(state: State) -> State:
    return {"value": 2}


async def later(state: State) -> State:
    return {"value": 3}


def viewing(state: View) -> Command[Literal["node"]]:
    return Command(goto="node")


def either(state: State) -> Literal["node", "other"]:
    return "node"


def build() -> StateGraph[State]:
    return StateGraph(State)


# ---------------------------------------------------------------- nodes


def test_a_node_is_named_after_its_function_unless_it_is_given_a_name() -> None:
    builder = build().add_node(node).add_node("second", other)
    assert list(builder.nodes) == ["node", "second"]
    spec = builder.nodes["second"]
    assert spec.action is other
    assert (spec.runnable.name, spec.runnable.func, spec.runnable.afunc) == ("second", other, None)


def test_a_node_that_can_be_invoked_is_looked_at_as_it_is() -> None:
    async def wait(state: State) -> State:
        return {}

    graph = build().add_node(node).add_edge(START, "node").compile()
    builder = build().add_node("inner", graph).add_node(wait)
    assert builder.nodes["inner"].runnable is graph
    assert (builder.nodes["wait"].runnable.func, builder.nodes["wait"].runnable.afunc) == (None, wait)


def test_a_callable_object_is_named_after_its_class() -> None:
    class Worker:
        def __call__(self, state: Any) -> None:
            return None

    assert list(build().add_node(Worker()).nodes) == ["Worker"]


def test_the_place_of_a_node_is_where_it_was_added() -> None:
    builder = build()
    builder.add_sequence([node, other])
    for spec in builder.nodes.values():
        assert spec.place is not None
        assert spec.place.filename == __file__


def test_annotations_declare_view_and_destinations() -> None:
    builder = build().add_node(viewing)
    assert builder.nodes["viewing"].input_schema is View
    assert builder.nodes["viewing"].ends == ("node",)
    assert "private" in builder.channels


def test_arguments_win_over_annotations() -> None:
    builder = build().add_node(viewing, input_schema=State, destinations=("a", "b"))
    assert builder.nodes["viewing"].input_schema is State
    assert builder.nodes["viewing"].ends == ("a", "b")
    assert "private" not in builder.channels


@pytest.mark.parametrize("name", [START, END, "a|b", "a:b"])
def test_reserved_names_and_signs_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        build().add_node(name, node)


def test_a_name_is_taken_once_and_the_error_says_where() -> None:
    builder = build().add_node(node)
    with pytest.raises(ValueError, match=r"Node `node` already present, declared at .*test_state.py:\d+"):
        builder.add_node(node)


def test_a_name_without_action_is_an_error_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="Node 'x' has nothing to call"):
        build().add_node("x")


@pytest.mark.parametrize("action", [3, 2.5])
def test_what_cannot_be_called_is_no_node(action: Any) -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        build().add_node("x", action)
    with pytest.raises(TypeError, match="name must be a str"):
        build().add_node(action)


@pytest.mark.parametrize("queue", ["", "a b", "x" * 201, 3])
def test_a_queue_is_a_name_without_blanks(queue: Any) -> None:
    with pytest.raises(ValueError, match="no queue name"):
        build().add_node(node, queue=queue)


def test_an_unknown_placement_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown placement 'far'"):
        build().add_node(node, placement="far")  # type: ignore[arg-type]


def test_a_timeout_is_kept_in_seconds() -> None:
    builder = build().add_node("a", later, timeout=timedelta(minutes=1)).add_node("b", later, timeout=2)
    assert builder.nodes["a"].timeout == TimeoutPolicy(run_timeout=60.0)
    assert builder.nodes["b"].timeout == TimeoutPolicy(run_timeout=2.0)
    with pytest.raises(ValueError, match="greater than 0"):
        builder.add_node("c", later, timeout=0)


def test_an_error_handler_is_a_hidden_node_beside_its_own() -> None:
    builder = build().add_node(node, error_handler=other)
    handler = builder.nodes["__error_handler__node"]
    assert handler.is_error_handler
    assert builder.nodes["node"].error_handler_node == "__error_handler__node"


def test_older_names_of_arguments_work_with_a_warning() -> None:
    with pytest.warns(LangGraphDeprecatedSinceV05, match="`retry` is deprecated"):
        builder = build().add_node(node, retry=RetryPolicy())
    assert builder.nodes["node"].retry_policy == RetryPolicy()
    with pytest.warns(LangGraphDeprecatedSinceV10, match="Please use `context_schema`"):
        assert StateGraph(State, config_schema=View).context_schema is View
    with pytest.warns(LangGraphDeprecatedSinceV05, match="`output`"):
        assert StateGraph(State, output=Looser).output_schema is Looser


def test_unknown_arguments_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        build().add_node(node, colour="red")


# ---------------------------------------------------------------- schemas


def test_a_key_without_reducer_takes_the_rule_of_another_schema() -> None:
    builder = StateGraph(State, input_schema=Looser)
    assert builder.channels["found"].spec() == ("BinaryOperatorAggregate", "_operator:add")


def test_two_reducers_for_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="Channel 'found' already exists with a different type"):
        StateGraph(State, input_schema=Conflicting)


@pytest.mark.parametrize("where", ["input_schema", "output_schema"])
def test_computed_values_are_no_input_and_no_output(where: str) -> None:
    with pytest.raises(ValueError, match="Invalid managed channels detected in Limits: left"):
        StateGraph(State, **{where: Limits})


def test_schemas_are_listed_with_their_keys() -> None:
    builder = StateGraph(State, input_schema=Looser)
    assert {typ: list(keys) for typ, keys in builder.schemas.items()} == {State: ["value", "found"], Looser: ["found"]}


# ---------------------------------------------------------------- edges


def test_edges_may_come_before_their_nodes_and_joins_may_not() -> None:
    builder = build().add_edge(START, "node").add_node(node)
    assert builder.edges == {(START, "node")}
    with pytest.raises(ValueError, match="Need to add_node `missing` first") as caught:
        builder.add_edge(["node", "missing"], "elsewhere")
    assert isinstance(caught.value, GraphValidationError)
    assert len(caught.value.problems) == 2


def test_no_edge_leaves_end_or_enters_start() -> None:
    builder = build().add_node(node)
    for start in (END, [END]):
        with pytest.raises(ValueError, match="END cannot be a start node"):
            builder.add_edge(start, "node")
    with pytest.raises(ValueError, match="START cannot be an end node"):
        builder.add_edge("node", START)


def test_joins_are_kept_apart_from_plain_edges() -> None:
    builder = build().add_node(node).add_node(other).add_edge(["node", "other"], END)
    assert builder.waiting_edges == {(("node", "other"), END)}
    assert builder.edges == set()


def test_entry_and_finish_points_are_edges() -> None:
    builder = build().add_node(node).set_entry_point("node").set_finish_point("node")
    assert builder.edges == {(START, "node"), ("node", END)}
    builder.set_conditional_entry_point(either)
    assert builder.branches[START]["either"].ends == {"node": "node", "other": "other"}


def test_a_conditional_edge_takes_its_ends_from_the_map_the_list_or_the_annotation() -> None:
    builder = build().add_node(node).add_node(other)
    builder.add_conditional_edges("node", either)
    builder.add_conditional_edges("node", lambda state: "x", {"x": "other"})
    builder.add_conditional_edges("other", lambda state: "other", ["other", END])
    assert builder.branches["node"]["either"].ends == {"node": "node", "other": "other"}
    assert builder.branches["node"]["condition"].ends == {"x": "other"}
    assert builder.branches["other"]["condition"].ends == {"other": "other", END: END}


def test_two_conditional_edges_of_one_name_are_refused() -> None:
    builder = build().add_node(node).add_conditional_edges("node", either)
    with pytest.raises(ValueError, match="Branch with name `either` already exists for node `node`"):
        builder.add_conditional_edges("node", either)


def test_a_sequence_is_a_line_of_nodes() -> None:
    builder = build().add_sequence([node, ("last", other)])
    assert list(builder.nodes) == ["node", "last"]
    assert builder.edges == {("node", "last")}
    with pytest.raises(ValueError, match="Sequence requires at least one node"):
        builder.add_sequence([])
    with pytest.raises(ValueError, match="Node names must be unique: node with the name 'last' already exists"):
        builder.add_sequence([("last", node)])


# ---------------------------------------------------------------- compile


def test_the_builder_can_be_compiled_again_and_again() -> None:
    builder = build().add_node(node).add_edge(START, "node").set_node_defaults(error_handler=other)
    first, second = builder.compile(), builder.compile()
    assert first.fingerprint == second.fingerprint
    assert "__default_error_handler__" not in builder.nodes
    assert "__default_error_handler__" in first.nodes


def test_what_is_added_later_is_not_in_graphs_compiled_before() -> None:
    builder = build().add_node(node).add_edge(START, "node")
    graph = builder.compile()
    with pytest.warns(DistgraphWarning, match="changed-after-compile: Added a node"):
        builder.add_node(other)
    assert "other" not in graph.nodes


def test_defaults_fill_what_nodes_leave_open() -> None:
    own = RetryPolicy(max_attempts=7)
    builder = (
        build()
        .set_node_defaults(retry_policy=RetryPolicy(max_attempts=2), timeout=5)
        .add_node("a", later)
        .add_node("b", later, retry_policy=[own])
        .add_edge(START, "a")
        .add_edge("a", "b")
    )
    graph = builder.compile()
    assert graph.nodes["a"].retry[0].max_attempts == 2
    assert graph.nodes["b"].retry == (own,)
    assert graph.nodes["b"].timeout == TimeoutPolicy(run_timeout=5.0)


def test_a_checkpointer_must_be_a_saver() -> None:
    builder = build().add_node(node).add_edge(START, "node")
    with pytest.raises(TypeError, match=r"Invalid checkpointer provided. Expected an instance of"):
        builder.compile(checkpointer="memory")


def test_validate_reports_what_compile_would() -> None:
    with pytest.raises(ValueError, match="Graph must have an entrypoint"):
        build().validate()
    assert build().add_node(node).add_edge(START, "node").validate().edges
