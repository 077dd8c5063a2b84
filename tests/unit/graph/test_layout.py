"""Where boxes and lines of a drawn graph stand."""

from __future__ import annotations

import sys
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distgraph.errors import ConfigError
from distgraph.graph.layout import Box, Layout, arrange
from distgraph.graph.picture import Drawing, Edge, Node

pytestmark = pytest.mark.unit


def drawing(names: str, *edges: tuple[str, str]) -> Drawing:
    return Drawing({name: Node(name, name) for name in names}, [Edge(*edge) for edge in edges])


def apart(one: Box, other: Box) -> bool:
    return (
        abs(one.x - other.x) >= (one.width + other.width) / 2 or abs(one.y - other.y) >= (one.height + other.height) / 2
    )


def check(layout: Layout) -> None:
    """No box stands on another, and everything is inside of the picture."""
    assert all(apart(*pair) for pair in combinations(layout.boxes, 2))
    for box in layout.boxes:
        assert box.width / 2 < box.x < layout.width - box.width / 2
        assert box.height / 2 < box.y < layout.height - box.height / 2
    for route in layout.routes:
        assert all(0 < x < layout.width and 0 < y < layout.height for x, y in route.points)


def test_what_follows_stands_below() -> None:
    layout = arrange(drawing("abc", ("a", "b"), ("b", "c")))
    a, b, c = layout.boxes
    assert a.y < b.y < c.y
    check(layout)


def test_lines_begin_and_end_at_borders() -> None:
    (route,) = arrange(drawing("ab", ("a", "b"))).routes
    a, b = arrange(drawing("ab", ("a", "b"))).boxes
    assert route.points[0][1] == a.y + a.height / 2
    assert route.points[-1][1] == b.y - b.height / 2


def test_an_edge_and_the_one_that_leads_back_do_not_cover_each_other() -> None:
    there, back = arrange(drawing("ab", ("a", "b"), ("b", "a"))).routes
    assert set(there.points).isdisjoint(back.points)


def test_a_node_that_follows_itself_has_a_loop_beside_it() -> None:
    layout = arrange(drawing("a", ("a", "a")))
    (box,), (route,) = layout.boxes, layout.routes
    assert route.points[0][0] == route.points[-1][0] == box.x + box.width / 2
    check(layout)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("abcdefg")), max_size=14))
def test_any_graph_can_be_drawn(edges: set[tuple[str, str]]) -> None:
    """With cycles, loops, parts that hang together with nothing: every node has its box, every edge its line."""
    layout = arrange(drawing("abcdefg", *sorted(edges)))
    assert len(layout.boxes) == 7
    assert len(layout.routes) == len(edges)
    check(layout)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grandalf.graphs", None)
    with pytest.raises(ConfigError, match=r"pip install 'distgraph\[draw\]'"):
        arrange(drawing("a"))
