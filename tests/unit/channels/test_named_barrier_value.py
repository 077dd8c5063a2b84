"""Joins."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.channels import NamedBarrierValue, NamedBarrierValueAfterFinish
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING

pytestmark = pytest.mark.unit


def test_a_join_opens_when_all_have_written_and_closes_when_read() -> None:
    """In any order, in one superstep or over several."""
    join: Any = NamedBarrierValue(str, {"a", "b"}, key="j")
    half = join.reduce(MISSING, ["b"])
    assert not join.is_available(half)
    assert join.consume(half) is half
    full = join.reduce(half, ["a"])
    assert join.is_available(full)
    assert full == join.reduce(MISSING, ["a", "b"]) == ("a", "b")
    assert join.read(full) is None
    assert join.consume(full) is MISSING


def test_writing_twice_changes_nothing() -> None:
    join: Any = NamedBarrierValue(str, {"a", "b"})
    half = join.reduce(MISSING, ["a"])
    assert join.reduce(half, ["a"]) is half


def test_it_says_who_is_missing() -> None:
    for channel in (NamedBarrierValue, NamedBarrierValueAfterFinish):
        join: Any = channel(str, {"b", "a", "c"}, key="j")
        assert join.missing(MISSING) == ["a", "b", "c"]
        assert join.missing(join.reduce(MISSING, ["b"])) == ["a", "c"]


def test_a_stranger_is_refused() -> None:
    for channel in (NamedBarrierValue, NamedBarrierValueAfterFinish):
        with pytest.raises(InvalidUpdateError, match=r"At key 'j': Value x not in \['a'\]"):
            channel(str, {"a"}, key="j").reduce(MISSING, ["x"])


def test_a_deferred_join_waits_for_the_end_too() -> None:
    join: Any = NamedBarrierValueAfterFinish(str, {"a", "b"})
    half = join.reduce(MISSING, ["a"])
    assert join.finish(half) is half
    full = join.reduce(half, ["b"])
    assert not join.is_available(full)
    assert join.consume(full) is full
    opened = join.finish(full)
    assert join.is_available(opened)
    assert join.consume(opened) is MISSING
    assert join.finish(MISSING) is MISSING
    assert join.reduce(full, ["a"]) is full
