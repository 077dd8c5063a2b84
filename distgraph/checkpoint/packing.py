"""What a superstep stores, in bytes: what its tasks wrote, and the values that came of it.

A value that a task wrote is packed once, though it is stored twice: with the writes, and as its channel's value, or as the
end of the list that the channel grew to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import is_
from typing import Any

from distgraph.checkpoint.lines import encode_value
from distgraph.constants import TASKS
from distgraph.types import Write
from distgraph.wire import Codec
from distgraph.wire.codec import array_header

#: Containers around a value where the writes of a task are stored: the list of them, and the pair.
_AROUND = 2


class Packing:
    """Packs what is stored at once; objects that change between two calls need another one."""

    __slots__ = ("_codec", "_written")

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        #: Channel -> what was written there last, and its bytes.
        self._written: dict[str, tuple[Any, bytes]] = {}

    def writes(self, writes: Sequence[Write]) -> bytes:
        """Writes of one task, in an envelope.

        Raises:
            CodecError: a value cannot be stored; the note names the keys.
        """
        parts = [array_header(len(writes))]
        try:
            for channel, value in writes:
                packed = self._codec.pack(value, inside=_AROUND)
                self._written[channel] = value, packed
                parts += (_pair(channel), packed)
            return self._codec.seal(b"".join(parts))
        except Exception as exc:
            exc.add_note(f"While storing writes to {', '.join(sorted({channel for channel, _ in writes}))}.")
            raise

    def value(self, channel: str, value: Any) -> bytes:
        """A channel's value, in an envelope.

        Raises:
            CodecError: it cannot be stored; the note names the key.
        """
        written, packed = self._written.get(channel, (None, b""))
        if packed and channel != TASKS:
            if written is value:
                return self._codec.seal(packed)
            if type(written) is list and type(value) is list and written and _ends_with(value, written):
                return self._grown(channel, value, len(value) - len(written), packed[len(array_header(len(written))) :])
        return encode_value(self._codec, channel, value)

    def _grown(self, channel: str, value: list[Any], before: int, end: bytes) -> bytes:
        """A list whose items from ``before`` on are packed already."""
        try:
            first = self._codec.pack(value[:before])[len(array_header(before)) :] if before else b""
            return self._codec.seal(array_header(len(value)) + first + end)
        except Exception as exc:
            exc.add_note(f"While storing the value of key {channel!r}.")
            raise


def _ends_with(value: list[Any], end: list[Any]) -> bool:
    """Whether ``value`` ends with these very objects."""
    before = len(value) - len(end)
    return before >= 0 and all(map(is_, end, value[before:] if before else value))


@lru_cache(maxsize=4096)
def _pair(channel: str) -> bytes:
    """How the pair of a channel and what was written to it begins."""
    from msgpack import packb

    head: bytes = packb(channel)
    return array_header(2) + head
