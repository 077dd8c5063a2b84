"""The engine for callers without an event loop: a thin loop around a session.

A superstep of one task runs in the caller's OS thread. A wide one shares its tasks between a few OS threads that live
as long as the run; each takes the next task when it is done with one, so that many small tasks cost no hand-over each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import Context, copy_context
from os import cpu_count
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from distgraph.engine import adoption
from distgraph.engine.caching import take_cached
from distgraph.engine.children import ThreadChildren
from distgraph.engine.opening import opening
from distgraph.engine.request import Request
from distgraph.engine.retry import run_with_retries
from distgraph.engine.savers import Stores, drive
from distgraph.engine.session import Result, Session
from distgraph.errors import GraphBubbleUp, StepTimeoutError, is_invalid_resume
from distgraph.superstep.model import Task
from distgraph.types import Write

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

#: Namespace, stream mode, payload.
Chunk = tuple[tuple[str, ...], str, Any]
#: A task, and what it wrote or why it failed.
Outcome = tuple[Task, list[Write] | None, BaseException | None]

#: Modes whose chunks come from inside running nodes: they cannot wait for the node to end.
LIVE = frozenset({"custom"})


def run(request: Request) -> Result:
    """Run ``request`` to its end, or to where it must wait.

    Raises:
        Exception: as ``stream``.
    """
    engine = _Engine(request, None)
    for _ in engine.chunks():
        pass
    return engine.session.result()


def stream(request: Request) -> Iterator[Chunk]:
    """Run ``request`` and yield its chunks as they come.

    Raises:
        InputError: nothing to run, or updates that the channels cannot reconcile.
        GraphRecursionError: no superstep is left in the budget.
        GraphDrained: somebody asked the run to stop.
        StepTimeoutError: a superstep took too long.
        Exception: whatever a node raised, after the tasks beside it have ended and their writes are kept.
    """
    ready: deque[Chunk] = deque()
    return _Engine(request, ready).chunks()


def comes_live(request: Request) -> bool:
    """Whether chunks come while nodes run, so that they cannot wait for a node to end."""
    return request.subgraphs or request.program.live or not LIVE.isdisjoint(request.modes)


def stops_others(exc: BaseException | None) -> bool:
    """Whether the tasks beside one that ended with ``exc`` are not to be started any more."""
    return exc is not None and not isinstance(exc, GraphBubbleUp) and not is_invalid_resume(exc)


def worse(one: BaseException | None, other: BaseException | None) -> BaseException | None:
    """Which of two outcomes of one superstep its run ends with: the first failure, else what comes from a node."""
    return other if one is None or (isinstance(one, GraphBubbleUp) and stops_others(other)) else one


def attempt(session: Session, task: Task) -> list[Write]:
    """Run ``task`` in this OS thread, with its answers, and again as its policies say."""
    answers = session.answers.get(task.id, ()) if session.answers else ()
    error = session.errors.get(task.id) if session.errors else None
    return run_with_retries(session.ctx, task, answers, error)


class _Engine:
    def __init__(self, request: Request, ready: deque[Chunk] | None) -> None:
        self.request = request
        self.ready = ready
        self.session = session = Session(request, None if ready is None else self._sink)
        self.stores = Stores(session.saver, session.ctx.durability, session.place.thread_id)
        #: The caller's OS thread runs no tasks: it hands out chunks as they come, or watches a deadline.
        self.apart = request.step_timeout is not None or (ready is not None and comes_live(request))
        self.crew: _Crew | None = None
        self.children = ThreadChildren(self, _width(request, self.session))
        self.session.ctx.children = self.children
        #: Children of nodes end in OS threads of their own.
        self._storing = Lock()

    def _sink(self, chunk: Chunk) -> None:
        assert self.ready is not None
        self.ready.append(chunk)
        if self.crew is not None:
            self.crew.wake()

    def chunks(self) -> Iterator[Chunk]:
        session = self.session
        try:
            drive(opening(session), session.saver)
            self._flush()
            while session.running:
                if session.caching:
                    drive(take_cached(session), session.saver)
                    self._send()
                todo = session.todo()
                if len(todo) == 1 and not self.apart:
                    self._alone(todo[0])
                elif todo:
                    yield from self._together(todo)
                # Also where their caller asks: what a run asks, and what it does again later, is no matter of luck.
                self.children.finish()
                # What the last task wrote is stored with the checkpoint that follows from it: in one round trip.
                session.step()
                self._keep()
                if self.ready:
                    yield from self._taken()
            session.close(None)
            self._flush()
        except BaseException as exc:
            if not isinstance(exc, GeneratorExit | StepTimeoutError):
                self.children.finish(give_up=True)
            if not isinstance(exc, GeneratorExit):
                yield from self._taken()
            session.close(exc)
            self._flush()
            raise
        finally:
            self.children.leave()
            if self.crew is not None:
                self.crew.leave()
        try:
            session.conclude()
        finally:
            self._flush()
            yield from self._taken()

    # ------------------------------------------------------------ the saver, callbacks, chunks

    def _flush(self) -> None:
        """Store what is due, and see that all of it is stored; then tell callbacks what happened."""
        self._send()
        with self._storing:
            self.stores.wait()
        session = self.session
        if session.events:
            happened, session.events = session.events, []
            for notify, event in happened:
                notify(event)

    def _send(self) -> None:
        """Store what is due; with durability "async" the saver may answer later."""
        with self._storing:
            # Looked at in here: what somebody else has taken is stored when this returns.
            if due := self.session.take_ops():
                self.stores.make(due)

    def _keep(self) -> None:
        """Store what is due: whoever is shown a chunk finds what it tells of stored."""
        if self.ready:
            self._flush()
        else:
            self._send()

    def _taken(self) -> Iterator[Chunk]:
        ready = self.ready
        while ready:
            yield ready.popleft()

    # ------------------------------------------------------------ tasks that nodes call, in any OS thread

    def adopt(self, child: Task) -> None:
        adoption.adopt(self.session, child)
        self._send()

    def run_child(self, child: Task) -> list[Write]:
        session = self.session
        try:
            if drive(adoption.take_cached(session, child), session.saver):
                return child.writes
            writes = attempt(session, child)
            adoption.keep(session, child, writes)
            return writes
        except BaseException as exc:
            adoption.lose(session, child, exc)
            raise
        finally:
            self._send()

    # ------------------------------------------------------------ one superstep

    def _alone(self, task: Task) -> None:
        session = self.session
        try:
            writes = attempt(session, task)
        except BaseException as exc:
            handler = session.fail(task, exc)
            if handler is None:
                raise
        else:
            session.settle(task, writes)
            return
        self._send()
        self._alone(handler)

    def _together(self, todo: Sequence[Task]) -> Iterator[Chunk]:
        if self.crew is None:
            self.crew = _Crew(_width(self.request, self.session))
        timeout = self.request.step_timeout
        deadline = None if timeout is None else monotonic() + timeout
        # Who reads chunks, or watches a deadline, cannot also work on a task.
        helps = self.ready is None and deadline is None
        failure: BaseException | None = None
        crew = self.crew
        crew.start(self.session, todo, helps)
        while crew.left:
            outcome = crew.come()
            if outcome is None:
                # All that came meanwhile is stored at once, before anything that may last. What came last of all is
                # stored with the checkpoint that follows from it.
                self._keep()
                if self.ready:
                    yield from self._taken()
                outcome = crew.next(helps, deadline)
            if outcome is not None:
                exc = self._settle(outcome)
                failure = worse(failure, exc)
                if stops_others(exc):
                    crew.give_up()
        if failure is not None:
            raise failure

    def _settle(self, outcome: Outcome) -> BaseException | None:
        task, writes, exc = outcome
        if exc is None and writes is not None:
            self.session.settle(task, writes)
        elif exc is not None:
            handler = self.session.fail(task, exc)
            if handler is not None and self.crew is not None:
                self.crew.add(handler)
                exc = None
        return exc


class _Crew:
    """The OS threads of one run. They are made when first needed, and share the tasks of one superstep at a time."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.left = 0
        self._todo: deque[Task] = deque()
        self._done: SimpleQueue[Outcome | None] = SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        self._session: Session | None = None
        self._context = copy_context()

    def start(self, session: Session, todo: Sequence[Task], helps: bool) -> None:
        """Work on ``todo``; with ``helps`` the caller will work too."""
        self._session = session
        self._todo = deque(todo)
        self._context = copy_context()
        self.left = len(todo)
        threads = min(self.width, self.left) - (1 if helps else 0)
        if threads > 0:
            pool = self._threads()
            for _ in range(threads):
                pool.submit(self._work, self._todo)

    def add(self, task: Task) -> None:
        """One more task for this superstep."""
        self.left += 1
        self._todo.append(task)
        self._threads().submit(self._work, self._todo)

    def come(self) -> Outcome | None:
        """An outcome that is there already."""
        while True:
            try:
                outcome = self._done.get_nowait()
            except Empty:
                return None
            if outcome is not None:
                return self._got(outcome)

    def next(self, helps: bool, deadline: float | None) -> Outcome | None:
        """The next outcome, worked or waited for; None where only a chunk came.

        Raises:
            StepTimeoutError: the deadline passed.
        """
        if helps and self._todo:
            return self._help()
        try:
            return self._got(self._done.get(timeout=None if deadline is None else max(0.0, deadline - monotonic())))
        except Empty:
            self.give_up()
            self.left = 0
            raise StepTimeoutError("Timed out: a superstep took longer than the graph's step_timeout.") from None

    def give_up(self) -> None:
        """Do not start the tasks that nobody has started."""
        while self._todo:
            try:
                self._todo.popleft()
            except IndexError:
                return
            self.left -= 1

    def wake(self) -> None:
        """A chunk came."""
        self._done.put(None)

    def leave(self) -> None:
        """Let the OS threads go, without waiting for those that are still busy."""
        self._todo.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _got(self, outcome: Outcome | None) -> Outcome | None:
        if outcome is not None:
            self.left -= 1
        return outcome

    def _help(self) -> Outcome | None:
        try:
            task = self._todo.popleft()
        except IndexError:
            return None
        return self._got(self._attempt(task))

    def _work(self, todo: deque[Task]) -> None:
        while True:
            try:
                task = todo.popleft()
            except IndexError:
                return
            self._done.put(self._attempt(task))

    def _attempt(self, task: Task) -> Outcome:
        session = self._session
        assert session is not None
        context: Context = self._context.copy()
        try:
            return task, context.run(attempt, session, task), None
        except BaseException as exc:
            return task, None, exc

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self.width, thread_name_prefix="distgraph")
        return self._pool


def _width(request: Request, session: Session) -> int:
    limit = request.max_concurrency or session.place.config.get("max_concurrency")
    return int(limit) if limit else min(32, (cpu_count() or 1) + 4)
