"""What savers send: fewer, larger changes; fields that keep the writes of a superstep."""

from __future__ import annotations

import pytest

from distgraph.ledger.places import MOST, Change, Place, Writes, folded, numbered

pytestmark = pytest.mark.unit

HERE, THERE = Place("t"), Place("t", "node:1")


def writes(task: str, place: Place = HERE) -> Change:
    return Change(place, writes=[Writes("first", "1", task, "w", "", b"")])


def checkpoint(new: str, place: Place = HERE) -> Change:
    return Change(place, new, [(f"c:{new}", b"")])


def test_writes_go_with_the_checkpoint_that_follows_them() -> None:
    (change,) = folded([writes("a"), writes("b"), checkpoint("2")])
    assert change.new == "2"
    assert change.sets == [("c:2", b"")]
    assert [one.task for one in change.writes] == ["a", "b"]


def test_writes_never_go_before_a_checkpoint_that_came_first() -> None:
    """They may name it: a script that stored them first would do what nobody asked for."""
    first, last = folded([checkpoint("1"), writes("a")])
    assert (first.new, last.new) == ("1", "")
    assert len(folded([checkpoint("1"), checkpoint("2")])) == 2


def test_lines_stay_apart() -> None:
    changes = folded([writes("a"), writes("b", THERE), checkpoint("2", THERE), writes("c")])
    assert [(one.place, one.new, len(one.writes)) for one in changes] == [
        (HERE, "", 1),
        (THERE, "2", 1),
        (HERE, "", 1),
    ]


def test_a_script_stays_short() -> None:
    changes = folded([*(writes(str(n)) for n in range(2 * MOST + 10)), checkpoint("2")])
    assert [len(one.writes) for one in changes] == [MOST, MOST, 10]
    assert changes[-1].new == "2"


def test_what_is_given_stays_as_it_is() -> None:
    given = [writes("a"), checkpoint("2")]
    folded(given)
    assert [len(one.writes) for one in given] == [1, 0]


def test_the_writes_of_a_superstep_are_numbered() -> None:
    assert numbered("c1", [("t1", "~a", b"1"), ("t2", "~b", b"2")]) == [
        ("c1", b"2"),
        *(("c1|t1|w", b"1"), ("c1|1", b"t1|w|~a")),
        *(("c1|t2|w", b"2"), ("c1|2", b"t2|w|~b")),
    ]
