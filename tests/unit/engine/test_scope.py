"""What a node can see while it runs."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.config import get_config, get_store, get_stream_writer
from distgraph.engine import sync
from distgraph.engine.context import RunContext
from distgraph.engine.scope import NodeScope
from distgraph.errors import GraphInterrupt
from distgraph.runtime import EffectLog, RunControl, Runtime, get_runtime
from distgraph.superstep.model import EMPTY, Task
from tests.unit.engine.small import ask, line, on

pytestmark = pytest.mark.unit


def scope(ctx: RunContext | None = None, **options: Any) -> NodeScope:
    program = line("a")
    task = Task(program.nodes["a"], ("__pregel_pull", "a"), (), EMPTY._replace(id="c1"))
    return NodeScope(ctx or RunContext(program), task, **options)


def test_a_runtime_says_where_and_who() -> None:
    """Thread, run, checkpoint, task, attempt; and what the caller passed."""
    control, effects = RunControl(), EffectLog()
    base: Runtime[Any] = Runtime(context={"user": "u"}, store="store", control=control, effects=effects)
    here = scope(RunContext(line("a"), runtime=base, thread_id="t", run_id="r"), attempt=2, first_attempt_time=5.0)
    runtime: Runtime[Any] = here.runtime
    info = runtime.execution_info
    assert info is not None
    assert (info.thread_id, info.run_id, info.checkpoint_id) == ("t", "r", "c1")
    assert (info.task_id, info.checkpoint_ns) == (here.task.id, f"a:{here.task.id}")
    assert (info.node_attempt, info.node_first_attempt_time) == (2, 5.0)
    assert (runtime.context, runtime.store, runtime.control) == ({"user": "u"}, "store", control)
    assert runtime.effects is effects
    assert here.runtime is runtime


def test_the_idempotency_key_is_the_same_for_every_attempt() -> None:
    """With a run id it names the place in the run, which a roll-back of a server does not change."""
    named = [scope(RunContext(line("a"), run_id="r"), attempt=n).runtime.idempotency_key for n in (1, 2)]
    assert len(set(named)) == 1
    assert scope(RunContext(line("a"), run_id="other")).runtime.idempotency_key not in named
    here = scope()
    assert here.runtime.idempotency_key == here.task.id


def test_graphs_called_by_one_node_get_numbered_namespaces() -> None:
    here = scope()
    assert [here.next_child_ns() for _ in range(3)] == [here.ns, f"{here.ns}|1", f"{here.ns}|2"]


def test_a_loose_answer_is_taken_when_none_is_left() -> None:
    """And counts as this task's own from then on."""
    ctx = RunContext(line("a"))
    ctx.loose.append("late")
    here = scope(ctx, answers=["early"])
    assert [here.ask("q1", None), here.ask("q2", None)] == ["early", "late"]
    assert here.answers == ["early", "late"]
    with pytest.raises(GraphInterrupt):
        here.ask("q3", None)


def test_nodes_reach_their_surroundings_without_parameters() -> None:
    """get_config, get_store, get_stream_writer and get_runtime work anywhere below the node."""
    seen: dict[str, Any] = {}

    def node(state: Any) -> None:
        get_stream_writer()("custom chunk")
        runtime: Runtime[Any] = get_runtime()
        seen.update(thread=get_config()["configurable"]["thread_id"], store=get_store(), attempt=runtime.execution_info)

    chunks = list(sync.stream(ask(line("a", a=node), {"n": 1}, on("t7"), store="shelf", modes=frozenset({"custom"}))))
    assert chunks == [((), "custom", "custom chunk")]
    assert (seen["thread"], seen["store"], seen["attempt"].thread_id) == ("t7", "shelf", "t7")


def test_outside_a_node_there_is_nothing_to_see() -> None:
    with pytest.raises(RuntimeError, match="Called outside of a runnable context"):
        get_config()
