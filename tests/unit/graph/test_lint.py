"""The checks of a whole graph: what is refused, what is warned about, what is left in peace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest

from distgraph.constants import END, START
from distgraph.errors import GraphValidationError, NodeError
from distgraph.graph.lint import check
from distgraph.graph.state import StateGraph
from distgraph.types import RetryPolicy
from distgraph.warnings import DistgraphWarning
from tests.unit.graph.small import State, anywhere, codes, declared, graph, node, some_of

pytestmark = pytest.mark.unit


# ---------------------------------------------------------------- errors


def test_a_sound_graph_has_no_problems() -> None:
    assert check(graph("a", "b", edges="start-a a-b b-end")) == []


@pytest.mark.parametrize(
    ("builder", "text"),
    [
        (graph(), "Graph must have an entrypoint: add at least one edge from START to another node"),
        (graph("a", edges="a-end"), "Graph must have an entrypoint"),
        (graph("a", edges="start-a aa-end"), "Found edge starting at unknown node 'aa'. Did you mean 'a'"),
        (graph("node", edges="start-node node-nod"), "Found edge ending at unknown node `nod`. Did you mean 'node'"),
        (
            graph("a", edges="start-a").add_conditional_edges("a", some_of),
            "At 'a' node, 'some_of' branch found unknown target 'b'",
        ),
        (graph("a", edges="start-a").add_conditional_edges("x", some_of, [END]), "starting at unknown node 'x'"),
        (graph("a", edges="start-a", a=declared), "Found edge ending at unknown node `b`"),
        (graph("__input__", edges="start-__input__"), "Node name '__input__' is reserved"),
        (graph("a", edges="start-a").set_node_defaults(timeout=1), "Node timeouts are only supported for async nodes"),
    ],
)
def test_what_cannot_work_is_refused(builder: StateGraph[State], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        builder.compile()
    assert text in str(caught.value)


@pytest.mark.parametrize("when", ["interrupt_before", "interrupt_after"])
@pytest.mark.parametrize("names", [["q"], ("q",), "q"])
def test_breakpoints_name_nodes(when: str, names: Any) -> None:
    with pytest.raises(ValueError, match="Interrupt node `q` not found"):
        graph("a", edges="start-a").compile(**{when: names})


def test_all_errors_are_reported_at_once_with_their_places() -> None:
    builder = graph("a", edges="b-a a-c")
    with pytest.raises(GraphValidationError) as caught:
        builder.compile(interrupt_before=["z"], name="broken")
    text = str(caught.value)
    assert text.startswith("Graph 'broken' has 4 problems:")
    assert [problem.code for problem in caught.value.problems] == ["unknown-node", "no-entry", *["unknown-node"] * 2]
    assert text.count("small.py:") == 4


def test_a_sync_node_that_only_workers_run_may_have_a_timeout() -> None:
    """A worker's process can be stopped; a function in one's own cannot."""
    builder = StateGraph(State).add_node("a", node, timeout=1, placement="spread").add_edge(START, "a")
    assert builder.compile().nodes["a"].timeout is not None


# ---------------------------------------------------------------- lints


def handles(state: State, error) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Its annotation is forgotten."""


def handles_well(state: State, error: NodeError) -> None: ...


@pytest.mark.parametrize("of", ["one node", "all nodes"])
def test_an_error_handler_gets_only_what_is_annotated(of: str) -> None:
    def made(handler: Any) -> StateGraph[State]:
        builder = StateGraph(State).add_edge(START, "a")
        if of == "all nodes":
            return builder.add_node("a", node).set_node_defaults(error_handler=handler)
        return builder.add_node("a", node, error_handler=handler)

    assert check(made(handles_well)) == []
    (problem,) = check(made(handles))
    name = "of all nodes" if of == "all nodes" else "of node 'a'"
    assert (problem.code, problem.severity) == ("handler-parameter", "lint")
    assert f"Parameter 'error' of the error handler {name} is given no value" in problem.text
    assert "NodeError" in problem.fix


