"""Which keys a file of items has used, however long the file is.

The index lives in a temporary SQLite database, which keeps a bounded part of itself in memory and spills the rest to a
nameless file that vanishes with the process. Only digests are kept.
"""

from __future__ import annotations

import json
import unicodedata
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

from distgraph.config import check_id
from distgraph.errors import BatchItemError, ConfigError

_TABLES = """
    PRAGMA journal_mode = OFF;
    CREATE TABLE keys (key BLOB PRIMARY KEY, line INTEGER, content BLOB) WITHOUT ROWID;
    CREATE TABLE folded (key BLOB PRIMARY KEY) WITHOUT ROWID;
    BEGIN;
"""


def item_key(item: dict[str, Any], field: str) -> str:
    """The key of ``item``: the text in ``field``, or an integer's digits.

    Raises:
        ValueError: the field is missing, or holds what cannot be a key.
    """
    if field not in item:
        raise ValueError(f"the key field {field!r} is missing")
    value = item[field]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"the key field {field!r} holds {json.dumps(value)[:40]}; a key is a text or an integer")
    try:
        return check_id(f"the key field {field!r}", str(value))
    except ConfigError as error:
        raise ValueError(str(error)) from None


class KeyIndex:
    """Finds keys that come twice. Without a field it finds nothing and costs nothing."""

    def __init__(self, field: str | None) -> None:
        self._field = field
        #: Keys that differ from an earlier one only in case or Unicode form.
        self.lookalikes = 0

    def __enter__(self) -> Self:
        if self._field is not None:
            import sqlite3

            self._database = sqlite3.connect("", isolation_level=None)
            self._database.executescript(_TABLES)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._field is not None:
            self._database.close()

    def seen(self, item: dict[str, Any], line: int) -> bool:
        """Whether an equal item with this key came before.

        Raises:
            BatchItemError: the item has no usable key, or another item has the same.
        """
        if self._field is None:
            return False
        try:
            key = item_key(item, self._field)
        except ValueError as error:
            raise BatchItemError(f"line {line:,}: {error}", line=line) from None
        content = _digest(json.dumps(item, sort_keys=True))
        if self._added("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", _digest(key), line, content):
            folded = _digest(unicodedata.normalize("NFC", key).casefold())
            self.lookalikes += not self._added("INSERT OR IGNORE INTO folded VALUES (?)", folded)
            return False
        self._check_equal(key, content, line)
        return True

    def _check_equal(self, key: str, content: bytes, line: int) -> None:
        query = "SELECT line, content FROM keys WHERE key = ?"
        first, stored = self._database.execute(query, (_digest(key),)).fetchone()
        if stored != content:
            raise BatchItemError(
                f"line {line:,}: the key {key!r} was used in line {first:,} for another item", line=line
            )

    def _added(self, statement: str, *values: object) -> bool:
        return self._database.execute(statement, values).rowcount == 1


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
