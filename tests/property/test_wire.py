"""What is made of the known kinds comes back as it was; what is not a whole envelope does not come back at all."""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict, deque
from datetime import UTC, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.errors import CheckpointCorruptError, DistgraphError
from distgraph.wire import Codec, open_sealed, seal
from distgraph.wire.kinds import MAX_INT_BITS, REGISTERED
from tests.unit.wire.samples import (
    Access,
    Color,
    Level,
    Money,
    Names,
    Open,
    Pair,
    Point,
    Step,
    Word,
    assert_same,
    codec,
)

pytestmark = pytest.mark.property

CODEC = codec()
SIGNED = Codec(CODEC.registry, secret=b"secret")

offsets = st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23)).map(timezone)
zones = (
    st.none() | st.just(UTC) | st.sampled_from(["Europe/Paris", "Asia/Kolkata", "Etc/GMT+5"]).map(ZoneInfo) | offsets
)
enums = st.sampled_from([*Color, *Level, *Word, *Access, Access.READ | Access.WRITE])
numbers = (
    st.integers()
    | st.integers(min_value=-(2**MAX_INT_BITS) + 1, max_value=2**MAX_INT_BITS - 1)
    | st.floats()
    | st.complex_numbers()
    | st.decimals()
)
moments = (
    st.datetimes(timezones=zones) | st.times(timezones=st.none() | offsets) | st.dates() | st.timedeltas() | offsets
)
texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.none() | st.booleans() | numbers | texts | st.binary() | moments | st.uuids() | enums
# Not a number is not equal to itself: as a key it would get lost before any codec sees it.
keys = texts | st.integers() | st.booleans() | st.none() | st.binary() | st.uuids() | st.dates() | enums
hashables = st.recursive(
    keys,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3) | st.builds(Pair, inner, inner)
    ),
    max_leaves=5,
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Everything that holds other values."""
    lists = st.lists(inner, max_size=5)
    dicts = st.dictionaries(hashables, inner, max_size=5)
    return st.one_of(
        *(lists, lists.map(tuple), lists.map(deque), lists.map(lambda items: deque(items, maxlen=9))),
        *(dicts, dicts.map(OrderedDict), st.dictionaries(hashables, st.integers()).map(Counter)),
        *(st.sets(hashables, max_size=5), st.frozensets(hashables, max_size=5), st.binary().map(bytearray)),
        *(st.builds(Point, inner, inner), st.builds(Pair, inner, inner), st.builds(Step, texts, inner)),
        st.builds(lambda name, more: Open.model_construct(name=name, more=more), texts, inner),
        *(st.lists(texts, max_size=3).map(Names), st.integers().map(Money)),
    )


values = st.recursive(scalars, containers, max_leaves=25)


@given(values)
def test_every_value_comes_back_equal_and_of_the_same_types(value: Any) -> None:
    assert_same(CODEC.decode(CODEC.encode(value)), value)
    assert_same(SIGNED.decode(SIGNED.encode(value, context=b"here"), context=b"here"), value)


@given(values)
def test_a_value_read_back_is_stored_as_the_same_bytes(value: Any) -> None:
    """So digests of stored values may be compared."""
    data = CODEC.encode(value)
    assert CODEC.encode(CODEC.decode(data)) == data


@given(values, st.data())
def test_a_damaged_envelope_never_gives_a_value(value: Any, data: st.DataObject) -> None:
    for each in (CODEC, SIGNED):
        stored = bytearray(each.encode(value))
        place = data.draw(st.integers(min_value=0, max_value=len(stored) - 1))
        stored[place] ^= data.draw(st.integers(min_value=1, max_value=255))
        with pytest.raises(CheckpointCorruptError):
            each.decode(bytes(stored))


@given(values, st.data())
def test_a_payload_changed_behind_a_right_checksum_gives_a_value_or_one_of_our_errors(
    value: Any, data: st.DataObject
) -> None:
    """Who can write the store can write such bytes: they must never reach the caller as some library's error."""
    payload = bytearray(CODEC.pack(value))
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        place = data.draw(st.integers(min_value=0, max_value=len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        if not payload:
            break
    with contextlib.suppress(DistgraphError):
        CODEC.decode(seal(bytes(payload)))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_give_our_errors_only(noise: bytes) -> None:
    with pytest.raises(DistgraphError):
        CODEC.decode(noise)
    with contextlib.suppress(DistgraphError):
        CODEC.unpack(noise)


contents = st.recursive(
    st.none() | st.integers(-9, 9) | texts | st.binary(max_size=9), lambda inner: st.lists(inner, max_size=9)
)
names = st.sampled_from([shape.prefix for shape in CODEC.registry.by_type.values()])


@given(st.integers(0, 127), contents)
def test_a_kind_with_foreign_contents_gives_a_value_or_one_of_our_errors(code: int, content: Any) -> None:
    with contextlib.suppress(DistgraphError):
        CODEC.unpack(msgpack.packb(msgpack.ExtType(code, msgpack.packb(content))))


@given(names, contents | st.dictionaries(texts, contents, max_size=3))
def test_a_type_with_foreign_contents_gives_a_value_or_one_of_our_errors(prefix: bytes, content: Any) -> None:
    with contextlib.suppress(DistgraphError):
        CODEC.unpack(msgpack.packb(msgpack.ExtType(REGISTERED, prefix + msgpack.packb(content))))


@given(st.binary(), st.binary(), st.binary(min_size=1) | st.none())
def test_an_envelope_opens_in_its_own_context_only(payload: bytes, context: bytes, secret: bytes | None) -> None:
    sealed = seal(payload, secret=secret, context=context)
    assert open_sealed(sealed, secret=secret, context=context) == payload
    with pytest.raises(CheckpointCorruptError):
        open_sealed(sealed, secret=secret, context=context + b"\x01")
