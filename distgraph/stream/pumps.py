"""What makes a run go on: pulls one part of the graph's stream, and hands it on as an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from threading import RLock
from typing import Any

from distgraph.errors import RunCancelledError
from distgraph.stream.events import event_of
from distgraph.stream.mux import StreamMux, finished


class Pump:
    """Of a sync run. No OS thread of its own: whoever reads a projection pulls; of several OS threads one at a time.

    Args:
        parts: ``stream(version="v2", subgraphs=True)``.
        mux: gets the events.
    """

    def __init__(self, parts: Iterator[Any], mux: StreamMux) -> None:
        self._parts, self._mux = parts, mux
        #: May be taken again: a transformer that reads the run must not wait for itself.
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
            try:
                self._leave()
            finally:
                finished(self._mux.fail(exc))
            if not isinstance(exc, Exception):
                raise
            return False
        return True

    def stop(self) -> None:
        """End the run where it is; safe to repeat."""
        with self._turn:
            if not self._mux.log.closed:
                try:
                    self._leave()
                finally:
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
        #: Is done, and another one made, when those who wait are to ask again.
        self._woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mux.drive_by(self.pull, self.wake)

    async def pull(self) -> bool:
        """Pull one part, or wait for the pull that is going on; False at the end. Who is woken meanwhile asks again.

        Raises:
            RuntimeError: a transformer asks, which the pull that is going on waits for.
        """
        if self._mux.log.closed:
            return False
        if self._pulling is None or self._pulling.done():
            self._pulling = asyncio.ensure_future(self._pull())
        task = self._pulling
        if task is asyncio.current_task():
            raise RuntimeError(
                "A transformer that awaits what the run tells next would wait for itself: give that to self.schedule(...)."
            )
        either: set[asyncio.Future[Any]] = {task, self._woken}
        self._waiting += 1
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if self._waiting == 1 and not task.done():
                # The last reader was cancelled: nobody would ever end the nodes that run for it.
                await _cancelled(task)
                await self._end(_cancellation())
            raise
        finally:
            self._waiting -= 1
        return not task.done() or (not task.cancelled() and task.result())

    def wake(self) -> None:
        """Let those who wait ask again."""
        woken, self._woken = self._woken, asyncio.get_running_loop().create_future()
        woken.set_result(None)

    async def _pull(self) -> bool:
        try:
            part = await anext(self._parts)
            await self._mux.push(event_of(part))
        except StopAsyncIteration:
            await self._mux.close()
            return False
        except BaseException as exc:
            await self._end(_cancellation() if isinstance(exc, asyncio.CancelledError) else exc)
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
        try:
            if task is not None:
                await _cancelled(task)
            await self._leave()
        finally:
            await self._mux.close()

    async def _end(self, err: BaseException) -> None:
        try:
            await self._leave()
        finally:
            if not self._mux.log.closed:
                await self._mux.fail(err)

    async def _leave(self) -> None:
        # What is cancelled may still tell how its nodes have ended, and stand there.
        if isinstance(self._parts, AsyncGenerator):
            await self._parts.aclose()


def _cancellation() -> RunCancelledError:
    """What becomes of a run whose reader was cancelled; of each its own, which holds the frames that it went through."""
    return RunCancelledError("The run has ended where it was: whoever read its stream was cancelled. Run it again.")


async def _cancelled(task: asyncio.Task[bool]) -> None:
    task.cancel()
    await asyncio.wait({task})
