"""How much memory of the server a namespace takes, by kind of key and by owner: the server's own counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

import redis

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import Keys, split_item
from distgraph.ledger.leaks import OF_BATCH, OF_RUN
from distgraph.ledger.reads import text

#: Keys asked for in one round trip.
PORTION = 500
#: Whose keys name a run, a thread, a batch first.
_OWNERS = {
    **dict.fromkeys(("run", *OF_RUN), "run"),
    **dict.fromkeys(("line", "hist", "pend", "nested", "turns"), "thread"),
    **dict.fromkeys(("manifest", *OF_BATCH), "batch"),
}


@dataclass(slots=True)
class Usage:
    """Bytes and keys, by kind of key (``ledger.keys`` lists them); bytes by owner, such as ("batch", "b1")."""

    bytes: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    owners: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """Bytes of all keys of the namespace."""
        return self.bytes.total()


def usage(client: redis.Redis, keys: Keys) -> Usage:
    """Walk all keys of a namespace. What belongs to an item of a batch is counted for its batch.

    The server estimates large keys from a few of their members.
    """
    found = Usage()
    with guard():
        names = iter(client.scan_iter(match=f"dg:{{{keys.namespace}/*", count=PORTION))
        while portion := list(islice(names, PORTION)):
            with client.pipeline(transaction=False) as pipe:
                for name in portion:
                    pipe.memory_usage(name)
                sizes: list[Any] = pipe.execute()
            for name, size in zip(portion, sizes, strict=True):
                # one that went meanwhile has none
                _count(found, text(name), int(size or 0))
    return found


def _count(found: Usage, name: str, size: int) -> None:
    kind, _, rest = name.partition("}:")[2].partition(":")
    found.keys[kind] += 1
    found.bytes[kind] += size
    if kind in _OWNERS:
        owner = unquote(rest.partition(":")[0])
        item = split_item(owner) if _OWNERS[kind] != "batch" else None
        found.owners[("batch", item[0]) if item else (_OWNERS[kind], owner)] += size
