"""Which files the census counts: the standard library of the interpreter that runs it.

An item names its file relative to the library's folder, and every worker reads from its own: nothing but a name
travels, and a batch item cannot make a worker read any other file.
"""

from __future__ import annotations

import os
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from distgraph.examples.census.model import CensusItem

#: Folders that are not the library itself.
_FOREIGN = frozenset({"site-packages", "dist-packages", "lib-dynload", "__pycache__"})
_TESTS = frozenset({"test", "tests", "idle_test"})


class UnreadableError(Exception):
    """A file that is not there, not allowed, or not text."""


def library() -> Path:
    """The folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def items(limit: int | None = None, *, tests: bool = False) -> list[CensusItem]:
    """Every module of the standard library as a batch item, sorted by name.

    Args:
        limit: at most this many, spread evenly over the whole library; None for all.
        tests: also the test suites, which hold files that are broken on purpose.

    Raises:
        FileNotFoundError: the interpreter comes without its library's sources.
    """
    skipped = _FOREIGN if tests else _FOREIGN | _TESTS
    found = sorted((_item(path) for path in _sources(library(), skipped)), key=lambda item: item["module"])
    if not found:
        raise FileNotFoundError(
            f"no Python source under {library()}: this interpreter comes without the sources of its standard "
            "library, so there is nothing to count; use a full Python installation"
        )
    if limit is None or limit >= len(found):
        return found
    return [found[index * len(found) // limit] for index in range(limit)]


def read(path: str) -> str:
    """The text of one library file, decoded as its first lines declare, every line end a newline.

    Args:
        path: relative to the library's folder, as in an item.

    Raises:
        UnreadableError: with the reason, short enough for a table.
    """
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts:
        raise UnreadableError("outside the standard library")
    try:
        with tokenize.open(library() / relative) as file:
            return file.read()
    except FileNotFoundError:
        raise UnreadableError("missing") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise UnreadableError(f"unreadable: {error.strerror}") from None
    except (SyntaxError, UnicodeDecodeError):
        # tokenize reports an unknown or contradictory coding line as a SyntaxError
        raise UnreadableError("undecodable") from None


def _sources(folder: Path, skipped: frozenset[str]) -> Iterator[PurePosixPath]:
    """Python files that can be imported by name, as paths relative to `folder`."""
    for here, folders, files in os.walk(folder):
        # in place: os.walk does not go into what is no longer listed (installed packages can be many)
        folders[:] = [name for name in folders if name.isidentifier() and name not in skipped]
        inside = PurePosixPath(Path(here).relative_to(folder).as_posix())
        for file in files:
            name, _, suffix = file.partition(".")
            if suffix == "py" and name.isidentifier():
                yield inside / file


def _item(path: PurePosixPath) -> CensusItem:
    parts = path.with_suffix("").parts
    name = parts[:-1] if parts[-1] == "__init__" else parts
    return {"module": ".".join(name), "path": str(path)}
