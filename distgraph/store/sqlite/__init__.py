"""A store in a database file: for one machine, without a server. Several processes may use the file at the same time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from distgraph.checkpoint.sqlite.file import TIMEOUT, SqliteFile
from distgraph.closing import Closing
from distgraph.store.coded import CodedStore
from distgraph.store.index import Candidate
from distgraph.store.ops import GetOp, IndexConfig, Item, Namespace, TTLConfig
from distgraph.store.table import Put
from distgraph.wire import Codec

PART, FORMAT = "items", 1
TABLES = (
    """CREATE TABLE dg_items (
        id INTEGER PRIMARY KEY, ns TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, vectors BLOB NOT NULL,
        created INTEGER NOT NULL, updated INTEGER NOT NULL, ms INTEGER, until INTEGER, UNIQUE (ns, key)
    )""",
    "CREATE INDEX dg_items_until ON dg_items (until) WHERE until IS NOT NULL",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ALIVE = "(until IS NULL OR until > ?)"


class SqliteStore(CodedStore, Closing):
    """A store that outlives its process. Safe to use from any OS thread.

    Args:
        conn: the path of a database file, ``":memory:"``, or an open connection, which stays the caller's to close; for
            several OS threads open it with ``check_same_thread=False``. A saver may be in the same file.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        index: how items are found by meaning; None: they are not. Vectors are kept with the items, with 4 bytes a number.
        ttl: how long items live.
        timeout: seconds to wait for another process that writes.
        clock: seconds since the epoch; tests turn their own.

    Raises:
        ConfigError: no path and no connection.
        DatabaseFileError: the file cannot be opened or written, is damaged or no database.
        NewerFormatError: a newer distgraph made its tables.
    """

    def __init__(
        self,
        conn: str | os.PathLike[str] | sqlite3.Connection,
        *,
        codec: Codec | None = None,
        index: IndexConfig | None = None,
        ttl: TTLConfig | None = None,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = SqliteFile(conn, PART, FORMAT, TABLES, timeout=timeout)
        self._clock = clock
        super().__init__(codec=codec, index=index, ttl=ttl)

    @classmethod
    def from_conn_string(cls, conn_string: str | os.PathLike[str], **options: Any) -> Self:
        """A store in the file at a path, with the keywords of the class; close it, or use it in a ``with`` block."""
        return cls(conn_string, **options)

    def setup(self) -> None:
        """See that the file can be read. Its tables are there already; programs that call this may go on doing so."""
        with self._file.reading():
            pass

    def close(self) -> None:
        """Close the file, if this store opened it; using it again opens it anew."""
        self._file.close()

    # ------------------------------------------------------------- the table

    def _read(self, ops: Sequence[GetOp]) -> list[Item | None]:
        query = f"SELECT ns, key, value, created, updated, ms FROM dg_items WHERE ns = ? AND key = ? AND {_ALIVE}"
        now = self._ms()
        with self._file.reading() as db:
            rows = [db.execute(query, (".".join(op.namespace), op.key, now)).fetchone() for op in ops]
        found = [None if row is None else self._item(*row[:5]) for row in rows]
        pairs = zip(ops, rows, found, strict=True)
        if timed := [item for op, row, item in pairs if item is not None and op.refresh_ttl and row[5] is not None]:
            self._touch(timed)
        return found

    def _below(self, prefix: Namespace, *, vectors: bool) -> Iterator[Candidate]:
        # the labels of a namespace have no periods, and "/" comes right after "."
        name = ".".join(prefix)
        below = ("(ns = ? OR (ns > ? AND ns < ?))", (name, f"{name}.", f"{name}/")) if prefix else ("1", ())
        packed = "vectors" if vectors else "x''"
        query = (
            f"SELECT ns, key, value, created, updated, {packed} FROM dg_items WHERE {below[0]} AND {_ALIVE} ORDER BY id"
        )
        by_name: dict[str, list[Any]] = {}
        with self._file.reading() as db:
            for row in db.execute(query, (*below[1], self._ms())):
                by_name.setdefault(row[0], []).append(row)
        for rows in by_name.values():
            for *row, data in rows:
                yield Candidate(self._item(*row), self._unpacked(data))

    def _touch(self, items: Sequence[Item]) -> None:
        query = "UPDATE dg_items SET until = ? + ms WHERE ns = ? AND key = ? AND ms IS NOT NULL"
        now = self._ms()
        with self._file.writing() as db:
            db.executemany(query, [(now, ".".join(item.namespace), item.key) for item in items])

    def _namespaces(self) -> Iterable[Namespace]:
        with self._file.reading() as db:
            rows = db.execute(f"SELECT DISTINCT ns FROM dg_items WHERE {_ALIVE}", (self._ms(),)).fetchall()
        return [tuple(name.split(".")) for (name,) in rows]

    def _write(self, puts: Sequence[Put]) -> None:
        keep = (
            "INSERT INTO dg_items (ns, key, value, vectors, created, updated, ms, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (ns, key) DO UPDATE SET value = excluded.value, vectors = excluded.vectors,"
            " updated = excluded.updated, ms = excluded.ms, until = excluded.until"
        )
        now, stamp = self._ms(), round(self._clock() * 1_000_000)
        rows: list[tuple[Any, ...]] = []
        for op, vectors in puts:
            place = (".".join(op.namespace), op.key)
            if op.value is None:
                rows.append(place)
            else:
                ms = None if op.ttl is None else max(1, round(op.ttl * 60_000))
                value = self._sealed(op.namespace, op.key, op.value)
                until = None if ms is None else now + ms
                rows.append((*place, value, self._packed(vectors), stamp, stamp, ms, until))
        with self._file.writing() as db:
            db.execute("DELETE FROM dg_items WHERE until <= ?", (now,))
            for row in rows:
                db.execute("DELETE FROM dg_items WHERE ns = ? AND key = ?" if len(row) == 2 else keep, row)

    def _item(self, name: str, key: str, value: bytes, created: int, updated: int) -> Item:
        namespace = tuple(name.split("."))
        return Item(
            value=self._opened(namespace, key, value),
            key=key,
            namespace=namespace,
            created_at=_EPOCH + timedelta(microseconds=created),
            updated_at=_EPOCH + timedelta(microseconds=updated),
        )

    def _ms(self) -> int:
        return int(self._clock() * 1000)
