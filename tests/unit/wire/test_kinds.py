"""Built-in kinds come back equal and of the same type."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
from pydantic import TypeAdapter

from distgraph.errors import CheckpointCorruptError, CodecError
from distgraph.wire import Codec
from distgraph.wire.kinds import BY_TYPE, KINDS, MAX_INT_BITS
from tests.unit.wire.samples import assert_same

pytestmark = pytest.mark.unit

CODEC = Codec()
PARIS = ZoneInfo("Europe/Paris")

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 2**63, 2**64 - 1, -(2**63), 0.0, -0.0, 1e308, 5e-324, math.inf, -math.inf),
    *("", "text", "naïve ☃ 𝄞", "\0", b"", b"\xff\x00"),
    *([], {}, [[]], {"a": {"b": [1, 2.5, None]}}, {1: "a", None: "b", 2.5: "c", b"k": "d", (1, 2): "e"}),
    *((), (1,), (1, (2, [3, (4,)])), set(), {1, "a", (2, 3)}, frozenset(), frozenset({frozenset({1})})),
    *(deque([1, 2]), deque([1, 2], maxlen=5), deque(maxlen=0), bytearray(b""), bytearray(b"\x00\xff" * 200)),
    *(2**64, -(2**63) - 1, 2**127, -(2**127), 2**MAX_INT_BITS - 1, -(2**MAX_INT_BITS) + 1),
    *(1 + 2j, complex(-0.0, math.inf), UUID(int=0), UUID("12345678-1234-5678-1234-567812345678")),
    *(Decimal("1.10"), Decimal("-0"), Decimal("1E+1000"), Decimal("Infinity"), Decimal("0." + "1" * 100)),
    *(date.min, date.max, date(2024, 2, 29), datetime.min, datetime.max, datetime(2024, 1, 1, 1, 2, 3, 4)),  # noqa: DTZ001, DTZ901 - naive ones count too
    *(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 7, 1, tzinfo=PARIS)),
    *(datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),),
    *(datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=1, microseconds=5), "odd")),),
    *(time(), time(23, 59, 59, 999999), time(1, tzinfo=UTC), time(1, tzinfo=PARIS), time(2, fold=1)),
    *(timedelta.min, timedelta.max, timedelta(), timedelta(days=-1, microseconds=1)),
    *(UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=2), "two"), PARIS, ZoneInfo("Etc/GMT+5")),
    *(OrderedDict([("b", 1), ("a", 2)]), Counter("abracadabra"), Counter({"a": -1})),
    *(Path("a/b"), Path("/"), Path(), PurePosixPath("/a b"), PureWindowsPath("C:\\a")),
    *(re.compile("a+"), re.compile(b"\x00.", re.DOTALL), re.compile("ß", re.I | re.ASCII)),
    *(ip_address("1.2.3.4"), ip_interface("10.0.0.1/8"), ip_network("10.0.0.0/8")),
    *(ip_address("::1"), ip_interface("fe80::1%eth0/64"), ip_network("fe80::/10")),
    *(defaultdict(list, a=[1]), defaultdict(None), defaultdict(int, {(1, 2): 3})),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}:{value!r:.30}")
def test_a_value_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    for wrapped in (value, [value], {"k": value}, (value, (value,))):
        assert_same(CODEC.decode(CODEC.encode(wrapped)), wrapped)


def test_every_kind_is_tried_above() -> None:
    assert {kind.type for kind in KINDS} <= {type(value) for value in VALUES}


def test_not_a_number_is_kept() -> None:
    assert math.isnan(CODEC.unpack(CODEC.pack(math.nan)))
    assert CODEC.unpack(CODEC.pack(Decimal("NaN123"))).compare_total(Decimal("NaN123")) == 0
    assert CODEC.unpack(CODEC.pack(Decimal("sNaN"))).is_snan()


def test_the_second_of_two_equal_hours_stays_the_second() -> None:
    """When clocks go back an hour happens twice; only ``fold`` tells which."""
    twice = datetime(2024, 10, 27, 2, 30, tzinfo=PARIS)
    first, second = (CODEC.unpack(CODEC.pack(twice.replace(fold=fold))) for fold in (0, 1))
    assert (first.fold, second.fold) == (0, 1)
    assert first.utcoffset() != second.utcoffset()


def test_a_deque_keeps_its_limit() -> None:
    assert CODEC.unpack(CODEC.pack(deque([1], maxlen=3))).maxlen == 3


def test_an_ordered_dict_keeps_its_order() -> None:
    back = CODEC.unpack(CODEC.pack(OrderedDict([("b", 1), ("a", 2)])))
    back.move_to_end("b")
    assert list(back) == ["a", "b"]


def test_a_counter_still_counts() -> None:
    back = CODEC.unpack(CODEC.pack(Counter("aab")))
    assert back["missing"] == 0
    assert (back + Counter("a"))["a"] == 3


def test_time_zones_are_shared_as_they_were() -> None:
    assert CODEC.unpack(CODEC.pack(PARIS)) is PARIS
    assert CODEC.unpack(CODEC.pack(UTC)) is UTC
    assert CODEC.unpack(CODEC.pack(datetime(2024, 1, 1, tzinfo=UTC))).tzinfo is UTC


def test_timestamps_that_pydantic_parsed_are_stored_with_a_plain_time_zone() -> None:
    parsed = TypeAdapter(datetime).validate_python("2024-01-01T00:00:00+02:00")
    back = CODEC.unpack(CODEC.pack(parsed))
    assert back == parsed
    assert back.tzinfo == timezone(timedelta(hours=2))
    assert type(back.tzinfo) is timezone


def test_equal_sets_have_equal_bytes() -> None:
    """Digests of inputs must not depend on a process's hash seed or on insertion order."""
    words = [f"word {number}" for number in range(100)]
    assert CODEC.encode(set(words)) == CODEC.encode(set(reversed(words)))
    assert CODEC.encode(frozenset(words)) == CODEC.encode(frozenset(words[50:] + words[:50]))


