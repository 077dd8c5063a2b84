"""The states of runs and tasks."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME
from distgraph.superstep.lifecycle import AT_REST, RUN_MOVES, TERMINAL, RunStatus, TaskStatus, status_of

pytestmark = pytest.mark.unit


def reachable(status: RunStatus) -> set[RunStatus]:
    found: set[RunStatus] = set()
    waiting = [status]
    while waiting:
        for following in RUN_MOVES[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found


def test_every_run_can_come_to_an_end() -> None:
    """From wherever it is."""
    for status in RUN_MOVES.keys() - TERMINAL:
        assert reachable(status) >= TERMINAL


def test_what_is_done_or_cancelled_stays_so() -> None:
    """Only a failed run can be queued again: that is a retry, and says so."""
    assert RUN_MOVES[RunStatus.DONE] == RUN_MOVES[RunStatus.CANCELLED] == frozenset()
    assert RUN_MOVES[RunStatus.FAILED] == {RunStatus.QUEUED}


def test_waiting_for_a_worker_and_sleep_are_shown_and_never_stored() -> None:
    stored = set(RUN_MOVES) | {status for moves in RUN_MOVES.values() for status in moves}
    assert set(RunStatus) - stored == {RunStatus.WAITING_FOR_WORKER, RunStatus.SLEEPING}


def test_at_rest_no_driver_is_owed() -> None:
    assert {RunStatus.INTERRUPTED} | TERMINAL == AT_REST


@pytest.mark.parametrize(
    ("writes", "status"),
    [
        (None, TaskStatus.OPEN),
        ([], TaskStatus.OPEN),
        ([(RESUME, ["x"])], TaskStatus.OPEN),
        ([("n", 1)], TaskStatus.WROTE),
        ([(NO_WRITES, None)], TaskStatus.WROTE),
        ([(INTERRUPT, ())], TaskStatus.INTERRUPTED),
        ([(RESUME, ["x"]), (INTERRUPT, ())], TaskStatus.INTERRUPTED),
        ([(ERROR, "x")], TaskStatus.FAILED),
    ],
)
def test_writes_tell_how_a_task_settled(writes: Any, status: TaskStatus) -> None:
    assert status_of(writes) is status
