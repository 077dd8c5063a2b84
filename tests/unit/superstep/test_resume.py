"""Which task an answer belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.constants import INTERRUPT, RESUME
from distgraph.errors import UnknownInterruptError
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Task
from distgraph.superstep.plan import plan
from distgraph.superstep.resume import answers_of, give_answers, is_answer_map, pending_interrupts
from distgraph.types import Interrupt
from tests.unit.superstep.programs import begun, program, wake

pytestmark = pytest.mark.unit

AB = program("a", "b")


def planned() -> tuple[Task, Task]:
    a, b = plan(AB, begun(AB, *wake("a", "b")))
    return a, b


def question(task: Task, index: int = 0) -> Interrupt:
    return Interrupt(f"{task.name}{index}?", interrupt_id(task.checkpoint_ns, index))


def test_the_last_question_waits_until_the_task_finishes() -> None:
    """Answers stored after it say nothing: the task may have died before it could use them."""
    first, second = Interrupt(1), Interrupt(2)
    assert pending_interrupts([(INTERRUPT, (first,))]) == (first,)
    assert pending_interrupts([(INTERRUPT, (first,)), (RESUME, ["x"])]) == (first,)
    assert pending_interrupts([(INTERRUPT, (first,)), (RESUME, ["x"]), (INTERRUPT, (second,))]) == (second,)
    assert pending_interrupts([(INTERRUPT, (first,)), ("n", 1)]) == ()
    assert pending_interrupts([]) == ()


def test_answers_are_the_last_stored() -> None:
    assert answers_of([(RESUME, ["old"]), (RESUME, ["a", "b"])]) == ["a", "b"]
    assert answers_of([(RESUME, "alone")]) == ["alone"]
    assert answers_of([("n", 1)]) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"0" * 32: 1}, True),
        ({"0" * 32: 1, "f" * 32: 2}, True),
        ({"0" * 32: 1, "other": 2}, False),
        ({"0" * 31: 1}, False),
        ({"G" * 32: 1}, False),
        ({1: 2}, False),
        ({}, True),
        ("0" * 32, False),
    ],
)
def test_a_map_of_ids_is_not_an_answer(value: Any, expected: bool) -> None:
    """Any other dict is; one without entries answers nothing, as on the peer."""
    assert is_answer_map(value) is expected


def test_one_answer_goes_to_the_one_question() -> None:
    a, b = planned()
    pending: Any = {a.id: [(INTERRUPT, (question(a),))], b.id: [("n", 1)]}
    given = give_answers([a, b], pending, "yes")
    assert given == ({a.id: ["yes"]}, {}, {}, [])


def test_one_answer_for_several_questions_is_refused() -> None:
    a, b = planned()
    pending = {task.id: [(INTERRUPT, (question(task),))] for task in (a, b)}
    for expected in (UnknownInterruptError, RuntimeError):
        with pytest.raises(expected, match="When there are multiple pending interrupts") as caught:
            give_answers([a, b], pending, "yes")
    assert isinstance(caught.value, UnknownInterruptError)
    assert caught.value.reason == "ambiguous"
    ids = {task.name: question(task).id for task in (a, b)}
    assert give_answers([a, b], pending, {ids["b"]: "B"}).tasks == {b.id: ["B"]}
    assert give_answers([a, b], pending, {ids["b"]: "B", ids["a"]: "A"}).tasks == {a.id: ["A"], b.id: ["B"]}


def test_a_second_answer_follows_the_first() -> None:
    a, _ = planned()
    pending: Any = {a.id: [(INTERRUPT, (question(a, 1),)), (RESUME, ["first"])]}
    assert give_answers([a], pending, "second").tasks == {a.id: ["first", "second"]}


def test_an_answer_that_came_to_nothing_is_replaced() -> None:
    """The process died between storing it and the end of the task; the user answers again."""
    a, _ = planned()
    pending: Any = {a.id: [(INTERRUPT, (question(a, 0),)), (RESUME, ["lost"])]}
    assert give_answers([a], pending, "again").tasks == {a.id: ["again"]}


def test_answers_for_nested_graphs_keep_their_ids() -> None:
    a, _ = planned()
    inner = Interrupt("inner?", "d" * 32)
    given = give_answers([a], {a.id: [(INTERRUPT, (inner,))]}, "x")
    assert given == ({}, {"d" * 32: "x"}, {"d" * 32: a.id}, [])


def test_an_answer_before_its_question_is_loose() -> None:
    a, b = planned()
    assert give_answers([a, b], {}, "early") == ({}, {}, {}, ["early"])


def test_unknown_ids_are_left_alone_unless_strict() -> None:
    a, _ = planned()
    pending: Any = {a.id: [(INTERRUPT, (question(a),))]}
    assert give_answers([a], pending, {"0" * 32: "x"}) == ({}, {}, {}, [])
    with pytest.raises(UnknownInterruptError, match="Unknown or already-consumed interrupt: 0000") as caught:
        give_answers([a], pending, {"0" * 32: "x"}, strict=True)
    assert caught.value.reason == "not_pending"
