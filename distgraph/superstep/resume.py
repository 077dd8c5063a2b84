"""Answers -> the tasks that wait for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.constants import INTERRUPT, RESUME
from distgraph.errors import UnknownInterruptError
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Task, is_finished
from distgraph.types import Interrupt, Write


def answers_of(writes: Sequence[Write]) -> list[Any]:
    """The answers a task has been given so far, in call order."""
    for channel, value in reversed(writes):
        if channel == RESUME:
            return list(value) if isinstance(value, list) else [value]
    return []


def pending_interrupts(writes: Sequence[Write]) -> tuple[Interrupt, ...]:
    """The questions of a settled task that wait for an answer: the last it asked, until it finishes."""
    if is_finished(writes):
        return ()
    for channel, value in reversed(writes):
        if channel == INTERRUPT:
            return tuple(value)
    return ()


def is_answer_map(resume: Any) -> bool:
    """Whether ``resume`` maps interrupt ids (32 hex digits) to answers, or to none; any other dict is an answer itself."""
    return isinstance(resume, Mapping) and all(
        isinstance(k, str) and len(k) == 32 and all(c in "0123456789abcdef" for c in k) for k in resume
    )


class Given(NamedTuple):
    """Answers, and where they belong.

    Attributes:
        tasks: task id -> all answers to that task's own questions so far.
        nested: interrupt id -> answer, for questions that graphs nested in a task asked.
        askers: interrupt id -> that task's id.
        loose: answers to no question that is known yet: whichever is asked next in this superstep takes them.
    """

    tasks: dict[str, list[Any]]
    nested: dict[str, Any]
    askers: dict[str, str]
    loose: list[Any]


def give_answers(
    tasks: Sequence[Task], pending: Mapping[str, Sequence[Write]], resume: Any, *, strict: bool = False
) -> Given:
    """Where the answers in ``resume`` belong.

    Args:
        tasks: the tasks of the superstep that waits.
        pending: task id -> what it wrote.
        resume: one answer, if one question waits; or a map from interrupt ids to answers, of some or all.
        strict: an id that no question has is an error; else it is left alone.

    Raises:
        UnknownInterruptError: one answer, but several questions wait; or, when strict, an unknown id.
    """
    waiting = {i.id: task for task in tasks for i in pending_interrupts(pending.get(task.id, ()))}
    if not is_answer_map(resume):
        if len(waiting) > 1:
            raise UnknownInterruptError(
                "When there are multiple pending interrupts, you must specify the interrupt id when resuming: "
                f"Command(resume={{id: answer}}) with ids out of {sorted(waiting)}.",
                reason="ambiguous",
                pending_ids=sorted(waiting),
            )
        if not waiting:
            return Given({}, {}, {}, [resume])
        resume = dict.fromkeys(waiting, resume)
    if strict:
        _refuse_unknown(resume, waiting)
    given = Given({}, {}, {}, [])
    for iid, answer in resume.items():
        task = waiting.get(iid)
        if task is None:
            continue
        answers = given.tasks.get(task.id) or answers_of(pending.get(task.id, ()))
        index = next((n for n in range(len(answers) + 1) if interrupt_id(task.checkpoint_ns, n) == iid), None)
        if index is None:
            given.nested[iid] = answer
            given.askers[iid] = task.id
        else:
            # An answer that was given before but never came to anything is replaced.
            given.tasks[task.id] = [*answers[:index], answer]
    return given


def _refuse_unknown(resume: Mapping[str, Any], waiting: Mapping[str, Task]) -> None:
    if not resume:
        raise UnknownInterruptError(
            f"The resume map names no interrupt. Waiting here: {sorted(waiting) or 'none'}.",
            reason="empty_map",
            pending_ids=sorted(waiting),
        )
    unknown = sorted(set(resume) - set(waiting))
    if unknown:
        raise UnknownInterruptError(
            f"Unknown or already-consumed interrupt: {unknown[0]}. Waiting here: {sorted(waiting) or 'none'}.",
            reason="not_pending",
            interrupt_ids=unknown,
            pending_ids=sorted(waiting),
        )
