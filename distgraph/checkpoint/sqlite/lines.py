"""Lines of checkpoints in a database file; what ``ledger.lines`` is for a server."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from distgraph.checkpoint.sqlite.file import SqliteFile, in_parts, marks
from distgraph.ledger.places import Change, Found, Place, Stamp, Writes
from distgraph.ledger.replies import Answer

PART, FORMAT = "checkpoints", 1
TABLES = (
    """CREATE TABLE dg_lines (
        id INTEGER PRIMARY KEY, thread TEXT NOT NULL, ns TEXT NOT NULL, head TEXT, UNIQUE (thread, ns)
    )""",
    # c:<checkpoint> records, v:<channel>@<version> values
    "CREATE TABLE dg_fields (line INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (line, name))",
    """CREATE TABLE dg_writes (
        line INTEGER NOT NULL, checkpoint TEXT NOT NULL, task TEXT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
        data BLOB NOT NULL, PRIMARY KEY (line, checkpoint, task, kind)
    )""",
)

_KEEP = {
    "first": "INSERT OR IGNORE INTO dg_writes VALUES (?, ?, ?, ?, ?, ?)",
    "last": (
        "INSERT INTO dg_writes VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (line, checkpoint, task, kind) DO UPDATE SET data = excluded.data"
    ),
}


class SqliteLines:
    """Keeps lines in ``file``. No run of a cluster ever holds one of these."""

    def __init__(self, file: SqliteFile) -> None:
        self.file = file

    # ------------------------------------------------------------- storing

    def put(self, changes: Sequence[Change]) -> list[tuple[Place, Answer]]:
        """Store changes, all of them or none."""
        with self.file.writing() as db:
            return [(change.place, self._put(db, change)) for change in changes]

    def _put(self, db: sqlite3.Connection, change: Change) -> Answer:
        if change.shares and not _records(db, _line(db, change.place)[0], [change.shares]):
            return Answer("lost", change.shares)
        db.execute("INSERT OR IGNORE INTO dg_lines (thread, ns) VALUES (?, ?)", change.place)
        line, head = db.execute("SELECT id, head FROM dg_lines WHERE thread = ? AND ns = ?", change.place).fetchone()
        fields = [(line, name, data) for name, data in change.sets]
        db.executemany("INSERT OR REPLACE INTO dg_fields VALUES (?, ?, ?)", fields)
        for mode, before, task, kind, path, data in change.writes:
            db.execute(_KEEP[mode], (line, before, task, kind, path, data))
        if change.new and (head is None or change.new > head):
            db.execute("UPDATE dg_lines SET head = ? WHERE id = ?", (change.new, line))
        return Answer("ok")

    # ------------------------------------------------------------- reading

    def look(self, place: Place, checkpoint_id: str = "") -> Found | None:
        """One checkpoint, or the head; None if there is no such."""
        with self.file.reading() as db:
            line, head = _line(db, place)
            wanted = checkpoint_id or head
            found = _records(db, line, [wanted]) if wanted else []
        if found:
            return found[0]
        return Found(wanted, None, 0) if wanted and wanted == head else None

    def history(self, place: Place, *, before: str = "", most: int) -> list[str]:
        """Ids of a line's checkpoints below ``before``, newest first."""
        query = "SELECT name FROM dg_fields WHERE line = ? AND name > 'c:' AND name < ? ORDER BY name DESC LIMIT ?"
        with self.file.reading() as db:
            line, _ = _line(db, place)
            names = db.execute(query, (line, f"c:{before}" if before else "c;", most)).fetchall()
        return [name[2:] for (name,) in names]

    def records(self, place: Place, ids: Sequence[str]) -> list[Found]:
        """These checkpoints, without those whose record is gone."""
        with self.file.reading() as db:
            return _records(db, _line(db, place)[0], ids)

    def read(
        self, place: Place, fields: Sequence[str], writes: Mapping[str, int]
    ) -> tuple[dict[str, bytes | None], dict[str, list[Writes]]]:
        """Values by field, and writes by checkpoint in the order they came in."""
        values: dict[str, bytes | None] = dict.fromkeys(fields)
        found: dict[str, list[Writes]] = {}
        with self.file.reading() as db:
            line, _ = _line(db, place)
            values.update(_fields(db, line, fields))
            for part in in_parts([name for name, count in writes.items() if count]):
                query = (
                    "SELECT checkpoint, task, kind, path, data FROM dg_writes"
                    f" WHERE line = ? AND checkpoint IN ({marks(part)}) ORDER BY rowid"
                )
                for before, task, kind, path, data in db.execute(query, (line, *part)):
                    found.setdefault(before, []).append(Writes("first", before, task, kind, path, data))
        return values, found

    def outcomes(self, thread_id: str, run_id: str, head: str) -> dict[str, bytes]:
        """Nothing: no run of a cluster writes here."""
        return {}

    # ------------------------------------------------------------- pruning

    def stamp(self, place: Place) -> Stamp | None:
        """How the line is now; None if there is none."""
        with self.file.reading() as db:
            return _stamp(db, place)

    def cut(
        self, place: Place, stamp: Stamp, ids: Sequence[str], fields: Sequence[str], *, head: str, run: str = ""
    ) -> Answer:
        """Delete checkpoints and values that no other needs: ok, moved."""
        with self.file.writing() as db:
            if _stamp(db, place) != stamp:
                return Answer("moved")
            line, _ = _line(db, place)
            db.executemany("DELETE FROM dg_writes WHERE line = ? AND checkpoint = ?", [(line, name) for name in ids])
            names = [*(f"c:{name}" for name in ids), *fields]
            db.executemany("DELETE FROM dg_fields WHERE line = ? AND name = ?", [(line, name) for name in names])
            db.execute("UPDATE dg_lines SET head = ? WHERE id = ?", (head, line))
        return Answer("ok")

    def drop_nested(self, thread_id: str, namespaces: Sequence[str]) -> None:
        """Delete these lines."""
        with self.file.writing() as db:
            for ns in namespaces:
                line, _ = _line(db, Place(thread_id, ns))
                for table, column in (("dg_fields", "line"), ("dg_writes", "line"), ("dg_lines", "id")):
                    db.execute(f"DELETE FROM {table} WHERE {column} = ?", (line,))

    # ------------------------------------------------------------- threads

    def nested(self, thread_id: str) -> list[str]:
        """Namespaces of the graphs nested in a thread that have a line."""
        query = "SELECT ns FROM dg_lines WHERE thread = ? AND ns != '' ORDER BY ns"
        with self.file.reading() as db:
            return [ns for (ns,) in db.execute(query, (thread_id,))]

    def threads(self) -> Iterator[str]:
        """Every thread that has a line."""
        with self.file.reading() as db:
            found = db.execute("SELECT DISTINCT thread FROM dg_lines ORDER BY thread").fetchall()
        yield from (thread for (thread,) in found)

    def delete(self, thread_id: str) -> Answer:
        """Delete a thread's lines, with those of nested graphs."""
        with self.file.writing() as db:
            for table in ("dg_fields", "dg_writes"):
                query = f"DELETE FROM {table} WHERE line IN (SELECT id FROM dg_lines WHERE thread = ?)"
                db.execute(query, (thread_id,))
            db.execute("DELETE FROM dg_lines WHERE thread = ?", (thread_id,))
        return Answer("ok")


