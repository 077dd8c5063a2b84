"""Keys without an owner: what a run, a batch or a thread left behind that is gone, or debts of what is at rest.

Derived from ``keys``: every key names its owner, and the owner must exist. Reads in portions and writes nothing; on a
ledger at work a key may be seen in the moment between its owner's coming and its own, so look again before you believe
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import unquote

import redis

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import Keys, encoded, split_item
from distgraph.ledger.reads import text
from distgraph.ledger.replies import Due

#: Kinds of keys that belong to a run, and to a batch. A run that is an item of a batch may have gone before them.
OF_RUN = ("open", "claims", "tries", "naps", "log", "once")
OF_BATCH = ("batch", "in", "ready", "slices", "out", "crash", "asks")
#: Keys looked at in one round trip.
PORTION = 500
_LIVE = (b"queued", b"running")
T = TypeVar("T")


def leaks(client: redis.Redis, keys: Keys) -> list[str]:
    """One line for each key or entry that has no owner; empty if all is well."""
    with guard():
        return [line for part in range(keys.partitions) for line in _Partition(client, keys, part).look()]


def _portions(found: Iterable[T]) -> Iterator[list[T]]:
    source = iter(found)
    while portion := list(islice(source, PORTION)):
        yield portion


class _Partition:
    """The keys of one partition."""

    def __init__(self, client: redis.Redis, keys: Keys, number: int) -> None:
        self.client, self.keys, self.number = client, keys, number
        self.tag = keys.tag(number)

    def look(self) -> Iterator[str]:
        for portion in _portions(self.client.scan_iter(match=f"{self.tag}*", count=PORTION)):
            yield from self._keys([text(name) for name in portion])
        due = self.client.zscan_iter(self.keys.due(self.number), count=PORTION)
        for entries in _portions(due):
            yield from self._debts([text(entry) for entry, _ in entries])
        listed = self.client.zscan_iter(f"{self.tag}runs", count=PORTION)
        for members in _portions(listed):
            names = [text(member) for member, _ in members]
            for name, there in zip(names, self._exist([self._run(name) for name in names]), strict=True):
                if not there:
                    yield f"{self.tag}runs lists run {name!r}, which is not there"
        noted = self.client.zscan_iter(self.keys.ages(self.number), count=PORTION)
        for members in _portions(noted):
            names = [text(member) for member, _ in members]
            lines = [f"{self.tag}line:{encoded(name)}:" for name in names]
            for name, there in zip(names, self._exist(lines), strict=True):
                if not there:
                    yield f"{self.keys.ages(self.number)} owes a look at thread {name!r}, which is not there"

    # ------------------------------------------------------------- keys

    def _keys(self, names: Sequence[str]) -> Iterator[str]:
        owned = [(name, owner) for name in names if (owner := self._owners(name))]
        asked = [key for _, owner in owned for key in owner]
        there: Iterator[Any] = iter(self._exist(asked))
        for name, owner in owned:
            if not any([next(there) for _ in owner]) and not self._goes_by_itself(name):
                yield f"{name} has no owner: none of {', '.join(owner)} is there"

    def _goes_by_itself(self, name: str) -> bool:
        """Records of effects outlive what they belong to for a time."""
        left: Any = self.client.pttl(name)
        return name.startswith(f"{self.tag}once:") and left >= 0

    def _owners(self, name: str) -> list[str]:
        """Keys one of which must be there; none where nothing can be said."""
        kind, _, rest = name.removeprefix(self.tag).partition(":")
        parts = [unquote(part) for part in rest.split(":")]
        if kind in OF_RUN:
            return [self._run(parts[0]), *self._manifest(parts[0])]
        if kind in OF_BATCH:
            return [self.keys.shared("manifest", parts[0])]
        if kind in ("hist", "pend"):
            return [f"{self.tag}line:{rest}"]
        if kind == "run" and self.client.hexists(self._run(parts[0]), "batch_e"):
            return self._manifest(parts[0])
        return []

    def _manifest(self, run_id: str) -> list[str]:
        item = split_item(run_id)
        return [self.keys.shared("manifest", item[0])] if item else []

    def _run(self, run_id: str) -> str:
        return f"{self.tag}run:{encoded(run_id)}"

    def _exist(self, names: Sequence[str]) -> list[Any]:
        if not names:
            return []
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.exists(name)
            return list(pipe.execute())

    # ------------------------------------------------------------- debts

    def _debts(self, entries: Sequence[str]) -> Iterator[str]:
        with self.client.pipeline(transaction=False) as pipe:
            for entry in entries:
                due = Due.parse(entry)
                if due.kind == "slice":
                    pipe.hexists(f"{self.tag}slices:{encoded(due.name)}", due.part)
                elif due.kind == "batch":
                    pipe.exists(f"{self.tag}ready:{encoded(due.name)}")
                else:
                    pipe.hget(self._run(due.name), "status")
            found = pipe.execute()
        for entry, answer in zip(entries, found, strict=True):
            if not (answer in _LIVE if Due.parse(entry).kind in ("run", "task") else answer):
                yield f"{self.keys.due(self.number)} owes a look at {entry!r}, which is at rest or gone"
