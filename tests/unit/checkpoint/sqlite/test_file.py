"""A database file that cannot be used says so, and one that many use stays whole."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distgraph.checkpoint.sqlite.file import SqliteFile, check_path, in_parts
from distgraph.errors import ConfigError, DatabaseFileError, NewerFormatError, StoreError

TABLES = ("CREATE TABLE things (n INTEGER)",)
ROOT = str(Path(__file__).resolve().parents[4])


def opened(source: Any, **options: Any) -> SqliteFile:
    return SqliteFile(source, "things", 1, TABLES, **options)


def count(file: SqliteFile) -> int:
    with file.reading() as db:
        found: int = db.execute("SELECT COUNT(*) FROM things").fetchone()[0]
    return found


def test_a_change_is_whole_or_not_at_all(tmp_path: Path) -> None:
    file = opened(tmp_path / "x.db")
    with pytest.raises(KeyError), file.writing() as db:
        db.execute("INSERT INTO things VALUES (1)")
        raise KeyError
    assert count(file) == 0
    with file.writing() as db:
        db.execute("INSERT INTO things VALUES (1)")
    assert count(file) == 1
    file.close()
    assert count(opened(tmp_path / "x.db")) == count(file) == 1
    file.close()


def test_several_parts_share_a_file(tmp_path: Path) -> None:
    opened(tmp_path / "x.db").close()
    other = SqliteFile(tmp_path / "x.db", "others", 1, ("CREATE TABLE others (n INTEGER)",))
    with other.reading() as db:
        assert db.execute("SELECT part, format FROM dg_parts ORDER BY part").fetchall() == [
            ("others", 1),
            ("things", 1),
        ]
    other.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("this is a text, and long enough to be taken for a header of a database" * 20)
    with pytest.raises(DatabaseFileError, match=r"x\.db' cannot be used: it is no SQLite database"):
        opened(tmp_path / "x.db")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatabaseFileError, match="Is its folder there"):
        opened(tmp_path / "nowhere" / "x.db")
    with pytest.raises(StoreError, match="cannot be opened"):
        opened(tmp_path)


def test_a_database_that_cannot_be_written(tmp_path: Path) -> None:
    opened(tmp_path / "x.db").close()
    only_read = sqlite3.connect(f"file:{tmp_path / 'x.db'}?mode=ro", uri=True)
    file = opened(only_read)
    with pytest.raises(DatabaseFileError, match="it cannot be written"), file.writing() as db:
        db.execute("INSERT INTO things VALUES (1)")
    only_read.close()


def test_tables_of_a_newer_distgraph(tmp_path: Path) -> None:
    opened(tmp_path / "x.db").close()
    with pytest.raises(NewerFormatError, match="format 1; this distgraph knows format 0"):
        SqliteFile(tmp_path / "x.db", "things", 0, TABLES)


def test_somebody_who_holds_the_file_for_too_long(tmp_path: Path) -> None:
    file = opened(tmp_path / "x.db", timeout=0.05)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseFileError, match="others held it for too long"), file.writing():
        pass
    assert count(file) == 0  # whoever reads does not wait
    other.execute("ROLLBACK")
    other.close()
    with file.writing():
        pass
    file.close()


def test_a_given_connection_stays_open() -> None:
    connection = sqlite3.connect(":memory:")
    file = opened(connection)
    with file.writing() as db:
        db.execute("INSERT INTO things VALUES (1)")
    file.close()
    assert connection.execute("SELECT COUNT(*) FROM things").fetchone() == (1,)
    connection.close()
    with pytest.raises(ConfigError, match="check_same_thread"), file.reading():
        pass


@pytest.mark.parametrize("path", ["", None, 7, b"x.db"])
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(ConfigError, match="path of a database file"):
        check_path(path)


def test_parts_of_long_lists() -> None:
    assert [len(part) for part in in_parts(range(1100))] == [500, 500, 100]


WRITER = """
import sys
from distgraph.checkpoint.sqlite.file import SqliteFile
file = SqliteFile(sys.argv[1], "things", 1, ("CREATE TABLE things (n INTEGER)",))
for n in range(100):
    with file.writing() as db:
        (seen,) = db.execute("SELECT COUNT(*) FROM things").fetchone()
        db.execute("INSERT INTO things VALUES (?)", (seen,))
"""


def test_processes_that_open_and_write_at_once(tmp_path: Path) -> None:
    """Each counts what is there and adds one: any lost or mixed change would show as a number that came twice."""
    path = str(tmp_path / "x.db")
    environment = {**os.environ, "PYTHONPATH": ROOT}
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path], env=environment) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    file = opened(path)
    with file.reading() as db:
        assert [n for (n,) in db.execute("SELECT n FROM things ORDER BY n")] == [*range(300)]
    file.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_the_file_anew(tmp_path: Path) -> None:
    script = f"""
import os
from distgraph.checkpoint.sqlite.file import SqliteFile
file = SqliteFile({str(tmp_path / "x.db")!r}, "things", 1, ("CREATE TABLE things (n INTEGER)",))
child = os.fork()
for n in range(50):
    with file.writing() as db:
        db.execute("INSERT INTO things VALUES (1)")
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with file.reading() as db:
    assert db.execute("SELECT COUNT(*) FROM things").fetchone() == (100,)
"""
    subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": ROOT}, check=True)
