"""What the facts about one module say."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.examples.census import score
from distgraph.examples.census.model import Facts, Outline

pytestmark = pytest.mark.unit


def fact(**changes: Any) -> Facts:
    plain: Any = {
        "kind": "function",
        "line": 1,
        "lines": 10,
        "statements": 5,
        "complexity": 2,
        "depth": 1,
        "parameters": 1,
        "public": True,
        "documented": True,
        "well_named": True,
    }
    return {**plain, **changes}  # type: ignore[typeddict-item]


def outline(**changes: Any) -> Outline:
    plain: Any = {
        "lines": 100,
        "code_lines": 80,
        "documented": True,
        "definitions": [],
        "imports": [],
        "unused": [],
    }
    return {**plain, **changes}  # type: ignore[typeddict-item]


def test_size_adds_up_and_notes_long_functions() -> None:
    numbers, notes = score.size(
        outline(),
        {"C:1": fact(kind="class", lines=500, statements=3), "C.f:2": fact(lines=101), "g:9": fact(lines=100)},
    )
    assert numbers == {
        "lines": 100,
        "code_lines": 80,
        "classes": 1,
        "functions": 2,
        "statements": 13,
        "longest": 101,
    }
    assert notes == [{"rule": "long function", "where": "C.f:2", "value": 101}]


def test_complexity_sorts_functions_into_four_classes() -> None:
    values = [1, 5, 6, 10, 11, 20, 21]
    facts = {f"f{value}:1": fact(complexity=value) for value in values}
    numbers, notes = score.complexity(facts)
    assert numbers == {"total": 74, "highest": 21, "simple": 2, "moderate": 2, "high": 2, "extreme": 1}
    assert [note["where"] for note in notes] == ["f21:1"]


def test_naming_counts_docstrings_of_public_names_only() -> None:
    numbers, notes = score.naming(
        outline(documented=False),
        {"a:1": fact(), "b:2": fact(documented=False), "_c:3": fact(public=False, documented=False, well_named=False)},
    )
    assert numbers == {"public": 2, "documented": 1, "undocumented_module": 1, "misnamed": 1}
    assert notes == [{"rule": "unusual name", "where": "_c:3", "value": 1}]


def test_imports_are_counted_and_unused_ones_noted() -> None:
    imports = [{"module": "os", "lazy": False}, {"module": "re", "lazy": True}]
    numbers, notes = score.imports(outline(imports=imports, unused=["os"]))
    assert numbers == {"modules": 2, "lazy": 1, "unused": 1}
    assert notes == [{"rule": "unused import", "where": "os", "value": 1}]


def test_the_order_in_which_facts_arrived_does_not_show() -> None:
    facts = {f"f{index}:1": fact(complexity=30, lines=200, parameters=10) for index in range(5)}
    backwards = dict(reversed(facts.items()))
    assert score.size(outline(), facts) == score.size(outline(), backwards)
    assert score.complexity(facts) == score.complexity(backwards)
    assert score.naming(outline(), facts) == score.naming(outline(), backwards)


def test_a_module_without_functions_scores_nothing() -> None:
    numbers, notes = score.complexity({})
    assert set(numbers.values()) == {0}
    assert notes == []
