"""One attempt of one task: input, action, writes, conditional edges. Shared by every shell.

``run_task`` and ``arun_task`` differ in how they call; what is called, in which order, and what a failure means is
decided once, in the functions between them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, NS_END, NS_SEP, RESUME
from distgraph.engine.context import RunContext
from distgraph.engine.messages import with_message_ids
from distgraph.engine.mutation import remembered, report
from distgraph.engine.scope import NodeScope
from distgraph.engine.tokens import leave, surround
from distgraph.errors import GraphBubbleUp, GraphInterrupt, NodeCancelledError, NodeError, ParentCommand
from distgraph.runtime import _scope
from distgraph.superstep.model import Branch, Node, Program, Task
from distgraph.superstep.routing import branch_writes
from distgraph.superstep.views import branch_view, task_input
from distgraph.types import MISSING, Command, Write


def run_task(
    ctx: RunContext,
    task: Task,
    *,
    answers: Sequence[Any] = (),
    attempt: int = 1,
    first_attempt_time: float | None = None,
    error: NodeError | None = None,
    returned: Any = MISSING,
    sent: Sequence[Write] = (),
    progress: Callable[[], None] | None = None,
) -> list[Write]:
    """Execute ``task`` once, in this OS thread.

    Args:
        ctx: the run.
        task: planned from the run's head.
        answers: answers to the task's interrupts so far, in call order.
        attempt: counts from 1.
        first_attempt_time: seconds since the epoch, for a later attempt.
        error: what an error handler is to handle.
        returned: go on as if the node had returned this, without calling it.
        sent: what the node wrote before it came to that.
        progress: what the node's heartbeat calls.

    Returns:
        What the task wants to change, never empty; or, if the node asked for an answer, control writes only.

    Raises:
        ParentCommand, GraphDrained: on their way up.
        Exception: whatever the node raised, with a note that names the task.
    """
    scope = NodeScope(ctx, task, answers, attempt, first_attempt_time)
    scope.progress = progress
    scope.sent += sent
    if error is not None:
        scope.error = error
    node = task.node
    token, surroundings = _scope.set(scope), surround(scope)
    try:
        output = returned
        if output is MISSING:
            output = value = _input_of(ctx, task)
            before = remembered(value) if ctx.debug else MISSING
            if node.action is not None:
                trace, call = ctx.trace, node.action.call
                output = call(value, scope) if trace is None else trace.call(node.action, scope, value, token.old_value)
            if before is not MISSING:
                report(task.name, before, value)
        task.writes = writes = _output_writes(ctx.program, node, output, scope.sent)
        for branch in node.branches:
            view = branch_view(ctx.program, task, branch, ctx.stop, output)
            writes += _chosen(ctx, task, branch, branch.path.call(view, scope))
        return writes or [(NO_WRITES, None)]
    except BaseException as exc:
        command = _received(task, exc)
        if command is None:
            asked = _settle(ctx, task, scope, exc)
            if asked is None:
                raise
            return asked
    finally:
        leave(surroundings)
        _scope.reset(token)
    return run_task(
        ctx,
        task,
        answers=answers,
        attempt=attempt,
        first_attempt_time=first_attempt_time,
        returned=command,
        sent=scope.sent,
    )


async def arun_task(
    ctx: RunContext,
    task: Task,
    *,
    answers: Sequence[Any] = (),
    attempt: int = 1,
    first_attempt_time: float | None = None,
    error: NodeError | None = None,
    returned: Any = MISSING,
    sent: Sequence[Write] = (),
    progress: Callable[[], None] | None = None,
) -> list[Write]:
    """``run_task`` under an event loop: async nodes are awaited, others get an OS thread.

    ``progress`` is what the node's heartbeat calls.
    """
    scope = NodeScope(ctx, task, answers, attempt, first_attempt_time)
    scope.progress = progress
    scope.sent += sent
    if error is not None:
        scope.error = error
    node = task.node
    token, surroundings = _scope.set(scope), surround(scope)
    try:
        output = returned
        if output is MISSING:
            output = value = _input_of(ctx, task)
            before = remembered(value) if ctx.debug else MISSING
            if node.action is not None:
                trace, acall = ctx.trace, node.action.acall
                told = acall(value, scope) if trace is None else trace.acall(node.action, scope, value, token.old_value)
                output = await told
            if before is not MISSING:
                report(task.name, before, value)
        task.writes = writes = _output_writes(ctx.program, node, output, scope.sent)
        for branch in node.branches:
            view = branch_view(ctx.program, task, branch, ctx.stop, output)
            writes += _chosen(ctx, task, branch, await branch.path.acall(view, scope))
        return writes or [(NO_WRITES, None)]
    except BaseException as exc:
        command = _received(task, exc)
        if command is None:
            asked = _settle(ctx, task, scope, exc)
            if asked is None:
                raise
            return asked
    finally:
        leave(surroundings)
        _scope.reset(token)
    return await arun_task(
        ctx,
        task,
        answers=answers,
        attempt=attempt,
        first_attempt_time=first_attempt_time,
        returned=command,
        sent=scope.sent,
    )


def failure_writes(exc: BaseException) -> list[Write]:
    """How a task that failed for good is recorded: text, which outlives the exception's class."""
    return [(ERROR, repr(exc))]


