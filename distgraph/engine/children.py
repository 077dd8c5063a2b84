"""Tasks that a running node calls: children of its task, in the same superstep, each with a path under its parent's.

What a child came to is kept like the writes of any task, under an id that follows from its parent and the number of the
call. So a parent that runs again, after an answer, a failure or a death, gets the results of its finished children back
without running them.

A child starts at once where an OS thread or the event loop has room. A parent that waits for a child nobody has
started runs it in place, and a parent is not counted among those that run: however narrow the limit, and however deep
children call children, nobody waits for a place that is held by somebody who waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import Context, copy_context
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol

from distgraph.constants import INTERRUPT, PUSH, RETURN
from distgraph.errors import GraphInterrupt
from distgraph.superstep.model import Node, Task
from distgraph.types import MISSING, Write

if TYPE_CHECKING:
    from distgraph.engine.scope import NodeScope


class Runner(Protocol):
    """Who runs children, and knows what they came to before. Called from any OS thread."""

    def adopt(self, child: Task) -> None:
        """Give ``child`` its earlier writes, if it had finished."""

    def run_child(self, child: Task) -> list[Write]:
        """Run it here and now, again as its policies say; what it came to is kept."""


class Children(Protocol):
    """Starts the children of one run, and waits for them."""

    def start(self, scope: NodeScope, node: Node, arg: Any) -> Any:
        """A future of what ``node`` returns for ``arg``, the arguments of the call."""


def child_of(parent: Task, node: Node, index: int, arg: Any) -> Task:
    """The task of a parent's ``index``-th call."""
    return Task(node, (PUSH, parent.path, index, True), (PUSH,), parent.at, parent.checkpoint_ns, arg)


def resolve(future: Any, writes: Iterable[Write]) -> None:
    """Hand a child's outcome to whoever waits for it: a question goes up, and stops its parent too."""
    if future.done():
        return
    by_channel = dict(writes)
    if RETURN not in by_channel and INTERRUPT in by_channel:
        future.set_exception(GraphInterrupt(by_channel[INTERRUPT]))
    else:
        # A child that asked before it returned has written both.
        future.set_result(by_channel.get(RETURN))


def reject(future: Any, exc: BaseException) -> None:
    """Hand a child's failure to whoever waits for it."""
    if future.done():
        return
    if isinstance(exc, StopIteration):
        # No future can hold one: it would end the generator that waits.
        exc, cause = RuntimeError(f"A task raised StopIteration: {exc}"), exc
        exc.__cause__ = cause
    future.set_exception(exc)


class TaskFuture(Future[Any]):
    """The future of a task called without an event loop."""

    def __init__(self) -> None:
        super().__init__()
        #: Runs the task here and now, if nobody has started it.
        self.help: Callable[[], None] | None = None

    def result(self, timeout: float | None = None) -> Any:
        self._work(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._work(timeout)
        return super().exception(timeout)

    def _work(self, timeout: float | None) -> None:
        # Whoever waits for a limited time must be able to stop waiting.
        if timeout is None and self.help is not None:
            self.help()


class _Child:
    """One call: its task, its future, and whether it counts among those that run."""

    __slots__ = ("context", "counted", "future", "task")

    def __init__(self, task: Task, future: TaskFuture) -> None:
        self.task = task
        self.future = future
        self.context: Context = copy_context()
        self.counted = False


class ThreadChildren:
    """Children of a run without an event loop: OS threads, made when first needed, at most ``width`` at work.

    Args:
        runner: runs them.
        width: how many may run at the same time, parents that called others not counted.
    """

    def __init__(self, runner: Runner, width: int) -> None:
        self.runner = runner
        self.width = width
        self._known: dict[str, _Child] = {}
        self._waiting: deque[_Child] = deque()
        self._change = Condition(Lock())
        self._idle = 0
        #: At work in an OS thread of ours, and those among them that are not parents.
        self._running = 0
        self._counted = 0
        self._closed = False

    def start(self, scope: NodeScope, node: Node, arg: Any) -> TaskFuture:
        """See ``Children``.

        Raises:
            RuntimeError: ``node`` is async: there is no event loop.
        """
        task = child_of(scope.task, node, scope.next_call(), arg)
        if not node.action.sync_ok:
            raise RuntimeError(
                f"In a sync context async tasks cannot be called: task {node.name!r} is async. Run the graph through "
                "its async methods (ainvoke, astream)."
            )
        known = self._known.get(task.id)
        if known is not None and not has_failed(known.future):
            # The parent was tried again.
            return known.future
        self.runner.adopt(task)
        child = _Child(task, TaskFuture())
        if task.finished:
            resolve(child.future, task.writes)
            return child.future
        child.future.help = lambda: self._help(child)
        with self._change:
            self._known[task.id] = child
            self._uncount(scope.task)
            self._waiting.append(child)
            self._staff()
        return child.future

    def finish(self, *, give_up: bool = False) -> None:
        """All children of this superstep have ended; with ``give_up`` those that nobody started are not."""
        while self._known:
            with self._change:
                child = self._waiting.popleft() if self._waiting else None
                if child is None:
                    while self._running:
                        self._change.wait()
                    if not self._waiting:
                        self._known.clear()
                        return
                    continue
            if give_up:
                child.future.cancel()
            else:
                child.context.run(self._run, child)

    def unstarted(self, wanted: Callable[[Task], bool]) -> list[Task]:
        """Tasks that nobody has started and that are ``wanted``; none of them starts while that is asked."""
        with self._change:
            return [child.task for child in self._waiting if wanted(child.task)]

    def leave(self) -> None:
        """Let the OS threads go, without waiting for those that are still busy."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()

    # ------------------------------------------------------------ inside

    def _uncount(self, parent: Task) -> None:
        """A child that calls others will wait for them: its place is free."""
        known = self._known.get(parent.id)
        if known is not None and known.counted:
            known.counted = False
            self._counted -= 1

    def _staff(self) -> None:
        if self._idle:
            self._change.notify_all()
        elif self._counted < self.width:
            Thread(target=self._work, name="distgraph-task", daemon=True).start()

    def _work(self) -> None:
        while (child := self._next()) is not None:
            try:
                child.context.run(self._run, child)
            finally:
                with self._change:
                    self._running -= 1
                    self._counted -= child.counted
                    self._change.notify_all()

    def _next(self) -> _Child | None:
        with self._change:
            self._idle += 1
            while not self._closed and not (self._waiting and self._counted < self.width):
                self._change.wait()
            self._idle -= 1
            if self._closed:
                return None
            child = self._waiting.popleft()
            child.counted = True
            self._counted += 1
            self._running += 1
            return child

    def _help(self, child: _Child) -> None:
        with self._change:
            if child not in self._waiting:
                return
            self._waiting.remove(child)
        child.context.run(self._run, child)

    def _run(self, child: _Child) -> None:
        task, future = child.task, child.future
        if not future.set_running_or_notify_cancel():
            return
        try:
            writes = self.runner.run_child(task)
        except BaseException as exc:
            reject(future, exc)
        else:
            resolve(future, writes)


def has_failed(future: Any) -> bool:
    """Whether a child has ended without a result."""
    return bool(future.done() and (future.cancelled() or future.exception() is not None))


def returned(output: Any) -> list[Write]:
    """The writer of a task that a node calls: what it returns goes to its caller, not to the state."""
    return [(RETURN, None if output is MISSING else output)]
