"""The codec under the names that savers and caches have for it: values in sealed envelopes."""

from __future__ import annotations

from typing import Any

from distgraph.wire import Codec


class SealedSerializer:
    """Values to (kind, envelope) and back."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind of the bytes and the bytes.

        Raises:
            CodecError: something in ``obj`` cannot be stored.
        """
        return "msgpack", self._codec.encode(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The value that ``dumps_typed`` was given.

        Raises:
            CheckpointCorruptError: the bytes are damaged.
        """
        return self._codec.decode(data[1])
