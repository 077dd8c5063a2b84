"""One attempt of one task, on a worker: the call, its time limits, and what its failure means.

A node that exceeds its time limit is stopped from outside: by its event loop if it waits there, else by the end of its
process. The watcher leaves a note under the task's idempotency key first, so that whoever comes next to this attempt
knows that it has failed, and with what; the node's retry policy and error handler decide as for any other failure.

An error handler takes over within its node's task: it needs no place of its own at the barrier, and survives the death
of its process because the failure it handles is recorded first.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from contextlib import nullcontext
from math import inf
from threading import Lock
from typing import Any, NamedTuple

from distgraph.cluster.events import at_work
from distgraph.cluster.execution import executing, in_this_thread
from distgraph.cluster.failing import has_worked, put_off_for, spent
from distgraph.cluster.failures import describe, rebuild
from distgraph.cluster.limits import OUTER
from distgraph.cluster.nested import LATER, Later, Superseded, whose_answers
from distgraph.cluster.overlap import to_its_end
from distgraph.cluster.workplace import Workplace
from distgraph.constants import ERROR, ERROR_SOURCE, INTERRUPT, RESUME
from distgraph.engine.limits import limits_of, overdue
from distgraph.engine.retry import next_delay
from distgraph.errors import (
    GraphBubbleUp,
    GraphSleep,
    NodeError,
    StoreError,
    invalid_resume_of,
    is_invalid_resume,
    refused_by,
)
from distgraph.ledger import seam
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Task
from distgraph.superstep.plan import handler_task
from distgraph.types import Interrupt, TimeoutPolicy, Write

#: Coroutines stop by themselves at their time limit; one that does not is stopped like any other node, so much later.
#: Seconds.
ASYNC_GRACE = 1.0


class _Turn(NamedTuple):
    """Whose turn it is in a task: its node's, or that of the error handler that took over.

    Attributes:
        before: attempts that were made before this one's first.
        answers: to its questions, encoded; None without any.
    """

    task: Task
    before: int = 0
    error: NodeError | None = None
    answers: bytes | None = None


#: What to do about a task: None, it has settled, ``task.writes`` tells how; else the seconds to wait before its next
#: attempt, or its sleep.
Pause = float | GraphSleep | None
#: Yields coroutines that are to run on the event loop, see ``execution``.
Attempting = Generator[Coroutine[Any, Any, list[Write]], list[Write], Pause]


def attempt_task(place: Workplace, run: Any, task: Task, attempt: int) -> Pause:
    """One attempt of one task of ``run`` (a Run, or an item of a slice), to its end.

    Raises:
        StoreError: the ledger failed while the node used it. The attempt is not the node's.
    """
    return to_its_end(attempting(place, run, task, attempt), place.cancelled)


def attempting(place: Workplace, run: Any, task: Task, attempt: int) -> Attempting:
    """``attempt_task`` for whoever lets several tasks wait beside each other."""
    turn = _whose_turn(run, task)
    while True:
        try:
            delay = yield from _calling(place, run, turn, attempt - turn.before)
        except BaseException as exc:
            if isinstance(exc, StoreError) and exc.of_ledger:
                raise
            handler = _hand_over(run, task, exc, attempt) if turn.error is None else None
            if handler is None:
                question = refused_by(exc)
                if question is not None:
                    task.writes = _asks_again(run, turn, exc, question)
                else:
                    task.writes = run.lane.failure(task, exc)
                return None
            turn = handler
            continue
        if delay is None and turn.error is not None:
            task.writes = turn.task.writes
            if turn.task.finished:
                task.writes = [(ERROR, str(turn.error.error)), (ERROR_SOURCE, task.name), *task.writes]
        return delay


def _calling(place: Workplace, run: Any, turn: _Turn, attempt: int) -> Attempting:
    """One attempt of whoever's turn it is.

    Raises:
        BaseException: it has failed for good.
    """
    task, lane = turn.task, run.lane
    limits = limits_of(task)
    late = take_note(run, task, attempt) if limits is not None and not run.fresh else ""
    known = run.served.codec.decode(turn.answers) if turn.answers else None
    clock = _Clock(place, run, task, attempt, limits)
    seam.reach("node", "before")
    try:
        if limits is not None and late:
            # What is known of an attempt whose process was ended is that it took this long.
            raise overdue(task, limits, late)
        with at_work(task, attempt, run.epoch) if lane.ctx.emit is not None else nullcontext():
            task.writes = yield from executing(
                lane, task, known=known, attempt=attempt, error=turn.error, limits=limits, progress=clock.progress
            )
        seam.reach("node", "after")
        if place.failing:
            has_worked(place, run.served.name, task.name)
        if limits is not None and clock.over():
            # Where its process is the worker it cannot be stopped; it is still too late.
            raise overdue(task, limits, "run")
    except GraphSleep as asleep:
        task.writes = []
        return asleep
    except Superseded:
        task.writes = []
        return Later(LATER)
    except BaseException as exc:
        if isinstance(exc, StoreError) and exc.of_ledger:
            # Neither the node's failure nor an attempt of it: whoever drives finds the ledger gone too.
            task.writes = []
            raise
        delay = next_delay(task.node.retry, exc, attempt, place.noise(32) / 2**32)
        if delay is None:
            raise
        if spent(run, exc):
            raise
        task.writes = []
        return put_off_for(place, run.served.name, task.name, delay)
    finally:
        clock.end()
        place.watch("", None)
        place.tidy()
    return None


def _asks_again(run: Any, turn: _Turn, exc: BaseException, question: Interrupt) -> list[Write]:
    """What a task came to that was given an answer which does not fit: it asks again, and says why.

    The answers before that one stand.
    """
    known = run.served.codec.decode(turn.answers) if turn.answers else None
    own, _ = whose_answers(turn.task, known)
    index = invalid_resume_of(exc) or 0
    if question.id == interrupt_id(turn.task.checkpoint_ns, index):
        own = own[:index]
    return [*run.lane.failure(turn.task, exc), (RESUME, own), (INTERRUPT, (question,))]


class _Clock:
    """Tells whoever watches the slot what runs, and by when it must have ended or shown progress."""

    __slots__ = (
        "_called",
        "_ended",
        "_ends",
        "_grace",
        "_idle",
        "_in_loop",
        "_outer",
        "_place",
        "_renewing",
        "progress",
    )

    def __init__(self, place: Workplace, run: Any, task: Task, attempt: int, limits: TimeoutPolicy | None) -> None:
        self.progress = self._renew if limits is not None and limits.idle_timeout is not None else None
        self._ended, self._renewing = False, Lock()
        self._outer = run.ends.first
        if limits is None:
            # What its run has of time, or the superstep, is all it has.
            left = None if self._outer == inf else self._outer - place.monotonic()
            place.watch(run.called(task.name, "", attempt)._replace(limit=OUTER if left is not None else "").text, left)
            return
        self._place = place
        self._in_loop = not in_this_thread(task.node)
        self._grace = ASYNC_GRACE if self._in_loop else 0.0
        self._idle = float(limits.idle_timeout or "inf")
        self._called = run.called(task.name, task.idempotency_key(run.address.run_id), attempt)
        whole = float(limits.run_timeout or "inf")
        self._ends = place.monotonic() + whole
        place.watch(*self._now())
        # It may have had to let another slot's task pass, which is none of the node's own time.
        self._ends = place.monotonic() + whole

    def _now(self) -> tuple[str, float]:
        now = self._place.monotonic()
        left = self._ends - now
        if self._outer - now <= min(left, self._idle):
            return self._called._replace(limit=OUTER).text, self._outer - now
        limit = "run" if left <= self._idle else "idle"
        return self._called._replace(limit=limit).text, min(left, self._idle) + self._grace

    def over(self) -> bool:
        """Whether the whole attempt has taken longer than it may; of one on the event loop, that is seen to there."""
        return not self._in_loop and self._place.monotonic() > self._ends

    def end(self) -> None:
        """Nothing is told any more: an OS thread that a node left behind must not say that the node goes on."""
        if self.progress is not None:
            with self._renewing:
                self._ended = True

    def _renew(self) -> None:
        with self._renewing:
            if not self._ended:
                self._place.renew(*self._now())


# ---------------------------------------------------------------- time limits


def note_of(key: str, attempt: int) -> str:
    """The name of the note that an attempt was stopped at its time limit."""
    return f"late/{key}/{attempt}"


def take_note(run: Any, task: Task, attempt: int) -> str:
    """Which limit this attempt has exceeded already, 'run' or 'idle'; '' if none. The note is gone then."""
    name = note_of(task.idempotency_key(run.address.run_id), attempt)
    effects = run.lane.ctx.runtime.effects
    known, limit = effects.get(name)
    if not known:
        return ""
    effects.drop(name)
    return str(limit)


# ---------------------------------------------------------------- error handlers


def _whose_turn(run: Any, task: Task) -> _Turn:
    """The node's, unless it has failed for good before and its handler took over."""
    answers: bytes | None = run.record.get(f"n:{task.id}")
    if task.node.error_handler is None or run.fresh:
        return _Turn(task, answers=answers)
    known, record = run.lane.ctx.runtime.effects.get(_failed(run, task))
    handler = handler_task(run.served.program, task) if known else None
    if handler is None:
        return _Turn(task, answers=answers)
    error = NodeError(task.name, rebuild(record["error"]))
    # What its node was answered is no answer to what the handler asks; that comes with a new epoch.
    return _Turn(handler, record["before"], error, None if record["epoch"] == run.epoch else answers)


def _hand_over(run: Any, task: Task, exc: BaseException, attempt: int) -> _Turn | None:
    """The handler's turn, recorded; None where the node has none, or ``exc`` is nothing to handle."""
    if not isinstance(exc, Exception) or isinstance(exc, GraphBubbleUp) or is_invalid_resume(exc):
        return None
    handler = handler_task(run.served.program, task)
    if handler is None:
        return None
    record = {"error": describe(exc, node=task.name), "before": attempt - 1, "epoch": run.epoch}
    run.lane.ctx.runtime.effects.put(_failed(run, task), record)
    return _Turn(handler, attempt - 1, NodeError(task.name, exc))


def failures_of(run: Any, tasks: Sequence[Task]) -> dict[str, Any]:
    """Task id -> failure, as stored, of those among ``tasks`` from which an error handler took over."""
    failed = [task for task in tasks if task.control(ERROR_SOURCE) is not None]
    found = [(task, run.lane.ctx.runtime.effects.get(_failed(run, task))) for task in failed]
    return {task.id: record["error"] for task, (known, record) in found if known}


def _failed(run: Any, task: Task) -> str:
    return f"failed/{task.idempotency_key(run.address.run_id)}"
