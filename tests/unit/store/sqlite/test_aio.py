"""The store of database files, for programs under an event loop."""

from __future__ import annotations

import asyncio

import pytest

from distgraph.store.sqlite.aio import AsyncSqliteStore

pytestmark = pytest.mark.unit


def test_as_async_programs_use_it() -> None:
    async def use() -> object:
        async with AsyncSqliteStore.from_conn_string(":memory:") as store:
            await store.setup()
            await store.aput(("users",), "1", {"name": "ann"})
            found = await store.aget(("users",), "1")
            return found and found.value

    assert asyncio.run(use()) == {"name": "ann"}
