"""The decision to try a task again, and the loops that do.

The decision is pure and shared with the cluster, where the wait is an entry in the due index; in one process it is a
sleep of the task's OS thread or coroutine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from distgraph.engine.context import RunContext
from distgraph.engine.execute import arun_task, run_task
from distgraph.engine.limits import Progress, limits_of, refuse_limits, within
from distgraph.engine.savers import acall, call
from distgraph.errors import GraphBubbleUp, GraphSleep, NodeCancelledError, NodeError, is_invalid_resume
from distgraph.superstep.model import Task
from distgraph.types import RetryPolicy, Write


def next_delay(policies: Sequence[RetryPolicy], exc: BaseException, attempt: int, noise: float) -> float | None:
    """Seconds to wait before the next attempt; None: there is none.

    Args:
        policies: the first one that covers ``exc`` decides; they share one count of attempts.
        exc: what failed attempt number ``attempt`` (from 1).
        attempt: how many attempts were made.
        noise: the caller's randomness, in [0, 1).
    """
    if isinstance(exc, GraphBubbleUp | NodeCancelledError) or not isinstance(exc, Exception) or is_invalid_resume(exc):
        return None
    for policy in policies:
        if policy.matches(exc):
            return policy.delay(attempt, noise) if attempt < policy.max_attempts else None
    return None


def run_with_retries(
    ctx: RunContext,
    task: Task,
    answers: Sequence[Any] = (),
    error: NodeError | None = None,
    again: Callable[[Exception], object] | None = None,
) -> list[Write]:
    """``run_task``, again as often as the node's retry policies say. Sleeps in this OS thread.

    ``again`` is told of each failure that is to be retried; it raises where it is not to be after all.
    """
    refuse_limits(task)
    policies = task.node.retry
    while not policies:
        try:
            return run_task(ctx, task, answers=answers, error=error)
        except GraphSleep as asleep:
            _nap(ctx, task, asleep)
    attempt, first = 1, time.time()
    while True:
        try:
            return run_task(ctx, task, answers=answers, attempt=attempt, first_attempt_time=first, error=error)
        except GraphSleep as asleep:
            _nap(ctx, task, asleep)
            continue
        except Exception as exc:
            delay = next_delay(policies, exc, attempt, random.uniform(0, 1))
            if delay is None:
                raise
            if again is not None:
                again(exc)
        time.sleep(delay)
        attempt += 1


async def arun_with_retries(
    ctx: RunContext,
    task: Task,
    answers: Sequence[Any] = (),
    error: NodeError | None = None,
    again: Callable[[Exception], Awaitable[object]] | None = None,
) -> list[Write]:
    """``run_with_retries`` under an event loop: waits without an OS thread."""
    import asyncio

    policies, limits = task.node.retry, limits_of(task)
    while not policies and limits is None:
        try:
            return await arun_task(ctx, task, answers=answers, error=error)
        except GraphSleep as asleep:
            await _anap(ctx, task, asleep)
    attempt, first = 1, time.time()
    once = partial(arun_task, ctx, task, answers=answers, first_attempt_time=first, error=error)
    while True:
        try:
            if limits is None:
                return await once(attempt=attempt)
            return await within(limits, task, partial(_observed, once, attempt))
        except GraphSleep as asleep:
            await _anap(ctx, task, asleep)
            continue
        except Exception as exc:
            delay = next_delay(policies, exc, attempt, random.uniform(0, 1))
            if delay is None:
                raise
            if again is not None:
                await again(exc)
        await asyncio.sleep(delay)
        attempt += 1


def _nap(ctx: RunContext, task: Task, asleep: GraphSleep) -> None:
    """Wait for the end of a sleep. Costs no attempt: the task did not fail.

    Raises:
        GraphSleep: nobody waits here; the sleep goes on to whoever can give the task back.
    """
    if not ctx.naps.waits:
        raise asleep
    if op := ctx.naps.begin(task, asleep):
        call(ctx.saver, op)
    time.sleep(ctx.naps.left(task, asleep))


async def _anap(ctx: RunContext, task: Task, asleep: GraphSleep) -> None:
    """``_nap`` under an event loop."""
    import asyncio

    if not ctx.naps.waits:
        raise asleep
    if op := ctx.naps.begin(task, asleep):
        await acall(ctx.saver, op)
    await asyncio.sleep(ctx.naps.left(task, asleep))


async def _observed(once: Callable[..., Awaitable[list[Write]]], attempt: int, progress: Progress) -> list[Write]:
    return await once(attempt=attempt, progress=progress)
