"""Joins that a run leaves half complete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distgraph.channels import NamedBarrierValue, NamedBarrierValueAfterFinish
from distgraph.constants import INPUT
from distgraph.superstep.advance import Rules, Verdict, look
from distgraph.superstep.apply import count_up
from distgraph.superstep.joins import stalled_joins, stalled_text, with_input
from distgraph.superstep.model import Checkpoint, Program, Task
from tests.unit.superstep.programs import begun, program, wrote

pytestmark = pytest.mark.unit

JOIN = "join:a+b:c"


def joined(kind: type[NamedBarrierValue[str]] = NamedBarrierValue) -> Program:
    made = program("a", "b", "c", extra={JOIN: kind(str, {"a", "b"})}, c=(JOIN,))
    return replace(made, joins=(JOIN,))


def half(of: Program) -> Checkpoint:
    return begun(of, (JOIN, "a"))._replace(source="loop")


@pytest.mark.parametrize("kind", [NamedBarrierValue, NamedBarrierValueAfterFinish])
def test_a_run_that_is_about_to_end_with_half_a_join_has_stalled(kind: Any) -> None:
    of = joined(kind)
    assert look(of, half(of), Rules(10)).verdict is Verdict.STALLED
    assert look(of, begun(of, ("n", 1)), Rules(10)).verdict is Verdict.DONE


def test_a_join_may_still_be_completed_while_tasks_are_planned() -> None:
    of = joined()
    at = begun(of, (JOIN, "a"), ("branch:to:b", None))
    assert look(of, at, Rules(10)).verdict is Verdict.RUN
    assert look(of, begun(of, (JOIN, "a"), (JOIN, "b")), Rules(10)).verdict is Verdict.RUN


def test_an_optional_join_may_be_left() -> None:
    of = replace(joined(), joins=())
    assert look(of, half(of), Rules(10)).verdict is Verdict.DONE


def test_the_text_names_who_waits_for_whom_and_what_to_do() -> None:
    of = joined()
    text = stalled_text(of, half(of))
    assert "the join into 'c' waits for 'b', which did not run, after 'a' did" in text
    assert "optional=True" in text


def given(at: Checkpoint) -> Task:
    return wrote(Task(None, (), (), at, name=INPUT), ("n", 1))


@pytest.mark.parametrize(("source", "left"), [("loop", []), ("update", [JOIN])])
def test_a_new_input_begins_with_the_join_empty(source: str, left: list[str]) -> None:
    """But what somebody put there by an update of the state is meant to stay."""
    of = joined()
    at = half(of)._replace(source=source)
    after = with_input(of, at, given(at), [], count_up, new_id="c1", ts="")
    assert (stalled_joins(of, after), after.source) == (left, "input")
    assert (JOIN in after.versions) is bool(left)