def _line(db: sqlite3.Connection, place: Place) -> tuple[int, str]:
    """A line's number and head; 0 and '' where there is none."""
    found = db.execute("SELECT id, head FROM dg_lines WHERE thread = ? AND ns = ?", place).fetchone()
    return (found[0], found[1] or "") if found else (0, "")


def _stamp(db: sqlite3.Connection, place: Place) -> Stamp | None:
    line, head = _line(db, place)
    if not head:
        return None
    checkpoints, fields = db.execute(
        "SELECT COUNT(CASE WHEN name LIKE 'c:%' THEN 1 END), COUNT(*) FROM dg_fields WHERE line = ?", (line,)
    ).fetchone()
    return Stamp(head, checkpoints, fields)


def _fields(db: sqlite3.Connection, line: int, names: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in in_parts(names):
        query = f"SELECT name, data FROM dg_fields WHERE line = ? AND name IN ({marks(part)})"
        found.update(db.execute(query, (line, *part)))
    return found


def _records(db: sqlite3.Connection, line: int, ids: Sequence[str]) -> list[Found]:
    stored = _fields(db, line, [f"c:{name}" for name in ids])
    counts: dict[str, int] = {}
    for part in in_parts(ids):
        query = (
            f"SELECT checkpoint, COUNT(*) FROM dg_writes WHERE line = ? AND checkpoint IN ({marks(part)}) GROUP BY 1"
        )
        counts.update(db.execute(query, (line, *part)))
    return [Found(name, stored[f"c:{name}"], counts.get(name, 0)) for name in ids if f"c:{name}" in stored]
