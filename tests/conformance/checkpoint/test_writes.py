"""What tasks wrote before their superstep was over."""

from __future__ import annotations

import pytest

from distgraph.checkpoint.base import NULL_TASK_ID
from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME
from distgraph.types import Interrupt
from tests.conformance.checkpoint.lines import Line, Saver, stored, thread

pytestmark = pytest.mark.conformance


@pytest.fixture
def line(saver: Saver) -> Line:
    line = Line(saver)
    line.grow(x=1)
    return line


def test_writes_come_back_with_their_task_in_the_order_they_were_written(saver: Saver, line: Line) -> None:
    saver.put_writes(line.config, [("x", 1), ("log", ["a"]), ("x", 2)], "task")
    assert stored(saver, thread()).pending_writes == [("task", "x", 1), ("task", "log", ["a"]), ("task", "x", 2)]


def test_tasks_come_in_the_order_of_their_paths(saver: Saver, line: Line) -> None:
    for task, path in (("1", "~b"), ("2", "~a"), ("3", "~c"), ("0", "~c")):
        saver.put_writes(line.config, [("x", task)], task, path)
    assert [task for task, _, _ in stored(saver, thread()).pending_writes or ()] == ["2", "1", "0", "3"]


def test_the_first_output_of_a_task_stands_as_a_whole(saver: Saver, line: Line) -> None:
    """Another attempt that comes late changes nothing, not even by what it wrote beyond the first."""
    saver.put_writes(line.config, [("x", "first")], "task")
    saver.put_writes(line.config, [("x", "second"), ("y", "second")], "task")
    assert stored(saver, thread()).pending_writes == [("task", "x", "first")]


@pytest.mark.parametrize("channel", [ERROR, INTERRUPT, RESUME])
def test_the_last_control_write_stands(saver: Saver, line: Line, channel: str) -> None:
    saver.put_writes(line.config, [(channel, "first")], "task")
    saver.put_writes(line.config, [(channel, "second")], "task")
    assert stored(saver, thread()).pending_writes == [("task", channel, "second")]


def test_control_writes_stand_beside_an_output(saver: Saver, line: Line) -> None:
    """A task that asked, was answered, and then finished."""
    asked = [Interrupt(value="why?", id="0" * 32)]
    saver.put_writes(line.config, [(INTERRUPT, asked)], "task")
    saver.put_writes(line.config, [(RESUME, ["because"])], "task")
    saver.put_writes(line.config, [("x", 2)], "task")
    assert stored(saver, thread()).pending_writes == [
        ("task", INTERRUPT, asked),
        ("task", RESUME, ["because"]),
        ("task", "x", 2),
    ]


def test_a_task_that_changed_nothing_has_settled(saver: Saver, line: Line) -> None:
    saver.put_writes(line.config, [(NO_WRITES, None)], "task")
    saver.put_writes(line.config, [("x", "too late")], "task")
    assert stored(saver, thread()).pending_writes == [("task", NO_WRITES, None)]


def test_writes_from_outside_grow(saver: Saver, line: Line) -> None:
    """Each Command repeats what came before it and adds its own; what is there already is not changed by that."""
    saver.put_writes(line.config, [("x", 1)], NULL_TASK_ID)
    saver.put_writes(line.config, [("x", 1), ("x", 2)], NULL_TASK_ID)
    saver.put_writes(line.config, [(RESUME, "a")], NULL_TASK_ID)
    saver.put_writes(line.config, [(RESUME, "b")], NULL_TASK_ID)
    saver.put_writes(line.config, [("x", "other"), ("x", 2), ("y", 3)], NULL_TASK_ID)
    assert stored(saver, thread()).pending_writes == [
        (NULL_TASK_ID, RESUME, "b"),
        (NULL_TASK_ID, "x", 1),
        (NULL_TASK_ID, "x", 2),
        (NULL_TASK_ID, "y", 3),
    ]


def test_writes_belong_to_one_checkpoint_of_one_line(saver: Saver, line: Line) -> None:
    first = line.head["id"]
    saver.put_writes(line.config, [("x", "after the first")], "task")
    inner = Line(saver, ns="node:1")
    assert inner.grow(x=1) == first
    other = Line(saver, "other")
    assert other.grow(x=1) == first
    second = line.grow(x=2)
    saver.put_writes(line.config, [("x", "after the second")], "task")
    found = {one.checkpoint["id"]: one.pending_writes for one in saver.list(thread())}
    assert found == {
        first: [("task", "x", "after the first")],
        second: [("task", "x", "after the second")],
    }
    assert stored(saver, thread(at=first)).pending_writes == [("task", "x", "after the first")]
    assert stored(saver, thread(ns="node:1")).pending_writes == []
    assert stored(saver, thread("other")).pending_writes == []


def test_writes_may_be_put_before_and_after_the_next_checkpoint(saver: Saver, line: Line) -> None:
    """A task that is late for its superstep is a matter of history."""
    before = line.config
    line.grow(x=2)
    saver.put_writes(before, [("x", "late")], "task")
    assert stored(saver, thread()).pending_writes == []
    assert stored(saver, before).pending_writes == [("task", "x", "late")]


def test_a_wide_superstep(saver: Saver, line: Line) -> None:
    """More tasks than fit one message, one page, one script."""
    for n in range(1200):
        saver.put_writes(line.config, [("x", n), ("y", [n])], f"task-{n}", f"{n:06d}")
    found = stored(saver, thread()).pending_writes or []
    assert [value for _, channel, value in found if channel == "x"] == [*range(1200)]
    assert [task for task, channel, _ in found if channel == "y"] == [f"task-{n}" for n in range(1200)]


def test_no_writes_at_all(saver: Saver, line: Line) -> None:
    saver.put_writes(line.config, [], "task")
    assert stored(saver, thread()).pending_writes == []
