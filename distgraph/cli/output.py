"""Where answers go: one JSON document, or text and tables, to standard output; everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from distgraph.cli.exits import Reported, describe, exit_code
from distgraph.cli.plain import dumps

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]


class Output:
    """Renders what commands answer.

    With ``json``, standard output gets exactly one JSON document a call, and nothing besides.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self.document_begun = False

    def document(self, value: Any) -> None:
        """The JSON answer; commands call it only with ``json``."""
        self.document_begun = True
        print_line(dumps(value, ascii_only=True, indent=2))

    @contextmanager
    def streamed(self, name: str, head: Row | None = None) -> Iterator[Callable[[Any], None]]:
        """The JSON answer with one long list, ``name``, written entry by entry: it need not fit into memory.

        An error in the block ends the document as valid JSON, with the error in it.
        """
        self.document_begun = True
        opening = dumps({**(head or {}), name: []}, ascii_only=True)
        sys.stdout.write(opening[: -len("]}")])
        separator = "\n"

        def entry(value: Any) -> None:
            nonlocal separator
            sys.stdout.write(separator + dumps(value, ascii_only=True))
            separator = ",\n"

        try:
            yield entry
        except (BrokenPipeError, GeneratorExit):
            raise
        except BaseException as error:
            print_line("]," + dumps({"error": error_row(error)}, ascii_only=True)[1:])
            raise Reported(exit_code(error)) from error
        print_line("]}")

    def text(self, *lines: str) -> None:
        """Lines of the text answer; commands call it only without ``json``."""
        for line in lines:
            print_line(line)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
        """A table of the text answer. Numbers are aligned to the right."""
        from rich.table import Table
        from rich.text import Text

        shown = [list(row) for row in rows]
        table = Table(box=_box(), header_style="bold", pad_edge=False)
        for place, name in enumerate(columns):
            number = bool(shown) and all(isinstance(row[place], int | float) for row in shown)
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in shown:
            table.add_row(*(Text(cell(value)) for value in row))
        screen = console()
        if title is not None:
            # Not the table's own title, which would be wrapped to the width of a narrow table.
            screen.print(Text(title, style="bold"))
        screen.print(table)

    def note(self, text: str) -> None:
        """A remark for a person: never part of the answer."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def print_line(text: str) -> None:
    """One line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def error_row(error: BaseException) -> Row:
    """``error`` as it stands in a JSON document."""
    code, message = describe(error)
    return {"code": code, "message": message}


def cell(value: Any) -> str:
    """A value as a table shows it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
    return str(value)


def console(*, errors: bool = False) -> Console:
    """A rich console on standard output, or on standard error."""
    from rich.console import Console

    made = Console(stderr=errors, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        # Into a pipe or a file: rows are for grep, and not to be folded at the width of a terminal that is not there.
        made.width = 240
    return made


def _box() -> Any:
    from rich import box

    return box.SIMPLE_HEAD


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 item``, ``2,000 items``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float | None) -> str:
    """``0.4 s``, ``12 s``, ``3:05 min``, ``2:10 h``; a dash where it is not known."""
    if seconds is None:
        return "-"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"
