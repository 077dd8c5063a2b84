"""Results of branches, Send and goto, turned into writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from distgraph.constants import END, ROOT, START, TASKS
from distgraph.errors import InvalidUpdateError, RoutingError
from distgraph.superstep.model import Branch
from distgraph.superstep.routing import (
    branch_writes,
    declared_keys,
    goto_writes,
    instance_pairs,
    route_write,
    update_pairs,
)
from distgraph.types import Send

pytestmark = pytest.mark.unit

NODES: dict[str, Any] = {"fetch": None, "parse": None, START: None}


def branch(ends: Any = None) -> Branch:
    return Branch("choose", None, ends, ())


def test_a_name_wakes_its_node_and_end_wakes_nobody() -> None:
    assert route_write("fetch", NODES, "x") == ("branch:to:fetch", None)
    assert route_write(END, NODES, "x") is None
    assert route_write(Send("fetch", 1), NODES, "x") == (TASKS, Send("fetch", 1))


@pytest.mark.parametrize("target", ["fetsh", START, Send("fetsh", 1)])
def test_a_target_that_is_no_node_is_an_error(target: Any) -> None:
    """Following it would lose work in silence."""
    with pytest.raises(RoutingError, match="Node 'a' goes to unknown node"):
        route_write(target, NODES, "Node 'a'")


def test_nothing_can_be_sent_to_end() -> None:
    with pytest.raises(InvalidUpdateError, match="Cannot send a packet to the END node"):
        route_write(Send(END, 1), NODES, "x")


def test_goto_takes_one_target_or_several() -> None:
    assert goto_writes("fetch", NODES, "x") == [("branch:to:fetch", None)]
    assert goto_writes(Send("parse", 1), NODES, "x") == [(TASKS, Send("parse", 1))]
    assert goto_writes(["fetch", END, Send("parse", 2)], NODES, "x") == [
        ("branch:to:fetch", None),
        (TASKS, Send("parse", 2)),
    ]
    assert goto_writes((), NODES, "x") == []


def test_a_branchs_results_are_destinations() -> None:
    assert branch_writes(branch(), "fetch", NODES, "a") == [("branch:to:fetch", None)]
    assert branch_writes(branch(), ["fetch", "parse"], NODES, "a") == [
        ("branch:to:fetch", None),
        ("branch:to:parse", None),
    ]
    assert branch_writes(branch(), [], NODES, "a") == []
    assert branch_writes(branch(), END, NODES, "a") == []


def test_a_mapping_translates_results_but_no_sends() -> None:
    mapped = branch({True: "fetch", False: END})
    assert branch_writes(mapped, True, NODES, "a") == [("branch:to:fetch", None)]
    assert branch_writes(mapped, False, NODES, "a") == []
    assert branch_writes(mapped, [Send("parse", 1)], NODES, "a") == [(TASKS, Send("parse", 1))]


@pytest.mark.parametrize("result", ["yes", ["unhashable"], {}])
def test_a_result_outside_the_mapping_is_an_error(result: Any) -> None:
    """A KeyError too, as the peer raises; with readable text."""
    with pytest.raises(KeyError) as caught:
        branch_writes(branch({True: "fetch"}), [result], NODES, "a")
    assert isinstance(caught.value, RoutingError)
    assert "its mapping does not have. It has: True." in str(caught.value)


@pytest.mark.parametrize("result", [None, START])
def test_a_result_that_is_no_destination(result: Any) -> None:
    with pytest.raises(ValueError, match="Branch did not return a valid destination"):
        branch_writes(branch(), result, NODES, "a")


@dataclass
class Base:
    a: int


@dataclass
class State(Base):
    b: int


@pytest.mark.parametrize(
    ("update", "pairs"),
    [
        (None, []),
        ({"a": 1}, [("a", 1)]),
        ([("a", 1), ("a", 2)], [("a", 1), ("a", 2)]),
        ((), []),
        (State(1, 2), [("a", 1), ("b", 2)]),
        (5, [(ROOT, 5)]),
        ([1, 2], [(ROOT, [1, 2])]),
    ],
)
def test_an_update_as_pairs(update: Any, pairs: Any) -> None:
    assert update_pairs(update) == pairs


def test_a_model_changes_what_was_set() -> None:
    """One built to change one key does not reset the others; a None that was meant is kept."""

    class Model(BaseModel):
        a: int | None = None
        b: int | None = 5
        c: str | None = None

    assert update_pairs(Model(a=1)) == [("a", 1), ("b", 5)]
    assert update_pairs(Model(b=None, c=None)) == [("b", None), ("c", None)]


def test_an_instance_may_be_limited_to_some_keys() -> None:
    assert instance_pairs(State(1, 2), ("b", "other")) == [("b", 2)]
    assert declared_keys(State) == ("a", "b")
    assert declared_keys(int) == ()
