"""What all rows together say."""

from __future__ import annotations

import random
from typing import Any

import pytest

from distgraph.examples.census.model import Summary
from distgraph.examples.census.report import digest, findings

pytestmark = pytest.mark.unit


def row(module: str, **changes: Any) -> Summary:
    plain: Any = {
        "module": module,
        "kind": "module",
        "problem": "",
        "planned": 2,
        "measured": 2,
        "scores": {
            "size": {"lines": 10, "functions": 2},
            "complexity": {"total": 6},
            "naming": {"public": 10, "documented": 5},
        },
        "notes": {"unused import": 1},
        "imports": ["os"],
        "unused": ["re"],
        "hotspots": [{"where": "f", "line": 3, "weight": 12, "complexity": 3, "statements": 4}],
        "threshold": 10,
        "rounds": 1,
    }
    return {**plain, **changes}  # type: ignore[typeddict-item]


def table(rows: list[Summary], title: str, top: int = 10) -> tuple[tuple[str | int, ...], ...]:
    (found,) = [table for table in findings(rows, top).tables if table.title.startswith(title)]
    assert all(len(line) == len(found.columns) for line in found.rows)
    return found.rows


def test_totals_add_up_over_modules() -> None:
    rows = [row("a"), row("b", kind="package"), row("c", kind="broken", scores={}, problem="missing")]
    totals = {what: count for what, count in table(rows, "The library")}
    assert (totals["modules"], totals["packages"], totals["broken"]) == (1, 1, 1)
    assert (totals["lines"], totals["functions and methods"]) == (20, 4)
    assert totals["decisions + 1, per 100 functions"] == 300
    assert totals["public names with a docstring, %"] == 50
    found = findings(rows)
    assert (found.modules, found.broken, found.unaccounted) == (3, 1, 0)


def test_a_lost_or_repeated_measure_is_accounted_for() -> None:
    assert findings([row("a", measured=1), row("b", measured=4), row("c")]).unaccounted == 3


def test_hotspots_of_all_modules_are_ranked() -> None:
    heavy = [{"where": "C.g", "line": 1, "weight": 99, "complexity": 9, "statements": 11}]
    rows = [row("b"), row("a"), row("c", hotspots=heavy)]
    assert table(rows, "Read these first", top=2) == (("c.C.g", 9, 11, 99), ("a.f", 3, 4, 12))


def test_undocumented_modules_are_those_with_enough_public_names() -> None:
    few = row("few", scores={"naming": {"public": 9, "documented": 0}})
    none = row("none", scores={"naming": {"public": 10, "documented": 0}})
    assert table([row("half"), few, none], "Fewest docstrings") == (("none", 10, 0), ("half", 10, 50))


def test_imports_are_counted_and_circles_found() -> None:
    rows = [row("a", imports=["b", "os"]), row("b", imports=["a"]), row("c", imports=["os"])]
    assert table(rows, "Leaned on") == (("os", 2), ("a", 1), ("b", 1))
    assert table(rows, "Import cycles") == ((2, "a b"),)


def test_notes_are_counted_with_the_modules_they_are_in() -> None:
    rows = [row("a", notes={"x": 3, "y": 1}), row("b", notes={"x": 1})]
    assert table(rows, "Worth a look") == (("x", 4, 2), ("y", 1, 1))


def test_rows_may_come_in_any_order() -> None:
    rows = [row(f"m{index}", imports=[f"m{(index + 1) % 7}"], rounds=index) for index in range(7)]
    expected = findings(rows)
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert findings(iter(rows)) == expected


def test_the_digest_tells_any_difference() -> None:
    rows = [row("a"), row("b")]
    assert digest(rows) == digest(rows[::-1])
    assert digest(rows) != digest([row("a"), row("b", rounds=2)])
    assert digest(rows) != digest([*rows, row("b")])
    assert len(digest([])) == 12


def test_an_empty_census_has_empty_tables() -> None:
    found = findings([])
    assert found.modules == 0
    assert all(not table.rows for table in found.tables[1:])
