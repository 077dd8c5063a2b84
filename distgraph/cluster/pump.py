"""An iterator that waits, read under an event loop: an OS thread of its own waits, and stays a little ahead."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

#: What the OS thread may be ahead of its reader.
AHEAD = 64


async def pumped(make: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """What the iterator that ``make`` makes yields. The loop never waits for it, and a slow reader holds it back."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Any]()
    room, stopped = threading.Semaphore(AHEAD), threading.Event()

    def pump() -> None:
        end: BaseException | None = None
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

    threading.Thread(target=pump, name="distgraph-stream", daemon=True).start()
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
