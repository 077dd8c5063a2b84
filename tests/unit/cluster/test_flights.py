"""Tasks that wait beside each other: which of them must end first."""

from __future__ import annotations

from math import inf

import pytest

from distgraph.cluster.flights import Ends, Flight

pytestmark = pytest.mark.unit


def flight(name: str, ends: float) -> Flight[str]:
    made = Flight(name, since=0.0)
    made.ends = ends
    return made


def test_the_first_is_the_one_that_has_to_end_first() -> None:
    ends = Ends()
    assert ends.first() is None
    late, soon, never = flight("late", 9.0), flight("soon", 3.0), flight("never", inf)
    for one in (never, late, soon):
        ends.add(one)
    assert ends.first() is soon
    soon.landed = True
    assert ends.first() is late
    late.landed = True
    assert ends.first() is never
    never.landed = True
    assert ends.first() is None


def test_of_two_with_the_same_end_it_is_the_one_that_began_first() -> None:
    ends, one, other = Ends(), flight("one", 5.0), flight("other", 5.0)
    ends.add(one)
    ends.add(other)
    assert ends.first() is one


def test_who_shows_progress_has_to_end_later() -> None:
    ends, one, other = Ends(), flight("one", 3.0), flight("other", 5.0)
    ends.add(one)
    ends.add(other)
    one.ends = 8.0
    assert ends.first() is other
    other.landed = True
    assert ends.first() is one


@pytest.mark.parametrize("told", [False, True])
def test_who_has_to_end_sooner_than_before_is_found(told: bool) -> None:
    """Whoever says so adds it anew; also where it is looked for before that is done."""
    ends, one, other = Ends(), flight("one", 8.0), flight("other", 5.0)
    ends.add(one)
    ends.add(other)
    one.ends = 2.0
    if told:
        ends.add(one)
        assert ends.first() is one
    else:
        other.landed = True
        assert ends.first() is one
    one.landed = True
    assert ends.first() is (other if told else None)
