"""The items of a batch, read from JSON lines: checked first, then streamed.

A regular file is read twice: once to check every line, before anything is submitted, and once to submit. Standard input
can be read only once, so there a bad line may come after items that have been handed over.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from distgraph.cli import jsonl
from distgraph.cli.keys import KeyIndex
from distgraph.cli.lines import STDIN, Line, lines, opened
from distgraph.errors import BatchItemError, InputError

#: Bytes of one line.
MAX_LINE = 16 << 20
#: Bad lines that are shown; all are counted.
SHOWN = 10

OnBadLine = Literal["fail", "skip"]


@dataclass
class Tally:
    """What was found so far.

    Attributes:
        items: good ones, each counted once.
        bad: lines that are no items.
        repeated: lines that repeat the key and the content of an earlier one; they are left out.
        lookalikes: keys that differ from an earlier one only in case or Unicode form.
        offset: bytes read, after decompression.
        complaints: one sentence for each of the first bad lines.
    """

    items: int = 0
    bad: int = 0
    repeated: int = 0
    lookalikes: int = 0
    offset: int = 0
    complaints: list[str] = field(default_factory=list)

    def refuse(self, complaint: str) -> None:
        """Count a bad line."""
        self.bad += 1
        if len(self.complaints) < SHOWN:
            self.complaints.append(complaint)


class ItemSource:
    """One file of items; make it with ``item_source``."""

    def __init__(self, file: BinaryIO, name: str, *, key: str | None, on_bad: OnBadLine, max_line: int) -> None:
        self.name = name
        self.tally = Tally()
        #: Whether it can be read twice, and so be checked before anything is submitted.
        self.checkable = name != "standard input"
        self._file, self._key, self._on_bad, self._max_line = file, key, on_bad, max_line
        self._began = self._state()

    def check(self, progress: Callable[[Tally], None] = lambda tally: None) -> Tally:
        """Read every line and submit none. ``progress`` is called after each item.

        Raises:
            BatchItemError: lines are no items, and the policy is to fail then; the text has the first of them.
            InputError: the file cannot be read as JSON lines at all, or changes meanwhile.
        """
        tally = Tally()
        for _ in self._read(tally, stop_at_bad=False):
            progress(tally)
        if tally.bad and self._on_bad == "fail":
            raise BatchItemError(self._report(tally))
        self._file.seek(0)
        return tally

    def items(self) -> Iterator[dict[str, Any]]:
        """The items, lazily; ``tally`` counts along.

        Raises:
            BatchItemError: a line is no item, and the policy is to fail then.
            InputError: the file cannot be read as JSON lines, or changed since it was opened.
        """
        self.tally = Tally()
        yield from self._read(self.tally, stop_at_bad=self._on_bad == "fail")

    def _read(self, tally: Tally, *, stop_at_bad: bool) -> Iterator[dict[str, Any]]:
        hint = None
        with KeyIndex(self._key) as index:
            for line in self._lines():
                tally.offset = line.offset + line.size
                if not line.data.strip():
                    continue
                try:
                    item = jsonl.parse(line, self._max_line)
                    repeated = index.seen(item, line.number)
                except BatchItemError as error:
                    hint = hint or (jsonl.hint(line) if tally.items == tally.bad == 0 else None)
                    if hint and self._on_bad == "fail":
                        raise InputError(f"{self.name} is no file of JSON lines: {hint}.") from error
                    if stop_at_bad:
                        raise BatchItemError(f"{self.name}: {error}.", line=error.line) from error
                    tally.refuse(str(error))
                    continue
                tally.items += not repeated
                tally.repeated += repeated
                tally.lookalikes = index.lookalikes
                if not repeated:
                    yield item
        if tally.bad and not tally.items and self._on_bad == "skip":
            raise InputError(f"{self.name}: none of its {tally.bad:,} lines is an item{_because(hint, tally)}.")
        self._check_unchanged()

    def _lines(self) -> Iterator[Line]:
        number = 0
        try:
            for line in lines(self._file, self.name, self._max_line):
                number = line.number
                yield line
        except EOFError:
            raise self._damaged("the compressed data end too early, so it is truncated", number) from None
        except zlib.error as error:
            raise self._damaged(f"the compressed data are damaged ({error})", number) from None
        except OSError as error:
            raise self._damaged(f"reading failed ({(error.strerror or str(error)).lower()})", number) from error

    def _damaged(self, reason: str, number: int) -> BatchItemError:
        return BatchItemError(f"{self.name}: after line {number:,} {reason}. Get a whole copy.", line=number + 1)

    def _state(self) -> tuple[int, int] | None:
        if not self.checkable:
            return None
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def _check_unchanged(self) -> None:
        if self._state() != self._began:
            raise InputError(f"{self.name} changed while it was read. Let its writer finish, then submit it again.")

    def _report(self, tally: Tally) -> str:
        some = f"{tally.bad:,} of {tally.bad + tally.items + tally.repeated:,} lines"
        more = f"\n  ... and {tally.bad - SHOWN:,} more" if tally.bad > SHOWN else ""
        return (
            f"{self.name}: {some} are no items; nothing was submitted.\n  "
            + "\n  ".join(tally.complaints)
            + more
            + "\nMend them, or leave them out with --on-bad-line skip."
        )


def _because(hint: str | None, tally: Tally) -> str:
    return f": {hint}" if hint else f"; {tally.complaints[0]}"


@contextmanager
def item_source(
    path: str, *, key: str | None = None, on_bad: OnBadLine = "fail", max_line: int = MAX_LINE
) -> Iterator[ItemSource]:
    """The items at ``path`` (``-``: standard input).

    Args:
        path: a file of JSON lines, plain or gzip-compressed.
        key: the field that names each item; two items with one name must be equal.
        on_bad: what to do with a line that is no item.
        max_line: the most bytes a line may have.

    Raises:
        InputError: there is no such file, or it is none.
    """
    with opened(path) as file:
        name = "standard input" if path == STDIN else path
        yield ItemSource(file, name, key=key, on_bad=on_bad, max_line=max_line)


def size_of(path: str) -> int | None:
    """Bytes of the file at ``path``, or None where that says nothing."""
    if path == STDIN:
        return None
    found = Path(path).stat()
    return found.st_size if stat.S_ISREG(found.st_mode) else None
