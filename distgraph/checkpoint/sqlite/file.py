"""A database file as several OS threads and processes use it: opened, locked, checked, and clear about what goes wrong.

Everything that distgraph keeps in SQLite is kept here: a saver, a store and a cache may share one file. Each part of it
has its own tables and its own format number.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Any

from distgraph.errors import ConfigError, DatabaseFileError, NewerFormatError

#: Seconds to wait for another process that writes.
TIMEOUT = 10.0
#: Values in one statement; older libraries take 999.
MOST = 500

_PARTS = "CREATE TABLE IF NOT EXISTS dg_parts (part TEXT PRIMARY KEY, format INTEGER NOT NULL) WITHOUT ROWID"

_REASONS = (
    ("not a database", "it is no SQLite database, or is damaged. Give another path, or restore the file."),
    ("malformed", "it is damaged. Restore it from a backup; `sqlite3 FILE .recover` may save the rest."),
    ("unable to open", "it cannot be opened. Is its folder there, and may this user write to it?"),
    ("readonly", "it cannot be written. May this user write to the file and its folder?"),
    ("locked", "others held it for too long. Who keeps a transaction open? A longer timeout= may help."),
    ("busy", "others held it for too long. Who keeps a transaction open? A longer timeout= may help."),
    ("full", "the disk is full. Nothing of this call was written."),
)


class SqliteFile:
    """One part of a database file. Safe to use from any OS thread; a forked child opens the file anew.

    Args:
        source: a path, ``":memory:"``, or an open connection, which stays the caller's to close. One that serves
            several OS threads needs ``check_same_thread=False``.
        part: what is kept: names the format.
        format: version of the part's tables.
        tables: statements that create them.
        timeout: seconds to wait for another process that writes.

    Raises:
        ConfigError: no path and no connection.
        DatabaseFileError: the file cannot be used.
        NewerFormatError: a newer distgraph made these tables.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | sqlite3.Connection,
        part: str,
        format: int,
        tables: Sequence[str],
        *,
        timeout: float = TIMEOUT,
    ) -> None:
        self._given = source if isinstance(source, sqlite3.Connection) else None
        self.path = "the given connection" if isinstance(source, sqlite3.Connection) else os.fspath(check_path(source))
        self._part, self._format, self._tables, self._timeout = part, format, tables, timeout
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        #: Connections of the process this one was forked from: closing them here would undo its locks.
        self._inherited: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        with self.reading():
            pass

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The file as it is at one moment."""
        with self._lock, self._guard():
            connection = self._open()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                _give_up(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One change of the file: all of what the block does, or, where it raises, nothing."""
        with self._lock, self._guard():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                _give_up(connection)
                raise
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close what was opened here; using it again opens it anew."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._given is None:
                connection.close()

    # ------------------------------------------------------------- opening

    def _open(self) -> sqlite3.Connection:
        if self._pid != os.getpid() and self._given is None:
            self._inherited += [] if self._connection is None else [self._connection]
            self._connection, self._pid = None, os.getpid()
        if self._connection is None:
            self._connection = self._given or self._connect()
            try:
                self._prepare(self._connection)
            except BaseException:
                self.close()
                raise
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        # Readers and a writer do not wait for each other. A killed process loses nothing; a power cut may take the
        # last changes, and leaves the file whole.
        self._to_wal(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _to_wal(self, connection: sqlite3.Connection) -> None:
        give_up = monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as exc:
                # This one statement does not wait for others that open the file at the same time.
                if "locked" not in str(exc) or monotonic() > give_up:
                    connection.close()
                    raise
            except BaseException:
                connection.close()
                raise
            sleep(0.01)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._is_ready(connection):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_PARTS)
            if not self._is_ready(connection):
                for statement in self._tables:
                    connection.execute(statement)
                connection.execute("INSERT INTO dg_parts VALUES (?, ?)", (self._part, self._format))
        except BaseException:
            _give_up(connection)
            raise
        connection.execute("COMMIT")

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'dg_parts'").fetchone():
            return False
        found = connection.execute("SELECT format FROM dg_parts WHERE part = ?", (self._part,)).fetchone()
        if found is not None and found[0] > self._format:
            raise NewerFormatError(
                f"{self._name} holds a {self._part} of format {found[0]}; this distgraph knows format {self._format}. "
                "Update distgraph here, or use another file."
            )
        return found is not None

    @property
    def _name(self) -> str:
        return f"Database {self.path!r}" if self._given is None else "The database of the given connection"

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Turn errors of the library into ours.

        Raises:
            DatabaseFileError: the file cannot be used.
            ConfigError: the given connection cannot be used from this OS thread, or is closed.
        """
        try:
            yield
        except sqlite3.ProgrammingError as exc:
            raise ConfigError(
                f"{self._name} cannot be used: {exc} Open it with check_same_thread=False, or give a path."
            ) from exc
        except sqlite3.DatabaseError as exc:
            text = str(exc)
            why = next((reason for mark, reason in _REASONS if mark in text), "SQLite refuses.")
            raise DatabaseFileError(f"{self._name} cannot be used: {why} SQLite says: {text}.") from exc


def _give_up(connection: sqlite3.Connection) -> None:
    # A full disk, for one, has ended the transaction already.
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def marks(values: Sequence[Any]) -> str:
    """Placeholders for ``values`` in a statement."""
    return ",".join("?" * len(values))


def in_parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """``values`` in pieces that fit one statement."""
    for first in range(0, len(values), MOST):
        yield values[first : first + MOST]


def check_path(path: Any) -> str | os.PathLike[str]:
    """``path`` if a database can be there.

    Raises:
        ConfigError: it is no path; or empty, which would be a database that vanishes.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ConfigError(f"Expected the path of a database file, got {path!r}. Use ':memory:' for none.")
    return Path(path) if isinstance(path, os.PathLike) else path
