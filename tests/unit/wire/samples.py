"""Types of every kind that a schema may bring, and a registry that knows them."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, RootModel, field_validator

from distgraph.wire import Codec, TypeRegistry

T = TypeVar("T")


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass(frozen=True, slots=True)
class Pair(Generic[T]):
    """Frozen and slotted: attributes cannot be set in the usual way."""

    left: T
    right: T


@dataclass
class Guarded:
    """Refuses to be made again: its checks run in ``__init__`` only."""

    items: list[int]
    total: int = field(init=False)
    made: dataclasses.InitVar[bool] = False

    def __post_init__(self, made: bool) -> None:
        if not made:
            raise ValueError("only the factory makes these")
        self.total = sum(self.items)


class Step(NamedTuple):
    name: str
    cost: float = 1.0


class Color(enum.Enum):
    RED = "r"
    GREEN = object()  # a value that could never be stored
    CRIMSON = "r"  # another name of RED


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):  # noqa: UP042 - the mixed-in form is what is tested
    YES = "yes"


class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


class Order(BaseModel):
    """Its validator changes what it sees, and must not see stored values again."""

    sku: str
    amount: int = 1
    tags: list[str] = []

    _cached: int = PrivateAttr(default=7)

    @field_validator("sku")
    @classmethod
    def prefixed(cls, value: str) -> str:
        return f"SKU-{value}"


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)

    name: str


class Names(RootModel[list[str]]):
    pass


class Money:
    """A class of no known form; an adapter takes it apart."""

    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __repr__(self) -> str:
        return f"Money({self.cents})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


def assert_same(back: Any, value: Any) -> None:
    """Equal, and of equal types all the way down, which ``==`` alone does not see (1 == True == 1.0)."""
    assert type(back) is type(value)
    if isinstance(value, Mapping):
        assert_same(list(back.items()), list(value.items()))
    elif isinstance(value, (list, tuple, deque)):
        assert len(back) == len(value)
        for one, other in zip(back, value, strict=True):
            assert_same(one, other)
    elif isinstance(value, (set, frozenset)):
        assert back == value
        assert Counter(map(type, back)) == Counter(map(type, value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field_ in dataclasses.fields(value):
            assert_same(getattr(back, field_.name), getattr(value, field_.name))
    elif isinstance(value, BaseModel):
        assert back.model_fields_set == value.model_fields_set
        assert_same(dict(back), dict(value))
    else:
        assert repr(back) == repr(value), "also the sign of zero, the fold of a time"
        assert "nan" in repr(value).lower() or back == value


def registry() -> TypeRegistry:
    """Everything above."""
    types = TypeRegistry()
    kinds: list[Any] = [Point, Pair, Guarded, Step, Color, Level, Word, Access, Order, Open, Names]
    for kind in kinds:
        types.add(kind)
    types.adapt(Money, "money", lambda money: money.cents, Money)
    return types


def codec() -> Codec:
    """A codec that knows everything above."""
    return Codec(registry())
