"""What waits in an OS thread of its own, for a reader under an event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from contextvars import ContextVar

import pytest

from distgraph.cluster.pump import PATIENCE_MS, Abandoned, patience, pumped, still_wanted, waited
from tests.waiting import wait_until

pytestmark = pytest.mark.unit

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Waiting:
    """Waits for something that never comes, and asks each time round whether it is wanted."""

    def __init__(self) -> None:
        self.rounds = 0
        self.left: list[BaseException] = []

    def __call__(self) -> None:
        try:
            while True:
                still_wanted()
                self.rounds += 1
                time.sleep(0.001)
        except BaseException as exc:
            self.left.append(exc)
            raise

    def stream(self) -> Iterator[int]:
        yield 1
        self()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "distgraph-stream"]


def test_a_stream_that_is_left_gives_its_thread_back() -> None:
    waiting = Waiting()

    async def read() -> None:
        async with aclosing(pumped(waiting.stream)) as values:
            assert await anext(values) == 1

    asyncio.run(read())
    wait_until(lambda: waiting.left and not threads())
    assert isinstance(waiting.left[0], Abandoned)


@pytest.mark.parametrize("how", ["cancelled", "timed out"])
def test_a_call_that_is_left_gives_its_thread_back(how: str) -> None:
    waiting = Waiting()

    async def call() -> None:
        if how == "timed out":
            await asyncio.wait_for(waited(waiting), 0.05)
        task = asyncio.create_task(waited(waiting))
        while not waiting.rounds:
            await asyncio.sleep(0.001)
        task.cancel()
        await task

    with pytest.raises(TimeoutError if how == "timed out" else asyncio.CancelledError):
        asyncio.run(call())
    wait_until(lambda: waiting.left and not threads())


def test_a_call_returns_raises_and_sees_its_callers_context() -> None:
    def fails() -> None:
        raise LookupError("no")

    def nothing() -> str | None:
        return None

    async def call() -> tuple[str, str | None]:
        WHO.set("me")
        with pytest.raises(LookupError, match="no"):
            await waited(fails)
        return await waited(WHO.get), await waited(nothing)

    assert asyncio.run(call()) == ("me", None)


def test_only_who_may_be_left_looks_up_often() -> None:
    async def told() -> int:
        return await waited(lambda: patience(60_000))

    still_wanted()
    assert (patience(60_000), asyncio.run(told())) == (60_000, PATIENCE_MS)
