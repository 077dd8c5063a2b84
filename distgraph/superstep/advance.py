"""Apply, plan, and the verdict: what is to be done after a superstep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from distgraph.constants import INTERRUPT
from distgraph.superstep.apply import Bump, apply_writes
from distgraph.superstep.joins import stalled_joins
from distgraph.superstep.model import Checkpoint, Program, Task, is_finished
from distgraph.superstep.plan import plan
from distgraph.types import Write

Stops = tuple[str, ...] | Literal["*"]
#: task id -> what it wrote, for tasks of the current superstep that have settled
Pending = Mapping[str, Sequence[Write]]


class Verdict(StrEnum):
    """What is to be done next."""

    RUN = "run"
    DONE = "done"
    STALLED = "stalled"
    OUT_OF_STEPS = "out_of_steps"
    STOP_BEFORE = "interrupt_before"
    STOP_AFTER = "interrupt_after"


class Rules(NamedTuple):
    """What bounds a run: the last superstep allowed, and the nodes to stop before and after."""

    stop: int
    before: Stops = ()
    after: Stops = ()


class Next(NamedTuple):
    """Where a run stands: its head, the tasks of the superstep after it, and the verdict."""

    at: Checkpoint
    tasks: list[Task]
    verdict: Verdict


def advance(
    program: Program,
    at: Checkpoint,
    tasks: Sequence[Task],
    bump: Bump,
    rules: Rules,
    *,
    new_id: str,
    ts: str = "",
    ns: str = "",
) -> Next:
    """The checkpoint after ``tasks`` (all finished), the tasks it activates, and the verdict.

    Raises:
        as ``apply_writes``.
    """
    after = apply_writes(program, at, tasks, bump, new_id=new_id, ts=ts)
    if rules.after and _stops(program, after, tasks, rules.after):
        return Next(after, plan(program, after, ns), Verdict.STOP_AFTER)
    return look(program, after, rules, ns=ns)


def look(program: Program, at: Checkpoint, rules: Rules, *, pending: Pending | None = None, ns: str = "") -> Next:
    """Where a run stands at ``at``; tasks that settled earlier get their ``pending`` writes back."""
    if at.step + 1 > rules.stop:
        return Next(at, plan(program, at, ns), Verdict.OUT_OF_STEPS)
    tasks = plan(program, at, ns)
    if not tasks:
        return Next(at, tasks, Verdict.STALLED if stalled_joins(program, at) else Verdict.DONE)
    if pending:
        restore(tasks, pending)
    if rules.before and _stops(program, at, [t for t in tasks if not t.finished], rules.before):
        return Next(at, tasks, Verdict.STOP_BEFORE)
    return Next(at, tasks, Verdict.RUN)


def restore(tasks: Sequence[Task], pending: Pending) -> None:
    """Give tasks that finished earlier their writes back, so that they do not run again."""
    for task in tasks:
        writes = pending.get(task.id)
        if writes and is_finished(writes):
            task.writes = list(writes)


def resumed(at: Checkpoint) -> Checkpoint:
    """``at`` with the breakpoints that stopped the run there marked as passed."""
    return at._replace(seen={**at.seen, INTERRUPT: {"": at.clock}})


def _stops(program: Program, at: Checkpoint, tasks: Sequence[Task], stops: Stops) -> bool:
    passed: Any = at.seen.get(INTERRUPT, {}).get("")
    if passed is not None and not at.clock > passed:
        return False
    if stops == "*":
        return any(task.node is not None and not task.node.hidden for task in tasks)
    return any(task.name in stops for task in tasks)
