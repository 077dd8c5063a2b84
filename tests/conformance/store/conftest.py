"""Every kind of store, to hold each to the same suite."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from distgraph.cluster.registry import codec_for
from distgraph.ledger.connection import connect
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.store.base import BaseStore
from distgraph.store.memory import InMemoryStore
from distgraph.store.redis import RedisStore
from distgraph.store.sqlite import SqliteStore


class Opened(Protocol):
    """Makes one more store over the same items, as another process would."""

    def __call__(self, **options: Any) -> BaseStore: ...


def _memory(request: pytest.FixtureRequest) -> Opened:
    made: list[InMemoryStore] = []

    def opened(**options: Any) -> BaseStore:
        store = InMemoryStore(**{"ttl": {}, **options})
        if made:
            store._data = made[0]._data
        made.append(store)
        return store

    return opened


def _redis(request: pytest.FixtureRequest) -> Opened:
    url, namespace = request.getfixturevalue("redis_url"), f"test-{uuid.uuid4().hex[:12]}"
    made: list[RedisStore] = []

    def opened(**options: Any) -> BaseStore:
        made.append(RedisStore.from_conn_string(url, namespace=namespace, **options))
        return made[-1]

    def end() -> None:
        for store in made:
            store.close()
        with connect(url) as client:
            if names := [*client.scan_iter(match=f"*{namespace}*", count=1000)]:
                client.delete(*names)

    request.addfinalizer(end)
    return opened


def _twin(request: pytest.FixtureRequest) -> Opened:
    """A store over the ledger's in-memory twin: what an in-process cluster gives its nodes."""
    now = [0]

    def now_ms() -> int:
        # no two operations at the same time, as on a server
        now[0] = max(now[0] + 1, int(time.time() * 1000))
        return now[0]

    ledger = MemoryLedger(Keys("twin"), now_ms)
    return lambda **options: RedisStore.over(ledger.items, codec_for(), **options)


def _sqlite(request: pytest.FixtureRequest) -> Opened:
    path = request.getfixturevalue("tmp_path") / "items.db"

    def opened(**options: Any) -> BaseStore:
        store = SqliteStore.from_conn_string(path, **options)
        request.addfinalizer(store.close)
        return store

    return opened


KINDS: dict[str, Callable[[pytest.FixtureRequest], Opened]] = {
    "sqlite": _sqlite,
    "memory": _memory,
    "redis": _redis,
    "twin": _twin,
}


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Opens stores of each kind, all over the same items."""
    yield KINDS[str(request.param)](request)


@pytest.fixture
def store(opened: Opened) -> BaseStore:
    """One empty store of each kind."""
    return opened()
