"""Problems, their places, and the error that reports many."""

from __future__ import annotations

import inspect

import pytest

from distgraph.errors import GraphValidationError
from distgraph.graph.problems import Problem, WrongTypeError, caller, refusal, some

pytestmark = pytest.mark.unit


def test_a_place_is_the_line_of_the_call() -> None:
    def declare() -> tuple[str, int]:
        place = caller("no such file")
        return place.filename, place.line

    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
    assert declare() == (__file__, line)


def test_the_place_is_outside_the_module_that_asks() -> None:
    """A builder's own helpers are never the place of a declaration."""
    assert caller(__file__).filename != __file__


def test_one_problem_is_told_in_one_line() -> None:
    error = refusal(Problem("some-code", "It is wrong.", "Do better."))
    assert str(error) == "some-code: It is wrong. Do better."
    assert error.problems[0].code == "some-code"


def test_several_problems_are_told_together_in_order() -> None:
    error = refusal(Problem("a", "First."), Problem("b", "Second."), what="Graph 'x'")
    assert str(error) == "Graph 'x' has 2 problems:\n  1. a: First.\n  2. b: Second."
    assert [problem.code for problem in error.problems] == ["a", "b"]
    assert isinstance(error, ValueError)


def test_a_refusal_can_be_of_the_kind_that_callers_catch() -> None:
    error = refusal(Problem("a", "No type."), kind=WrongTypeError)
    assert isinstance(error, TypeError)
    assert isinstance(error, GraphValidationError)


def test_long_lists_of_names_are_cut() -> None:
    assert some(["b", "a"]) == "'a', 'b'"
    assert some(range(10), limit=2) == "'0', '1' and 8 more"
