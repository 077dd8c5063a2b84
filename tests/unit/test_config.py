"""Run configs: their keys, and how they merge."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.config import check_id, ensure_config, get_config, get_store, get_stream_writer
from distgraph.errors import ConfigError
from distgraph.runtime import Runtime, TaskScope, _scope

pytestmark = pytest.mark.unit


def test_later_configs_win_and_mappings_merge() -> None:
    merged = ensure_config(
        {"metadata": {"a": 1, "b": 1}, "configurable": {"thread_id": "t"}, "run_name": "x", "recursion_limit": 5},
        None,
        {"metadata": {"b": 2}, "configurable": {"mine": 1}, "run_name": "y"},
    )
    assert merged == {
        "metadata": {"a": 1, "b": 2},
        "configurable": {"thread_id": "t", "mine": 1},
        "run_name": "y",
        "recursion_limit": 5,
    }


def test_the_configs_given_stay_as_they_are() -> None:
    one: Any = {"metadata": {"a": 1}, "tags": ["x"]}
    ensure_config(one, {"metadata": {"b": 2}, "tags": ["y"]})
    assert one == {"metadata": {"a": 1}, "tags": ["x"]}


def test_tags_are_joined_without_repeating() -> None:
    assert sorted(ensure_config({"tags": ["b", "a"]}, {"tags": ["b", "c"]})["tags"]) == ["a", "b", "c"]


def test_callbacks_of_any_form_are_joined() -> None:
    """A list, a single handler, or a manager with handlers."""
    manager = SimpleNamespace(handlers=["m1", "m2"])
    assert ensure_config({"callbacks": ["one"]}, {"callbacks": manager})["callbacks"] == ["one", "m1", "m2"]
    assert ensure_config({"callbacks": None}) == {}
    lone = object()
    assert ensure_config({"callbacks": lone})["callbacks"] == [lone]


def test_keys_that_name_a_thread_may_stand_beside_configurable() -> None:
    assert ensure_config({"thread_id": "t", "tags": ["x"]})["configurable"] == {"thread_id": "t"}
    assert ensure_config({"__private": 1})["configurable"] == {"__private": 1}


def test_all_that_langchain_programs_pass_is_taken() -> None:
    config: Any = {
        "callbacks": [object()],
        "run_name": "r",
        "run_id": "i",
        "tags": ("x",),
        "metadata": {"a": 1},
        "max_concurrency": 2,
        "recursion_limit": 3,
        "configurable": {"anything": 1},
    }
    assert ensure_config(config).keys() == config.keys()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"recursion_limt": 5}, "no key 'recursion_limt'. Did you mean 'recursion_limit'?"),
        ({"configurabel": {}}, "no key 'configurabel'. Did you mean 'configurable'?"),
        ({"tag": None}, "no key 'tag'. Did you mean 'tags'?"),
        ({"user": "ada"}, "no key 'user'. Known: .* belong inside 'configurable': {'configurable': {'user': ...}}"),
        ({3: 1}, "no key 3"),
        ({"configurable": "t"}, r"config\['configurable'\] must be a dict, got 't'"),
        ({"metadata": ["m"]}, r"config\['metadata'\] must be a dict"),
        ({"tags": "demo"}, "must be a list of texts, got 'demo'"),
        ({"tags": 3}, "must be a list of texts, got 3"),
        (["tags"], "A config must be a dict"),
        ({"recursion_limit": 0}, "recursion_limit must be at least 1"),
        ({"recursion_limit": "5"}, "recursion_limit must be an int"),
        ({"recursion_limit": True}, "recursion_limit must be an int"),
        ({"max_concurrency": 0}, "max_concurrency must be an int of at least 1"),
        ({"max_concurrency": 1.5}, "max_concurrency must be an int of at least 1"),
        ({"configurable": {"thread_id": ""}}, "thread_id must have 1 to 512 bytes, got 0"),
        ({"configurable": {"thread_id": "x" * 600}}, "thread_id must have 1 to 512 bytes, got 600"),
        ({"configurable": {"thread_id": "\ud800"}}, "lone surrogate"),
    ],
)
def test_values_that_cannot_be_are_refused(config: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ensure_config(config)


def test_ids_are_measured_in_bytes() -> None:
    assert check_id("thread_id", "ü" * 256) == "ü" * 256
    with pytest.raises(ConfigError, match="got 514"):
        check_id("thread_id", "ü" * 257)


def test_a_node_reaches_its_surroundings() -> None:
    token = _scope.set(TaskScope({"tags": ["x"]}, Runtime(store="shelf", stream_writer=print)))
    try:
        assert (get_config(), get_store(), get_stream_writer()) == ({"tags": ["x"]}, "shelf", print)
    finally:
        _scope.reset(token)
