"""What all result rows together say. Pure: rows in, plain tables out; whoever calls decides how to show them.

The order in which rows come does not matter: everything is sorted by value and then by name.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from distgraph.examples.census.cycles import cycles
from distgraph.examples.census.model import Summary

Cell = str | int

#: Below this many public names, a share of documented ones says little.
_ENOUGH_PUBLIC = 10


@dataclass(frozen=True)
class Table:
    """One finding: a title, column heads, rows of text and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Findings:
    """The report on a census."""

    #: Modules counted.
    modules: int
    #: Modules that could not be parsed.
    broken: int
    #: Definitions whose measures were lost or came twice, over all modules: 0, or the machinery is at fault.
    unaccounted: int
    #: Fingerprint of all rows: two censuses agree iff it is equal.
    digest: str
    #: Totals first.
    tables: tuple[Table, ...]


def findings(rows: Iterable[Summary], top: int = 10) -> Findings:
    """The report on `rows`, tables with at most `top` rows each (the totals have more)."""
    summaries = sorted(rows, key=lambda row: row["module"])
    return Findings(
        modules=len(summaries),
        broken=sum(1 for row in summaries if row["kind"] == "broken"),
        unaccounted=sum(abs(row["planned"] - row["measured"]) for row in summaries),
        digest=digest(summaries),
        tables=(
            _totals(summaries),
            _hotspots(summaries, top),
            _undocumented(summaries, top),
            _imported(summaries, top),
            _cycles(summaries, top),
            _notes(summaries),
        ),
    )


def digest(rows: Iterable[Summary]) -> str:
    """Twelve hexadecimal digits that stand for all rows, whatever order they come in."""
    summaries = sorted(rows, key=lambda row: row["module"])
    text = json.dumps(summaries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _total(rows: Sequence[Summary], metric: str, number: str) -> int:
    return sum(row["scores"].get(metric, {}).get(number, 0) for row in rows)


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0


def _totals(rows: Sequence[Summary]) -> Table:
    kinds = Counter(row["kind"] for row in rows)
    functions = _total(rows, "size", "functions")
    public = _total(rows, "naming", "public")
    totals: list[tuple[str, Cell]] = [
        ("modules", kinds["module"]),
        ("packages", kinds["package"]),
        ("broken", kinds["broken"]),
        ("lines", _total(rows, "size", "lines")),
        ("lines of code", _total(rows, "size", "code_lines")),
        ("classes", _total(rows, "size", "classes")),
        ("functions and methods", functions),
        ("statements in them", _total(rows, "size", "statements")),
        ("decisions + 1, per 100 functions", _percent(_total(rows, "complexity", "total"), functions)),
        ("functions of extreme complexity", _total(rows, "complexity", "extreme")),
        ("public names with a docstring, %", _percent(_total(rows, "naming", "documented"), public)),
        ("modules that only hold data", _total(rows, "module", "data")),
        ("packages that are mere doors", _total(rows, "package", "door")),
        ("rounds of search for hotspots", sum(row["rounds"] for row in rows)),
    ]
    return Table("The library in numbers", ("what", "count"), tuple(totals))


def _hotspots(rows: Sequence[Summary], top: int) -> Table:
    spots = [
        (spot["weight"], f"{row['module']}.{spot['where']}", spot["complexity"], spot["statements"])
        for row in rows
        for spot in row["hotspots"]
    ]
    spots.sort(key=lambda spot: (-spot[0], spot[1]))
    heads = ("function", "complexity", "statements", "weight")
    return Table(
        "Read these first: long and branching",
        heads,
        tuple((name, ways, statements, weight) for weight, name, ways, statements in spots[:top]),
    )


def _undocumented(rows: Sequence[Summary], top: int) -> Table:
    shares = []
    for row in rows:
        numbers = row["scores"].get("naming", {})
        public, documented = numbers.get("public", 0), numbers.get("documented", 0)
        if public >= _ENOUGH_PUBLIC:
            shares.append((_percent(documented, public), -public, row["module"]))
    return Table(
        "Fewest docstrings",
        ("module", "public names", "documented, %"),
        tuple((module, -public, share) for share, public, module in sorted(shares)[:top]),
    )


def _imported(rows: Sequence[Summary], top: int) -> Table:
    importers = Counter(name for row in rows for name in row["imports"])
    ranked = sorted(importers.items(), key=lambda entry: (-entry[1], entry[0]))
    return Table("Leaned on by most", ("module", "imported by"), tuple(ranked[:top]))


def _cycles(rows: Sequence[Summary], top: int) -> Table:
    found = cycles({row["module"]: row["imports"] for row in rows})
    return Table(
        "Import cycles: modules that need each other to load",
        ("modules", "members"),
        tuple((len(members), " ".join(members)) for members in found[:top]),
    )


def _notes(rows: Sequence[Summary]) -> Table:
    often: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for row in rows:
        often.update(row["notes"])
        modules.update(row["notes"].keys())
    ranked = sorted(often.items(), key=lambda entry: (-entry[1], entry[0]))
    return Table(
        "Worth a look",
        ("note", "times", "in modules"),
        tuple((rule, times, modules[rule]) for rule, times in ranked),
    )
