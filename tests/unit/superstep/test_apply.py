"""Checkpoint + writes -> next checkpoint."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from distgraph.channels import LastValueAfterFinish
from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME, TASKS
from distgraph.errors import InvalidUpdateError
from distgraph.superstep.apply import apply_writes, count_up
from distgraph.superstep.model import EMPTY, Task
from distgraph.superstep.plan import plan
from distgraph.types import Send
from tests.unit.superstep.programs import begun, node, program, wake, wrote

pytestmark = pytest.mark.unit

ABC = program("a", "b", "c")


def test_tasks_are_applied_by_path_whatever_their_order() -> None:
    at = begun(ABC, (TASKS, Send("a", 1)), *wake("a", "b"))
    tasks = [wrote(task, ("log", [task.path])) for task in plan(ABC, at)]
    results = {
        str(apply_writes(ABC, at, order, count_up, new_id="c1").values["log"])
        for order in itertools.permutations(tasks)
    }
    assert results == {"[('__pregel_pull', 'a'), ('__pregel_pull', 'b'), ('__pregel_push', 0, False)]"}


def test_the_next_checkpoint_follows_the_last() -> None:
    at = begun(ABC, ("n", 1), *wake("a"))
    (task,) = plan(ABC, at)
    after = apply_writes(ABC, at, [wrote(task, ("n", 2))], count_up, new_id="c1", ts="now")
    assert (at.id, at.parent, at.step, at.clock) == ("c0", None, -1, 1)
    assert (after.id, after.parent, after.step, after.source, after.clock, after.ts) == (
        "c1",
        "c0",
        0,
        "loop",
        2,
        "now",
    )


def test_the_checkpoint_it_starts_from_stays_whole() -> None:
    at = begun(ABC, ("log", ["in"]), *wake("a"))
    before = (dict(at.values), dict(at.versions), dict(at.seen))
    (task,) = plan(ABC, at)
    apply_writes(ABC, at, [wrote(task, ("log", ["a"]), *wake("b"))], count_up, new_id="c1")
    assert (dict(at.values), dict(at.versions), dict(at.seen)) == before


def test_all_changes_of_a_superstep_have_one_version() -> None:
    """Unchanged channels keep theirs."""
    at = begun(ABC, ("n", 1), ("log", ["in"]), *wake("a", "b"))
    a, b = plan(ABC, at)
    after = apply_writes(ABC, at, [wrote(a, ("log", ["a"])), wrote(b, *wake("c"))], count_up, new_id="c1")
    assert after.versions == {"n": 1, "log": 2, "branch:to:c": 2}
    assert set(after.updated or ()) == {"log", "branch:to:c"}


def test_wakes_that_nobody_repeats_are_cleared() -> None:
    """Only by a superstep in which a task took part."""
    at = begun(ABC, *wake("a", "b"))
    outside = wrote(Task(None, (), (), at, name="outside"), ("n", 1))
    assert set(apply_writes(ABC, at, [outside], count_up, new_id="x").values) == {"branch:to:a", "branch:to:b", "n"}
    a, b = plan(ABC, at)
    after = apply_writes(ABC, at, [wrote(a, *wake("a")), wrote(b, ("n", 2))], count_up, new_id="y")
    assert set(after.values) == {"branch:to:a", "n"}
    assert set(after.versions) == set(after.values)


def test_tables_stay_small_however_long_the_run() -> None:
    """A node is remembered while one of its wakes is alive, or it ran last; however many nodes there are."""
    many = program(*(f"n{number:02}" for number in range(20)))
    at = begun(many, *wake("n00"))
    for number in range(60):
        (task,) = plan(many, at)
        following = f"n{(number + 1) % 20:02}"
        at = apply_writes(many, at, [wrote(task, ("n", number), *wake(following))], count_up, new_id=f"c{number}")
        assert set(at.values) == set(at.versions) == {"n", f"branch:to:{following}"}
        assert set(at.seen) == {task.name}


def test_after_sends_the_nodes_woken_before_stay_known() -> None:
    """An update from outside asks which node ran last; a Send has no versions to tell."""
    at = begun(ABC, *wake("a"))
    (a,) = plan(ABC, at)
    sent = apply_writes(ABC, at, [wrote(a, (TASKS, Send("b", 1)))], count_up, new_id="c1")
    (b,) = plan(ABC, sent)
    after = apply_writes(ABC, sent, [wrote(b, ("n", 1))], count_up, new_id="c2")
    assert after.seen == {"a": {"branch:to:a": 1}, "b": {}}


def test_deferred_channels_open_when_nothing_else_is_woken() -> None:
    deferred = program("a", "b", extra={"later": LastValueAfterFinish()}, b=["later"])
    at = begun(deferred, *wake("a"))
    (a,) = plan(deferred, at)
    busy = apply_writes(deferred, at, [wrote(a, ("later", None), *wake("a"))], count_up, new_id="c1")
    (a,) = plan(deferred, busy)
    assert a.name == "a"
    idle = apply_writes(deferred, busy, [wrote(a, ("n", 1))], count_up, new_id="c2")
    (b,) = plan(deferred, idle)
    assert b.name == "b"
    assert plan(deferred, apply_writes(deferred, idle, [wrote(b, ("n", 2))], count_up, new_id="c3")) == []


def test_a_superstep_costs_the_same_in_a_large_graph() -> None:
    """What wakes nodes is looked up, never gone through."""

    class LookedUp(dict[str, Any]):
        def __iter__(self) -> Any:
            raise AssertionError("went through all channels of the graph")

    large = replace(ABC, woken_by=LookedUp(ABC.woken_by))
    at = begun(large, *wake("a"))
    (task,) = plan(large, at)
    assert set(apply_writes(large, at, [wrote(task, *wake("b"))], count_up, new_id="c1").updated or ()) == {
        "branch:to:b"
    }


def test_control_writes_are_not_merged() -> None:
    at = begun(ABC, ("n", 1), *wake("a"))
    (task,) = plan(ABC, at)
    controls: Any = [(NO_WRITES, None), (INTERRUPT, ()), (RESUME, []), (ERROR, "x")]
    assert apply_writes(ABC, at, [wrote(task, *controls)], count_up, new_id="c1").values == {"n": 1}


def test_a_write_to_an_unknown_channel_is_an_error() -> None:
    at = begun(ABC, *wake("a"))
    (task,) = plan(ABC, at)
    with pytest.raises(KeyError, match="Task 'a' of step 0 wrote to unknown channel 'nn'"):
        apply_writes(ABC, at, [wrote(task, ("nn", 1))], count_up, new_id="c1")


def test_conflicts_are_errors() -> None:
    at = begun(ABC, *wake("a", "b"))
    with pytest.raises(InvalidUpdateError):
        apply_writes(ABC, at, [wrote(task, ("n", 1)) for task in plan(ABC, at)], count_up, new_id="c1")


def test_versions_count_up_by_default() -> None:
    assert [count_up(None), count_up(1)] == [1, 2]


def test_a_task_of_update_state_needs_no_triggers() -> None:
    task = wrote(Task(node("a"), (INTERRUPT, 0), (INTERRUPT,), EMPTY), ("n", 1))
    assert apply_writes(ABC, EMPTY, [task], count_up, new_id="c0").seen == {"a": {}}
