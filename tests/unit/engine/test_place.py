"""Where a run takes place."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine.context import RunContext
from distgraph.engine.place import place_of
from distgraph.engine.scope import NodeScope
from distgraph.errors import ConfigError
from distgraph.runtime import _scope
from distgraph.superstep.model import EMPTY, Task
from tests.unit.engine.small import ask, line, on

pytestmark = pytest.mark.unit

PROGRAM = line("a")
SAVER = InMemorySaver()


@pytest.fixture
def node() -> Any:
    """Inside a node of thread "outer", whose run has a saver."""
    config = {**on("outer", mine=1), "tags": ["x"], "recursion_limit": 7}
    ctx = RunContext(PROGRAM, config=config, saver=SAVER, thread_id="outer")
    scope = NodeScope(ctx, Task(PROGRAM.nodes["a"], ("__pregel_pull", "a"), (), EMPTY._replace(id="c1")))
    token = _scope.set(scope)
    yield scope
    _scope.reset(token)


def test_at_the_root_the_namespace_is_empty() -> None:
    place = place_of(ask(PROGRAM, config={**on("t"), "tags": ["x"]}, saver=SAVER))
    assert (place.ns, place.scope, place.thread_id, place.saver) == ("", None, "t", SAVER)
    assert place.config["tags"] == ["x"]


def test_the_thread_is_text_and_part_of_the_metadata() -> None:
    place = place_of(ask(PROGRAM, config=on(5)))  # type: ignore[arg-type]
    assert place.thread_id == "5"
    assert place.config["metadata"] == {"thread_id": 5}


@pytest.mark.parametrize("config", [None, {}, {"configurable": {"mine": 1}}])
def test_a_saver_needs_a_thread(config: Any) -> None:
    """A ValueError and a KeyError: the peer raises now this, now that."""
    for expected in (ConfigError, ValueError, KeyError):
        with pytest.raises(expected, match="Checkpointer requires one or more of the following 'configurable' keys"):
            place_of(ask(PROGRAM, config=config, saver=SAVER))


def test_without_a_saver_no_thread_is_needed() -> None:
    assert place_of(ask(PROGRAM)).thread_id is None
    assert place_of(ask(PROGRAM, saver=False)).saver is None


def test_a_history_of_its_own_is_for_nested_graphs() -> None:
    with pytest.raises(RuntimeError, match="checkpointer=True cannot be used for root graphs"):
        place_of(ask(PROGRAM, saver=True))


def test_a_nested_graph_inherits(node: NodeScope) -> None:
    """Config, thread, saver and limit are the parent's; the namespace is that of the node's task."""
    place = place_of(ask(PROGRAM, config={"tags": ["y"]}))
    assert (place.scope, place.ns, place.thread_id, place.saver) == (node, node.ns, "outer", SAVER)
    assert place.recursion_limit == 7
    assert set(place.config["tags"]) == {"x", "y"}
    assert place.configurable["mine"] == 1


def test_the_nodes_own_config_may_be_passed_on(node: NodeScope) -> None:
    place = place_of(ask(PROGRAM, config=node.config))
    assert (place.ns, place.thread_id) == (node.ns, "outer")
    assert place.config["tags"] == ["x"]


def test_a_second_call_has_its_own_namespace(node: NodeScope) -> None:
    assert [place_of(ask(PROGRAM)).ns for _ in range(2)] == [node.ns, f"{node.ns}|1"]


def test_a_history_of_its_own_has_no_task_ids_in_its_namespace(node: NodeScope) -> None:
    """So that the next run of the parent finds it."""
    assert [place_of(ask(PROGRAM, saver=True)).ns for _ in range(2)] == ["a", "a|1"]


def test_a_nested_graph_may_refuse_the_saver(node: NodeScope) -> None:
    assert place_of(ask(PROGRAM, saver=False)).saver is None


def test_another_thread_is_another_line(node: NodeScope) -> None:
    """A graph that names its thread is no part of the run around it, but still carries its tags."""
    own = InMemorySaver()
    place = place_of(ask(PROGRAM, config=on("other"), saver=own))
    assert (place.scope, place.ns, place.thread_id, place.saver) == (None, "", "other", own)
    assert place.config["tags"] == ["x"]
    assert "mine" not in place.configurable


def test_a_checkpoint_can_be_named_directly_or_in_a_map() -> None:
    """The map names one for every graph around it; a namespace at the root alone means the root's latest."""
    assert place_of(ask(PROGRAM, config=on("t", checkpoint_id="c9"))).wanted == "c9"
    mapped = on("t", checkpoint_ns="sub:1", checkpoint_id="c9", checkpoint_map={"": "c3", "sub:1": "c9"})
    assert place_of(ask(PROGRAM, config=mapped)).wanted == "c3"
    assert place_of(ask(PROGRAM, config=on("t", checkpoint_ns="sub:1", checkpoint_id="c9"))).wanted == ""


def test_a_nested_graph_does_not_take_its_parents_checkpoint_for_its_own(node: NodeScope) -> None:
    assert place_of(ask(PROGRAM)).wanted == ""
