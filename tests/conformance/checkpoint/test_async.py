"""The methods with ``a``: the same answers under an event loop."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from distgraph.checkpoint.base import Checkpoint
from tests.conformance.checkpoint.lines import Line, Saver, ids, thread, version

pytestmark = pytest.mark.conformance


def test_the_async_methods_do_what_the_others_do(saver: Saver) -> None:
    made = Line(saver, "made")
    made.grow(x=1)

    async def scenario() -> None:
        config = await saver.aput(thread(), made.head, {"step": 3}, made.head["channel_versions"])
        await saver.aput_writes(config, [("x", 2)], "task", "path")
        found = await saver.aget_tuple(thread())
        assert found == saver.get_tuple(thread())
        assert found is not None
        assert found.pending_writes == [("task", "x", 2)]
        assert await saver.aget(thread()) == made.head
        listed = [one async for one in saver.alist(thread(), filter={"step": 3}, limit=5)]
        assert listed == [*saver.list(thread())]
        assert [one async for one in saver.alist(thread(), before=config)] == []
        await saver.adelete_thread("t")
        assert await saver.aget_tuple(thread()) is None

    asyncio.run(scenario())


def test_many_threads_at_once(saver: Saver) -> None:
    """Threads do not get in each other's way, under one event loop or in many OS threads."""
    made = Line(saver, "made")
    made.grow(x=1)

    async def one(name: str) -> int:
        config: Any = thread(name)
        for step in range(5):
            new = {"x": version(step)}
            values = {"id": str(step), "channel_values": {"x": [name, step]}, "channel_versions": new}
            config = await saver.aput(config, cast(Checkpoint, {**made.head, **values}), {"step": step}, new)
        return len([found async for found in saver.alist(thread(name))])

    async def scenario() -> list[int]:
        return await asyncio.gather(*(one(f"thread-{n}") for n in range(20)))

    assert asyncio.run(scenario()) == [5] * 20
    for n in range(20):
        found = saver.get_tuple(thread(f"thread-{n}"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"x": [f"thread-{n}", 4]}
    assert len(ids(saver.list(None))) == 101


def test_savers_are_context_managers_of_both_colours(saver: Saver) -> None:
    made = Line(saver)
    made.grow(x=1)

    async def scenario() -> None:
        async with saver as same:  # type: ignore[attr-defined]
            assert same is saver

    asyncio.run(scenario())
    with saver as same:  # type: ignore[attr-defined]
        assert same is saver
