"""Time limits of one attempt of an async node.

A node that only waits can be stopped: it is cancelled. Synchronous code in this process cannot, so a limit on it is
refused, not ignored; on a cluster the worker's process can be ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from typing import TYPE_CHECKING, TypeVar

from distgraph.errors import ConfigError, NodeTimeoutError
from distgraph.superstep.model import Task
from distgraph.types import TimeoutPolicy

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")
#: Tells an idle limit that the attempt makes progress. Called from any OS thread.
Progress = Callable[[], None]


def limits_of(task: Task) -> TimeoutPolicy | None:
    """The limits of ``task``: those of its Send, else its node's; in seconds."""
    if task.timeout is None and task.node.timeout is None:
        return None
    return TimeoutPolicy.coerce(task.timeout if task.timeout is not None else task.node.timeout)


def refuse_limits(task: Task) -> None:
    """Without an event loop there is nothing to stop a node with.

    Raises:
        ConfigError: ``task`` has a time limit.
    """
    if limits_of(task) is not None:
        raise ConfigError(
            "Node timeouts are only supported for async nodes because synchronous code cannot be stopped: node "
            f"{task.name!r} has one, and this run has no event loop. Use ainvoke or astream, or take the timeout away."
        )


def overdue(task: Task, limits: TimeoutPolicy, kind: str) -> NodeTimeoutError:
    """The failure of an attempt of ``task`` of which it is only known that it took as long as it may.

    Args:
        task: whose attempt it was.
        limits: in seconds.
        kind: the limit that it has exceeded, "run" or "idle".
    """
    return NodeTimeoutError(
        task.name,
        limits.idle_timeout if kind == "idle" else limits.run_timeout,
        kind=kind,
        run_timeout=limits.run_timeout,
        idle_timeout=limits.idle_timeout,
    )


async def within(limits: TimeoutPolicy, task: Task, attempt: Callable[[Progress], Awaitable[T]]) -> T:
    """What ``attempt`` returns, if it does in time.

    Args:
        limits: in seconds.
        task: whose attempt it is.
        attempt: makes the attempt; is given what to call on progress.

    Raises:
        NodeTimeoutError: it did not; it has been cancelled, and whatever it did after that is not looked at.
    """
    import asyncio  # loading it takes as long as all of this room, and runs without a loop never need it

    loop = asyncio.get_running_loop()
    idle = float(limits.idle_timeout or inf)
    began = loop.time()
    ends = began + float(limits.run_timeout or inf)
    running = True

    def due() -> float:
        return min(ends, loop.time() + idle)

    def refresh() -> None:
        if running and not limit.expired():
            limit.reschedule(due())

    try:
        async with asyncio.timeout_at(due()) as limit:
            result = await attempt(lambda: _soon(loop, refresh))
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        running = False
    if limit.expired():
        now = loop.time()
        error = NodeTimeoutError(
            task.name,
            now - began,
            kind="run" if now >= ends else "idle",
            run_timeout=limits.run_timeout,
            idle_timeout=limits.idle_timeout,
        )
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
        raise error
    return result


def _soon(loop: AbstractEventLoop, refresh: Callable[[], None]) -> None:
    # Deadlines belong to the loop's OS thread; a node's helpers may be in others.
    if not loop.is_closed():
        loop.call_soon_threadsafe(refresh)