def test_a_repeated_edge_is_a_lint_and_counts_once() -> None:
    builder = graph("a", edges="start-a start-a a-end")
    assert codes(builder) == ["duplicate-edge"]
    with pytest.warns(DistgraphWarning, match="duplicate-edge"):
        assert builder.compile().nodes[START].edges == (("branch:to:a", None),)


def test_a_lambda_reducer_is_a_lint() -> None:
    builder = StateGraph(Annotated[list, lambda left, right: left + right])
    builder.add_node("a", lambda state: [1]).add_edge(START, "a")
    assert codes(builder) == ["lambda-reducer"]


def generating(state: State) -> Iterator[State]:
    yield {"value": 1}


def without_parameters() -> State:
    return {}


@pytest.mark.parametrize(
    ("action", "code"), [(generating, "generator-node"), (without_parameters, "node-arity"), (lambda *all_: None, "")]
)
def test_functions_that_are_probably_not_meant_as_nodes(action: Callable[..., Any], code: str) -> None:
    assert codes(graph("a", edges="start-a", a=action)) == ([code] if code else [])


@pytest.mark.parametrize("name", ["", " padded", "tab\t", "a{b}", "a*", "é" * 200])
def test_unusual_names_are_a_lint(name: str) -> None:
    builder = StateGraph(State).add_node(name, node).add_edge(START, name)
    assert codes(builder) == ["node-name-unusual"]


def test_a_node_named_like_a_key_is_a_lint() -> None:
    assert codes(graph("value", edges="start-value")) == ["node-named-like-key"]


@pytest.mark.parametrize("name", ["plain", "with space", "with-dash", "ünï.code"])
def test_ordinary_names_are_none(name: str) -> None:
    assert check(StateGraph(State).add_node(name, node).add_edge(START, name)) == []


@pytest.mark.parametrize("of", ["one node", "all nodes"])
def test_retry_policies_whose_numbers_cannot_be_meant_are_a_lint(of: str) -> None:
    """All of a policy's in one; they are accepted, as the peer does."""
    odd = RetryPolicy(max_attempts=0, backoff_factor=0.5, max_interval=float("nan"))
    builder = StateGraph(State).add_edge(START, "a")
    if of == "one node":
        builder.add_node("a", node, retry_policy=odd)
    else:
        builder.add_node("a", node).set_node_defaults(retry_policy=[RetryPolicy(), odd])
    [problem] = check(builder)
    assert (problem.code, problem.severity) == ("odd-retry-policy", "lint")
    assert (
        "max_attempts=0, not an int from 1 on and max_interval=nan, not at least 0 and backoff_factor=0.5"
        in problem.text
    )
    assert problem.place is not None


def test_retry_policies_as_they_should_be_are_none() -> None:
    policies = [RetryPolicy(), RetryPolicy(0, 1, 0, 1, False), RetryPolicy(max_attempts=10**9)]
    assert check(StateGraph(State).add_node("a", node, retry_policy=policies).add_edge(START, "a")) == []


def test_names_that_only_look_alike_are_a_lint() -> None:
    assert codes(graph("caf\u00e9", "cafe\u0301", edges="start-caf\u00e9 start-cafe\u0301")) == ["node-name-lookalike"]


def test_an_empty_mapping_is_a_lint_and_is_not_used() -> None:
    builder = graph("a", "b", edges="start-a").add_conditional_edges("a", anywhere, {})
    assert codes(builder) == ["empty-path-map"]
    with pytest.warns(DistgraphWarning, match="empty-path-map"):
        assert builder.compile().nodes["a"].branches[0].ends is None


def test_lints_warn_and_refuse_only_a_strict_graph() -> None:
    builder = graph("a", "b", edges="start-a")
    with pytest.warns(DistgraphWarning, match=r"unreachable-node: .* \(.*small.py:\d+\)"):
        builder.compile()
    with pytest.raises(GraphValidationError, match="unreachable-node"):
        builder.compile(strict=True)


def test_a_compiled_graph_can_be_checked() -> None:
    with pytest.warns(DistgraphWarning):
        compiled = graph("a", "b", edges="start-a").compile()
    assert [problem.code for problem in check(compiled)] == ["unreachable-node"]
