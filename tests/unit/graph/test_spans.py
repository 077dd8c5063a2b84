"""Times that overlap, and those between them."""

from __future__ import annotations

import pytest

from distgraph.graph.spans import Interval, Span, gaps, lanes, length, union, waits

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([(1, 2)], [(1, 2)]),
        ([(3, 4), (1, 2)], [(1, 2), (3, 4)]),
        ([(1, 3), (2, 4), (4, 5)], [(1, 5)]),
        ([(1, 9), (2, 3)], [(1, 9)]),
    ],
)
def test_overlaps_count_once(given: list[Interval], expected: list[Interval]) -> None:
    assert list(union(given)) == expected
    assert length(given) == sum(end - start for start, end in expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [(0, 10)]),
        ([(0, 10)], []),
        ([(2, 3), (5, 6)], [(0, 2), (3, 5), (6, 10)]),
        ([(-5, 1), (9, 20)], [(1, 9)]),
        ([(12, 20)], [(0, 10)]),
        ([(-5, 20)], []),
    ],
)
def test_what_is_between(given: list[Interval], expected: list[Interval]) -> None:
    assert list(gaps(given, 0, 10)) == expected


def test_no_time_has_nothing_between() -> None:
    assert list(gaps([], 0, 0)) == []


def span(task: str, start: float, end: float, attempt: int = 1) -> Span:
    return Span(1, "n", "", attempt, start, end, task)


def test_a_task_waits_until_its_first_attempt() -> None:
    spans = [span("b", 5, 6, 2), span("b", 3, 4), span("a", 1, 2), span("early", 1, 2), span("unknown", 1, 2)]
    assert waits(spans, {"a": 0.5, "b": 1.0, "early": 1.5}) == {"a": 0.5, "b": 2.0, "early": 0.0}


def test_a_lane_is_used_again_when_it_is_free() -> None:
    found = list(lanes([span("a", 0, 2), span("b", 1, 3), span("c", 2, 4), span("d", 2.5, 3)]))
    assert [(lane, one.task) for lane, one in found] == [(1, "a"), (2, "b"), (1, "c"), (3, "d")]
