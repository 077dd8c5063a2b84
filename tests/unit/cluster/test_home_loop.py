"""The event loop of a process."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextvars import ContextVar

from distgraph.cluster.home_loop import HomeLoop, home

who: ContextVar[str] = ContextVar("who", default="nobody")


async def here() -> tuple[object, str]:
    await asyncio.sleep(0)
    return asyncio.get_running_loop(), who.get()


def test_one_for_all_with_the_variables_of_whoever_begins() -> None:
    who.set("me")
    (first, name), exc = home().begin(here()).future.result(10)
    (second, _), _ = home().begin(here()).future.result(10)
    assert first is second is home().loop
    assert (name, exc) == ("me", None)


def test_what_is_cancelled_ends_in_its_own_time() -> None:
    ended = []

    async def patient() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    held = threading.Event()

    async def holds() -> None:
        held.wait(10)

    home().begin(holds())
    running = home().begin(patient())
    running.cancel()
    held.set()
    assert isinstance(running.future.result(10)[1], asyncio.CancelledError)
    running = home().begin(patient())
    home().begin(asyncio.sleep(0.01)).future.result(10)
    running.cancel()
    assert isinstance(running.future.result(10)[1], asyncio.CancelledError)
    assert ended == [True]


def test_nothing_that_runs_on_it_ends_it() -> None:
    async def leaves(how: type[BaseException]) -> None:
        raise how

    for how in (SystemExit, KeyboardInterrupt, ValueError):
        assert isinstance(home().begin(leaves(how)).future.result(10)[1], how)

    async def behind() -> None:
        asyncio.get_running_loop().call_soon(sys.exit, 3)

    home().begin(behind()).future.result(10)
    assert home().begin(asyncio.sleep(0, "still there")).future.result(10)[0] == "still there"


def test_it_ends_with_what_runs() -> None:
    own, ended = HomeLoop(), []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    running = own.begin(endless())
    own.begin(asyncio.sleep(0)).future.result(10)
    assert own.worked() >= 0
    own.close()
    assert isinstance(running.future.result(10)[1], asyncio.CancelledError)
    assert ended == [True]
    assert own.loop.is_closed()
