"""What the ledger answers, from what the scripts write."""

from __future__ import annotations

import pytest

from distgraph.ledger.replies import Address, Claimed, Due, Taken

pytestmark = pytest.mark.unit


def test_a_span_is_written_and_read_alike() -> None:
    taken = Taken(12, 0, 256, "a", "3")
    assert taken.span() == "12:0:256:a"
    assert Taken.parse(taken.span(), "3") == taken


@pytest.mark.parametrize(
    ("entry", "due"),
    [
        ("r:run", Due("run", "run")),
        ("r:a\nb", Due("run", "a\nb")),
        ("t:run\ntask", Due("task", "run", "task")),
        ("t:odd\nrun\ntask", Due("task", "odd\nrun", "task")),
        ("s:batch\nslice", Due("slice", "batch", "slice")),
        ("b:batch:1", Due("batch", "batch:1")),
    ],
)
def test_a_due_entry_tells_what_it_is_about(entry: str, due: Due) -> None:
    """Run and batch ids may hold anything; task and slice ids are ours and hold no line feed."""
    assert Due.parse(entry) == due


def test_a_run_may_have_a_thread_of_its_own() -> None:
    assert Address("a", "a").own_thread
    assert not Address("a", "b").own_thread


def test_an_answer_without_record_has_an_empty_one_that_nobody_can_fill() -> None:
    """All such answers share it."""
    record = Claimed("gone").record
    assert dict(record) == {}
    with pytest.raises(TypeError):
        record["x"] = b""  # type: ignore[index]
