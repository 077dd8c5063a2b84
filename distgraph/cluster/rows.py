"""A batch's items and result rows in bytes: what its submitter writes and its drivers read, and the other way round."""

from __future__ import annotations

from typing import Any

from distgraph.wire import Codec


def item_data(codec: Codec, key: Any, value: Any) -> bytes:
    """One item as its batch stores it: the length of the key, the key, the input."""
    named = b"" if key is None else codec.encode(key)
    return len(named).to_bytes(4, "big") + named + codec.encode(value)


def split_item_data(codec: Codec, data: bytes) -> tuple[bytes, Any]:
    """(key as stored, input) from ``item_data``."""
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size], codec.decode(data[4 + size :])


def result_row(kind: str, key: bytes, data: bytes) -> bytes:
    """A batch item's row: 'd' (done) or 'f' (failed), the length of the item's key, the key, the output or error."""
    return kind.encode() + len(key).to_bytes(4, "big") + key + data


def split_row(row: bytes) -> tuple[str, bytes, bytes]:
    """(kind, key, data) from ``result_row``."""
    size = int.from_bytes(row[1:5], "big")
    return chr(row[0]), row[5 : 5 + size], row[5 + size :]
