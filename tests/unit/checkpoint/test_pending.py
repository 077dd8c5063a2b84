"""Writes of tasks: into the parts that are stored, and together again with what a run has open."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.base import NULL_TASK_ID
from distgraph.checkpoint.own import own_types
from distgraph.checkpoint.packing import Packing
from distgraph.checkpoint.pending import merged, parts_of
from distgraph.constants import INTERRUPT, RESUME
from distgraph.errors import CheckpointCorruptError, CodecError
from distgraph.ledger.places import Writes
from distgraph.wire import Codec

pytestmark = pytest.mark.unit

CODEC = Codec(own_types())


def parts(writes: list[tuple[str, Any]], task: str = "task", path: str = "~p") -> list[Writes]:
    return [*parts_of(Packing(CODEC), "c1", writes, task, path)]


def outcome(*writes: tuple[str, Any]) -> bytes:
    """What a worker settles a task with."""
    return CODEC.encode([[channel, value] for channel, value in writes])


def test_an_output_is_one_part_a_control_write_another() -> None:
    found = parts([("x", 1), (RESUME, ["a"]), ("y", 2)])
    assert [(one.mode, one.kind, CODEC.decode(one.data)) for one in found] == [
        ("last", RESUME, [[RESUME, ["a"]]]),
        ("first", "w", [["x", 1], ["y", 2]]),
    ]
    assert {(one.before, one.task, one.path) for one in found} == {("c1", "task", "~p")}


def test_writes_from_outside_are_parts_by_their_place() -> None:
    found = parts([("x", 1), (RESUME, "a"), ("x", 2)], NULL_TASK_ID)
    assert [(one.mode, one.kind) for one in found] == [("last", RESUME), ("first", "w0"), ("first", "w1")]


def test_no_writes_are_no_parts() -> None:
    assert parts([]) == []


def test_a_value_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(CodecError) as caught:
        parts([("x", 1), ("key", object())])
    assert caught.value.__notes__ == ["While storing writes to key, x."]


def test_what_is_stored_comes_back_by_path_control_writes_first() -> None:
    stored = [*parts([("x", 1)], "1", "~b"), *parts([("x", 2), (INTERRUPT, ["?"])], "2", "~a")]
    assert merged(CODEC, stored, {}) == [("2", INTERRUPT, ["?"]), ("2", "x", 2), ("1", "x", 1)]


def test_outcomes_of_a_run_stand_beside_writes_of_savers() -> None:
    found = merged(CODEC, parts([("x", 1)], "mine"), {"theirs": outcome(("x", 2))})
    assert sorted(found) == [("mine", "x", 1), ("theirs", "x", 2)]


def test_the_output_that_a_run_settled_stands() -> None:
    """The run was first: a saver cannot store anything while it is on."""
    assert merged(CODEC, parts([("x", "late")]), {"task": outcome(("x", "run"))}) == [("task", "x", "run")]


def test_a_question_of_a_run_may_be_answered_and_finished_by_a_saver() -> None:
    stored = [*parts([(RESUME, ["yes"])]), *parts([("x", 1)])]
    assert merged(CODEC, stored, {"task": outcome((INTERRUPT, ["?"]))}) == [
        ("task", INTERRUPT, ["?"]),
        ("task", RESUME, ["yes"]),
        ("task", "x", 1),
    ]


def test_the_answer_of_a_saver_replaces_that_of_a_run() -> None:
    outcomes = {"task": outcome((RESUME, ["old"]), (INTERRUPT, ["second?"]))}
    assert merged(CODEC, parts([(RESUME, ["old", "new"])]), outcomes) == [
        ("task", RESUME, ["old", "new"]),
        ("task", INTERRUPT, ["second?"]),
    ]


def test_a_damaged_part_is_found() -> None:
    (part,) = parts([("x", 1)])
    with pytest.raises(CheckpointCorruptError):
        merged(CODEC, [part._replace(data=part.data[:-1])], {})
    with pytest.raises(CheckpointCorruptError):
        merged(CODEC, [], {"task": b"junk"})
