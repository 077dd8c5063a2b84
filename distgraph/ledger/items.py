"""Items of stores, and cached results, on a server. The promises: :mod:`distgraph.ledger.contract.items`.

All of one namespace is in one partition, so that a script can keep its index; namespaces are spread over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distgraph.ledger.connection import guard
from distgraph.ledger.contract.items import FoundItem, Labels, StoredItem
from distgraph.ledger.keys import Keys
from distgraph.ledger.reads import text
from distgraph.ledger.scripts import Call, Scripts

#: Items of one read, keys of one script: they stay short for everybody else.
PAGE = 250


class ItemLedger:
    """Items of the stores of one namespace of the ledger."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def put(self, items: Sequence[StoredItem]) -> None:
        """Store items, each atomically."""
        calls = []
        for namespace, key, value, vectors, ms in items:
            name = joined(namespace)
            args = (name, key, value, vectors, "" if ms is None else ms)
            calls.append(Call("item_put", (*self._indexes(name), self._item(name, key)), args))
        self.scripts.run_all(calls)

    def drop(self, places: Sequence[tuple[Labels, str]]) -> None:
        """Delete items."""
        self.scripts.run_all([self._drop("all", joined(namespace), [key]) for namespace, key in places])

    def read(self, places: Sequence[tuple[Labels, str]]) -> list[FoundItem | None]:
        """Items without their vectors; None where there is none."""
        return self._read(places, vectors=False)

    def touch(self, places: Sequence[tuple[Labels, str]]) -> None:
        """The time to live of these items starts again."""
        items = [self._item(joined(namespace), key) for namespace, key in places]
        self.scripts.run_all([Call("item_touch", [item], ()) for item in items])

    def namespaces(self, prefix: Labels = ()) -> list[Labels]:
        """Namespaces with items that begin with ``prefix``, in the order of their oldest items."""
        name, found = joined(prefix), []
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for partition in range(self.keys.partitions):
                spaces = self._spaces(partition)
                if prefix:
                    # "/" comes right after "."
                    pipe.zrangebylex(spaces, f"[{name}", f"[{name}")
                    pipe.zrangebylex(spaces, f"[{name}.", f"({name}/")
                else:
                    pipe.zrange(spaces, 0, -1)
            names = [text(member) for part in pipe.execute() for member in part]
        for first in range(0, len(names), PAGE):
            found += self._oldest(names[first : first + PAGE])
        return [tuple(named.split(".")) for _, named in sorted(found)]

    def walk(self, namespace: Labels, *, vectors: bool) -> Iterator[FoundItem]:
        """All items of one namespace, oldest first."""
        name = joined(namespace)
        with guard():
            members: Any = self.client.zrange(self._indexes(name)[1], 0, -1)
        keys = [text(member) for member in members]
        for first in range(0, len(keys), PAGE):
            page = keys[first : first + PAGE]
            found = self._read([(namespace, key) for key in page], vectors=vectors)
            self._forget(name, [key for key, item in zip(page, found, strict=True) if item is None])
            yield from (item for item in found if item is not None)

    # ------------------------------------------------------------- keys and parts

    def _indexes(self, name: str) -> tuple[str, str]:
        """Where namespaces, and keys of this one, are listed."""
        return self._spaces(self.keys.partition(name)), self.keys.of(name, "items", name)

    def _spaces(self, partition: int) -> str:
        return self.keys.tag(partition) + "spaces"

    def _item(self, name: str, key: str) -> str:
        return self.keys.of(name, "item", name, key)

    def _read(self, places: Sequence[tuple[Labels, str]], *, vectors: bool) -> list[FoundItem | None]:
        fields = ["v", "c", "u", "t", *(["x"] if vectors else [])]
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for namespace, key in places:
                pipe.hmget(self._item(joined(namespace), key), fields)
            rows = pipe.execute() if places else []
        return [
            None if row[0] is None else _found(namespace, key, *row)
            for (namespace, key), row in zip(places, rows, strict=True)
        ]

    def _oldest(self, names: Sequence[str]) -> list[tuple[float, str]]:
        """Of namespaces that have an item: when the oldest was put, and their name."""
        found: list[tuple[float, str]] = []
        while names:
            with guard(), self.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.zrange(self._indexes(name)[1], 0, 0, withscores=True)
                first = [
                    (name, text(rows[0][0]), rows[0][1])
                    for name, rows in zip(names, pipe.execute(), strict=True)
                    if rows
                ]
            with guard(), self.client.pipeline(transaction=False) as pipe:
                for name, key, _ in first:
                    pipe.exists(self._item(name, key))
                there = pipe.execute() if first else []
            found += [(born, name) for (name, _, born), lives in zip(first, there, strict=True) if lives]
            # The oldest has expired: all that have are forgotten, and what is the oldest now is looked at.
            names = [name for (name, _, _), lives in zip(first, there, strict=True) if not lives]
            for name in names:
                self._tidy(name)
        return found

    def _tidy(self, name: str) -> None:
        with guard():
            members: Any = self.client.zrange(self._indexes(name)[1], 0, PAGE - 1)
        keys = [text(member) for member in members]
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.exists(self._item(name, key))
            there = pipe.execute() if keys else []
        self._forget(name, [key for key, lives in zip(keys, there, strict=True) if not lives])

    def _forget(self, name: str, keys: Sequence[str]) -> None:
        if keys:
            self.scripts.run(self._drop("gone", name, keys))

    def _drop(self, mode: str, name: str, keys: Sequence[str]) -> Call:
        return Call("item_drop", (*self._indexes(name), *(self._item(name, key) for key in keys)), (mode, name, *keys))


