"""The engine under an event loop: a thin loop around a session. Async nodes are awaited, others get an OS thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine import adoption
from distgraph.engine.caching import take_cached
from distgraph.engine.loop_children import LoopChildren
from distgraph.engine.opening import opening
from distgraph.engine.request import Request
from distgraph.engine.retry import arun_with_retries
from distgraph.engine.savers import adrive, astore
from distgraph.engine.session import Result, Session
from distgraph.engine.sync import Chunk, Outcome, comes_live, stops_others, worse
from distgraph.errors import StepTimeoutError
from distgraph.superstep.model import Task
from distgraph.types import Write

_STORES = ("aput", "aput_writes")


async def run(request: Request) -> Result:
    """Run ``request`` to its end, or to where it must wait.

    Raises:
        Exception: as ``stream``.
    """
    engine = _Engine(request, None)
    async for _ in engine.chunks():
        pass
    return engine.session.result()


def stream(request: Request) -> AsyncIterator[Chunk]:
    """Run ``request`` and yield its chunks as they come.

    Raises:
        Exception: as ``sync.stream``; but the tasks beside one that failed are cancelled.
    """
    return _Engine(request, deque()).chunks()


class _Engine:
    def __init__(self, request: Request, ready: deque[Chunk] | None) -> None:
        self.request = request
        self.ready = ready
        self.session = Session(request, None if ready is None else self._sink)
        self.live = ready is not None and comes_live(request)
        self.loop = asyncio.get_running_loop()
        self.children = LoopChildren(self, self.loop, width_of(request, self.session.place.config))
        self.session.ctx.children = self.children
        #: An outcome or a chunk came while tasks run beside each other.
        self.came = asyncio.Event()
        saver = self.session.saver
        #: The saver does not wait: nothing to protect from a cancellation.
        self.quick = all(getattr(type(saver), name, None) is getattr(InMemorySaver, name) for name in _STORES)

    def _sink(self, chunk: Chunk) -> None:
        assert self.ready is not None
        self.ready.append(chunk)
        if self.live:
            # Chunks of synchronous nodes come from their OS threads.
            self.loop.call_soon_threadsafe(self.came.set)

    async def chunks(self) -> AsyncIterator[Chunk]:
        session = self.session
        try:
            await adrive(opening(session), session.saver)
            await self._flush()
            while session.running:
                if session.caching:
                    await adrive(take_cached(session), session.saver)
                    await self._flush()
                # Closed at once when the reader leaves: its tasks must not outlive this generator.
                async with aclosing(self._superstep()) as chunks:
                    async for chunk in chunks:
                        yield chunk
                await self.children.finish()
                session.step()
                await self._flush()
                while self.ready:
                    yield self.ready.popleft()
            session.close(None)
            await self._flush()
        except BaseException as exc:
            await self.children.finish(give_up=True)
            while self.ready and not isinstance(exc, GeneratorExit):
                yield self.ready.popleft()
            session.close(exc)
            await self._flush()
            raise
        try:
            session.conclude()
        finally:
            await self._flush()
            while self.ready:
                yield self.ready.popleft()

    # ------------------------------------------------------------ the saver and callbacks

    async def _flush(self) -> None:
        session = self.session
        if session.ops:
            stored = astore(session.saver, session.take_ops())
            await (stored if self.quick else _to_its_end(stored))
        if session.events:
            happened, session.events = session.events, []
            for notify, event in happened:
                answer = notify(event)
                if hasattr(answer, "__await__"):
                    await answer

    # ------------------------------------------------------------ tasks that nodes call

    def adopt(self, child: Task) -> None:
        adoption.adopt(self.session, child)

    async def run_child(self, child: Task) -> list[Write]:
        session = self.session
        try:
            if await adrive(adoption.take_cached(session, child), session.saver):
                return child.writes
            writes = await arun_with_retries(session.ctx, child, session.answers.get(child.id, ()))
            adoption.keep(session, child, writes)
            return writes
        except BaseException as exc:
            adoption.lose(session, child, exc)
            raise
        finally:
            await self._flush()

    # ------------------------------------------------------------ one superstep

    async def _superstep(self) -> AsyncGenerator[Chunk, None]:
        todo = self.session.todo()
        if len(todo) == 1 and not self.live and self.request.step_timeout is None:
            await self._alone(todo[0])
        elif todo:
            async with aclosing(self._together(todo)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _alone(self, task: Task) -> None:
        outcome = await self._attempt(task)
        exc, handler = self._settle(outcome)
        if handler is not None:
            await self._flush()
            await self._alone(handler)
        elif exc is not None:
            raise exc

    async def _attempt(self, task: Task) -> Outcome:
        session = self.session
        try:
            answers, error = session.answers.get(task.id, ()), session.errors.get(task.id)
            return task, await arun_with_retries(session.ctx, task, answers, error), None
        except BaseException as exc:
            return task, None, exc

    async def _together(self, todo: Sequence[Task]) -> AsyncGenerator[Chunk, None]:
        crew = _Crew(self, todo)
        failure: BaseException | None = None
        try:
            while crew.working:
                await crew.wait()
                while crew.done:
                    exc, handler = self._settle(crew.done.popleft())
                    if handler is not None:
                        crew.add(handler)
                        continue
                    failure = worse(failure, exc)
                    if stops_others(exc):
                        crew.give_up()
                # What came last of all is stored with the checkpoint that follows from it.
                if self.ready or crew.working:
                    await self._flush()
                while self.ready:
                    yield self.ready.popleft()
        finally:
            for outcome in await crew.leave():
                self._settle(outcome)
        if failure is not None:
            raise failure

    def _settle(self, outcome: Outcome) -> tuple[BaseException | None, Task | None]:
        """What a task failed with, and who takes over."""
        task, writes, exc = outcome
        if exc is None and writes is not None:
            self.session.settle(task, writes)
        return exc, self.session.fail(task, exc) if exc is not None else None


class _Crew:
    """The asyncio tasks of one superstep."""

    def __init__(self, engine: _Engine, todo: Sequence[Task]) -> None:
        request, session = engine.request, engine.session
        self.engine = engine
        self.limit = width_of(request, session.place.config) or len(todo)
        self.done: deque[Outcome] = deque()
        self._todo = deque(todo)
        self._running: set[asyncio.Task[None]] = set()
        timeout = request.step_timeout
        self._deadline = None if timeout is None else engine.loop.time() + timeout
        self._start()

    @property
    def working(self) -> bool:
        """Whether outcomes are still to come."""
        return bool(self._running or self.done)

    async def wait(self) -> None:
        """Until an outcome or a chunk came.

        Raises:
            StepTimeoutError: the deadline passed.
        """
        came = self.engine.came
        try:
            async with asyncio.timeout_at(self._deadline):
                await came.wait()
        except TimeoutError:
            raise StepTimeoutError("Timed out: a superstep took longer than the graph's step_timeout.") from None
        came.clear()

    def add(self, task: Task) -> None:
        """One more task for this superstep."""
        self._todo.append(task)
        self._start()

    def give_up(self) -> None:
        """Start nothing more, and cancel what runs."""
        self._todo.clear()
        for running in self._running:
            running.cancel()

    async def leave(self) -> list[Outcome]:
        """End everything that still runs; what came of it."""
        self.give_up()
        while self._running:
            await asyncio.wait(self._running)
        return [*self.done]

    def _start(self) -> None:
        while self._todo and len(self._running) < self.limit:
            self._running.add(self.engine.loop.create_task(self._work(self._todo.popleft())))

    async def _work(self, task: Task) -> None:
        outcome = await self.engine._attempt(task)
        self.done.append(outcome)
        current = asyncio.current_task()
        assert current is not None
        self._running.discard(current)
        self._start()
        self.engine.came.set()


def width_of(request: Request, config: Mapping[str, Any]) -> int | None:
    """How many tasks may run at the same time; None: all of them."""
    limit = request.max_concurrency or config.get("max_concurrency")
    return int(limit) if limit else None


async def _to_its_end(call: Any) -> Any:
    """What ``call`` returns; a cancellation waits for it, so that what is stored is stored whole."""
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            await asyncio.wait([task])
        raise
