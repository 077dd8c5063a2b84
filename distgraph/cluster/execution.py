"""One call of a task's node, on a worker: its input, its cache, the graphs and tasks it calls.

``executing`` is a generator: what is decided and asked of the ledger happens in the slot's OS thread, and a coroutine is
yielded to whoever drives it, to be run on the process's event loop. So nodes that wait can do so beside each other while
a slot keeps one thread of control.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Sequence
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from distgraph.cluster.calls import LoopCalls, ThreadCalls
from distgraph.cluster.events import saves_with
from distgraph.cluster.nested import Attempt, NestedSaver, whose_answers
from distgraph.constants import CACHED, INTERRUPT, RESUME
from distgraph.engine.caching import cache_key, is_cacheable
from distgraph.engine.context import RunContext
from distgraph.engine.execute import arun_task, run_task
from distgraph.engine.limits import overdue, within
from distgraph.errors import NodeError
from distgraph.ledger.replies import Address
from distgraph.superstep.model import Node, Task
from distgraph.types import TimeoutPolicy, Write

if TYPE_CHECKING:
    from distgraph.cluster.lane import Lane

#: Yields coroutines, is sent what they return, or has thrown into it what they raise.
Executing = Generator[Coroutine[Any, Any, list[Write]], list[Write], list[Write]]


def in_this_thread(node: Node) -> bool:
    """Whether a node runs without an event loop."""
    return getattr(node.action, "sync_ok", True) and all(getattr(b.path, "sync_ok", True) for b in node.branches)


def executing(
    lane: Lane,
    task: Task,
    *,
    known: Any = None,
    attempt: int = 1,
    error: NodeError | None = None,
    limits: TimeoutPolicy | None = None,
    progress: Callable[[], None] | None = None,
) -> Executing:
    """Run one task here.

    Args:
        lane: the run.
        task: planned from the run's head.
        known: the answers to what it and graphs that it runs asked, see ``known_answers``.
        attempt: counts from 1.
        error: what an error handler is to handle.
        limits: time limits, in seconds; kept here for async nodes, by whoever watches the slot for others.
        progress: what the node's heartbeat calls.

    Returns:
        What it wants to change, or control writes alone if it asks.

    Raises:
        Superseded: another attempt of the task is at work.
        Exception: what the node raised.
    """
    lane.refresh(task)
    ctx = lane.ctx
    key = cache_key(ctx.program, task, ctx.stop) if ctx.cache is not None else None
    if key is not None and (found := ctx.cache.get([(key.ns, key.key)]).get((key.ns, key.key))):
        return [*((channel, value) for channel, value in found), (CACHED, True)]
    waits = not in_this_thread(task.node)
    if waits:
        # Others of this run may wait beside it.
        ctx = copy(ctx)
        ctx.saver = ctx.saver.another() if ctx.saver is not None else None
    answers, ctx.resume_map = whose_answers(task, known)
    saver = _begun(lane, ctx, task)
    saves_with(saver)
    try:
        if waits:
            writes = yield _awaited(lane, ctx, task, answers, attempt, error, limits, progress)
        else:
            writes = _called(lane, ctx, task, answers, attempt, error, progress)
    finally:
        if saver is not None and saver.end():
            lane.nested = True
    if any(channel == INTERRUPT for channel, _ in writes):
        # What was answered comes before what is asked: the last of the two says whether somebody waits.
        writes = sorted(writes, key=lambda write: write[0] != RESUME)
    if key is not None and is_cacheable(writes):
        ctx.cache.set({(key.ns, key.key): (writes, key.ttl)})
    return writes


def _begun(lane: Lane, ctx: RunContext, task: Task) -> NestedSaver | None:
    saver: NestedSaver | None = ctx.saver
    if saver is not None:
        address = Address(ctx.run_id, str(ctx.thread_id))
        saver.begin(Attempt(lane.place.nonce, address, task.at.id, lane.epoch, partial(_head_stored, lane, task)))
    return saver


def _head_stored(lane: Lane, task: Task) -> bool:
    if lane.at.id == lane.stored.id:
        return True
    own = task.at
    kept = lane.keep_head(lane)
    # The task goes on with the values that nobody else holds.
    task.at = own
    return kept


def _called(
    lane: Lane,
    ctx: RunContext,
    task: Task,
    answers: Sequence[Any],
    attempt: int,
    error: NodeError | None,
    progress: Callable[[], None] | None,
) -> list[Write]:
    called = ctx.children = ThreadCalls(lane, ctx, task)
    give_up = True
    try:
        writes = run_task(ctx, task, answers=answers, attempt=attempt, error=error, progress=progress)
        give_up = _asks(writes)
        return writes
    finally:
        called.finish(give_up=give_up)
        # The two refer to each other: what they know of the run would wait for a garbage collection.
        ctx.children = None


async def _awaited(
    lane: Lane,
    ctx: RunContext,
    task: Task,
    answers: Sequence[Any],
    attempt: int,
    error: NodeError | None,
    limits: TimeoutPolicy | None,
    progress: Callable[[], None] | None,
) -> list[Write]:
    called = ctx.children = LoopCalls(lane, ctx, task)

    async def run(made: Callable[[], None] | None) -> list[Write]:
        tell = made if progress is None else partial(_both, made, progress)
        return await arun_task(ctx, task, answers=answers, attempt=attempt, error=error, progress=tell)

    # Not when its slot calls for it, nor when the slot fetches what it came to: it may have others to see to.
    began = lane.place.monotonic()
    try:
        writes = await (run(None) if limits is None else within(limits, task, run))
        if limits is not None and lane.place.monotonic() - began > float(limits.run_timeout or "inf"):
            # It held up the loop, which could not cancel it; it is still too late.
            raise overdue(task, limits, "run")
    except BaseException:
        await called.finish(give_up=True)
        raise
    await called.finish(give_up=_asks(writes))
    return writes


def _asks(writes: Sequence[Write]) -> bool:
    return any(channel == INTERRUPT for channel, _ in writes)


def _both(made: Callable[[], None] | None, progress: Callable[[], None]) -> None:
    """Progress concerns the event loop's limit and that of whoever watches the slot."""
    if made is not None:
        made()
    progress()
