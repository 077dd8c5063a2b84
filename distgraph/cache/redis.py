"""A cache on a Redis or Valkey server: the one that workers keep results of nodes in. The server ends them in time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from distgraph.cache.base import BaseCache, FullKey, Namespace, ValueT
from distgraph.checkpoint.own import learn, own_codec
from distgraph.checkpoint.serde.sealed import SealedSerializer
from distgraph.errors import CheckpointCorruptError, CodecError, ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.contract.items import Kept
from distgraph.ledger.items import KeptLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Scripts
from distgraph.wire import Codec

log = logging.getLogger(__name__)


class RedisCache(BaseCache[ValueT]):
    """A cache that many processes share. Safe to use from any OS thread.

    A value that cannot be read - damaged, signed with another secret, of a type that is gone - is not there.

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
        self.codec = own_codec(codec)
        super().__init__(serde=SealedSerializer(self.codec))

    @classmethod
    def over(cls, kept: Kept, codec: Codec) -> Self:
        """A cache over the results of a ledger that is open already."""
        made = cls.__new__(cls)
        made._owned, made._kept, made.codec = None, kept, codec
        BaseCache.__init__(made, serde=SealedSerializer(codec))
        return made

    @classmethod
    def from_conn_string(cls, url: str, *, namespace: str = "default", codec: Codec | None = None) -> Self:
        """A cache on the server at ``url``; close it, or use it in a ``with`` block."""
        return cls(url, namespace=namespace, codec=codec)

    def with_types(self, types: Iterable[Any]) -> Self:
        """Let cached values hold these types too, and those that their fields mention. Of two with one name, the later.

        Returns:
            This cache.
        """
        learn(self.codec, types)
        return self

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
        found: dict[FullKey, ValueT] = {}
        for full, data in zip(wanted, self._kept.read(wanted), strict=True):
            if data is None:
                continue
            try:
                found[full] = self.codec.decode(data)
            except (CodecError, CheckpointCorruptError) as exc:
                log.warning("cached result %s of %s cannot be read and is made again: %s", full[1], full[0], exc)
        return found

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        self._kept.put(
            {
                (tuple(ns), key): (self.codec.encode(value), None if ttl is None else max(1, round(ttl * 1000)))
                for (ns, key), (value, ttl) in pairs.items()
            }
        )

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self._kept.clear(namespaces)