def test_bytes_in_many_places_are_not_mistaken_for_bytearrays() -> None:
    value = {"b": b"x", "l": [b"y" * 300, bytearray(b"z"), {"deep": [bytearray(b"w")]}], b"k": b"y" * 70_000}
    back = CODEC.unpack(CODEC.pack(value))
    assert back == value
    assert [type(part) for part in back["l"][:2]] == [bytes, bytearray]
    assert type(back["l"][2]["deep"][0]) is bytearray


def test_an_int_has_a_limit() -> None:
    for number in (2**MAX_INT_BITS, -(2**MAX_INT_BITS)):
        with pytest.raises(CodecError, match=r"\$\.n: an int of 4097 bits; the limit is 4096"):
            CODEC.encode({"n": number})


def bare(code: int, content: Any) -> bytes:
    """An extension with contents of one's choice, as nobody's ``pack`` would write it."""
    packed: bytes = msgpack.packb(msgpack.ExtType(code, msgpack.packb(content)))
    return packed


@pytest.mark.parametrize(
    ("code", "content"),
    [
        (2, [[1]]),
        (3, [{}]),
        (4, [1, 2, 3]),
        (4, "text"),
        (5, b"\x01" * 600),
        (5, "5"),
        (6, "text"),
        (7, ["1", 2]),
        (8, "no number"),
        (8, ["x"]),
        (9, b"short"),
        (10, [2024]),
        (10, [2024, 13, 1, 0, 0, 0, 0, 0, None]),
        (10, [2024, 1, 1, 0, 0, 0, 0, 0, "UTC"]),
        (11, -5),
        (12, [25, 0, 0, 0, 0, None]),
        (13, ["a"]),
        (14, [9, 0, 0, None]),
        (15, "../../etc/passwd"),
        (15, "/etc/localtime"),
        (16, ["odd"]),
        (17, 3),
    ],
)
def test_forged_contents_of_a_kind_are_damage(code: int, content: Any) -> None:
    with pytest.raises(CheckpointCorruptError):
        CODEC.unpack(bare(code, content))


def test_a_time_zone_that_this_machine_lacks_is_named() -> None:
    with pytest.raises(CodecError, match="'Mars/Olympus' of a stored value is unknown on this machine"):
        CODEC.unpack(bare(15, "Mars/Olympus"))


def test_a_stored_pattern_prints_nothing_when_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    flags = re.compile("a").flags
    assert BY_TYPE[re.Pattern].make(["a", flags | int(re.DEBUG)]).flags == flags
    assert capsys.readouterr().out == ""


def test_a_path_of_another_system_is_read_as_one_of_this() -> None:
    assert BY_TYPE[type(Path())].make("a/b/c") == Path("a", "b", "c")
