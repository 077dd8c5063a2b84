"""Exact sums: the graph agrees with a few lines of arithmetic, and no mishap would."""

from __future__ import annotations

import itertools

import pytest

from distgraph.examples.sums import Item, add_counts, expected, graph, items, value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("width", [0, 1, 4, 9])
@pytest.mark.parametrize("rounds", [1, 3])
def test_the_graph_computes_what_is_expected(width: int, rounds: int) -> None:
    item: Item = {"index": 5, "width": width, "rounds": rounds}
    assert graph.invoke(item) == expected(item)


def test_defaults_and_a_delay_change_no_sum() -> None:
    item: Item = {"index": 2, "delay_ms": 1}
    assert graph.invoke(item) == expected(item)
    assert expected(item)["total"] == sum(10**step * (2 + branch + 1) for step in range(3) for branch in range(4))


def test_items_differ_in_what_they_add_up_to() -> None:
    totals = [expected(item)["total"] for item in items(2000)]
    assert len(set(totals)) == 2000


def test_a_lost_a_repeated_and_a_swapped_branch_change_the_total() -> None:
    right = expected({"index": 3})["total"]
    for step, branch in itertools.product(range(3), range(4)):
        own = value(3, step, branch)
        assert right - own != right
        assert right + own != right
        for other in {*range(3)} - {step}:
            assert right - own + value(3, other, branch) != right
        assert right - own + value(4, step, branch) != right


def test_a_repeated_branch_shows_in_the_counts_even_where_sums_agree() -> None:
    counts = expected({"index": 0})["counts"]
    # branch 2 of round 0 lost, branches 0 and 1 counted twice: 3 = 1 + 2, the same total
    mishap = add_counts({name: times for name, times in counts.items() if name != "0.2"}, {"0.0": 1, "0.1": 1})
    assert sum(value(0, 0, branch) for branch in (0, 1)) == value(0, 0, 2)
    assert mishap != counts
