"""The store of database files under the name that async programs import.

As with the saver one class serves both kinds of programs; this one differs in ``setup``, which is awaited.
"""

from __future__ import annotations

from asyncio import to_thread

from distgraph.store.sqlite import SqliteStore

__all__ = ["AsyncSqliteStore"]


class AsyncSqliteStore(SqliteStore):
    """``SqliteStore`` for programs under an event loop: ``async with AsyncSqliteStore.from_conn_string(path)``."""

    async def setup(self) -> None:  # type: ignore[override]
        """See that the file can be read; its tables are there already."""
        await to_thread(super().setup)
