"""The states of runs and tasks, and the moves between them, as tables.

Rule 1: code looks moves up here; no shell and no script decides on one of its own.
Rule 2: a terminal status is final. A resume or a retry of a terminal run is a new epoch of it, and says so.

    run:    queued -> running -> done | failed | cancelled | interrupted
            interrupted -> queued (resume)        failed -> queued (retry)
    task:   open -> wrote | failed | interrupted | cancelled        (settled: all but open)

``waiting_for_worker`` and ``sleeping`` are not stored: so a queued run is shown while no live worker serves its graph,
and a running one while everything in it that has not settled sleeps.
"""

from __future__ import annotations

from enum import StrEnum

from distgraph.constants import ERROR, INTERRUPT
from distgraph.superstep.model import is_finished
from distgraph.types import Write


class RunStatus(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    WAITING_FOR_WORKER = "waiting_for_worker"
    RUNNING = "running"
    SLEEPING = "sleeping"
    INTERRUPTED = "interrupted"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TaskStatus(StrEnum):
    """How a task settled."""

    OPEN = "open"
    WROTE = "wrote"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"


TERMINAL = frozenset({RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED})
#: No driver holds it and none is owed one.
AT_REST = TERMINAL | {RunStatus.INTERRUPTED}

RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.FAILED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.QUEUED, RunStatus.INTERRUPTED, RunStatus.DONE, RunStatus.FAILED, RunStatus.CANCELLED}
    ),
    RunStatus.INTERRUPTED: frozenset({RunStatus.QUEUED, RunStatus.CANCELLED}),
    RunStatus.FAILED: frozenset({RunStatus.QUEUED}),
    RunStatus.DONE: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


def status_of(writes: list[Write] | tuple[Write, ...] | None) -> TaskStatus:
    """How a task with these writes settled."""
    if not writes:
        return TaskStatus.OPEN
    if is_finished(writes):
        return TaskStatus.WROTE
    channels = {channel for channel, _ in writes}
    if INTERRUPT in channels:
        return TaskStatus.INTERRUPTED
    return TaskStatus.FAILED if ERROR in channels else TaskStatus.OPEN
