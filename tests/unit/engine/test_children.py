"""Tasks that nodes call, in both engines: places, waiting, failures, what is kept."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import wait
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.func import entrypoint, task
from distgraph.types import Command, interrupt

NARROW: Any = {"max_concurrency": 1}
THREAD: Any = {"configurable": {"thread_id": "1"}}


@task
def leaf(value: int) -> int:
    return value + 1


@task
def middle(value: int) -> int:
    futures = [leaf(value), leaf(value + 1)]
    # Waited for without asking for a result: nobody helps.
    wait(futures)
    return sum(future.result() for future in futures)


@task
def top(value: int) -> int:
    futures = [middle(value), middle(value)]
    wait(futures)
    return sum(future.result() for future in futures)


@entrypoint()
def deep(value: int) -> int:
    futures = [top(value) for _ in range(3)]
    wait(futures)
    return sum(future.result() for future in futures)


@pytest.mark.parametrize("config", [NARROW, {}])
def test_parents_that_wait_never_hold_the_last_place(config: Any) -> None:
    assert deep.invoke(1, config) == 30


def test_parents_that_wait_on_a_loop_never_hold_the_last_place() -> None:
    @task
    async def inner(value: int) -> int:
        return value + 1

    @task
    async def outer(value: int) -> int:
        return sum(await asyncio.gather(inner(value), inner(value)))

    @entrypoint()
    async def flow(value: int) -> int:
        return sum(await asyncio.gather(outer(value), outer(value)))

    assert asyncio.run(flow.ainvoke(1, NARROW)) == 8


def test_no_more_run_at_a_time_than_allowed() -> None:
    lock, at_work, most = threading.Lock(), [0], [0]

    @task
    def busy(value: int) -> int:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        threading.Event().wait(0.002)
        with lock:
            at_work[0] -= 1
        return value

    @entrypoint()
    def flow(count: int) -> int:
        futures = [busy(n) for n in range(count)]
        wait(futures)
        return len(futures)

    assert flow.invoke(12, {"max_concurrency": 3}) == 12
    assert 1 <= most[0] <= 3


def test_a_task_nobody_waits_for_still_ends_in_its_superstep() -> None:
    done: list[int] = []

    @task
    def slow(value: int) -> None:
        threading.Event().wait(0.01)
        done.append(value)

    @entrypoint()
    def flow(value: int) -> str:
        slow(1)
        slow(2)
        return "over"

    assert flow.invoke(0) == "over"
    assert sorted(done) == [1, 2]


def test_on_a_loop_too_and_its_failure_is_nobodys() -> None:
    done: list[int] = []

    @task
    async def slow(value: int) -> None:
        await asyncio.sleep(0.01)
        done.append(value)
        raise ValueError(value)

    @entrypoint()
    async def flow(value: int) -> str:
        slow(1)
        return "over"

    assert asyncio.run(flow.ainvoke(0)) == "over"
    assert done == [1]


def test_a_workflow_that_fails_on_a_loop_cancels_its_tasks() -> None:
    ended: list[str] = []

    @task
    async def slow(value: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("cancelled")

    @entrypoint()
    async def flow(value: int) -> None:
        slow(1)
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(flow.ainvoke(0))
    assert ended == ["cancelled"]


def test_a_plain_function_on_a_loop_calls_tasks_too() -> None:
    @task
    async def async_leaf(value: int) -> int:
        return value * 10

    @entrypoint()
    def flow(value: int) -> Any:
        return leaf(value).result(), async_leaf(value).result()

    assert asyncio.run(flow.ainvoke(1)) == (2, 10)
    with pytest.raises(RuntimeError, match="'async_leaf' is async"):
        flow.invoke(1)


def test_what_a_task_came_to_is_stored_when_it_ends() -> None:
    saver = InMemorySaver()
    seen: list[Any] = []

    @entrypoint(checkpointer=saver)
    def flow(value: int) -> None:
        leaf(value).result()
        found = saver.get_tuple(THREAD)
        assert found is not None
        seen.extend((channel, written) for _, channel, written in found.pending_writes or ())

    flow.invoke(1, THREAD, durability="sync")
    assert seen == [("__return__", 2)]


def test_a_future_can_be_asked_without_waiting_for_ever() -> None:
    release = threading.Event()

    @task
    def slow(value: int) -> int:
        release.wait(10)
        return value

    @entrypoint()
    def flow(value: int) -> Any:
        future = slow(value)
        with pytest.raises(TimeoutError):
            future.result(timeout=0.01)
        release.set()
        return future.exception(), future.result()

    assert flow.invoke(1) == (None, 1)


def test_stop_iteration_is_a_failure_like_others() -> None:
    @task
    def over(value: int) -> int:
        raise StopIteration(value)

    @entrypoint()
    def flow(value: int) -> Any:
        try:
            return over(value).result()
        except RuntimeError as exc:
            return str(exc)

    assert "raised StopIteration: 1" in flow.invoke(1)


def test_tasks_that_were_called_run_though_their_caller_asks() -> None:
    """Which questions a run asks does not depend on how fast OS threads start."""
    asked: list[str] = []

    @task
    def ask(name: str) -> Any:
        asked.append(name)
        return interrupt(name)

    @entrypoint(checkpointer=InMemorySaver())
    def flow(value: int) -> list[Any]:
        return [future.result() for future in [ask("a"), ask("b"), ask("c")]]

    for number in range(20):
        flow.invoke(1, {"configurable": {"thread_id": str(number)}})
    assert sorted(asked) == sorted("abc" * 20)


def test_on_a_loop_they_end_and_do_not_run_again() -> None:
    done: list[str] = []

    @task
    async def ask() -> Any:
        return interrupt("?")

    @task
    async def slow() -> str:
        await asyncio.sleep(0.01)
        done.append("slow")
        return "slow"

    @entrypoint(checkpointer=InMemorySaver())
    async def flow(value: int) -> list[Any]:
        futures = [ask(), slow()]
        return [await future for future in futures]

    async def run() -> Any:
        config: Any = {"configurable": {"thread_id": "1"}}
        await flow.ainvoke(1, config)
        return await flow.ainvoke(Command(resume="yes"), config)

    assert asyncio.run(run()) == ["yes", "slow"]
    assert done == ["slow"]
