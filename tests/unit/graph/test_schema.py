"""Schemas of every kind become channels."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import wraps
from typing import Annotated, Any, ClassVar, NotRequired, Required, TypedDict

import pytest
from pydantic import BaseModel, Field

from distgraph.channels import BinaryOperatorAggregate, EphemeralValue, LastValue, Topic, UntrackedValue
from distgraph.constants import ROOT
from distgraph.errors import GraphValidationError
from distgraph.graph.schema import bare, mapper_of, read_schema
from distgraph.managed import IsLastStep, IsLastStepManager, RemainingSteps, RemainingStepsManager
from distgraph.types import MISSING

pytestmark = pytest.mark.unit


def merge(left: list[int], right: list[int]) -> list[int]:
    return left + right


def one(value: int) -> int:
    return value


def three(first: int, second: int, third: int) -> int:
    return first + second + third


class Typed(TypedDict):
    plain: int
    merged: Annotated[list[int], merge]
    required: Required[Annotated[int, operator.add]]
    optional: NotRequired[str]
    wrapped: Annotated[NotRequired[list[int]], merge]


def test_a_typed_dict_gives_a_channel_for_each_key() -> None:
    schema = read_schema(Typed)
    assert schema.keys == ("plain", "merged", "required", "optional", "wrapped")
    assert [type(channel) for channel in schema.channels.values()] == [
        LastValue,
        BinaryOperatorAggregate,
        BinaryOperatorAggregate,
        LastValue,
        BinaryOperatorAggregate,
    ]
    assert schema.reads == schema.writable == schema.keys
    assert schema.mapper is None


@pytest.mark.parametrize(
    ("hint", "initial"),
    [
        (list[int], []),
        (dict, {}),
        (Sequence[str], []),
        (int, 0),
        (int | None, MISSING),
        (Any, MISSING),
    ],
)
def test_a_reducers_key_starts_with_the_empty_value_of_its_type(hint: Any, initial: Any) -> None:
    """Abstract collections start as their plain kind; a type that cannot be made empty starts without a value."""
    channel = read_schema(Annotated[hint, operator.add]).channels[ROOT]
    assert channel.initial() == initial


def test_channels_can_be_named_in_the_annotation_by_class_or_instance() -> None:
    class State(TypedDict):
        once: Annotated[int, "a remark", EphemeralValue]
        many: Annotated[list[int], Topic(accumulate=True)]
        local: Annotated[object, UntrackedValue]

    schema = read_schema(State)
    assert isinstance(schema.channels["once"], EphemeralValue)
    assert schema.channels["many"].spec() == ("Topic", True)
    assert isinstance(schema.channels["local"], UntrackedValue)
    assert [channel.key for channel in schema.channels.values()] == ["once", "many", "local"]


def test_computed_values_are_read_but_are_no_channels() -> None:
    class State(TypedDict):
        value: int
        left: RemainingSteps
        last: NotRequired[IsLastStep]

    schema = read_schema(State)
    assert schema.managed == {"left": RemainingStepsManager, "last": IsLastStepManager}
    assert schema.keys == ("value", "left", "last")
    assert schema.writable == ("value",)


@dataclass
class Record:
    kind: ClassVar[str] = "record"
    value: int = 7
    found: Annotated[list[int], merge] = field(default_factory=list)
    seed: InitVar[int] = 0


def test_a_dataclass_is_built_from_the_keys_that_have_a_value() -> None:
    schema = read_schema(Record)
    assert schema.keys == ("value", "found", "seed")
    assert schema.mapper is not None
    assert schema.mapper({"found": [1]}) == Record(7, [1])


class Model(BaseModel):
    limit: ClassVar[int] = 3
    value: int = 1
    found: Annotated[list[int], merge] = Field(default_factory=list)
    _hidden: int = 0


def test_a_pydantic_model_is_validated_when_it_is_built() -> None:
    """Class variables and private attributes of a model hold no state."""
    schema = read_schema(Model)
    assert schema.keys == ("value", "found")
    assert schema.mapper is not None
    assert schema.mapper({"value": "5"}) == Model(value=5)
    with pytest.raises(ValueError, match="valid integer"):
        schema.mapper({"value": "five"})


@pytest.mark.parametrize(
    ("hint", "kind"), [(int, LastValue), (list[int], LastValue), (Annotated[list, merge], BinaryOperatorAggregate)]
)
def test_a_bare_type_is_a_state_of_one_value(hint: Any, kind: type) -> None:
    schema = read_schema(hint)
    assert schema.reads == schema.writable == ROOT
    assert isinstance(schema.channels[ROOT], kind)


def test_all_reducers_that_do_not_take_two_values_are_named_at_once() -> None:
    class State(TypedDict):
        a: Annotated[int, one]
        b: Annotated[int, three]
        c: Annotated[int, operator.add]

    with pytest.raises(GraphValidationError, match=r"Invalid reducer signature. Expected \(a, b\) -> c. Got") as caught:
        read_schema(State)
    assert [problem.text.split("key ")[1].split()[0] for problem in caught.value.problems] == ["'a'", "'b'"]


@pytest.mark.parametrize("reducer", [one, wraps(one)(lambda a, b: a), math.floor, pow])
def test_what_does_not_take_two_values_is_refused_however_it_is_made(reducer: Any) -> None:
    with pytest.raises(GraphValidationError, match=r"reducer-signature"):
        read_schema(TypedDict("State", {"a": Annotated[int, reducer]}))  # type: ignore[operator]


@pytest.mark.parametrize(
    "reducer", [merge, wraps(merge)(lambda *values: values[0]), operator.add, math.copysign, list.__add__]
)
def test_what_takes_two_values_is_a_reducer_however_it_is_made(reducer: Any) -> None:
    assert isinstance(read_schema(Annotated[int, reducer]).channels[ROOT], BinaryOperatorAggregate)


def test_builtins_that_hide_their_signature_are_taken_as_reducers() -> None:
    assert isinstance(read_schema(Annotated[int, max]).channels[ROOT], BinaryOperatorAggregate)


@pytest.mark.parametrize("value", [{"a": int}, [int]])
def test_a_value_in_place_of_a_schema_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="unhashable type"):
        read_schema(value)


def test_bare_strips_what_surrounds_a_type() -> None:
    assert bare(Required[Annotated[list[int], merge]]) == list[int]
    assert bare(int) is int


def test_a_typed_dict_needs_no_mapper() -> None:
    assert mapper_of(Typed) is None


class Somewhere(TypedDict):
    known: int
    lost: Annotated[list[Nowhere], merge]  # type: ignore[name-defined]  # noqa: F821


@dataclass
class Below:
    quoted: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037


@pytest.mark.parametrize(("schema", "key"), [(Somewhere, "lost"), (Below, "quoted")])
def test_an_annotation_with_an_unknown_name_says_which_where_and_what_to_do(schema: Any, key: str) -> None:
    """As such a class does that was defined in a function, and mentions another one there."""
    for kind in (GraphValidationError, NameError):
        with pytest.raises(kind) as caught:
            read_schema(schema)
    text = str(caught.value)
    assert f"The annotation of key '{key}' of schema '{schema.__name__}' names 'Nowhere'" in text
    assert f"module '{__name__}' has no such name" in text
    assert "define 'Nowhere' at the top of the module" in text