def _input_of(ctx: RunContext, task: Task) -> Any:
    try:
        return task_input(ctx.program, task, ctx.stop)
    except Exception as exc:
        exc.add_note(f"Before task with name '{task.name}' and path '{task.path}'")
        raise


def _output_writes(program: Program, node: Node, output: Any, sent: list[Write]) -> list[Write]:
    writes = node.writer(output)
    if sent:
        writes = [*sent, *writes]
    if program.deltas:
        writes = with_message_ids(program, writes)
    if node.edges:
        writes = [*writes, *node.edges]
    return writes


def _chosen(ctx: RunContext, task: Task, branch: Branch, result: Any) -> list[Write]:
    return branch_writes(branch, result, ctx.program.nodes, task.name)


def _settle(ctx: RunContext, task: Task, scope: NodeScope, exc: BaseException) -> list[Write] | None:
    """What an exception means for the task: the writes of a question; None: it is to be raised.

    Raised where it was caught: raised from here it would hold this frame, which holds it, with all they know of the run.

    Raises:
        NodeCancelledError: in its place.
    """
    task.writes = []
    if isinstance(exc, GraphInterrupt):
        asked: list[Write] = [(INTERRUPT, exc.interrupts)]
        return [*asked, (RESUME, list(scope.answers))] if scope.answers else asked
    if isinstance(exc, ParentCommand):
        command: Command[Any] = exc.args[0]
        if command.graph == Command.PARENT and ctx.ns:
            exc.args = (replace(command, graph=ctx.parent_task_ns),)
    if _cancelled_itself(exc):
        raise NodeCancelledError(task.name) from exc
    if isinstance(exc, Exception) and not isinstance(exc, GraphBubbleUp):
        exc.add_note(f"During task with name '{task.name}' and id '{task.id}'")
    return None


def _cancelled_itself(exc: BaseException) -> bool:
    """Whether a node raised ``CancelledError`` although nobody cancelled it; its run would end without a word."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or not isinstance(exc, asyncio.CancelledError):
        return False
    try:
        current = asyncio.current_task()
    except RuntimeError:  # no event loop in this OS thread, so nobody to cancel it
        return True
    return current is None or not current.cancelling()


def _received(task: Task, exc: BaseException) -> Command[Any] | None:
    """The command that a nested graph sent to this very graph, if that is what ``exc`` is: the node's output."""
    if not isinstance(exc, ParentCommand):
        return None
    command: Command[Any] = exc.args[0]
    ns = task.checkpoint_ns
    return replace(command, graph=None) if command.graph in (ns, without_ids(ns), task.name) else None


def without_ids(ns: str) -> str:
    """A checkpoint namespace without task ids and call numbers: the nodes' names alone."""
    return NS_SEP.join(part.split(NS_END)[0] for part in ns.split(NS_SEP) if not part.isdigit())