class KeptLedger:
    """Cached results of one namespace of the ledger."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def put(self, pairs: Mapping[tuple[Labels, str], tuple[bytes, int | None]]) -> None:
        """Keep values, each atomically."""
        calls = [
            Call("kept_put", (self._index(ns), self._entry(ns, key)), (key, value, "" if ms is None else ms))
            for (ns, key), (value, ms) in pairs.items()
        ]
        self.scripts.run_all(calls)

    def read(self, places: Sequence[tuple[Labels, str]]) -> list[bytes | None]:
        """Values; None where there is none."""
        if not places:
            return []
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for namespace, key in places:
                pipe.get(self._entry(namespace, key))
            found: list[bytes | None] = pipe.execute()
        return found

    def clear(self, namespaces: Sequence[Labels] | None) -> None:
        """Forget all values of these namespaces; None: of all, found by a walk over all keys of the server."""
        if namespaces is None:
            for partition in range(self.keys.partitions):
                with guard():
                    for key in self.client.scan_iter(match=f"{self.keys.tag(partition)}kept*", count=1000):
                        self.client.unlink(key)
            return
        for namespace in namespaces:
            self._clear(tuple(namespace))

    def _clear(self, namespace: Labels) -> None:
        index = self._index(namespace)
        while True:
            with guard():
                members: Any = self.client.zrange(index, 0, PAGE - 1)
            if not members:
                return
            keys = [text(member) for member in members]
            entries = [self._entry(namespace, key) for key in keys]
            self.scripts.run(Call("kept_drop", (index, *entries), (len(keys), *keys)))

    def _index(self, namespace: Labels) -> str:
        return self.keys.of("\0".join(namespace), "keptin", *namespace)

    def _entry(self, namespace: Labels, key: str) -> str:
        return self.keys.of("\0".join(namespace), "kept", *namespace, key)


def _found(
    namespace: Labels, key: str, value: bytes, created: bytes, updated: bytes, ms: bytes, vectors: bytes = b""
) -> FoundItem:
    return FoundItem(namespace, key, value, vectors, int(created), int(updated), int(ms) if ms else None)


def joined(namespace: Labels) -> str:
    """A store's namespace as one name: its labels hold no periods."""
    return ".".join(namespace)
