"""Tasks that a running node calls, under an event loop: asyncio tasks beside their parent's. See ``children``."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Protocol

from distgraph.engine.children import child_of, has_failed, reject, resolve
from distgraph.superstep.model import Node, Task
from distgraph.types import Write

if TYPE_CHECKING:
    from distgraph.engine.scope import NodeScope


class Runner(Protocol):
    """Who runs children, and knows what they came to before."""

    def adopt(self, child: Task) -> None:
        """Give ``child`` its earlier writes, if it had finished."""

    async def run_child(self, child: Task) -> list[Write]:
        """Run it, again as its policies say; what it came to is kept."""


class _Child:
    __slots__ = ("counted", "future", "task", "work")

    def __init__(self, task: Task, future: Any) -> None:
        self.task = task
        self.future = future
        self.counted = False
        self.work: asyncio.Task[None] | None = None


class LoopChildren:
    """Children of a run under an event loop.

    Args:
        runner: runs a child.
        loop: the run's.
        width: how many may run at the same time, parents that called others not counted; None: all.
    """

    def __init__(self, runner: Runner, loop: asyncio.AbstractEventLoop, width: int | None) -> None:
        self.runner = runner
        self.loop = loop
        self._places = asyncio.Semaphore(width) if width else None
        self._known: dict[str, _Child] = {}

    def start(self, scope: NodeScope, node: Node, arg: Any) -> Any:
        """See ``Children``; an asyncio future for callers on the loop, a blocking one for OS threads beside it."""
        task = child_of(scope.task, node, scope.next_call(), arg)
        if _on(self.loop):
            return self._begin(scope.task, task, self.loop.create_future(), copy_context())
        future: Future[Any] = Future()
        self.loop.call_soon_threadsafe(self._begin, scope.task, task, future, copy_context())
        return future

    async def finish(self, *, give_up: bool = False) -> None:
        """All children of this superstep have ended; with ``give_up`` they are cancelled."""
        while works := [
            child.work for child in self._known.values() if child.work is not None and not child.work.done()
        ]:
            if give_up:
                for work in works:
                    work.cancel()
            await asyncio.wait(works)
        self._known.clear()

    # ------------------------------------------------------------ inside: on the loop

    def _begin(self, parent: Task, task: Task, future: Any, context: Context) -> Any:
        known = self._known.get(task.id)
        if known is not None and not has_failed(known.future):
            # The parent was tried again.
            known.future.add_done_callback(lambda done: _hand_on(done, future))
            return future
        self.runner.adopt(task)
        if task.finished:
            resolve(future, task.writes)
            return future
        child = self._known[task.id] = _Child(task, future)
        self._uncount(parent)
        work = child.work = self.loop.create_task(self._run(child), context=context)
        if isinstance(future, asyncio.Future):
            future.add_done_callback(lambda done: work.cancel() if done.cancelled() else None)
        return future

    async def _run(self, child: _Child) -> None:
        try:
            if self._places is not None:
                await self._places.acquire()
                child.counted = True
            writes = await self.runner.run_child(child.task)
        except BaseException as exc:
            reject(child.future, exc)
            _look_at(child.future)
        else:
            resolve(child.future, writes)
            _look_at(child.future)
        finally:
            self._free(child)

    def _uncount(self, parent: Task) -> None:
        """A child that calls others will wait for them: its place is free."""
        if (known := self._known.get(parent.id)) is not None:
            self._free(known)

    def _free(self, child: _Child) -> None:
        if child.counted and self._places is not None:
            child.counted = False
            self._places.release()


def _on(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _look_at(future: Any) -> None:
    """A parent that never asks for a result must not be reported for it when the future goes."""
    if not future.cancelled():
        future.exception()


def _hand_on(done: Any, future: Any) -> None:
    if done.cancelled():
        future.cancel()
    elif (exc := done.exception()) is not None:
        reject(future, exc)
    else:
        future.set_result(done.result())
