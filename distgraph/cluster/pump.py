"""An iterator that waits, read under an event loop: an OS thread of its own waits, and stays a little ahead.

What waits there for the server asks each time round whether anybody still wants it (``still_wanted``): a stream that was
left would else hold its OS thread until its run has something to tell, which may be next month.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")

#: What the OS thread may be ahead of its reader.
AHEAD = 64
#: How long it waits at the server at a time. Milliseconds.
PATIENCE_MS = 500

_here = threading.local()


class Abandoned(Exception):
    """Nobody waits any more for what this OS thread waits for."""


def still_wanted() -> None:
    """Called by whatever waits, each time round.

    Raises:
        Abandoned: this is the OS thread of a stream, or of a call, that was left.
    """
    stopped: threading.Event | None = getattr(_here, "stopped", None)
    if stopped is not None and stopped.is_set():
        raise Abandoned


def patience(ms: int) -> int:
    """How long to wait at the server at a time, in ms: ``ms``, or less in such an OS thread."""
    return min(ms, PATIENCE_MS) if hasattr(_here, "stopped") else ms


async def pumped(make: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """What the iterator that ``make`` makes yields. The loop never waits for it, and a slow reader holds it back."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()
    room, stopped = threading.Semaphore(AHEAD), threading.Event()

    def pump() -> None:
        end: BaseException | None = None
        _here.stopped = stopped
        try:
            for value in make():
                room.acquire()
                if stopped.is_set():
                    return
                loop.call_soon_threadsafe(queue.put_nowait, (value, False))
        except BaseException as exc:
            end = exc
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(queue.put_nowait, (end, True))

    threading.Thread(target=copy_context().run, args=(pump,), name="distgraph-stream", daemon=True).start()
    try:
        while True:
            value, ended = await queue.get()
            if not ended:
                room.release()
                yield value
            elif value is not None:
                raise value
            else:
                return
    finally:
        stopped.set()
        room.release()


async def waited(call: Callable[[], T]) -> T:
    """What a call returns that may wait for long; the loop does not. Cancelled, it soon gives its OS thread back."""
    async with contextlib.aclosing(pumped(lambda: iter((call(),)))) as values:
        return await anext(values)
