"""A store on a Redis or Valkey server, without modules: the one that nodes on workers have.

The server ends items in their time. Searches by contents and by meaning are made here, over all items below the
namespace that is searched: they are as quick as those are few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from distgraph.closing import Closing
from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.contract.items import FoundItem, Items, StoredItem
from distgraph.ledger.items import ItemLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.scripts import Scripts
from distgraph.store.coded import CodedStore
from distgraph.store.index import Candidate
from distgraph.store.ops import GetOp, IndexConfig, Item, Namespace, TTLConfig
from distgraph.store.table import Put
from distgraph.wire import Codec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisStore(CodedStore, Closing):
    """A store that many processes share. Safe to use from any OS thread.

    Args:
        client_or_url: ``redis://``, ``rediss://`` or ``unix://``; or a client of redis-py that replies with bytes,
            which stays the caller's to close.
        namespace: keeps users of one server apart; a cluster's, to share the store of its nodes.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        index: how items are found by meaning; None: they are not. Vectors are kept with the items, with 4 bytes a number.
        ttl: how long items live.

    Raises:
        ConfigError: the address or namespace is not understood, or the client decodes its replies.
    """

    def __init__(
        self,
        client_or_url: Any,
        *,
        namespace: str = "default",
        codec: Codec | None = None,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        self._owned = connect(client_or_url, client_name="distgraph-store") if isinstance(client_or_url, str) else None
        client = self._owned or client_or_url
        if client.get_connection_kwargs().get("decode_responses"):
            raise ConfigError("RedisStore needs a client that replies with bytes: make it without decode_responses.")
        self._items: Items = ItemLedger(Scripts(client), Keys(namespace))
        super().__init__(codec=codec, index=index, ttl=ttl)

    @classmethod
    def over(
        cls, items: Items, codec: Codec, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None
    ) -> Self:
        """A store over the items of a ledger that is open already."""
        made = cls.__new__(cls)
        made._owned, made._items = None, items
        CodedStore.__init__(made, codec=codec, index=index, ttl=ttl)
        return made

    @classmethod
    def from_conn_string(cls, url: str, **options: Any) -> Self:
        """A store on the server at ``url``, with the keywords of the class; close it, or use it in a ``with`` block."""
        return cls(url, **options)

    def setup(self) -> None:
        """See that the server answers; there is nothing to create.

        Raises:
            StoreError: it cannot be reached, or refuses.
        """
        self._items.read([(("setup",), "")])

    def close(self) -> None:
        """Close the connections that this store opened; using it again opens new ones."""
        if self._owned is not None:
            self._owned.close()

    # ------------------------------------------------------------- the table

    def _read(self, ops: Sequence[GetOp]) -> list[Item | None]:
        read = self._items.read([(tuple(op.namespace), op.key) for op in ops])
        alive = [found for op, found in zip(ops, read, strict=True) if found is not None and op.refresh_ttl]
        if timed := [(found.namespace, found.key) for found in alive if found.ms is not None]:
            self._items.touch(timed)
        return [None if found is None else self._item(found) for found in read]

    def _below(self, prefix: Namespace, *, vectors: bool) -> Iterator[Candidate]:
        for namespace in self._items.namespaces(prefix):
            for found in self._items.walk(namespace, vectors=vectors):
                yield Candidate(self._item(found), self._unpacked(found.vectors))

    def _touch(self, items: Sequence[Item]) -> None:
        self._items.touch([(item.namespace, item.key) for item in items])

    def _namespaces(self) -> Iterable[Namespace]:
        return self._items.namespaces()

    def _write(self, puts: Sequence[Put]) -> None:
        stored, gone = [], []
        for op, vectors in puts:
            place = (tuple(op.namespace), op.key)
            if op.value is None:
                gone.append(place)
                continue
            ms = None if op.ttl is None else max(1, round(op.ttl * 60_000))
            stored.append(StoredItem(*place, self._sealed(*place, op.value), self._packed(vectors), ms))
        if stored:
            self._items.put(stored)
        if gone:
            self._items.drop(gone)

    def _item(self, found: FoundItem) -> Item:
        return Item(
            value=self._opened(found.namespace, found.key, found.value),
            key=found.key,
            namespace=found.namespace,
            created_at=_EPOCH + timedelta(microseconds=found.created),
            updated_at=_EPOCH + timedelta(microseconds=found.updated),
        )
