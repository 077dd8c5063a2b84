"""The saver of database files under the name that async programs import.

SQLite has no calls that could be awaited: the async methods run the others in an OS thread. So one class serves both
kinds of programs; this one differs in ``setup``, which is awaited.
"""

from __future__ import annotations

from asyncio import to_thread

from distgraph.checkpoint.sqlite import SqliteSaver

__all__ = ["AsyncSqliteSaver"]


class AsyncSqliteSaver(SqliteSaver):
    """``SqliteSaver`` for programs under an event loop: ``async with AsyncSqliteSaver.from_conn_string(path)``."""

    async def setup(self) -> None:  # type: ignore[override]
        """See that the file can be read; its tables are there already."""
        await to_thread(super().setup)
