"""One bit of what is stored flips, anywhere: whoever reads it is told, and never gets another value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.checkpoint.lines import decode_record, decode_value, encode_record, encode_value
from distgraph.cluster.registry import codec_for
from distgraph.cluster.rows import item_data, result_row, split_item_data, split_row
from distgraph.errors import CheckpointCorruptError, CodecError
from distgraph.superstep.model import Checkpoint

pytestmark = pytest.mark.property

CODECS = [codec_for(), codec_for(secret=b"secret")]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
keys = st.none() | st.text(max_size=9) | st.integers()


def flipped(data: bytes, at: int) -> bytes:
    """With one bit changed."""
    damaged = bytearray(data)
    at %= 8 * len(data)
    damaged[at // 8] ^= 1 << at % 8
    return bytes(damaged)


def refused(read: Any, data: bytes, at: int) -> None:
    with pytest.raises((CheckpointCorruptError, CodecError)):
        read(flipped(data, at))


@given(values, st.integers(0), st.sampled_from(CODECS))
def test_a_value_of_a_checkpoint(value: Any, at: int, codec: Any) -> None:
    refused(lambda data: decode_value(codec, "key", data), encode_value(codec, "key", value), at)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=4), st.integers(0), st.sampled_from(CODECS))
def test_a_record_of_a_checkpoint(versions: dict[str, str], at: int, codec: Any) -> None:
    checkpoint = Checkpoint("id", "parent", 3, "loop", {}, versions, {}, None, "clock", "now")
    refused(lambda data: decode_record(codec, "id", data), encode_record(codec, checkpoint), at)


@given(keys, values, st.integers(0), st.sampled_from(CODECS))
def test_an_item_of_a_batch(key: Any, value: Any, at: int, codec: Any) -> None:
    def read(data: bytes) -> Any:
        named, given_value = split_item_data(codec, data)
        return codec.decode(named) if named else None, given_value

    refused(read, item_data(codec, key, value), at)


@given(st.sampled_from("df"), keys, values, st.integers(0), st.sampled_from(CODECS))
def test_a_result_of_an_item(kind: str, key: Any, value: Any, at: int, codec: Any) -> None:
    def read(row: bytes) -> Any:
        found, named, data = split_row(row)
        return found, codec.decode(named) if named else None, codec.decode(data)

    named = b"" if key is None else codec.encode(key)
    refused(read, result_row(kind, named, codec.encode(value)), at)


@given(st.lists(st.tuples(st.text(max_size=5), values), max_size=3), st.integers(0), st.sampled_from(CODECS))
def test_an_outcome_of_a_task(writes: list[tuple[str, Any]], at: int, codec: Any) -> None:
    refused(codec.decode, codec.encode([list(write) for write in writes]), at)
