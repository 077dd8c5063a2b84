"""Result rows to a file of JSON lines: whole or not at all, and never over something else.

Rows go to a temporary file beside the target, which gets its name when the last row is on the disk.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from distgraph.cli.plain import dumps
from distgraph.errors import InputError


class ResultFile:
    """An open file of rows; make it with ``result_file``."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        #: Rows written so far.
        self.rows = 0

    def write(self, row: dict[str, Any]) -> None:
        """Append one row."""
        self._file.write(dumps(row) + "\n")
        self.rows += 1


def check_target(path: str, *, overwrite: bool, source: str | None = None) -> Path:
    """``path``, if results may be written there: asked before the work begins, which may take hours.

    Args:
        path: where the results are to go.
        overwrite: whether a file that is there may be replaced.
        source: the file of items, which is never replaced.

    Raises:
        InputError: it may not.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise InputError(f"Cannot write {path}: there is no directory {folder}. Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"Cannot write {path}: no permission to make files in {folder}.")
    if source is not None and _same_file(target, Path(source)):
        raise InputError(f"{path} is the file of items itself. Write the results to another file.")
    _check_free(target, overwrite=overwrite)
    return target


def _same_file(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:  # one of the two is not there
        return False


def _check_free(target: Path, *, overwrite: bool) -> None:
    if target.is_dir():
        raise InputError(f"Cannot write {target}: it is a directory. Name a file in it.")
    there = target.exists() or target.is_symlink()
    if there and not overwrite:
        raise InputError(f"{target} is there already. Choose another name, or replace it with --overwrite.")
    if there and not target.is_file():
        raise InputError(f"Cannot replace {target}: it is no regular file.")


@contextmanager
def result_file(target: Path, *, overwrite: bool) -> Iterator[ResultFile]:
    """A file of rows that appears at ``target`` when the block ends well, and leaves nothing behind otherwise.

    Raises:
        InputError: it cannot be written; the disk may be full.
    """
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o666), "w", encoding="utf-8") as file:
            yield ResultFile(file)
            file.flush()
            os.fsync(file.fileno())
        # Somebody may have made the file meanwhile.
        _check_free(target, overwrite=overwrite)
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        raise InputError(
            f"Writing {target} failed: {(error.strerror or str(error)).lower()}. The results stay on the server: "
            "make room and fetch them with `distgraph batch results BATCH --out FILE`."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


#: What a disk says, apart from what a connection says: that is an OSError as well, and not this file's.
_DISK = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EFBIG,
    errno.ENOENT,
    errno.ENAMETOOLONG,
}


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
