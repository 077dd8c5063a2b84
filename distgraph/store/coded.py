"""What stores have in common whose items outlive the process: values and vectors as bytes, in sealed envelopes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any, Self

from distgraph.checkpoint.own import learn, own_codec
from distgraph.errors import CheckpointCorruptError
from distgraph.store.index import Vectors
from distgraph.store.ops import IndexConfig, Namespace, TTLConfig
from distgraph.store.table import TableStore
from distgraph.wire import Codec


class CodedStore(TableStore):
    """A store that keeps bytes.

    Args:
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        index: how items are found by meaning; None: they are not.
        ttl: how long items live.
    """

    supports_ttl = True

    def __init__(
        self, *, codec: Codec | None = None, index: IndexConfig | None = None, ttl: TTLConfig | None = None
    ) -> None:
        super().__init__(index=index, ttl=ttl)
        self.codec = own_codec(codec)

    def with_types(self, types: Iterable[Any]) -> Self:
        """Let stored values hold these types too, and those that their fields mention. Of two with one name, the later.

        Returns:
            This store.
        """
        learn(self.codec, types)
        return self

    def _sealed(self, namespace: Namespace, key: str, value: Any) -> bytes:
        """A value in bytes.

        Raises:
            CodecError: it cannot be stored; the note names the item.
        """
        try:
            return self.codec.encode(dict(value), context=_context(namespace, key))
        except Exception as exc:
            exc.add_note(f"While storing item {key!r} of {namespace}.")
            raise

    def _opened(self, namespace: Namespace, key: str, data: bytes) -> dict[str, Any]:
        """The value in bytes.

        Raises:
            CheckpointCorruptError: they are damaged; the note names the item.
        """
        try:
            value = self.codec.decode(data, context=_context(namespace, key))
        except Exception as exc:
            exc.add_note(f"In item {key!r} of {namespace}.")
            raise
        if not isinstance(value, dict):
            raise CheckpointCorruptError(f"Item {key!r} of {namespace} holds no dict: something else wrote it.")
        return value

    def _packed(self, vectors: Vectors) -> bytes:
        """Vectors in bytes: numbers of 4 bytes each. Embeddings are not more exact than that."""
        if not vectors:
            return b""
        return self.codec.encode({path: array("f", vector).tobytes() for path, vector in vectors.items()})

    def _unpacked(self, data: bytes) -> Vectors:
        if not data:
            return {}
        return {path: array("f", packed).tolist() for path, packed in self.codec.decode(data).items()}


def _context(namespace: Namespace, key: str) -> bytes:
    """Where an item belongs: bytes that were moved to another key are refused."""
    return f"item:{'.'.join(namespace)}:{key}".encode("utf-8", "surrogatepass")
