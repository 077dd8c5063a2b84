"""Every kind of cache, to hold each to the same suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.cache.base import BaseCache
from distgraph.cache.memory import InMemoryCache
from distgraph.cache.redis import RedisCache
from distgraph.cache.sqlite import SqliteCache
from distgraph.ledger.connection import connect

KINDS = ("memory", "redis", "sqlite")


@pytest.fixture(params=KINDS)
def cache(request: pytest.FixtureRequest) -> Iterator[BaseCache[Any]]:
    """One empty cache of each kind."""
    if request.param == "memory":
        yield InMemoryCache()
        return
    if request.param == "sqlite":
        file: SqliteCache[Any] = SqliteCache(request.getfixturevalue("tmp_path") / "results.db")
        with file:
            yield file
        return
    url, namespace = request.getfixturevalue("redis_url"), f"test-{uuid.uuid4().hex[:12]}"
    opened: RedisCache[Any] = RedisCache.from_conn_string(url, namespace=namespace)
    with opened:
        yield opened
        opened.clear()
    with connect(url) as client:
        assert [*client.scan_iter(match=f"*{namespace}*", count=1000)] == []
