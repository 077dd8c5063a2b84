"""What the ledger promises about the items of stores, and about cached results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

#: Labels of a store's namespace, without periods.
Labels = tuple[str, ...]


class StoredItem(NamedTuple):
    """An item to be stored.

    Attributes:
        vectors: b'' for none.
        ms: to live after an access; None: for ever.
    """

    namespace: Labels
    key: str
    value: bytes
    vectors: bytes = b""
    ms: int | None = None


class FoundItem(NamedTuple):
    """An item as stored; times in microseconds since the epoch.

    Attributes:
        vectors: b'' where there are none, or nobody asked for them.
        ms: to live after an access; None: for ever.
    """

    namespace: Labels
    key: str
    value: bytes
    vectors: bytes
    created: int
    updated: int
    ms: int | None


class Items(Protocol):
    """Items of stores."""

    def put(self, items: Sequence[StoredItem]) -> None:
        """Store items, each atomically; what is there is replaced, and keeps the time it was created at."""
        ...

    def drop(self, places: Sequence[tuple[Labels, str]]) -> None:
        """Delete items; a namespace goes with the last of its items."""
        ...

    def read(self, places: Sequence[tuple[Labels, str]]) -> list[FoundItem | None]:
        """Items without their vectors; None where there is none."""
        ...

    def touch(self, places: Sequence[tuple[Labels, str]]) -> None:
        """The time to live of these items starts again."""
        ...

    def namespaces(self, prefix: Labels = ()) -> list[Labels]:
        """Namespaces with items that begin with ``prefix``, in the order of their oldest items.

        What has expired is forgotten. Not one moment's view if others change it.
        """
        ...

    def walk(self, namespace: Labels, *, vectors: bool) -> Iterator[FoundItem]:
        """All items of one namespace, oldest first. Not one moment's view if others change it."""
        ...


class Kept(Protocol):
    """Cached results: values under a namespace and a key, for a while."""

    def put(self, pairs: Mapping[tuple[Labels, str], tuple[bytes, int | None]]) -> None:
        """Keep values, each atomically and for so many ms (None: for ever)."""
        ...

    def read(self, places: Sequence[tuple[Labels, str]]) -> list[bytes | None]:
        """Values; None where there is none, or not any more."""
        ...

    def clear(self, namespaces: Sequence[Labels] | None) -> None:
        """Forget all values of these namespaces; None: of all."""
        ...
