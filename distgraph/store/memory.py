"""A store in the memory of one process. Values are copied in and out, so that nobody changes what others read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from threading import RLock
from typing import Any, NamedTuple

from distgraph.store.index import Candidate, Vectors
from distgraph.store.ops import GetOp, IndexConfig, Item, Namespace, Result, TTLConfig
from distgraph.store.table import Put, TableStore


class _Kept(NamedTuple):
    item: Item
    vectors: Vectors
    #: Seconds to live after an access, and when that is over.
    ttl: float | None
    until: float | None


class InMemoryStore(TableStore):
    """A store that forgets with its process. Safe to use from any OS thread.

    Args:
        index: how items are found by meaning; None: they are not.
        ttl: how long items live; None: for ever, and a ``ttl`` of a put is refused.
        clock: seconds, growing; tests turn their own.
    """

    def __init__(
        self,
        *,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(index=index, ttl=ttl)
        self.supports_ttl = ttl is not None
        self._clock = clock
        self._data: dict[Namespace, dict[str, _Kept]] = {}
        self._lock = RLock()

    def _carry_out(self, *args: Any) -> list[Result]:
        with self._lock:
            self._expire()
            return super()._carry_out(*args)

    async def _acarry_out(self, *args: Any) -> list[Result]:
        return self._carry_out(*args)

    def _read(self, ops: Sequence[GetOp]) -> list[Item | None]:
        found: list[Item | None] = []
        for op in ops:
            kept = self._data.get(tuple(op.namespace), {}).get(op.key)
            found.append(None if kept is None else _copy(kept.item))
            if kept is not None and op.refresh_ttl:
                self._touch([kept.item])
        return found

    def _below(self, prefix: Namespace, *, vectors: bool) -> Iterator[Candidate]:
        for namespace, items in self._data.items():
            if namespace[: len(prefix)] == prefix:
                for kept in items.values():
                    yield Candidate(_copy(kept.item), kept.vectors if vectors else {})

    def _touch(self, items: Sequence[Item]) -> None:
        now = self._clock()
        for item in items:
            kept = self._data[item.namespace][item.key]
            if kept.ttl is not None:
                self._data[item.namespace][item.key] = kept._replace(until=now + kept.ttl)

    def _namespaces(self) -> Iterable[Namespace]:
        return self._data

    def _write(self, puts: Sequence[Put]) -> None:
        now, clock = datetime.now(UTC), self._clock()
        for op, vectors in puts:
            items = self._data.setdefault(tuple(op.namespace), {})
            if op.value is None:
                items.pop(op.key, None)
            else:
                former = items.get(op.key)
                item = Item(
                    value=deepcopy(dict(op.value)),
                    key=op.key,
                    namespace=op.namespace,
                    created_at=now if former is None else former.item.created_at,
                    updated_at=now,
                )
                ttl = None if op.ttl is None else op.ttl * 60
                items[op.key] = _Kept(item, vectors, ttl, None if ttl is None else clock + ttl)
            if not items:
                del self._data[op.namespace]

    def _expire(self) -> None:
        if not self.supports_ttl:
            return
        now = self._clock()
        for namespace, items in [*self._data.items()]:
            for key in [key for key, kept in items.items() if kept.until is not None and kept.until <= now]:
                del items[key]
            if not items:
                del self._data[namespace]


def _copy(item: Item) -> Item:
    return Item(
        value=deepcopy(item.value),
        key=item.key,
        namespace=item.namespace,
        created_at=item.created_at,
        updated_at=item.updated_at,
    )
