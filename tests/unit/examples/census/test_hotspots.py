"""The search for the functions to read first."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.examples.census.hotspots import FEWEST, MOST, ROUNDS, chosen, refine, settled, start, weight
from distgraph.examples.census.model import Facts, Search

pytestmark = pytest.mark.unit


def functions(*weights: int) -> dict[str, Facts]:
    return {
        f"f{index}:{index}": {
            "kind": "function",
            "line": index,
            "lines": value,
            "statements": value,
            "complexity": 1,
            "depth": 0,
            "parameters": 0,
            "public": True,
            "documented": False,
            "well_named": True,
        }
        for index, value in enumerate(weights)
    }


def search(facts: dict[str, Facts]) -> Search:
    state = refine(start(facts), facts)
    while not settled(state):
        state = refine(state, facts)
    return state


@given(st.lists(st.integers(1, 10_000), max_size=60))
def test_the_search_ends_and_chooses_the_heaviest(weights: list[int]) -> None:
    facts = functions(*weights)
    state = search(facts)
    spots = chosen(state, facts)
    assert state["rounds"] <= ROUNDS
    assert min(FEWEST, len(weights)) <= len(spots) <= MOST
    assert [spot["weight"] for spot in spots] == sorted(weights, reverse=True)[: len(spots)]


@given(st.lists(st.integers(1, 10_000), max_size=40), st.randoms())
def test_the_order_in_which_facts_arrived_does_not_show(weights: list[int], random: Random) -> None:
    facts = functions(*weights)
    shuffled = list(facts.items())
    random.shuffle(shuffled)
    assert chosen(search(facts), facts) == chosen(search(dict(shuffled)), dict(shuffled))


def test_it_takes_rounds_to_tell_a_few_from_many() -> None:
    facts = functions(*range(1, 101))
    assert search(facts)["rounds"] > 1
    assert [spot["weight"] for spot in chosen(search(facts), facts)][:FEWEST] == [100, 99, 98]


def test_equals_are_taken_by_name_when_no_threshold_tells_them_apart() -> None:
    facts = functions(*[7] * 20)
    assert [spot["where"] for spot in chosen(search(facts), facts)] == ["f0", "f1", "f10", "f11", "f12"]


def test_a_class_is_no_hotspot() -> None:
    facts = functions(5)
    facts["C:9"] = {**facts["f0:0"], "kind": "class", "complexity": 0, "statements": 900}
    assert weight(facts["C:9"]) == 0
    assert [spot["where"] for spot in chosen(search(facts), facts)] == ["f0"]


def test_without_functions_one_look_is_enough() -> None:
    assert search({})["rounds"] == 1
    assert chosen(search({}), {}) == []
