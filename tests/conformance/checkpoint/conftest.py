"""Every kind of saver, to hold each to the same suite."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.checkpoint.redis import RedisSaver
from distgraph.checkpoint.sqlite import SqliteSaver
from distgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from distgraph.ledger.connection import connect
from tests.conformance.checkpoint.lines import Saver

KINDS = ("memory", "redis", "sqlite", "sqlite file")


@pytest.fixture(params=KINDS)
def saver(request: pytest.FixtureRequest) -> Iterator[Saver]:
    """One empty saver of each kind."""
    with _opened(str(request.param), request) as opened:
        yield opened


def _opened(kind: str, request: pytest.FixtureRequest) -> AbstractContextManager[Saver]:
    if kind == "memory":
        return InMemorySaver()
    if kind == "sqlite":
        return SqliteSaver(":memory:")
    if kind == "sqlite file":
        return AsyncSqliteSaver.from_conn_string(request.getfixturevalue("tmp_path") / "checkpoints.db")
    url = request.getfixturevalue("redis_url")
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    request.addfinalizer(lambda: _wipe(url, namespace))
    return RedisSaver.from_conn_string(url, namespace=namespace)


def _wipe(url: str, namespace: str) -> None:
    with connect(url) as client:
        if names := [*client.scan_iter(match=f"*{namespace}*", count=1000)]:
            client.delete(*names)
