"""Tasks that nodes call under an event loop: their futures."""

from __future__ import annotations

import asyncio
from typing import Any

from distgraph.func import entrypoint, task
from distgraph.types import RetryPolicy

ended: set[int] = set()


@task
async def in_turn(value: int) -> int:
    """Ends after the one before it, however busy the machine is."""
    while value > 1 and value - 1 not in ended:
        await asyncio.sleep(0.002)
    ended.add(value)
    return value


def test_futures_are_asyncio_futures() -> None:
    @entrypoint()
    async def flow(count: int) -> Any:
        ended.clear()
        futures = [in_turn(n) for n in (3, 1, 2)]
        first = [await future for future in asyncio.as_completed(futures)]
        done, waiting = await asyncio.wait([in_turn(1), in_turn(2)])
        return first, len(done), len(waiting)

    assert asyncio.run(flow.ainvoke(3)) == ([1, 2, 3], 2, 0)


def test_a_future_that_is_cancelled_cancels_its_task() -> None:
    ended: list[int] = []

    @task
    async def long(value: int) -> int:
        await asyncio.sleep(20)
        ended.append(value)
        return value

    @entrypoint()
    async def flow(value: int) -> str:
        try:
            await asyncio.wait_for(long(value), 0.001)
        except TimeoutError:
            return "too slow"
        return "in time"

    assert asyncio.run(flow.ainvoke(1)) == "too slow"
    assert ended == []


def test_a_parent_tried_again_joins_the_task_that_still_runs() -> None:
    calls: list[str] = []

    @task
    async def step(value: int) -> int:
        calls.append("step")
        await asyncio.sleep(0.01)
        return value

    @entrypoint(retry_policy=RetryPolicy(initial_interval=0, jitter=False, retry_on=ConnectionError))
    async def flow(value: int) -> int:
        future = step(value)
        calls.append("flow")
        if calls.count("flow") == 1:
            await asyncio.sleep(0)
            raise ConnectionError
        found: int = await future
        return found

    assert asyncio.run(flow.ainvoke(7)) == 7
    assert calls.count("step") == 1
