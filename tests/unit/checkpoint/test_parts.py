"""Lists in parts: few to read, little to write, and always the whole list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.checkpoint.parts import FEW, SHORT, Growth, Part, Parts, extended, joined, parts_of, versions_of
from distgraph.superstep.model import EMPTY

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(0, 300), max_size=60))
def test_parts_make_up_the_whole_list_whatever_is_appended(lengths: list[int]) -> None:
    stored: dict[int, list[int]] = {}
    parts: Parts = ()
    value: list[int] = []
    for version, length in enumerate(lengths):
        value = [*value, *range(len(value), len(value) + length)]
        parts, start = extended(parts, version, len(value))
        stored[version] = value[start:]
        assert joined(stored[part.version] for part in parts) == value
        assert [part.items for part in parts] == [len(stored[part.version]) for part in parts]


def test_n_appended_items_are_few_parts_and_few_writes() -> None:
    parts: Parts = ()
    written, most = 0, 0
    for step in range(10_000):
        parts, start = extended(parts, step, step + 1)
        written += step + 1 - start
        most = max(most, len(parts))
    assert most <= 24
    assert written < 10_000 * 12


def test_short_ends_are_taken_over() -> None:
    parts, start = extended((Part("a", 100), Part("b", SHORT)), "c", 117)
    assert parts == (Part("a", 100), Part("c", 17))
    assert start == 100


def test_long_ends_are_taken_over_a_few_at_a_time() -> None:
    """Until there are enough of them each superstep writes what it appended and nothing else."""
    parts: Parts = ()
    starts = []
    for step in range(FEW + 2):
        parts, start = extended(parts, step, (step + 1) * 100)
        starts.append(start)
    assert starts == [*range(0, FEW * 100, 100), 0, (FEW + 1) * 100]
    assert parts == (Part(FEW, (FEW + 1) * 100), Part(FEW + 1, 100))


def test_what_a_record_says_leads_back_to_the_parts() -> None:
    at = EMPTY._replace(versions={"log": "v3", "x": "v1"}, logs={"log": [["v1", 100], ["v2", 40]]})
    assert parts_of(at, "log", 145) == (Part("v1", 100), Part("v2", 40), Part("v3", 5))
    assert versions_of(at, "log") == ["v1", "v2", "v3"]
    assert versions_of(at, "x") == ["v1"]


def test_a_list_that_was_rewritten_once_has_not_only_grown() -> None:
    growth = Growth()
    growth.note(EMPTY._replace(updated=frozenset("ab"), grown=frozenset("ab")))
    growth.note(EMPTY._replace(updated=frozenset("bc"), grown=frozenset()))
    assert growth.channels() == {"a"}
    growth.rewrote("a")
    assert growth.channels() == set()
    growth.stored()
    growth.note(EMPTY._replace(updated=frozenset("b"), grown=frozenset("b")))
    assert growth.channels() == {"b"}
