"""What makes a run go on: pulls one part of the graph's stream, and hands it on as an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from threading import RLock
from typing import Any

from distgraph.errors import RunCancelledError
from distgraph.stream.events import event_of
from distgraph.stream.mux import StreamMux, finished

_CANCELLED = RunCancelledError("The run has ended where it was: whoever read its stream was cancelled. Run it again.")


class Pump:
    """Of a sync run. No OS thread of its own: whoever reads a projection pulls; of several OS threads one at a time.

    Args:
        parts: ``stream(version="v2", subgraphs=True)``.
        mux: gets the events.
    """

    def __init__(self, parts: Iterator[Any], mux: StreamMux) -> None:
        self._parts, self._mux = parts, mux
        #: A transformer that reads what it is to fill must get an error, and not wait for itself.
        self._turn = RLock()
        mux.drive_by(self.pull)

    def pull(self) -> bool:
        """Pull one part; False at the end, which projections are told of: of a failure too."""
        with self._turn:
            return not self._mux.log.closed and self._pull()

    def _pull(self) -> bool:
        try:
            part = next(self._parts)
            finished(self._mux.push(event_of(part)))
        except StopIteration:
            finished(self._mux.close())
            return False
        except BaseException as exc:
            self._leave()
            finished(self._mux.fail(exc))
            if not isinstance(exc, Exception):
                raise
            return False
        return True

    def stop(self) -> None:
        """End the run where it is; safe to repeat."""
        with self._turn:
            if not self._mux.log.closed:
                self._leave()
                finished(self._mux.close())

    def _leave(self) -> None:
        if isinstance(self._parts, Generator):
            self._parts.close()


class AsyncPump:
    """Of an async run. Readers that want more at the same time wait for one pull together.

    Args:
        parts: ``astream(version="v2", subgraphs=True)``.
        mux: gets the events.
    """

    def __init__(self, parts: AsyncIterator[Any], mux: StreamMux) -> None:
        self._parts, self._mux = parts, mux
        self._pulling: asyncio.Task[bool] | None = None
        self._waiting = 0
        mux.drive_by(self.pull)

    async def pull(self) -> bool:
        """Pull one part, or wait for the pull that is going on; False at the end."""
        if self._mux.log.closed:
            return False
        if self._pulling is None or self._pulling.done():
            self._pulling = asyncio.ensure_future(self._pull())
        task = self._pulling
        self._waiting += 1
        try:
            await asyncio.wait({task})
        finally:
            self._waiting -= 1
            if not self._waiting and not task.done():
                # The last reader was cancelled: nobody would ever end the nodes that run for it.
                await _cancelled(task)
                await self._end(_CANCELLED)
        return not task.cancelled() and task.result()

    async def _pull(self) -> bool:
        try:
            part = await anext(self._parts)
            await self._mux.push(event_of(part))
        except StopAsyncIteration:
            await self._mux.close()
            return False
        except BaseException as exc:
            await self._end(_CANCELLED if isinstance(exc, asyncio.CancelledError) else exc)
            if not isinstance(exc, Exception):
                raise
            return False
        return True

    async def stop(self) -> None:
        """End the run where it is, nodes that are being awaited among it; safe to repeat."""
        if self._mux.log.closed:
            return
        # Before anything is waited for: who asks for more from now on gets nothing.
        task = self._pulling
        self._mux.log.close()
        if task is not None:
            await _cancelled(task)
        await self._leave()
        await self._mux.close()

    async def _end(self, err: BaseException) -> None:
        await self._leave()
        if not self._mux.log.closed:
            await self._mux.fail(err)

    async def _leave(self) -> None:
        # What is cancelled may still tell how its nodes have ended, and stand there.
        if isinstance(self._parts, AsyncGenerator):
            await self._parts.aclose()


async def _cancelled(task: asyncio.Task[bool]) -> None:
    task.cancel()
    await asyncio.wait({task})
