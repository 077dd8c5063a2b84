"""What annotations of node functions say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, Literal, TypedDict

import pytest

from distgraph.graph.hints import HintReader, command_ends, literal_ends, plain_function
from distgraph.types import Command

pytestmark = pytest.mark.unit


class View(TypedDict):
    value: int


@dataclass
class Record:
    value: int


class Unannotated:
    pass


Route = Command[Literal["left", "right"]]


def typed(state: View) -> Route:
    return Command(goto="left")


def in_line(state: Record) -> Command[Literal["a", "__end__"]] | None:
    return None


def plain(state: dict[str, Any]) -> dict[str, Any]:
    return state


def unknown(state: Missing, other: View) -> Command[Literal["a"]]:  # type: ignore[name-defined]  # noqa: F821
    return Command()


def bare(state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    return state


class Callable_:
    def __call__(self, state: View) -> Literal["x", "y"]:
        return "x"

    def method(self, state: Record) -> None:
        return None


def wrapped() -> Callable[..., Any]:
    @wraps(typed)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return typed(*args, **kwargs)

    return inner


def test_the_first_parameter_names_the_view_and_the_result_the_destinations() -> None:
    first, returned = HintReader().read(typed)
    assert first is View
    assert command_ends(returned) == ("left", "right")


def test_a_command_may_be_one_member_of_a_union() -> None:
    first, returned = HintReader().read(in_line)
    assert first is Record
    assert command_ends(returned) == ("a", "__end__")


@pytest.mark.parametrize("action", [plain, bare, partial(typed), print, Unannotated, 3])
def test_what_names_no_schema_says_nothing(action: Any) -> None:
    first, returned = HintReader().read(action)
    assert first is None
    assert command_ends(returned) == ()


def test_a_name_that_cannot_be_found_says_nothing_and_harms_nobody() -> None:
    assert HintReader().read(unknown)[0] is None


def test_methods_callable_objects_and_wrappers_are_looked_through() -> None:
    reader = HintReader()
    assert reader.read(Callable_())[0] is View
    assert literal_ends(reader.read(Callable_())[1]) == ("x", "y")
    assert reader.read(Callable_().method)[0] is Record
    assert reader.read(wrapped())[0] is View


def test_the_function_behind_an_action_and_the_place_of_its_own_first_parameter() -> None:
    assert plain_function(typed) == (typed, 0)
    assert plain_function(Callable_().method) == (Callable_.method, 1)
    assert plain_function(Callable_()) == (Callable_.__call__, 1)
    assert plain_function(print) == (None, 0)


def test_a_class_without_keys_is_no_schema() -> None:
    def node(state: Unannotated) -> None:
        return None

    assert HintReader().read(node)[0] is None
