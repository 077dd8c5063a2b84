"""What a cache is: values under (namespace, key), each for a while or for ever.

Engines keep the writes of finished nodes in one. Reading is allowed to find nothing at any time: whoever reads can make
the value again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import to_thread
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from distgraph.checkpoint.serde.base import SerializerProtocol, typed

ValueT = TypeVar("ValueT")
Namespace = tuple[str, ...]
FullKey = tuple[Namespace, str]


class BaseCache(ABC, Generic[ValueT]):
    """Subclass it and implement ``get``, ``set`` and ``clear``; the async methods run those in an OS thread.

    Args:
        serde: how values become bytes; by default the wire codec.
    """

    serde: SerializerProtocol

    def __init__(self, *, serde: Any = None) -> None:
        if serde is None:
            from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

            serde = JsonPlusSerializer()
        self.serde = typed(serde)

    @abstractmethod
    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those of ``keys`` that are there and have not expired."""

    @abstractmethod
    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Keep values, each with its time to live in seconds (None: for ever).

        Raises:
            CodecError: a value cannot be stored.
        """

    @abstractmethod
    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget all values of these namespaces; None: of all."""

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """``get`` under an event loop."""
        return await to_thread(self.get, keys)

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """``set`` under an event loop."""
        await to_thread(self.set, pairs)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """``clear`` under an event loop."""
        await to_thread(self.clear, namespaces)
