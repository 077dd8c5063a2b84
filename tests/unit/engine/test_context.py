"""What all tasks of one run share."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.engine.context import Replay, RunContext
from distgraph.superstep.model import EMPTY, Task
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit

PROGRAM = line("a")


def task_of(node: str = "a", ns: str = "") -> Task:
    return Task(PROGRAM.nodes[node], ("__pregel_pull", node), ("branch:to:a",), EMPTY._replace(id="c1", step=2), ns)


def test_a_tasks_config_is_the_runs_with_its_place() -> None:
    """The run's own entries stay; the place comes on top."""
    config = {"tags": ["x"], "metadata": {"m": 1}, "configurable": {"thread_id": "t", "mine": 5}}
    task = task_of()
    made = RunContext(PROGRAM, config=config).config_of(task)
    assert made["tags"] == ["x"]
    assert made["metadata"] == {
        "m": 1,
        "langgraph_step": 3,
        "langgraph_node": "a",
        "langgraph_triggers": ("branch:to:a",),
        "langgraph_path": ("__pregel_pull", "a"),
        "langgraph_checkpoint_ns": f"a:{task.id}",
    }
    assert made["configurable"] == {
        "thread_id": "t",
        "mine": 5,
        "checkpoint_ns": f"a:{task.id}",
        "checkpoint_id": None,
        "checkpoint_map": {"": "c1"},
    }
    assert config == {"tags": ["x"], "metadata": {"m": 1}, "configurable": {"thread_id": "t", "mine": 5}}


def test_a_nodes_own_tags_and_metadata_join() -> None:
    from dataclasses import replace

    node = replace(PROGRAM.nodes["a"], tags=("own",), metadata={"team": "red"})
    task = Task(node, ("__pregel_pull", "a"), (), EMPTY)
    made = RunContext(PROGRAM, config={"tags": ["x"]}).config_of(task)
    assert made["tags"] == ["x", "own"]
    assert made["metadata"]["team"] == "red"


def test_chunks_of_nodes_carry_the_runs_namespace() -> None:
    sent: list[Any] = []
    ctx = RunContext(
        PROGRAM, ns="p:1|q:2", emit=lambda *chunk: sent.append(chunk), modes=frozenset({"custom", "values"})
    )
    assert ctx.writer is not None
    ctx.writer("hello")
    assert sent == [(("p:1", "q:2"), "custom", "hello")]


def test_nobody_listens_so_there_is_no_writer() -> None:
    assert RunContext(PROGRAM).writer is None
    assert RunContext(PROGRAM, emit=lambda *_: None, modes=frozenset({"values"})).writer is None


def test_loose_answers_go_to_whoever_asks_next() -> None:
    ctx = RunContext(PROGRAM)
    ctx.loose += ["one", "two"]
    assert [ctx.take_answer() for _ in range(3)] == [(True, "one"), (True, "two"), (False, None)]


def test_the_number_of_a_call_is_no_part_of_its_tasks_namespace() -> None:
    assert RunContext(PROGRAM, ns="a:1|2|3").parent_task_ns == "a:1"


def test_a_replay_takes_each_graph_back_once() -> None:
    replay = Replay("c5")
    assert replay.first_visit("sub")
    assert not replay.first_visit("sub")
    assert replay.first_visit("other")
