"""What nodes, branches, streams and callers see of a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from distgraph.channels import LastValueAfterFinish
from distgraph.constants import PULL, PUSH
from distgraph.errors import EmptyChannelError, InvalidUpdateError
from distgraph.managed import IsLastStepManager, RemainingStepsManager
from distgraph.superstep.model import Branch, Task
from distgraph.superstep.views import (
    branch_view,
    output_values,
    read_channel,
    read_channels,
    task_input,
    update_of,
    wrote_any,
)
from distgraph.types import MISSING
from tests.unit.superstep.programs import begun, node, program, wake, wrote

pytestmark = pytest.mark.unit

P = program("a", extra={"later": LastValueAfterFinish()})
AT = begun(P, ("n", 1), ("later", 5), *wake("a"))


def task(**changes: Any) -> Task:
    return Task(node("a", "branch:to:a", **changes), (PULL, "a"), ("branch:to:a",), AT)


def branch(**changes: Any) -> Branch:
    return replace(Branch("choose", None, None, ("n", "log")), **changes)


def test_empty_channels_are_absent_but_reducers_show_their_empty_value() -> None:
    assert read_channel(P, {}, "n") is MISSING
    assert read_channel(P, {}, "log") == []
    assert read_channels(P, {}, ("n", "log")) == {"log": []}
    assert read_channels(P, AT.values, ("log", "n", "later")) == {"log": [], "n": 1}


def test_channels_that_are_not_open_are_not_seen() -> None:
    assert read_channel(P, AT.values, "later") is MISSING
    assert read_channel(P, {"later": (5, True)}, "later") == 5


def test_a_node_sees_its_keys() -> None:
    assert task_input(P, task(), 10) == {"n": 1, "log": []}
    assert task_input(P, task(mapper=lambda view: sorted(view)), 10) == ["log", "n"]


def test_a_node_may_read_one_channel_alone() -> None:
    one = Task(replace(node("a"), reads="n"), (PULL, "a"), (), AT)
    assert task_input(P, one, 10) == 1
    empty = Task(replace(node("a"), reads="later"), (PULL, "a"), (), AT)
    with pytest.raises(EmptyChannelError, match="Channel 'later' is empty"):
        task_input(P, empty, 10)


def test_a_send_is_the_whole_input() -> None:
    """Without the state, and without the schema's mapper."""
    sent = Task(node("a", mapper=lambda view: 1 / 0), (PUSH, 0, False), (), AT, arg=None)
    assert task_input(P, sent, 10) is None


def test_computed_values_depend_on_the_step() -> None:
    managed = replace(P, managed={"left": RemainingStepsManager, "last": IsLastStepManager})
    reads = replace(node("a"), reads=("n", "left", "last"))
    assert task_input(managed, Task(reads, (PULL, "a"), (), AT), 4) == {"n": 1, "left": 4, "last": False}
    assert task_input(managed, Task(reads, (PULL, "a"), (), AT._replace(step=2)), 4) == {
        "n": 1,
        "left": 1,
        "last": True,
    }


def test_a_branch_sees_the_snapshot_and_its_own_writes() -> None:
    done = wrote(task(), ("n", 2), ("log", ["mine"]))
    assert branch_view(P, done, branch(), 10) == {"n": 2, "log": ["mine"]}
    assert branch_view(P, done, branch(reads="n"), 10) == 2
    assert branch_view(P, done, branch(mapper=lambda view: view["n"] * 10), 10) == 20
    assert AT.values["n"] == 1


def test_a_branch_may_see_the_nodes_output_too() -> None:
    """What it returned beyond the state's keys; the state's own view of a key wins."""
    done = wrote(task(), ("log", ["mine"]))
    output = {"log": ["mine"], "route": "b", "n": 99}
    assert branch_view(P, done, branch(sees_output=True), 10, output) == {"n": 1, "log": ["mine"], "route": "b"}
    assert branch_view(P, done, branch(), 10, output) == {"n": 1, "log": ["mine"]}
    assert branch_view(P, done, branch(sees_output=True), 10, "text") == {"n": 1, "log": ["mine"]}


def test_two_writes_of_one_node_to_one_key_fail_in_its_branch_already() -> None:
    with pytest.raises(InvalidUpdateError):
        branch_view(P, wrote(task(), ("n", 2), ("n", 3)), branch(), 10)


def test_output_is_one_value_or_several() -> None:
    assert output_values(P, AT, ("n", "log")) == {"n": 1, "log": []}
    assert output_values(P, AT, "n") == 1
    assert output_values(P, AT, "later") is None


def test_whether_an_output_channel_was_written() -> None:
    done = wrote(task(), ("n", 2))
    assert wrote_any(("n", "log"), [done])
    assert wrote_any("n", [done])
    assert not wrote_any(("log",), [done])
    assert not wrote_any("log", [])


@pytest.mark.parametrize(
    ("writes", "keys", "update"),
    [
        ([("n", 1), ("x", 2)], ("n",), {"n": 1}),
        ([("x", 2)], ("n",), None),
        ([("n", 1), ("log", []), ("n", 2)], {"n", "log"}, [{"n": 1}, {"log": []}, {"n": 2}]),
        ([("n", 1)], "n", 1),
        ([("n", 1), ("n", 2)], "n", [1, 2]),
        ([], "n", None),
        ([("n", 1), ("__return__", "result")], ("n",), "result"),
    ],
)
def test_an_update_is_what_the_node_changed(writes: Any, keys: Any, update: Any) -> None:
    assert update_of(writes, keys) == update
