"""The twin's items of stores and cached results. What they promise is written in ``ledger.contract.items``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from distgraph.ledger.contract.items import FoundItem, Labels, StoredItem
from distgraph.ledger.memory.tables import State, atomic


class KeptItem(NamedTuple):
    """An item, and until when (ms) it lives; 0: for ever."""

    stored: StoredItem
    created: int
    updated: int
    until: int

    def found(self, *, vectors: bool) -> FoundItem:
        """The item as it is read."""
        namespace, key, value, kept, ms = self.stored
        return FoundItem(namespace, key, value, kept if vectors else b"", self.created, self.updated, ms)


class MemoryItems:
    """Items of stores."""

    def __init__(self, state: State) -> None:
        self.state = state

    @atomic
    def put(self, items: Sequence[StoredItem]) -> None:
        """Store items."""
        self._expire()
        now = self.state.now_ms()
        for stored in items:
            held = self.state.items.at(stored.namespace)
            born = held[stored.key].created if stored.key in held else now * 1000
            held[stored.key] = KeptItem(stored, born, now * 1000, now + stored.ms if stored.ms is not None else 0)

    @atomic
    def drop(self, places: Sequence[tuple[Labels, str]]) -> None:
        """Delete items."""
        for namespace, key in places:
            self.state.items.at(namespace).drop(key)

    @atomic
    def read(self, places: Sequence[tuple[Labels, str]]) -> list[FoundItem | None]:
        """Items without their vectors."""
        self._expire()
        kept = [self.state.items.look(namespace).get(key) for namespace, key in places]
        return [None if one is None else one.found(vectors=False) for one in kept]

    @atomic
    def touch(self, places: Sequence[tuple[Labels, str]]) -> None:
        """The time to live of these items starts again."""
        self._expire()
        now = self.state.now_ms()
        for namespace, key in places:
            kept = self.state.items.look(namespace).get(key)
            if kept is not None and kept.stored.ms is not None:
                self.state.items.at(namespace)[key] = kept._replace(until=now + kept.stored.ms)

    @atomic
    def namespaces(self, prefix: Labels = ()) -> list[Labels]:
        """Namespaces with items that begin with ``prefix``, in the order of their oldest items."""
        self._expire()
        oldest = {ns: min(kept.created for kept in held.values()) for ns, held in self.state.items.items() if held}
        found = [ns for ns in oldest if ns[: len(prefix)] == prefix]
        return sorted(found, key=lambda ns: (oldest[ns], ".".join(ns)))

    def walk(self, namespace: Labels, *, vectors: bool) -> Iterator[FoundItem]:
        """All items of one namespace, oldest first."""
        yield from self._all(namespace, vectors)

    @atomic
    def _all(self, namespace: Labels, vectors: bool) -> list[FoundItem]:
        self._expire()
        kept = self.state.items.look(namespace).values()
        return [one.found(vectors=vectors) for one in sorted(kept, key=lambda one: (one.created, one.stored.key))]

    def _expire(self) -> None:
        now = self.state.now_ms()
        for held in [*self.state.items.values()]:
            for key in [key for key, kept in held.items() if kept.until and kept.until <= now]:
                held.drop(key)


class MemoryKept:
    """Cached results."""

    def __init__(self, state: State) -> None:
        self.state = state

    @atomic
    def put(self, pairs: Mapping[tuple[Labels, str], tuple[bytes, int | None]]) -> None:
        """Keep values."""
        now = self.state.now_ms()
        for (namespace, key), (value, ms) in pairs.items():
            self.state.results.at(tuple(namespace))[key] = (value, 0 if ms is None else now + ms)

    @atomic
    def read(self, places: Sequence[tuple[Labels, str]]) -> list[bytes | None]:
        """Values; None where there is none."""
        now = self.state.now_ms()
        found = [self.state.results.look(tuple(namespace)).get(key) for namespace, key in places]
        return [None if one is None or (one[1] and one[1] <= now) else one[0] for one in found]

    @atomic
    def clear(self, namespaces: Sequence[Labels] | None) -> None:
        """Forget all values of these namespaces; None: of all."""
        for namespace in [*self.state.results] if namespaces is None else namespaces:
            self.state.results.drop(tuple(namespace))
