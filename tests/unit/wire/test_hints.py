"""Annotations are read, not believed: what cannot be resolved is left out."""

from __future__ import annotations

import sys
from typing import Any, ForwardRef, get_args

import pytest

from distgraph.wire.hints import classes_in, field_annotations
from tests.unit.wire.samples import Open, Order, Pair, Point, Step

pytestmark = pytest.mark.unit


def test_each_class_is_named_once_in_the_order_of_the_text() -> None:
    assert list(classes_in(dict[Point, list[Step | Point]])) == [dict, Point, list, Step]


def test_names_in_quotes_are_left_to_their_class() -> None:
    assert list(classes_in(ForwardRef("Point"))) == []
    assert list(classes_in(list["Point"])) == [list]


def test_fields_of_every_kind_of_class_are_found() -> None:
    assert field_annotations(Point) == [int, int]
    assert field_annotations(Step) == [str, float]
    assert field_annotations(Order) == [str, int, list[str]]
    assert field_annotations(Open) == [str]
    assert [type(hint).__name__ for hint in field_annotations(Pair)] == ["TypeVar", "TypeVar"]
    assert field_annotations(int) == []


def test_an_annotation_that_raises_hides_nothing_else() -> None:
    class Odd:
        bad: 1 / 0  # type: ignore[valid-type]
        good: int

    class Below(Odd):
        more: str

    assert field_annotations(Below) == [str, int]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement came with 3.12")
def test_an_alias_made_with_the_type_statement_is_followed() -> None:
    names: dict[str, Any] = {"Point": Point}
    exec("type Points = list[Point]", names)
    assert list(classes_in(names["Points"])) == [list, Point]
    assert get_args(names["Points"].__value__) == (Point,)
