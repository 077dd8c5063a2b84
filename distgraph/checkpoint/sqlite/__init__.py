"""Checkpoints in a database file: for one machine, without a server.

Several OS threads and several processes may use one file at the same time. Every superstep is one transaction; each
value is stored once per version.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Self

from distgraph.checkpoint.line_saver import LineSaver
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.checkpoint.sqlite.file import TIMEOUT, SqliteFile
from distgraph.checkpoint.sqlite.lines import FORMAT, PART, TABLES, SqliteLines
from distgraph.closing import Closing
from distgraph.wire import Codec

__all__ = ["SqliteSaver"]


class SqliteSaver(LineSaver, Closing):
    """A saver for threads that outlive processes. Safe to use from any OS thread.

    Args:
        conn: the path of a database file, ``":memory:"``, or an open connection, which stays the caller's to close; for
            several OS threads open it with ``check_same_thread=False``.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        retention: which checkpoints of a thread stay that is written to from here; None: all.
        timeout: seconds to wait for another process that writes.

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
        retention: CheckpointRetention | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._file = SqliteFile(conn, PART, FORMAT, TABLES, timeout=timeout)
        super().__init__(SqliteLines(self._file), codec, retention)

    @classmethod
    def from_conn_string(
        cls,
        conn_string: str | os.PathLike[str],
        *,
        codec: Codec | None = None,
        retention: CheckpointRetention | None = None,
        timeout: float = TIMEOUT,
    ) -> Self:
        """A saver for the file at a path; close it, or use it in a ``with`` block."""
        return cls(conn_string, codec=codec, retention=retention, timeout=timeout)

    def setup(self) -> None:
        """See that the file can be read. Its tables are there already; programs that call this may go on doing so."""
        with self._file.reading():
            pass

    def close(self) -> None:
        """Close the file, if this saver opened it; using it again opens it anew. A ``":memory:"`` is lost."""
        self._file.close()
