"""Which tasks a checkpoint activates."""

from __future__ import annotations

import pytest

from distgraph.channels import NamedBarrierValue
from distgraph.constants import PULL, PUSH, TASKS
from distgraph.errors import RoutingError
from distgraph.superstep.apply import apply_writes, count_up
from distgraph.superstep.identity import path_key
from distgraph.superstep.plan import handler_task, plan, task_at
from distgraph.types import MISSING, Send, TimeoutPolicy
from tests.unit.superstep.programs import begun, program, wake, wrote

pytestmark = pytest.mark.unit

ABC = program("c", "a", "b")


def test_woken_nodes_are_planned_by_name() -> None:
    assert [task.path for task in plan(ABC, begun(ABC, *wake("b", "a")))] == [(PULL, "a"), (PULL, "b")]


def test_nothing_woken_is_nothing_to_do() -> None:
    assert plan(ABC, begun(ABC, ("n", 1))) == []


def test_each_send_is_a_task_with_its_argument() -> None:
    """The same node may run several times, besides what woke it otherwise."""
    at = begun(ABC, (TASKS, Send("a", 1)), (TASKS, Send("a", None, timeout=3)), *wake("a"))
    tasks = plan(ABC, at)
    assert [(task.name, task.path) for task in tasks] == [
        ("a", (PUSH, 0, False)),
        ("a", (PUSH, 1, False)),
        ("a", (PULL, "a")),
    ]
    assert [task.arg for task in tasks[:2]] == [1, None]
    assert tasks[1].timeout == TimeoutPolicy(run_timeout=3)


def test_a_node_does_not_run_twice_for_one_wake() -> None:
    at = begun(ABC, *wake("a"))
    (task,) = plan(ABC, at)
    after = apply_writes(ABC, at, [wrote(task, ("n", 1))], count_up, new_id="c1")
    assert plan(ABC, after) == []


def test_a_join_wakes_its_node_when_it_is_complete() -> None:
    """One superstep or several: the node runs once."""
    joined = program("a", "b", "j", extra={"join": NamedBarrierValue(str, {"a", "b"})}, j=["join"])
    at = begun(joined, *wake("a", "b"))
    a, b = plan(joined, at)
    half = apply_writes(joined, at, [wrote(a, ("join", "a")), wrote(b, *wake("b"))], count_up, new_id="c1")
    (b,) = plan(joined, half)
    full = apply_writes(joined, half, [wrote(b, ("join", "b"))], count_up, new_id="c2")
    (j,) = plan(joined, full)
    assert j.name == "j"
    assert plan(joined, apply_writes(joined, full, [wrote(j, ("n", 1))], count_up, new_id="c3")) == []


def test_without_knowledge_of_what_changed_the_plan_is_the_same() -> None:
    at = begun(ABC, *wake("c", "a"))
    assert [t.id for t in plan(ABC, at._replace(updated=None))] == [t.id for t in plan(ABC, at)]


def test_one_task_can_be_planned_alone() -> None:
    """As a worker does that has only its path."""
    at = begun(ABC, (TASKS, Send("a", 1)), (TASKS, Send("b", 2)), *wake("c"))
    for task in plan(ABC, at, "ns"):
        alone = task_at(ABC, at, task.path, "ns")
        assert alone is not None
        assert (alone.id, alone.arg) == (task.id, task.arg)
    for path in ((PULL, "a"), (PULL, "unknown"), (PUSH, 2, False), (PUSH, "x", False)):
        assert task_at(ABC, at, path) is None


def test_a_send_to_nowhere_is_an_error() -> None:
    """It can only come from a checkpoint of another graph; dropping it would lose work."""
    at = begun(ABC, (TASKS, Send("aa", 1)))
    with pytest.raises(
        RoutingError, match=r"The Send at index 0 of step -1 goes to unknown node 'aa'.*Did you mean 'a'"
    ):
        plan(ABC, at)
    with pytest.raises(RoutingError):
        task_at(ABC, at, (PUSH, 0, False))


def test_a_handlers_task_stands_in_the_place_of_the_failed_one() -> None:
    """Its path follows that task's, before the next name; ids of different failures differ."""
    from dataclasses import replace

    nodes = {**ABC.nodes, "a": replace(ABC.nodes["a"], error_handler="c"), "ab": ABC.nodes["b"]}
    handled = replace(ABC, nodes=nodes)
    at = begun(ABC, (TASKS, Send("a", 1)), *wake("a", "b"))
    sent, a, b = plan(handled, at)
    handlers = [handler_task(handled, task) for task in (sent, a)]
    assert [handler and (handler.name, handler.arg) for handler in handlers] == [("c", 1), ("c", MISSING)]
    assert len({handler.id for handler in handlers if handler}) == 2
    assert handlers[1] is not None
    assert sorted([(PULL, "ab"), handlers[1].path, a.path], key=path_key) == [a.path, handlers[1].path, (PULL, "ab")]
    assert handler_task(handled, b) is None
