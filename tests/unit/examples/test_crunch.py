"""CPU work whose right answer is known."""

from __future__ import annotations

import pytest

from distgraph.examples.crunch import graph, items

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("start", "count", "primes"),
    [(0, 0, 0), (0, 3, 1), (0, 100, 25), (0, 10_000, 1229), (90, 10, 1), (1_000_000, 1000, 75)],
)
def test_all_primes_of_the_range_are_counted(start: int, count: int, primes: int) -> None:
    assert graph.invoke({"start": start, "count": count})["primes"] == primes


def test_items_cover_neighbouring_ranges() -> None:
    assert items(2, size=10) == [{"start": 1_000_000, "count": 10}, {"start": 1_000_010, "count": 10}]
