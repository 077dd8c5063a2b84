"""A batch's items and result rows in bytes: what its submitter writes and its drivers read, and the other way round."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distgraph.errors import CheckpointCorruptError
from distgraph.wire import Codec

#: Kind, length of the key, checksum of both and of the key. The output or error after it has a checksum of its own.
_HEAD = 9


def item_data(codec: Codec, key: Any, value: Any) -> bytes:
    """One item as its batch stores it: the length of the key, the key, the input."""
    named = b"" if key is None else codec.encode(key)
    return len(named).to_bytes(4, "big") + named + codec.encode(value)


def split_item_data(codec: Codec, data: bytes) -> tuple[bytes, Any]:
    """(key as stored, input) from ``item_data``.

    Raises:
        CheckpointCorruptError: the input is damaged.
    """
    key = item_key(data)
    return key, codec.decode(data[4 + len(key) :])


def item_key(data: bytes) -> bytes:
    """The key as stored, from ``item_data``; of an item whose input is damaged, too."""
    return data[4 : 4 + int.from_bytes(data[:4], "big")]


def result_row(kind: str, key: bytes, data: bytes) -> bytes:
    """A batch item's row: kind, length of the item's key, a checksum, the key, the rest.

    Kinds: 'd' done, 'f' failed, 'c' cancelled apart from its batch. The checksum is of all before and of the key: a damaged
    row must not show a failure as a result.
    """
    head = kind.encode() + len(key).to_bytes(4, "big")
    return head + zlib.crc32(key, zlib.crc32(head)).to_bytes(4, "big") + key + data


def split_row(row: bytes) -> tuple[str, bytes, bytes]:
    """(kind, key, data) from ``result_row``.

    Raises:
        CheckpointCorruptError: it is damaged.
    """
    size = int.from_bytes(row[1:5], "big")
    key = row[_HEAD : _HEAD + size]
    if len(row) < _HEAD + size or zlib.crc32(key, zlib.crc32(row[:5])) != int.from_bytes(row[5:_HEAD], "big"):
        raise CheckpointCorruptError("Stored value is damaged: the checksum of this result's row is wrong.")
    return chr(row[0]), key, row[_HEAD + size :]


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Says what was read where something damaged is read inside.

    Raises:
        CheckpointCorruptError: of the same class, its text begins with ``what``.
    """
    try:
        yield
    except CheckpointCorruptError as exc:
        raise type(exc)(f"{what}: {exc}") from exc
