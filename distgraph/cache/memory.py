"""A cache in the memory of one process. Values are kept as bytes, so that nobody changes what others read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any

from distgraph.cache.base import BaseCache, FullKey, Namespace, ValueT


class InMemoryCache(BaseCache[ValueT]):
    """A cache that forgets with its process. Safe to use from any OS thread.

    Args:
        serde: how values become bytes; by default the wire codec.
        clock: seconds, growing; tests turn their own.
    """

    def __init__(self, *, serde: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(serde=serde)
        self._clock = clock
        #: Namespace -> key -> (kind and bytes, when it expires).
        self._kept: dict[Namespace, dict[str, tuple[tuple[str, bytes], float | None]]] = {}
        self._lock = RLock()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        found: dict[FullKey, ValueT] = {}
        with self._lock:
            now = self._clock()
            for ns, key in keys:
                kept = self._kept.get(tuple(ns), {})
                if key not in kept:
                    continue
                data, until = kept[key]
                if until is not None and now >= until:
                    del kept[key]
                else:
                    found[tuple(ns), key] = self.serde.loads_typed(data)
        return found

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        with self._lock:
            now = self._clock()
            for (ns, key), (value, ttl) in pairs.items():
                until = None if ttl is None else now + ttl
                self._kept.setdefault(tuple(ns), {})[key] = (self.serde.dumps_typed(value), until)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        with self._lock:
            if namespaces is None:
                self._kept.clear()
            for ns in namespaces or ():
                self._kept.pop(tuple(ns), None)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        return self.get(keys)

    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        self.set(pairs)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        self.clear(namespaces)
