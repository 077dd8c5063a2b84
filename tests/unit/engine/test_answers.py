"""Answers that must have a form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine.answers import checked, shown_schema
from distgraph.engine.states import States
from distgraph.errors import is_invalid_resume
from distgraph.types import Command, interrupt
from tests.unit.engine.engines import ENGINES, run
from tests.unit.engine.small import ask, logs, on, side_by_side

pytestmark = pytest.mark.unit


class Amount(BaseModel):
    euros: int


@dataclass
class Name:
    first: str


def test_whoever_answers_sees_json_schema() -> None:
    assert shown_schema(Amount)["properties"]["euros"]["type"] == "integer"
    assert shown_schema({"type": "string"}) == {"type": "string"}
    assert shown_schema(None) is None


def test_an_answer_becomes_an_instance() -> None:
    assert checked({"euros": "5"}, Amount, 0) == Amount(euros=5)
    assert checked({"first": "A"}, Name, 0) == Name("A")


def test_a_schema_that_is_a_dict_is_for_reading_only() -> None:
    assert checked("anything", {"type": "integer"}, 0) == "anything"
    assert checked("anything", None, 0) == "anything"


@ENGINES
def test_an_answer_that_does_not_fit_is_refused_and_the_question_still_waits(engine: str) -> None:
    """Siblings finish, earlier answers stand, and the bad one is forgotten."""

    def q(state: Any) -> Any:
        return {"log": [interrupt("who?"), interrupt("how much?", response_schema=Amount).euros]}

    program, saver = side_by_side(a=logs("a"), q=q), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    asked = run(engine, ask(program, Command(resume="me"), on(), saver)).interrupts
    assert asked[0].response_schema == shown_schema(Amount)
    with pytest.raises(ValidationError) as caught:
        run(engine, ask(program, Command(resume={"euros": "many"}), on(), saver))
    assert is_invalid_resume(caught.value)
    assert States(program, saver).get(on()).interrupts == asked
    assert run(engine, ask(program, None, on(), saver)).interrupts == asked
    assert run(engine, ask(program, Command(resume={"euros": 5}), on(), saver)).value["log"] == ["a", "me", 5]


def test_other_errors_are_no_bad_answers() -> None:
    assert not is_invalid_resume(ValueError())
