"""What is special to the engine under an event loop: cancellation, and synchronous code that must not block it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.config import get_stream_writer
from distgraph.engine import aio
from distgraph.engine.states import States
from distgraph.errors import StepTimeoutError
from tests.unit.engine.small import ask, line, modes, on, side_by_side

pytestmark = pytest.mark.unit

PATIENCE = 10


def test_async_nodes_run_at_the_same_time() -> None:
    async def main() -> None:
        meet = asyncio.Barrier(3)

        async def node(state: Any) -> Any:
            async with asyncio.timeout(PATIENCE):
                await meet.wait()

        await aio.run(ask(side_by_side(a=node, b=node, c=node), {"n": 1}))

    asyncio.run(main())


def test_synchronous_nodes_do_not_block_the_loop() -> None:
    """The node waits for something that only the loop can do."""

    async def main() -> Any:
        done = threading.Event()
        asyncio.get_running_loop().call_later(0.01, done.set)
        return await aio.run(ask(line("a", a=lambda s: {"log": [done.wait(PATIENCE)]}), {}))

    assert asyncio.run(main()).value["log"] == [True]


def test_no_more_tasks_than_allowed_run_at_the_same_time() -> None:
    async def widest(**options: Any) -> int:
        inside = peak = 0

        async def node(state: Any) -> Any:
            nonlocal inside, peak
            inside += 1
            peak = max(peak, inside)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside -= 1

        await aio.run(ask(side_by_side(**{f"n{i}": node for i in range(6)}), {"n": 1}, **options))
        return peak

    assert asyncio.run(widest(max_concurrency=2)) == 2
    assert asyncio.run(widest(config={"max_concurrency": 3})) == 3
    assert asyncio.run(widest()) == 6


def test_a_failure_cancels_its_siblings() -> None:
    """Theirs is recorded too; who had finished stays finished."""
    seen: list[str] = []

    async def slow(state: Any) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def bad(state: Any) -> Any:
        await asyncio.sleep(0.01)
        raise ValueError("boom")

    async def quick(state: Any) -> Any:
        return {"log": ["quick"]}

    program, saver = side_by_side(bad=bad, quick=quick, slow=slow), InMemorySaver()
    with pytest.raises(ValueError, match="boom"):
        asyncio.run(aio.run(ask(program, {}, on(), saver)))
    assert seen == ["cancelled"]
    halted = States(program, saver).get(on())
    assert (halted.values["log"], halted.next) == (["quick"], ("bad", "slow"))
    assert [task.error for task in halted.tasks] == ["ValueError('boom')", None, "CancelledError()"]


@pytest.mark.parametrize("width", [1, 2])
def test_a_cancelled_run_cancels_its_nodes_and_can_be_resumed(width: int) -> None:
    async def main() -> Any:
        started, calls = asyncio.Event(), 0

        async def node(state: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls <= width:
                started.set()
                await asyncio.Event().wait()
            return {"log": ["done"]}

        program, saver = side_by_side(**{f"n{i}": node for i in range(width)}), InMemorySaver()
        running = asyncio.create_task(aio.run(ask(program, {}, on(), saver)))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await aio.run(ask(program, None, on(), saver))

    assert asyncio.run(main()).value["log"] == ["done"] * width


def test_what_is_being_stored_is_stored_whole() -> None:
    """A cancellation waits for the saver."""
    happened: list[str] = []

    async def main() -> None:
        storing = asyncio.Event()

        class Slow(InMemorySaver):
            async def aput(self, *args: Any) -> Any:
                storing.set()
                await asyncio.sleep(0.01)
                happened.append("stored")
                return self.put(*args)

        running = asyncio.create_task(aio.run(ask(line("a"), {}, on(), Slow())))
        await storing.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert happened == ["stored"]


def test_a_saver_with_synchronous_methods_only_works_too() -> None:
    """Its methods get an OS thread."""
    from distgraph.checkpoint.base import BaseCheckpointSaver

    threads: set[str] = set()

    class Sync(BaseCheckpointSaver[str]):
        def __init__(self) -> None:
            super().__init__()
            self.inner = InMemorySaver()

        def get_tuple(self, config: Any) -> Any:
            threads.add(threading.current_thread().name)
            return self.inner.get_tuple(config)

        def list(self, config: Any, **options: Any) -> Any:
            return self.inner.list(config, **options)

        def put(self, *args: Any) -> Any:
            return self.inner.put(*args)

        def put_writes(self, *args: Any) -> None:
            self.inner.put_writes(*args)

    saver, program = Sync(), line("a")

    async def main() -> Any:
        result = await aio.run(ask(program, {}, on(), saver))
        history = [snapshot async for snapshot in States(program, saver).ahistory(on())]
        return result.value, len(history), (await States(program, saver).aget(on())).values

    assert asyncio.run(main()) == ({"log": ["a"]}, 3, {"log": ["a"]})
    assert threads
    assert threading.main_thread().name not in threads


def test_chunks_come_while_nodes_still_run() -> None:
    """Of async nodes and of synchronous ones in their OS threads."""

    async def main(node: Any, release: Any) -> Any:
        chunks = aio.stream(ask(line("a", a=node), {}, modes=modes("custom", "updates")))
        first = await anext(chunks)
        release()
        return [first, *[chunk async for chunk in chunks]]

    expected = [((), "custom", "working"), ((), "updates", {"a": {"log": [True]}})]
    read = threading.Event()

    def node(state: Any) -> Any:
        get_stream_writer()("working")
        return {"log": [read.wait(PATIENCE)]}

    assert asyncio.run(main(node, read.set)) == expected
    aread = asyncio.Event()

    async def anode(state: Any) -> Any:
        get_stream_writer()("working")
        return {"log": [await aread.wait()]}

    assert asyncio.run(main(anode, aread.set)) == expected


def test_a_superstep_that_takes_too_long_is_cancelled() -> None:
    cancelled: list[bool] = []

    async def node(state: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)

    with pytest.raises(StepTimeoutError, match="Timed out"):
        asyncio.run(aio.run(ask(line("a", a=node), {}, step_timeout=0.02)))
    assert cancelled == [True]


def test_a_reader_that_stops_reading_stops_the_run() -> None:
    ran: list[str] = []

    async def main() -> None:
        program = line("a", "b", a=lambda s: ran.append("a"), b=lambda s: ran.append("b"))
        chunks: Any = aio.stream(ask(program, {"n": 1}, modes=modes("updates")))
        await anext(chunks)
        await chunks.aclose()

    asyncio.run(main())
    assert ran == ["a"]
