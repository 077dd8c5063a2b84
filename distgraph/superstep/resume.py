"""Answers -> the tasks that wait for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.constants import INTERRUPT, RESUME
from distgraph.errors import UnknownInterruptError
from distgraph.superstep.model import Task, is_finished
from distgraph.types import Interrupt, Write


def answers_of(writes: Sequence[Write]) -> list[Any]:
    """The answers a task has been given so far, in call order."""
    for channel, value in reversed(writes):
        if channel == RESUME:
            return list(value) if isinstance(value, list) else [value]
    return []


def pending_interrupts(writes: Sequence[Write]) -> tuple[Interrupt, ...]:
    """The questions of a settled task that wait for an answer."""
    if is_finished(writes):
        return ()
    for channel, value in reversed(writes):
        if channel == RESUME:
            return ()
        if channel == INTERRUPT:
            return tuple(value)
    return ()


def is_answer_map(resume: Any) -> bool:
    """Whether ``resume`` maps interrupt ids (32 hex digits) to answers; any other dict is an answer itself."""
    return (
        isinstance(resume, Mapping)
        and bool(resume)
        and all(isinstance(k, str) and len(k) == 32 and all(c in "0123456789abcdef" for c in k) for k in resume)
    )


def give_answers(tasks: Sequence[Task], pending: Mapping[str, Sequence[Write]], resume: Any) -> dict[str, list[Any]]:
    """Task id -> all its answers, for the tasks that ``resume`` answers.

    Args:
        resume: one answer, if one question waits; or a map from interrupt ids to answers, of some or all.

    Raises:
        RuntimeError: one answer, but several questions wait.
        UnknownInterruptError: no question waits, or none with such an id.
    """
    waiting = {i.id: task for task in tasks for i in pending_interrupts(pending.get(task.id, ()))}
    if not is_answer_map(resume):
        if len(waiting) > 1:
            raise RuntimeError(
                "When there are multiple pending interrupts, you must specify the interrupt id when resuming: "
                f"Command(resume={{id: answer}}) with ids out of {sorted(waiting)}."
            )
        resume = dict.fromkeys(waiting, resume)
    unknown = sorted(set(resume) - set(waiting))
    if unknown and len(unknown) == len(resume):
        raise UnknownInterruptError(
            f"No interrupt with id {unknown[0]} waits on this thread. Waiting: {sorted(waiting) or 'none'}.",
            reason="not_pending",
        )
    given: dict[str, list[Any]] = {}
    for iid, answer in resume.items():
        if iid in waiting:
            task = waiting[iid]
            given.setdefault(task.id, answers_of(pending.get(task.id, ()))).append(answer)
    return given
