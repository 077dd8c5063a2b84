"""Values of registered types are put together again without running their constructors."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from distgraph.errors import CodecError
from distgraph.wire import Codec, TypeRegistry
from tests.unit.wire.samples import (
    Access,
    Color,
    Guarded,
    Level,
    Money,
    Names,
    Open,
    Order,
    Pair,
    Point,
    Step,
    Word,
    assert_same,
    codec,
)

pytestmark = pytest.mark.unit

CODEC = codec()


@pytest.mark.parametrize(
    "value",
    [
        *(Point(1), Point(1, y=2), Pair((1, 2), Pair("a", None)), Guarded([1, 2], made=True)),
        *(Step("a"), Step("a", 2.5), Color.RED, Color.GREEN, Color.CRIMSON, Level.HIGH, Word.YES),
        *(Access.READ, Access.READ | Access.WRITE, Access(0)),
        *(Order(sku="a"), Order(sku="a", amount=1), Open(name="n"), Open(name="n", more=(1,)), Names(["a"])),
        *(Money(5), {Pair(1, 2): "a key"}, {Level.LOW, Word.YES}, [Point(n) for n in range(200)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    for wrapped in (value, [value], {"k": (value,)}):
        assert_same(CODEC.decode(CODEC.encode(wrapped)), wrapped)


def test_enum_members_are_the_same_objects() -> None:
    back = CODEC.unpack(CODEC.pack([Color.GREEN, Access.READ, Level.LOW]))
    assert back[0] is Color.GREEN
    assert back[1] is Access.READ
    assert back[2] is Level.LOW


def test_constructors_and_checks_do_not_run_again() -> None:
    """``Guarded`` refuses to be made, ``Order`` would prefix its sku a second time."""
    assert CODEC.unpack(CODEC.pack(Guarded([1, 2], made=True))).total == 3
    assert CODEC.unpack(CODEC.pack(Order(sku="a"))).sku == "SKU-a"


def test_frozen_values_come_back_frozen() -> None:
    back = CODEC.unpack(CODEC.pack(Pair(1, 2)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        back.left = 3
    assert hash(back) == hash(Pair(1, 2))


def test_only_fields_travel() -> None:
    point = Point(1)
    point.note = "not a field"  # type: ignore[attr-defined]
    assert not hasattr(CODEC.unpack(CODEC.pack(point)), "note")


def test_a_model_remembers_which_fields_were_set() -> None:
    """Otherwise ``model_dump(exclude_unset=True)`` would tell another story after a checkpoint."""
    back = CODEC.unpack(CODEC.pack(Order(sku="a")))
    assert back.model_dump(exclude_unset=True) == {"sku": "SKU-a"}
    extra = CODEC.unpack(CODEC.pack(Open(name="n", more=1)))
    assert extra.model_fields_set == {"name", "more"}
    assert extra.more == 1


def test_private_attributes_come_back_with_their_defaults() -> None:
    order = Order(sku="a")
    order._cached = 9
    assert CODEC.unpack(CODEC.pack(order))._cached == 7


def test_a_model_can_be_changed_and_copied_afterwards() -> None:
    back = CODEC.unpack(CODEC.pack(Order(sku="a")))
    back.amount = 5
    assert back.model_copy(update={"sku": "b"}).model_dump() == {"sku": "b", "amount": 5, "tags": []}


def test_a_field_that_was_never_set_is_an_error_with_its_path() -> None:
    hollow = object.__new__(Point)
    with pytest.raises(CodecError, match=r"Cannot store \$\.p: its parts cannot be read: AttributeError"):
        CODEC.encode({"p": hollow})
    with pytest.raises(CodecError, match=r"Cannot store \$\.p: its parts cannot be read: AttributeError"):
        CODEC.encode({"p": object.__new__(Order)})


# ---- the class changed between writing and reading


def moved(old: type, new: type, value: Any) -> Any:
    """``value`` of ``old``, stored, then read where the same id means ``new``."""
    before, after = TypeRegistry(), TypeRegistry()
    before.add(old, name="thing")
    after.add(new, name="thing")
    return Codec(after).decode(Codec(before).encode(value))


def test_a_new_field_takes_its_default() -> None:
    @dataclass
    class Grown:
        x: int
        y: int
        names: list[str] = field(default_factory=list)
        size: int = 3

    assert moved(Point, Grown, Point(1, 2)) == Grown(1, 2)

    class GrownStep(NamedTuple):
        cost: float
        name: str
        why: str = "so"

    assert moved(Step, GrownStep, Step("a", 2.0)) == GrownStep(2.0, "a", "so")

    class GrownOrder(BaseModel):
        sku: str
        amount: int
        tags: list[str]
        urgent: bool = False

    assert moved(Order, GrownOrder, Order(sku="a")) == GrownOrder(sku="SKU-a", amount=1, tags=[])


def test_a_new_field_without_default_is_an_error() -> None:
    @dataclass
    class Needy:
        x: int
        y: int
        z: int

    with pytest.raises(CodecError, match=r"Stored thing lacks the field 'z'.*Give it a default"):
        moved(Point, Needy, Point(1))

    class NeedyOrder(Order):
        z: int

    with pytest.raises(CodecError, match="Stored thing lacks the field 'z'"):
        moved(Order, NeedyOrder, Order(sku="a"))


def test_a_lost_field_is_an_error_not_lost_data() -> None:
    @dataclass
    class Shrunk:
        x: int

    with pytest.raises(CodecError, match=r"has the fields 'y', which .*Shrunk no longer has"):
        moved(Point, Shrunk, Point(1))


def test_a_lost_enum_member_is_an_error() -> None:
    class Fewer(enum.Enum):
        RED = 1

    class FewerBits(enum.Flag):
        READ = 1

    assert moved(Color, Fewer, Color.RED) is Fewer.RED, "its value changed, its name did not"
    with pytest.raises(CodecError, match=r"'GREEN' is no member of .*Fewer any more"):
        moved(Color, Fewer, Color.GREEN)
    with pytest.raises(CodecError, match="2 is no member"):
        moved(Access, FewerBits, Access.WRITE)


def test_another_kind_of_type_under_the_same_id_is_an_error() -> None:
    with pytest.raises(CodecError, match="Stored thing cannot be put together"):
        moved(Point, Order, Point(1))


@pytest.mark.parametrize("made", [lambda stored: 1 // 0, lambda stored: stored.missing])
def test_an_adapter_that_fails_is_named(made: Callable[[Any], Any]) -> None:
    types = TypeRegistry()
    types.adapt(Money, "money", lambda money: money.cents, made)
    with pytest.raises(CodecError, match=r"Stored money cannot be put together: .*its adapter is wrong"):
        Codec(types).decode(Codec(types).encode(Money(1)))


def test_what_an_adapter_returns_must_be_storable() -> None:
    types = TypeRegistry()
    types.adapt(Money, "money", lambda money: {"cents": iter([money.cents])}, Money)
    with pytest.raises(CodecError, match=r"Cannot store \$\.m\.cents: type builtins\.list_iterator is not storable"):
        Codec(types).encode({"m": Money(1)})


def test_fields_with_setters_of_their_own_are_restored_through_them() -> None:
    """A descriptor keeps its value where only it knows, so it must be told."""

    class Whole:
        def __set_name__(self, owner: type, name: str) -> None:
            self.name = "_" + name

        def __get__(self, instance: Any, owner: type) -> Any:
            return 0 if instance is None else getattr(instance, self.name)

        def __set__(self, instance: Any, value: int) -> None:
            setattr(instance, self.name, int(value))

    whole = Whole()

    @dataclass
    class Counted:
        n: Any = whole

    types = TypeRegistry()
    types.add(Counted)
    stored = Counted("2")
    assert stored.n == 2
    assert Codec(types).unpack(Codec(types).pack(stored)).n == 2
