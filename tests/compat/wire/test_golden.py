"""What a released distgraph has stored, every later one reads: bytes in ``golden.json`` are added, never changed.

A new kind needs a new entry: write its value below, and the failing test prints the line to add.
"""

from __future__ import annotations

import enum
import json
import re
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, ConfigDict

from distgraph.wire import Codec, TypeRegistry
from distgraph.wire.kinds import KINDS
from tests.unit.wire.samples import assert_same

pytestmark = pytest.mark.unit

GOLDEN: dict[str, str] = json.loads(Path(__file__).with_name("golden.json").read_text())
SECRET = b"a secret for golden files"
CONTEXT = b"thread/1"


@dataclass(frozen=True)
class Point:
    x: int
    y: Any = None


class Step(NamedTuple):
    name: str
    cost: float


class Color(enum.Enum):
    RED = "r"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Order(BaseModel):
    model_config = ConfigDict(extra="allow")

    sku: str
    amount: int = 1


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees

    def __repr__(self) -> str:
        return f"Celsius({self.degrees})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Celsius) and other.degrees == self.degrees

    def __hash__(self) -> int:
        return hash(self.degrees)


def registry() -> TypeRegistry:
    types = TypeRegistry()
    for cls in (Point, Step, Color, Access, Order):
        types.add(cls, name=f"golden.{cls.__name__}")
    types.adapt(Celsius, "golden.Celsius", lambda value: value.degrees, Celsius)
    return types


VALUES: dict[str, Any] = {
    "plain": {
        "none": None,
        "yes": True,
        "int": -7,
        "float": 1.5,
        "text": "naïve ☃",
        "bytes": b"\x00\xff",
        "list": [1, [2]],
    },
    "keys": {2: "int", None: "none", b"b": "bytes", 2.5: "float", (1, 2): "tuple"},
    "tuple": (1, ("a", ())),
    "set": {1, "a", b"c", (2, 3)},
    "frozenset": frozenset({frozenset({1}), "x"}),
    "deque": deque([1, 2], maxlen=4),
    "int": [2**64, -(2**100), 2**4096 - 1],
    "bytearray": bytearray(b"abc"),
    "complex": complex(1.5, -0.0),
    "Decimal": [Decimal("1.10"), Decimal("-Infinity"), Decimal("1E+400")],
    "UUID": UUID("12345678-1234-5678-1234-567812345678"),
    "datetime": [
        datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC),
        datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
        datetime(2024, 1, 1),  # noqa: DTZ001 - naive ones count too
    ],
    "date": date(2024, 2, 29),
    "time": [time(1, 2, 3, 4), time(1, tzinfo=UTC)],
    "timedelta": timedelta(days=-1, seconds=5, microseconds=7),
    "timezone": [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-1), "minus one")],
    "ZoneInfo": ZoneInfo("America/Argentina/Buenos_Aires"),
    "OrderedDict": OrderedDict([("b", 1), ("a", [2])]),
    "Counter": Counter({"a": 2, ("b",): -1}),
    type(Path()).__name__: [Path("a/b"), Path("/")],
    "PurePosixPath": PurePosixPath("/a b"),
    "PureWindowsPath": PureWindowsPath("C:\\a"),
    "Pattern": [re.compile("a+"), re.compile(b".", re.DOTALL)],
    "IPv4Address": IPv4Address("1.2.3.4"),
    "IPv4Interface": IPv4Interface("10.0.0.1/8"),
    "IPv4Network": IPv4Network("10.0.0.0/8"),
    "IPv6Address": IPv6Address("::1"),
    "IPv6Interface": IPv6Interface("fe80::1/64"),
    "IPv6Network": IPv6Network("fe80::/10"),
    "defaultdict": [defaultdict(list, a=[1]), defaultdict(None)],
    "dataclass": Point(1, Point(2)),
    "namedtuple": Step("s", 2.5),
    "enum": [Color.RED, Access.READ | Access.WRITE],
    "model": Order.model_validate({"sku": "x", "more": (1,)}),
    "adapter": [Celsius(21.5)],
    "compressed": {"text": "all work and no play " * 5000},
    "signed": {"a": (1, 2)},
}


def codec_for(name: str) -> Codec:
    return Codec(registry(), secret=SECRET if name == "signed" else None)


@pytest.mark.parametrize("name", VALUES)
def test_bytes_of_every_release_are_read(name: str) -> None:
    codec = codec_for(name)
    stored = GOLDEN.get(name)
    assert stored is not None, f'add to golden.json: "{name}": "{codec.encode(VALUES[name], context=CONTEXT).hex()}"'
    assert_same(codec.decode(bytes.fromhex(stored), context=CONTEXT), VALUES[name])


def test_every_entry_has_its_value() -> None:
    assert set(GOLDEN) == set(VALUES)


def test_every_kind_has_an_entry() -> None:
    assert {kind.type.__name__ for kind in KINDS} <= set(GOLDEN)
