"""What caches have in common whose values outlive the process: sealed envelopes, and what cannot be read is not there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Self

from distgraph.cache.base import BaseCache, FullKey, ValueT
from distgraph.checkpoint.own import learn, own_codec
from distgraph.checkpoint.serde.sealed import SealedSerializer
from distgraph.errors import CheckpointCorruptError, CodecError
from distgraph.wire import Codec

log = logging.getLogger(__name__)


class CodedCache(BaseCache[ValueT]):
    """A cache that keeps bytes.

    A value that cannot be read - damaged, signed with another secret, of a type that is gone - is not there.

    Args:
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
    """

    def __init__(self, codec: Codec | None) -> None:
        self.codec = own_codec(codec)
        super().__init__(serde=SealedSerializer(self.codec))

    def with_types(self, types: Iterable[Any]) -> Self:
        """Let cached values hold these types too, and those that their fields mention. Of two with one name, the later.

        Returns:
            This cache.
        """
        learn(self.codec, types)
        return self

    def _decoded(self, stored: Iterable[tuple[FullKey, bytes | None]]) -> dict[FullKey, ValueT]:
        found: dict[FullKey, ValueT] = {}
        for full, data in stored:
            if data is None:
                continue
            try:
                found[full] = self.codec.decode(data, context=_context(full))
            except (CodecError, CheckpointCorruptError) as exc:
                log.warning("cached result %s of %s cannot be read and is made again: %s", full[1], full[0], exc)
        return found

    def _encoded(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> dict[FullKey, tuple[bytes, int | None]]:
        """Values in bytes, with their milliseconds to live."""
        return {
            (tuple(ns), key): (
                self.codec.encode(value, context=_context((tuple(ns), key))),
                None if ttl is None else max(1, round(ttl * 1000)),
            )
            for (ns, key), (value, ttl) in pairs.items()
        }


def _context(full: FullKey) -> bytes:
    """Where a value belongs: bytes that were moved to another key are refused."""
    return "\0".join(("kept", *full[0], full[1])).encode("utf-8", "surrogatepass")
