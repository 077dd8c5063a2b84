"""A cache on a Redis or Valkey server: the one that workers keep results of nodes in. The server ends them in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from distgraph.cache.base import FullKey, Namespace, ValueT
from distgraph.cache.coded import CodedCache
from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.contract.items import Kept
from distgraph.ledger.items import KeptLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Scripts
from distgraph.wire import Codec


class RedisCache(CodedCache[ValueT]):
    """A cache that many processes share. Safe to use from any OS thread.

    Args:
        client_or_url: ``redis://``, ``rediss://`` or ``unix://``; or a client of redis-py that replies with bytes,
            which stays the caller's to close.
        namespace: keeps users of one server apart; a cluster's, to share the results of its workers.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.

    Raises:
        ConfigError: the address or namespace is not understood, or the client decodes its replies.
    """

    def __init__(self, client_or_url: Any, *, namespace: str = "default", codec: Codec | None = None) -> None:
        self._owned = connect(client_or_url, client_name="distgraph-cache") if isinstance(client_or_url, str) else None
        client = self._owned or client_or_url
        if client.get_connection_kwargs().get("decode_responses"):
            raise ConfigError("RedisCache needs a client that replies with bytes: make it without decode_responses.")
        self._kept: Kept = KeptLedger(Scripts(client), Keys(namespace))
        super().__init__(codec)

    @classmethod
    def over(cls, kept: Kept, codec: Codec) -> Self:
        """A cache over the results of a ledger that is open already."""
        made = cls.__new__(cls)
        made._owned, made._kept = None, kept
        CodedCache.__init__(made, codec)
        return made

    @classmethod
    def from_conn_string(cls, url: str, *, namespace: str = "default", codec: Codec | None = None) -> Self:
        """A cache on the server at ``url``; close it, or use it in a ``with`` block."""
        return cls(url, namespace=namespace, codec=codec)

    def close(self) -> None:
        """Close the connections that this cache opened; using it again opens new ones."""
        if self._owned is not None:
            self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------- values

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        wanted = [(tuple(ns), key) for ns, key in keys]
        return self._decoded(zip(wanted, self._kept.read(wanted), strict=True))

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        self._kept.put(self._encoded(pairs))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self._kept.clear(namespaces)
