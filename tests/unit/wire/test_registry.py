"""A registry is filled from schemas, closed to everything else, and never guesses."""

from __future__ import annotations

import dataclasses
import enum
from abc import ABC, abstractmethod
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, TypedDict, TypeVar, Union

import pytest
from pydantic import BaseModel

from distgraph.errors import CodecError, UntrustedTypeError
from distgraph.types import Command, Interrupt, Overwrite, Send
from distgraph.wire import Codec, TypeRegistry
from tests.unit.wire.samples import Color, Level, Money, Order, Pair, Point, Step

if TYPE_CHECKING:
    from tests.unit.wire.nowhere import Unknown  # type: ignore[import-not-found, import-untyped, unused-ignore]

pytestmark = pytest.mark.unit


@dataclass
class Leaf:
    size: int


@dataclass
class Branch:
    """Refers to itself, and to a type that only type checkers can find."""

    left: Branch | None
    leaves: dict[str, list[Leaf]]
    unknown: Unknown | None = None


class Basket(BaseModel):
    orders: list[Order]
    mood: Optional[Color] = None  # noqa: UP045 - the old form counts as well


class State(TypedDict, total=False):
    basket: Annotated[Basket | None, "a reducer would stand here"]
    branch: Branch
    plain: Mapping[str, int]


LeafId = NewType("LeafId", Leaf)
Tree = TypeVar("Tree", bound=Branch)
Either = TypeVar("Either", Leaf, Step)


def known(annotation: Any) -> set[type]:
    types = TypeRegistry()
    types.add(annotation)
    return {cls for cls in (Basket, Branch, Color, Leaf, Level, Money, Order, Pair, Point, Step) if cls in types}


def test_a_schema_brings_every_type_it_mentions() -> None:
    assert known(State) == {Basket, Order, Color, Branch, Leaf}


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        (Leaf, {Leaf}),
        (list[Leaf], {Leaf}),
        (dict[Color, tuple[Leaf, ...]], {Color, Leaf}),
        (Leaf | Step | None, {Leaf, Step}),
        (Union[Leaf, None], {Leaf}),  # noqa: UP007 - the old form counts as well
        (Annotated[list[Leaf], Step], {Leaf}),
        (Literal[Level.LOW, "x"], {Level}),
        (Pair[Leaf], {Pair, Leaf}),
        (Callable[[Leaf], Step], {Leaf, Step}),
        (LeafId, {Leaf}),
        (Tree, {Branch, Leaf}),
        (Either, {Leaf, Step}),
        (Money, set()),
        (int, set()),
        (Any, set()),
        (None, set()),
        ("Leaf", set()),
    ],
)
def test_an_annotation_brings_the_types_it_mentions(annotation: Any, types: set[type]) -> None:
    assert known(annotation) == types


def test_one_unknown_name_does_not_hide_its_neighbours() -> None:
    """``Branch.unknown`` cannot be resolved at run time; ``Branch.leaves`` can."""
    assert known(Branch) == {Branch, Leaf}


def test_the_attributes_of_a_service_are_no_state() -> None:
    class Client:
        cache: Leaf

    class Holder(TypedDict):
        client: Client
        point: Point

    assert known(Holder) == {Point}


def test_a_plain_class_may_be_a_schema() -> None:
    class Schema:
        leaf: Leaf

    assert known(Schema) == {Leaf}


def test_adding_again_changes_nothing() -> None:
    types = TypeRegistry()
    for _ in range(2):
        types.add(State)
        types.add(Point, name="point")
        types.add(Point)
    assert types.by_type[Point].name == "point"
    assert types.by_type[Leaf].name == f"{__name__}:Leaf"


def test_a_copy_learns_for_itself() -> None:
    types = TypeRegistry()
    types.add(Point)
    other = types.copy()
    other.add(Leaf)
    assert (Point in other, Leaf in other, Leaf in types) == (True, True, False)


def test_a_subclass_is_a_type_of_its_own() -> None:
    @dataclass
    class Special(Point):
        pass

    types = TypeRegistry()
    types.add(Point)
    with pytest.raises(CodecError, match=r"Cannot store \$: type .*Special is not storable. Register a dataclass"):
        Codec(types).encode(Special(1))


def test_a_type_that_was_not_registered_is_refused_on_both_sides() -> None:
    writer = TypeRegistry()
    writer.add(Point, name="point")
    data = Codec(writer).encode({"p": Point(1)})
    with pytest.raises(UntrustedTypeError, match="the type 'point', which is not registered here"):
        Codec().decode(data)
    with pytest.raises(CodecError, match=r"Cannot store \$\.p: type tests\.unit\.wire\.samples\.Point is not storable"):
        Codec().encode({"p": Point(1)})


def test_a_codec_sees_types_that_are_added_later() -> None:
    types = TypeRegistry()
    codec = Codec(types)
    types.add(Point)
    assert codec.decode(codec.encode(Point(1))) == Point(1)


def test_two_types_cannot_share_an_id() -> None:
    def another() -> type:
        @dataclass
        class Local:
            x: int

        return Local

    types = TypeRegistry()
    types.add(another())
    with pytest.raises(CodecError, match=r"Two types have the id .*Local' .*TypeRegistry\.add\(cls, name="):
        types.add(another())
    types.add(another(), name="second local")


def test_a_type_cannot_have_two_ids() -> None:
    types = TypeRegistry()
    types.add(State)
    with pytest.raises(CodecError, match=r"Leaf is registered already, as .* it cannot be 'leaf' too"):
        types.add(Leaf, name="leaf")
    with pytest.raises(CodecError, match="Leaf is registered already"):
        types.adapt(Leaf, "leaf", dataclasses.astuple, lambda parts: Leaf(*parts))


def test_an_adapter_comes_before_the_schema() -> None:
    types = TypeRegistry()
    types.adapt(Leaf, "leaf", dataclasses.astuple, lambda parts: Leaf(*parts))
    types.add(State)
    assert Codec(types).decode(Codec(types).encode([Leaf(1)])) == [Leaf(1)]
    assert types.by_type[Leaf].name == "leaf"


class Abstract(ABC):
    @abstractmethod
    def act(self) -> None: ...


@dataclass
class AbstractData(Abstract):
    x: int


@dataclass
class DataError(Exception):
    x: int


@dataclass
class DataDict(dict[str, int]):
    x: int


@pytest.mark.parametrize(
    "cls", [Money, int, dict, State, AbstractData, DataError, DataDict, enum.Enum, list[int], "Leaf"]
)
def test_what_cannot_be_put_together_from_fields_cannot_have_a_name(cls: Any) -> None:
    with pytest.raises(CodecError, match=r"cannot be registered as 'thing'.*Use TypeRegistry\.adapt"):
        TypeRegistry().add(cls, name="thing")


def test_the_old_namedtuple_works_too() -> None:
    size = namedtuple("size", "width height", defaults=[1])
    types = TypeRegistry()
    types.add(size, name="size")
    back = Codec(types).decode(Codec(types).encode(size(2)))
    assert back == size(2, 1)
    assert type(back) is size


def test_the_frameworks_own_values_have_short_stable_names() -> None:
    types = TypeRegistry()
    for cls in (Send, Command, Interrupt, Overwrite):
        types.add(cls, name=f"dg.{cls.__name__}")
    values = [
        Send("node", {"x": (1,)}),
        Command(update={"a": 1}, goto=[Send("n", 1), "m"], resume={"i": 2}),
        Interrupt({"ask": "?"}, id="0" * 32),
        Overwrite([1]),
    ]
    data = Codec(types).encode(values)
    assert b"dg.Send" in data
    assert Codec(types).decode(data) == values
