"""Where a run starts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distgraph.engine.opening import apply_outside, command_writes, input_writes
from distgraph.errors import EmptyInputError, InvalidUpdateError, RoutingError
from distgraph.superstep.apply import count_up
from distgraph.superstep.model import EMPTY
from distgraph.types import Command, Send
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit

PROGRAM = line("a", "b")
SEVERAL = replace(PROGRAM, inputs=("n", "log"))


def test_an_input_goes_whole_to_a_single_channel() -> None:
    assert input_writes(PROGRAM, {"n": 1}) == [("__start__", {"n": 1})]


def test_an_input_for_several_channels_is_taken_apart() -> None:
    """Keys that the graph does not take are dropped."""
    assert input_writes(SEVERAL, {"n": 1, "other": 2}) == [("n", 1)]
    with pytest.raises(EmptyInputError, match="Received no input for"):
        input_writes(SEVERAL, {"other": 2})
    with pytest.raises(InvalidUpdateError, match="Expected the input to be a dict of 'n', 'log', got int"):
        input_writes(SEVERAL, 5)


@pytest.mark.parametrize(
    ("command", "writes"),
    [
        (Command(update={"n": 1, "other": 2}), [("n", 1)]),
        (Command(update=[("log", ["x"]), ("log", ["y"])]), [("log", ["x"]), ("log", ["y"])]),
        (Command(goto="b"), [("branch:to:b", None)]),
        (Command(goto=["a", Send("b", 1)]), [("branch:to:a", None), ("__pregel_tasks", Send("b", 1))]),
        (Command(resume="x"), []),
    ],
)
def test_a_command_writes_its_update_and_its_destinations(command: Command[Any], writes: Any) -> None:
    assert command_writes(PROGRAM, command) == writes


def test_a_command_to_nowhere_is_an_error() -> None:
    with pytest.raises(RoutingError, match=r"The Command goes to unknown node 'bb'.*Did you mean 'b'"):
        command_writes(PROGRAM, Command(goto="bb"))


def test_what_comes_from_outside_makes_no_new_checkpoint() -> None:
    """The superstep that waits stays the same one, so that its tasks keep their ids."""
    at = EMPTY._replace(id="c1", parent="c0", step=3, clock=5, seen={"a": {"branch:to:a": 4}}, updated=frozenset({"x"}))
    after = apply_outside(PROGRAM, at, [("n", 7), ("branch:to:b", None)], count_up)
    assert (after.id, after.parent, after.step) == ("c1", "c0", 3)
    assert (after.values["n"], after.versions["n"], after.clock) == (7, 6, 6)
    assert set(after.updated or ()) == {"x", "n", "branch:to:b"}
    assert after.seen == at.seen
    assert apply_outside(PROGRAM, at._replace(updated=None), [("n", 7)], count_up).updated is None
