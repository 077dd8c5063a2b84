"""A ledger with a clock that the test turns, of either kind: the real scripts on a server, or the in-memory twin.

On a server the scripts' only source of time, ``redis.call('TIME')``, reads a list that the test writes. Nothing else of
them is changed, so what passes here is what runs.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import redis

from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.connection import guard
from distgraph.ledger.contract import Batches, Fleet, Items, Kept, Runs
from distgraph.ledger.contract.lines import NestedLines
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.items import ItemLedger, KeptLedger
from distgraph.ledger.keys import Keys
from distgraph.ledger.lines import LineLedger
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.runs import RunLedger
from distgraph.ledger.scripts import Call, Scripts, sources
from tests.conformance.ledger.layout import laid_out, same_form

START_MS = 1_800_000_000_000
CLOCK = "test:clock"

#: Key -> what it holds: mappings, sets and texts as they are, scores as numbers, a log as its entries.
Dump = dict[str, Any]


class World(ABC):
    """One namespace of one ledger, and its clock."""

    keys: Keys
    runs: Runs
    batches: Batches
    fleet: Fleet
    items: Items
    kept: Kept
    lines: NestedLines

    @property
    @abstractmethod
    def now_ms(self) -> int:
        """The time as the ledger sees it."""

    @abstractmethod
    def pass_ms(self, ms: int) -> None:
        """Let time pass."""

    @abstractmethod
    def dump(self) -> Dump:
        """Everything the namespace holds, by key."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


class MemoryWorld(World):
    """The twin."""

    def __init__(self, namespace: str) -> None:
        self._now_ms = START_MS
        self.keys = Keys(namespace)
        self.ledger = MemoryLedger(self.keys, lambda: self._now_ms)
        self.runs, self.batches, self.fleet = self.ledger.runs, self.ledger.batches, self.ledger.fleet
        self.items, self.kept = self.ledger.items, self.ledger.kept
        self.lines = self.ledger.lines

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def pass_ms(self, ms: int) -> None:
        self._now_ms += ms

    def dump(self) -> Dump:
        return same_form(laid_out(self.ledger, self.keys))

    def close(self) -> None:
        self.ledger.close()


class ServerWorld(World):
    """The scripts on a server, with the test's clock in place of the server's."""

    def __init__(self, namespace: str, client: redis.Redis) -> None:
        self.client = client
        self.keys = Keys(namespace)
        self.scripts = ClockedScripts(client)
        self.runs = RunLedger(self.scripts, self.keys)
        self.batches = BatchLedger(self.scripts, self.keys)
        self.fleet = FleetLedger(self.scripts, self.keys)
        self.items, self.kept = ItemLedger(self.scripts, self.keys), KeptLedger(self.scripts, self.keys)
        self.lines = LineLedger(self.scripts, self.keys)
        self._now_ms = START_MS
        self._set_clock()

    def _set_clock(self) -> None:
        seconds, ms = divmod(self._now_ms, 1000)
        with self.client.pipeline() as pipe:
            pipe.delete(CLOCK)
            pipe.rpush(CLOCK, seconds, ms * 1000)
            pipe.execute()

    @property
    def now_ms(self) -> int:
        return self._now_ms

    def pass_ms(self, ms: int) -> None:
        self._now_ms += ms
        self._set_clock()
        for key in self._names():
            left: Any = self.client.pttl(key)
            if left >= 0:
                self.client.pexpire(key, max(0, left - ms))

    def _names(self) -> list[str]:
        return sorted(key.decode() for key in self.client.scan_iter(match=f"dg:{{{self.keys.namespace}/*", count=1000))

    def dump(self) -> Dump:
        names = self._names()
        with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.type(name)
            kinds = [kind.decode() for kind in pipe.execute()]
            for name, kind in zip(names, kinds, strict=True):
                _ask(pipe, name, kind)
            found = pipe.execute()
        contents = [_content(kind, content) for kind, content in zip(kinds, found, strict=True)]
        return same_form(dict(zip(names, contents, strict=True)))

    def wipe(self) -> None:
        """Delete all there is, and begin again."""
        self._now_ms = START_MS
        self._set_clock()
        names = self._names()
        if names:
            self.client.delete(*names)

    def close(self) -> None:
        self.wipe()
        self.client.delete(CLOCK)
        self.client.close()


def _ask(pipe: Any, name: str, kind: str) -> None:
    match kind:
        case "hash":
            pipe.hgetall(name)
        case "zset":
            pipe.zrange(name, 0, -1, withscores=True)
        case "list":
            pipe.lrange(name, 0, -1)
        case "set":
            pipe.smembers(name)
        case "stream":
            pipe.xrange(name)
        case _:
            pipe.get(name)


def _content(kind: str, content: Any) -> Any:
    match kind:
        case "zset":
            return dict(content)
        case "stream":
            return [entry[b"d"] for _, entry in content]
        case _:
            return content


class ClockedScripts(Scripts):
    """The scripts with the test's clock, one by one; remembers what was called and what it answered."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.called: list[tuple[Call, Any]] = []

    def run(self, call: Call) -> Any:
        digest, source = clocked(call.name)
        send: Any = self.client.evalsha
        with guard():
            try:
                reply = send(digest, len(call.keys), *call.keys, *call.args)
            except redis.exceptions.NoScriptError:
                send = self.client.eval
                reply = send(source, len(call.keys), *call.keys, *call.args)
        self.called.append((call, reply))
        return reply

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        return [self.run(call) for call in calls]


def clocked(name: str) -> tuple[str, str]:
    """(digest, source) of a script that reads the test's clock."""
    source = re.sub(r"redis\.call\('TIME'\)", f"redis.call('LRANGE', '{CLOCK}', 0, 1)", sources()[name].decode())
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(), source
