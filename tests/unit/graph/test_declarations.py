"""What single declarations mean."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import pytest

from distgraph.graph.declarations import branch_name, ends_of, path_map_of, policies_of, stops_of, with_defaults
from distgraph.graph.specs import NodeDefaults, NodeSpec
from distgraph.types import CachePolicy, RetryPolicy, TimeoutPolicy

pytestmark = pytest.mark.unit


def route(state: Any) -> str:
    return "a"


class Router:
    def __call__(self, state: Any) -> str:
        return "a"


@pytest.mark.parametrize(
    ("path", "name"),
    [(route, "route"), (lambda s: "a", "condition"), (partial(route), "condition"), (Router(), "condition")],
)
def test_a_conditional_edge_is_named_after_its_function(path: Any, name: str) -> None:
    assert branch_name(path) == name


@pytest.mark.parametrize(
    ("given", "stops"), [(None, ()), ("*", "*"), ("a", ("a",)), (["a", "b"], ("a", "b")), (("a",), ("a",)), ([], ())]
)
def test_breakpoints_in_all_the_forms_people_write(given: Any, stops: Any) -> None:
    assert stops_of(given) == stops


def test_a_path_map_is_given_or_read_from_the_annotation() -> None:
    assert path_map_of({1: "a"}, None) == {1: "a"}
    assert path_map_of(["a"], Literal["b"]) == {"a": "a"}
    assert path_map_of(None, Literal["a", "b"]) == {"a": "a", "b": "b"}
    assert path_map_of(None, str) is None


def test_destinations_keep_their_labels() -> None:
    assert ends_of({"a": "label"}) == {"a": "label"}
    assert ends_of(["a", "b"]) == ("a", "b")


def test_retry_policies_are_none_one_or_several() -> None:
    one = RetryPolicy()
    assert policies_of(None) == ()
    assert policies_of(one) == (one,)
    assert policies_of([one, one]) == (one, one)


def test_handlers_take_retries_and_timeouts_from_the_defaults_and_nothing_else() -> None:
    retry, timeout = RetryPolicy(), TimeoutPolicy(run_timeout=1.0)
    defaults = NodeDefaults(retry, CachePolicy(), route, timeout)
    nodes = {"a": NodeSpec(route, None, dict), "h": NodeSpec(route, None, dict, is_error_handler=True)}
    filled = with_defaults(nodes, defaults, dict)
    assert filled["a"].error_handler_node == "__default_error_handler__"
    assert filled["a"].cache_policy is defaults.cache_policy
    for name in ("h", "__default_error_handler__"):
        assert filled[name].retry_policy is retry
        assert filled[name].timeout is timeout
        assert filled[name].cache_policy is None
        assert filled[name].error_handler_node is None
    assert nodes["a"].retry_policy is None
