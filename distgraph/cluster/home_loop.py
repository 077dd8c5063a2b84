"""The event loop of a process: all async nodes that its slots run share it, in an OS thread of its own.

One for all, and for good: what a node keeps that belongs to a loop (an HTTP client with its connections, a lock, a
queue) is still good for the next node, and nodes of one slot or of several can wait at the same time.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

log = logging.getLogger(__name__)

#: How long the loop may take to end with its process. Seconds.
END_SECONDS = 2.0


class Running:
    """A coroutine on the loop, as another OS thread sees it.

    Attributes:
        future: (what it returned, what it raised); nothing that a node raises ends the loop.
    """

    __slots__ = ("_loop", "_task", "future")

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self.future: Future[tuple[Any, BaseException | None]] = Future()
        # With the context variables of whoever begins it.
        loop.call_soon_threadsafe(self._begin, work)

    def _begin(self, work: Coroutine[Any, Any, Any]) -> None:
        def ended(_: Any) -> None:
            if not self.future.done():
                # Cancelled before its first step.
                work.close()
                self.future.set_result((None, asyncio.CancelledError()))

        self._task = self._loop.create_task(self._run(work))
        self._task.add_done_callback(ended)

    async def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        result: tuple[Any, BaseException | None]
        try:
            result = await work, None
        except BaseException as exc:
            result = None, exc
        self.future.set_result(result)

    def cancel(self) -> None:
        """Cancel it; it has ended when the future says so."""
        self._loop.call_soon_threadsafe(lambda: self._task is not None and self._task.cancel())


class HomeLoop:
    """A loop that runs in an OS thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="distgraph-loop", daemon=True)
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, Any]) -> Running:
        """Start ``work`` on the loop."""
        return Running(self.loop, work)

    def worked(self) -> float:
        """Seconds that the loop has computed so far, where the system tells; else seconds that have passed."""
        clock_of = getattr(time, "pthread_getcpuclockid", None)
        if clock_of is None or self._thread.ident is None:
            return time.monotonic()
        return time.clock_gettime(clock_of(self._thread.ident))

    def close(self) -> None:
        """Cancel what runs and end the OS thread."""
        if self.pid != os.getpid() or self.loop.is_closed():
            return
        self._ends = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._ends:
            try:
                self.loop.run_forever()
            except BaseException:
                # SystemExit in a task that a node left behind: the loop is not its own.
                log.exception("a task on the event loop tried to end it")
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


_lock = threading.Lock()
_home: HomeLoop | None = None


def home() -> HomeLoop:
    """The loop of this process, made when it is first asked for; a forked child makes its own."""
    global _home
    with _lock:
        if _home is None or _home.pid != os.getpid() or _home.loop.is_closed():
            _home = HomeLoop()
            atexit.register(_home.close)
        return _home
