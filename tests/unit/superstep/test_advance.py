"""Apply, plan, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME
from distgraph.superstep.advance import Rules, Verdict, advance, look, restore, resumed
from distgraph.superstep.apply import count_up
from distgraph.superstep.plan import plan
from tests.unit.superstep.programs import begun, program, wake, wrote

pytestmark = pytest.mark.unit

AB = program("a", "b")
FREE = Rules(stop=10)


def step(rules: Rules, *writes: Any) -> Any:
    at = begun(AB, *wake("a"))
    (task,) = plan(AB, at)
    return advance(AB, at, [wrote(task, *writes)], count_up, rules, new_id="c1")


def test_a_run_goes_on_while_tasks_are_planned() -> None:
    following = step(FREE, *wake("b"))
    assert (following.verdict, [task.name for task in following.tasks]) == (Verdict.RUN, ["b"])
    assert step(FREE, ("n", 1)).verdict is Verdict.DONE


def test_the_budget_is_checked_before_anything_else() -> None:
    """Also where nothing would follow: the peer counts so, and programs rely on the number."""
    assert step(Rules(stop=0), ("n", 1)).verdict is Verdict.OUT_OF_STEPS
    following = step(Rules(stop=0), *wake("b"))
    assert (following.verdict, [task.name for task in following.tasks]) == (Verdict.OUT_OF_STEPS, ["b"])
    assert step(Rules(stop=1), *wake("b")).verdict is Verdict.RUN


@pytest.mark.parametrize("stops", [("b",), "*"])
def test_a_run_stops_before_and_after_named_nodes(stops: Any) -> None:
    before = step(Rules(10, before=stops), *wake("b"))
    assert (before.verdict, [task.name for task in before.tasks]) == (Verdict.STOP_BEFORE, ["b"])
    assert step(Rules(10, before=stops), ("n", 1)).verdict is Verdict.DONE
    after = step(Rules(10, after=("a",) if stops != "*" else "*"), *wake("b"))
    assert (after.verdict, [task.name for task in after.tasks]) == (Verdict.STOP_AFTER, ["b"])
    assert step(Rules(10, before=("a",), after=("b",)), *wake("b")).verdict is Verdict.RUN


def test_hidden_nodes_are_no_breakpoints() -> None:
    hidden = replace(AB, nodes={name: replace(node, hidden=True) for name, node in AB.nodes.items()})
    at = begun(hidden, *wake("a"))
    assert look(hidden, at, Rules(10, before="*")).verdict is Verdict.RUN
    assert look(hidden, at, Rules(10, before=("a",))).verdict is Verdict.STOP_BEFORE


def test_a_passed_breakpoint_holds_again_once_something_changed() -> None:
    rules = Rules(10, before="*")
    at = begun(AB, *wake("a"))
    assert look(AB, at, rules).verdict is Verdict.STOP_BEFORE
    passed = look(AB, resumed(at), rules)
    assert passed.verdict is Verdict.RUN
    following = advance(AB, passed.at, [wrote(passed.tasks[0], *wake("b"))], count_up, rules, new_id="c1")
    assert following.verdict is Verdict.STOP_BEFORE


def test_tasks_that_finished_get_their_writes_back() -> None:
    """Those that asked or failed run again."""
    at = begun(AB, *wake("a", "b"))
    a, b = plan(AB, at)
    pending: Any = {a.id: [("n", 1)], b.id: [(INTERRUPT, ()), (RESUME, ["x"])]}
    following = look(AB, at, FREE, pending=pending)
    assert [task.writes for task in following.tasks] == [[("n", 1)], []]
    restore([a, b], {a.id: [(ERROR, "x")], b.id: [(NO_WRITES, None)]})
    assert (a.writes, b.writes) == ([], [(NO_WRITES, None)])


def test_a_breakpoint_before_a_task_that_has_finished_does_not_hold() -> None:
    at = begun(AB, *wake("a", "b"))
    a, _ = plan(AB, at)
    assert look(AB, at, Rules(10, before=("a",)), pending={a.id: [("n", 1)]}).verdict is Verdict.RUN
