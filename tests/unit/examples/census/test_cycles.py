"""Modules that import each other in a circle."""

from __future__ import annotations

import pytest

from distgraph.examples.census.cycles import cycles

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("imports", "circles"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["a"]}, []),
        ({"a": ["b"], "b": ["a"]}, [("a", "b")]),
        ({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": ["c", "elsewhere"]}, [("a", "b", "c", "d")]),
        ({"x": ["y"], "y": ["x", "a"], "a": ["b"], "b": ["c"], "c": ["a"]}, [("a", "b", "c"), ("x", "y")]),
        ({"b": ["c"], "c": ["b"], "a": ["d", "b"], "d": ["a"]}, [("a", "d"), ("b", "c")]),
    ],
)
def test_circles_are_found_largest_first(imports: dict[str, list[str]], circles: list[tuple[str, ...]]) -> None:
    assert cycles(imports) == circles
    assert cycles(dict(reversed(imports.items()))) == circles


def test_a_very_long_circle_needs_no_deep_recursion() -> None:
    names = [f"m{index:05}" for index in range(5_000)]
    ring = {name: [names[index - 1]] for index, name in enumerate(names)}
    assert cycles(ring) == [tuple(names)]
