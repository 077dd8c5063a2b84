"""The codec keeps values exactly, or says which part it cannot keep."""

from __future__ import annotations

import enum
import importlib
import re
import sys
import threading
from collections import ChainMap, OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest
from pydantic import SecretStr

from distgraph.errors import (
    CheckpointCorruptError,
    CodecError,
    ConfigError,
    DistgraphError,
    NewerFormatError,
    TamperedDataError,
    UntrustedTypeError,
)
from distgraph.wire import Codec, TypeRegistry, seal
from distgraph.wire.kinds import REGISTERED
from tests.unit.wire.samples import Guarded, Level, Open, Pair, Point, Step, assert_same, codec

pytestmark = pytest.mark.unit

CODEC = codec()


class Text(str):
    pass


class Whole(enum.IntEnum):
    ONE = 1


class OddPath(PurePosixPath):
    pass


class OddZone(tzinfo):
    def utcoffset(self, moment: datetime | None) -> timedelta:
        return timedelta()

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "odd"


def nested(depth: int, wrap: Callable[[Any], Any] = lambda inner: [inner], core: Any = 0) -> Any:
    for _ in range(depth):
        core = wrap(core)
    return core


# ---- what cannot be stored


@pytest.mark.parametrize(
    ("value", "path", "why"),
    [
        (lambda: 0, "$", "type builtins.function is not storable. Register a dataclass"),
        ({"a": [1, 2, 3, {"b": threading.Lock()}]}, "$.a[3].b", "type _thread.lock is not storable"),
        ({"a": (1, {object()})}, "$.a[1]{}", "type builtins.object is not storable"),
        ({"g": iter([1])}, "$.g", "type builtins.list_iterator"),
        ({"m": sys}, "$.m", "type builtins.module"),
        ({"odd key!": object}, "$['odd key!']", "type builtins.type"),
        ({7: object()}, "$[7]", "type builtins.object"),
        ({(1, 2): object()}, "$[<tuple>]", "type builtins.object"),
        ({"k": {Text("t"): 1}}, "$.k['t'] (the key)", "It is a subclass of str"),
        (Pair(1, [ValueError("x")]), "$.right[0]", "type builtins.ValueError"),
        ([Step("a", 1j), Step("b", range(3))], "$[1].cost", "type builtins.range"),  # type: ignore[arg-type]
        ({"s": SecretStr("hush")}, "$.s", "type pydantic.types.SecretStr is not storable"),
        ({"p": Path("bad \ud800")}, "$.p", "a str with a lone surrogate at index 4"),
        ({"p": OddPath("x")}, "$.p", "OddPath is not storable. Use pathlib.Path"),
        ({"r": re.compile("\ud800")}, "$.r", "a str with a lone surrogate at index 0"),
        ({"t": Text("t")}, "$.t", "would come back as a plain str"),
        (
            {"e": Whole.ONE},
            "$.e",
            "It is a subclass of int and would come back as a plain int: convert it, or register",
        ),
        (
            {"d": defaultdict(object)},
            "$.d",
            "a defaultdict of <class 'object'>, which is no built-in type: use dict(...)",
        ),
        ({"d": defaultdict(list, a=[object()])}, "$.d.a[0]", "type builtins.object"),
        ({"d": ChainMap({})}, "$.d", "type collections.ChainMap is not storable"),
        ({"d": UserDict()}, "$.d", "type collections.UserDict is not storable"),
        ({"o": OrderedDict(x=object())}, "$.o.x", "type builtins.object"),
        ({"v": memoryview(b"x")}, "$.v", "Convert it with bytes(...)"),
        ({memoryview(b"x"): 1}, "$[<memoryview>] (the key)", "Convert it with bytes(...)"),
        (
            {"d": datetime(2024, 1, 1, tzinfo=OddZone())},
            "$.d",
            "a time zone of type tests.unit.wire.test_codec.OddZone",
        ),
        ({"t": ["ok", "bad \ud800"]}, "$.t[1]", "a str with a lone surrogate at index 4"),
        ({"\udfff": 1}, "$['\\udfff'] (the key)", "a str with a lone surrogate at index 0"),
        ({"n": 2**4096}, "$.n", "an int of 4097 bits; the limit is 4096"),
        ({"long" * 40: object()}, f"$.{'long' * 15}...", "type builtins.object"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_cannot_be_stored_is_named_with_path_type_and_advice(value: Any, path: str, why: str) -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.encode(value)
    assert str(caught.value).startswith(f"Cannot store {path}: ")
    assert why in str(caught.value)
    assert "hush" not in str(caught.value)


def test_numpy_values_are_refused_with_their_own_advice() -> None:
    numpy_like = type("float64", (float,), {"__module__": "numpy"})
    with pytest.raises(CodecError, match=r"type numpy\.float64 is not storable. Convert it to plain Python data"):
        CODEC.encode({"x": numpy_like(1.5)})


def test_the_cause_is_kept() -> None:
    with pytest.raises(CodecError) as caught:
        CODEC.encode("\ud800")
    assert isinstance(caught.value.__cause__, UnicodeEncodeError)


def cyclic_list() -> Any:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def cyclic_object() -> Any:
    point = Point(1)
    point.x = (point,)  # type: ignore[assignment]
    return point


def cycle_through_long_lists() -> Any:
    """Deep on the C stack: 500 lists between two extensions, over and over."""
    ends: list[Any] = [None]
    value = nested(500, core=ends)
    ends[0] = (value,)
    return value


@pytest.mark.parametrize(
    ("cyclic", "message"),
    [
        (cyclic_list, r"Cannot store \$\[1\]\.again: it contains itself"),
        (cyclic_object, r"Cannot store \$\.x\[0\]: it contains itself"),
        (cycle_through_long_lists, "it is nested deeper than 64 levels"),
    ],
)
def test_a_cycle_is_an_error_not_a_crash(cyclic: Callable[[], Any], message: str) -> None:
    with pytest.raises(CodecError, match=message):
        CODEC.encode(cyclic())


def test_the_same_object_twice_is_no_cycle() -> None:
    shared = [1]
    assert CODEC.decode(CODEC.encode([shared, shared, {"k": shared}])) == [[1], [1], {"k": [1]}]


# ---- limits


@pytest.mark.parametrize(
    "wrap",
    [
        *(lambda inner: [inner], lambda inner: {"k": inner}, lambda inner: (inner,), lambda inner: Step(inner)),
        *(lambda inner: Point(inner), lambda inner: frozenset({inner}), lambda inner: deque([inner])),
        *(lambda inner: OrderedDict(k=inner), lambda inner: Open.model_construct(name="n", more=inner)),
    ],
    ids=["list", "dict", "tuple", "namedtuple", "dataclass", "frozenset", "deque", "OrderedDict", "model"],
)
@pytest.mark.parametrize("core", [0, "text", b"x", datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Paris"))], ids=repr)
def test_the_depth_limit_is_exact(wrap: Callable[[Any], Any], core: Any) -> None:
    fits = nested(64, wrap, core)
    assert CODEC.decode(CODEC.encode(fits)) == fits
    with pytest.raises(CodecError, match="nested deeper than 64 levels"):
        CODEC.encode([fits])


def test_depth_counts_all_kinds_together() -> None:
    pairs = nested(31, lambda inner: Pair([inner], (1,)))  # two levels each
    assert CODEC.decode(CODEC.encode([[pairs]])) == [[pairs]]
    with pytest.raises(CodecError, match=r"Cannot store \$\[0\]\[0\]\[0\]\.left.*: it is nested deeper than 64"):
        CODEC.encode([[[pairs]]])


def test_wide_values_are_not_mistaken_for_deep_ones() -> None:
    value = {"rows": [{"id": number, "pair": (number, Point(number))} for number in range(1000)]}
    assert_same(CODEC.decode(CODEC.encode(value)), value)


@pytest.mark.parametrize("depth", [65, 500, 1000, 100_000])
def test_stored_values_that_nest_too_deep_are_refused(depth: int) -> None:
    with pytest.raises(DistgraphError):
        CODEC.decode(seal(b"\x91" * depth + b"\x00"))


def test_stored_extensions_that_nest_too_deep_are_refused() -> None:
    packed = b"\x90"
    for _ in range(200):
        packed = msgpack.packb(msgpack.ExtType(1, b"\x91" + packed))
    with pytest.raises(CodecError, match="nested deeper than 64"):
        CODEC.unpack(packed)


def test_the_size_limit_is_exact() -> None:
    small = Codec(max_bytes=100)
    assert small.decode(small.encode("x" * 98)) == "x" * 98
    with pytest.raises(CodecError, match="it takes 101 bytes packed, the limit is 100"):
        small.encode("x" * 99)
    with pytest.raises(CodecError, match="too large: 101 bytes"):
        small.decode(CODEC.encode("x" * 99))
    with pytest.raises(CodecError, match="has 101 bytes; the limit here is 100"):
        small.unpack(CODEC.pack("x" * 99))


def test_a_limit_of_its_own_for_each_codec() -> None:
    shallow = Codec(max_depth=2)
    assert shallow.decode(shallow.encode([[1]])) == [[1]]
    with pytest.raises(CodecError, match="nested deeper than 2 levels"):
        shallow.encode([[[1]]])
    with pytest.raises(CodecError, match="nested deeper than 2 levels"):
        shallow.decode(CODEC.encode([[[1]]]))


# ---- what is read


def test_pack_and_unpack_use_no_envelope() -> None:
    assert CODEC.pack({"a": 1}) == msgpack.packb({"a": 1})
    for data in (b"\x81\xa1a\x01", bytearray(b"\x81\xa1a\x01"), memoryview(b"\x81\xa1a\x01")):
        assert CODEC.unpack(data) == {"a": 1}


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x91", b"\xdd\xff\xff\xff\xff", b"\xa3ab", b"\xa1\xff", b"\x00\x00", b"\x81\x90\x01", b"\xc7\xff"],
)
def test_a_payload_that_is_no_msgpack_is_damage(payload: bytes) -> None:
    with pytest.raises(CheckpointCorruptError, match="content cannot be read"):
        CODEC.decode(seal(payload))


@pytest.mark.parametrize("code", [0, 31, 63, 65, 127])
def test_an_unknown_kind_is_named(code: int) -> None:
    with pytest.raises(UntrustedTypeError, match=f"the unknown kind {code}:"):
        CODEC.unpack(msgpack.packb([msgpack.ExtType(code, b"\xc0")]))


@pytest.mark.parametrize("name", ["os:system", "builtins:eval", "subprocess:Popen", "", "x" * 300])
def test_a_type_id_is_only_looked_up(name: str) -> None:
    data = len(name).to_bytes(2, "big") + name.encode() + msgpack.packb("true")
    with pytest.raises(UntrustedTypeError, match="not registered here; nothing was imported or called"):
        CODEC.unpack(msgpack.packb(msgpack.ExtType(REGISTERED, data)))


class Sentinel:
    """Stands first among the importers and notes who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        self.asked.append(name)


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch) -> Sentinel:
    watcher = Sentinel()
    monkeypatch.setattr(sys, "meta_path", [watcher, *sys.meta_path])
    return watcher


def test_decoding_imports_nothing(sentinel: Sentinel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for values of any kind, nor for bytes that ask for it."""
    monkeypatch.delitem(sys.modules, "this", raising=False)
    values = [datetime(2024, 1, 1, tzinfo=UTC), {1, (2, 3)}, Guarded([1], made=True), Level.HIGH, 2**70]
    data = CODEC.encode(values)
    hostile = [
        b"\x80\x04cthis\nc\n.",
        b'{"lc": 2, "type": "constructor", "id": ["this", "s"]}',
        seal(msgpack.packb(msgpack.ExtType(REGISTERED, b"\x00\x06this:s\x90"))),
        seal(msgpack.packb({"lc": 2, "type": "constructor", "id": ["this", "s"]})),
        seal(msgpack.packb(msgpack.ExtType(5, b"\x91\xa4this"))),
    ]
    sentinel.asked.clear()
    assert CODEC.decode(data) == values
    for stored in hostile:
        try:
            CODEC.decode(stored)
        except DistgraphError:
            continue
    assert sentinel.asked == []
    assert "this" not in sys.modules

    with pytest.raises(ImportError):
        importlib.import_module("no_such_module_anywhere")
    assert sentinel.asked == ["no_such_module_anywhere"], "the sentinel does see imports"


def test_what_looks_like_another_serialisers_object_stays_data() -> None:
    value = {"lc": 2, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}
    assert CODEC.decode(CODEC.encode(value)) == value


def test_damage_and_newer_formats_are_told_apart() -> None:
    data = CODEC.encode({"a": 1})
    with pytest.raises(CheckpointCorruptError):
        CODEC.decode(data[:-1] + b"\x02")
    newer = seal(b"\x01").replace(b"DG\x01", b"DG\x02")
    with pytest.raises(CheckpointCorruptError):
        CODEC.decode(newer)
    assert not issubclass(NewerFormatError, CheckpointCorruptError)


# ---- secrets and relatives


def test_a_secret_signs_and_demands_signatures() -> None:
    signed = Codec(secret=b"secret")
    assert signed.decode(signed.encode([1])) == [1]
    with pytest.raises(TamperedDataError):
        signed.decode(Codec().encode([1]))
    with pytest.raises(TamperedDataError):
        Codec().decode(signed.encode([1]))


def test_an_empty_secret_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="secret is empty"):
        Codec(secret=b"")


def test_a_value_belongs_to_its_context() -> None:
    data = CODEC.encode([1], context=b"a")
    assert CODEC.decode(data, context=b"a") == [1]
    with pytest.raises(CheckpointCorruptError):
        CODEC.decode(data, context=b"b")


def test_a_codec_for_other_types_keeps_everything_else() -> None:
    types = TypeRegistry()
    types.add(Point)
    plain = Codec(secret=b"secret", max_bytes=50, max_depth=3)
    other = plain.with_types(types)
    assert other.registry is types
    assert plain.decode(other.encode([1])) == [1], "the same secret"
    assert other.decode(other.encode(Point(1))) == Point(1)
    assert (other.max_bytes, other.max_depth) == (50, 3)
    with pytest.raises(CodecError, match="is not storable"):
        plain.encode(Point(1))


def test_one_codec_serves_many_threads() -> None:
    """Each encodes extensions inside extensions, which re-enters the codec."""
    value = {"rows": [(number, {number}, Point(number)) for number in range(50)]}
    expected = CODEC.encode(value)
    wrong: list[bytes] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        for _ in range(30):
            data = CODEC.encode(value)
            if data != expected or CODEC.decode(data) != value:
                wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_value_is_not_changed_by_being_stored() -> None:
    value = {"b": bytearray(b"x"), "l": [Point(1), (1, [bytearray(b"y")])]}
    inner = value["l"]
    CODEC.encode(value)
    assert value["l"] is inner
    assert type(value["b"]) is bytearray
    assert inner[1] == (1, [bytearray(b"y")])  # type: ignore[index]


# ---- bytes that are known to be bytes


@pytest.mark.parametrize("signed", [False, True])
def test_what_stands_around_bytes_is_encoded_as_one_list(signed: bool) -> None:
    own = Codec(secret=b"s" if signed else None)
    before, blobs, after = ["step", 1, {"a": b"x"}], {"k": b"", "long": b"y" * 70_000}, [bytearray(b"z"), None]
    assert own.encode_around(before, blobs, after) == own.encode([*before, blobs, *after])
    assert own.encode_around([], {}, []) == own.encode([{}])
    with pytest.raises(CodecError, match="not storable"):
        own.encode_around([object()], {}, [])
    with pytest.raises(CodecError, match="max_bytes"):
        Codec(max_bytes=10).encode_around([], {"k": b"12345678901"}, [])
