"""The engine under an event loop: a thin loop around a session. Async nodes are awaited, others get an OS thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any

from distgraph.engine.opening import opening
from distgraph.engine.request import Request
from distgraph.engine.retry import arun_with_retries
from distgraph.engine.session import Op, Result, Session
from distgraph.engine.sync import LIVE, Chunk
from distgraph.errors import NodeCancelledError, StepTimeoutError
from distgraph.superstep.model import Task


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
        self.live = ready is not None and (request.subgraphs or not LIVE.isdisjoint(request.modes))
        self.loop = asyncio.get_running_loop()
        self.came = asyncio.Event()

    def _sink(self, chunk: Chunk) -> None:
        assert self.ready is not None
        self.ready.append(chunk)
        if self.live:
            # Chunks of synchronous nodes come from their OS threads.
            self.loop.call_soon_threadsafe(self.came.set)

    async def chunks(self) -> AsyncIterator[Chunk]:
        session = self.session
        try:
            await self._open()
            while session.running:
                async for chunk in self._superstep():
                    yield chunk
                await self._flush()
                session.step()
                await self._flush()
                while self.ready:
                    yield self.ready.popleft()
            session.close(None)
            await self._flush()
        except BaseException as exc:
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
