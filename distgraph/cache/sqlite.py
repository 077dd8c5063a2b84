"""A cache in a database file: results outlive the process, and several processes of one machine share them."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence

from distgraph.cache.base import FullKey, Namespace, ValueT
from distgraph.cache.coded import CodedCache
from distgraph.checkpoint.sqlite.file import TIMEOUT, SqliteFile
from distgraph.closing import Closing
from distgraph.wire import Codec

PART, FORMAT = "results", 1
TABLES = (
    """CREATE TABLE dg_results (
        ns TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, until INTEGER, PRIMARY KEY (ns, key)
    )""",
    "CREATE INDEX dg_results_until ON dg_results (until) WHERE until IS NOT NULL",
)


class SqliteCache(CodedCache[ValueT], Closing):
    """A cache that outlives its process. Safe to use from any OS thread.

    Args:
        path: of a database file, or ``":memory:"``; or an open connection, which stays the caller's to close. A saver and a
            store may be in the same file.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        timeout: seconds to wait for another process that writes.
        clock: seconds since the epoch; tests turn their own.

    Raises:
        ConfigError: no path and no connection.
        DatabaseFileError: the file cannot be opened or written, is damaged or no database.
        NewerFormatError: a newer distgraph made its tables.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | sqlite3.Connection,
        *,
        codec: Codec | None = None,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = SqliteFile(path, PART, FORMAT, TABLES, timeout=timeout)
        self._clock = clock
        super().__init__(codec)

    def close(self) -> None:
        """Close the file, if this cache opened it; using it again opens it anew."""
        self._file.close()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        query = "SELECT value FROM dg_results WHERE ns = ? AND key = ? AND (until IS NULL OR until > ?)"
        wanted, now = [(tuple(ns), key) for ns, key in keys], self._ms()
        with self._file.reading() as db:
            rows = [db.execute(query, (_name(ns), key, now)).fetchone() for ns, key in wanted]
        return self._decoded((full, row and row[0]) for full, row in zip(wanted, rows, strict=True))

    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        now = self._ms()
        rows = [
            (_name(ns), key, value, None if ms is None else now + ms)
            for (ns, key), (value, ms) in self._encoded(pairs).items()
        ]
        with self._file.writing() as db:
            db.execute("DELETE FROM dg_results WHERE until <= ?", (now,))
            db.executemany("INSERT OR REPLACE INTO dg_results VALUES (?, ?, ?, ?)", rows)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        with self._file.writing() as db:
            if namespaces is None:
                db.execute("DELETE FROM dg_results")
            db.executemany("DELETE FROM dg_results WHERE ns = ?", [(_name(ns),) for ns in namespaces or ()])

    def _ms(self) -> int:
        return int(self._clock() * 1000)


def _name(namespace: Namespace) -> str:
    return json.dumps(list(namespace))
