"""Channels: who may read them, how often, and what readers get at the end."""

from __future__ import annotations

import asyncio
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.stream.mux import StreamMux
from distgraph.stream.stream_channel import StreamChannel
from tests.waiting import wait_until

pytestmark = pytest.mark.unit


def bound(items: list[Any], *, is_async: bool = False, err: Exception | None = None) -> StreamChannel[Any]:
    """A channel whose reader pulls ``items`` one by one; then it ends, with ``err`` if it is one."""
    channel: StreamChannel[Any] = StreamChannel()
    mux, rest = StreamMux([], is_async=is_async), iter(items)
    channel.attach(mux)

    def pull() -> bool:
        for item in rest:
            channel.push(item)
            return True
        channel.close() if err is None else channel.fail(err)
        return False

    async def apull() -> bool:
        await asyncio.sleep(0)
        return pull()

    mux.drive_by(apull if is_async else pull)
    return channel


def test_reading_drives_what_is_read() -> None:
    channel = bound([1, 2, 3])
    reader = iter(channel)
    assert next(reader) == 1
    assert channel.oldest is None  # nothing was pulled ahead
    assert list(reader) == [2, 3]


def test_what_nobody_reads_is_not_kept() -> None:
    channel = bound([])
    channel.push("lost")
    reader = iter(channel)
    channel.push("had")
    assert list(reader) == ["had"]


def test_a_failure_comes_after_what_was_pushed() -> None:
    reader = iter(bound([1], err=ValueError("no")))
    assert next(reader) == 1
    with pytest.raises(ValueError, match="no"):
        next(reader)


def test_nothing_is_pushed_to_a_closed_channel() -> None:
    channel = bound([])
    assert list(channel) == []
    with pytest.raises(RuntimeError, match="Cannot push to a closed StreamChannel"):
        channel.push(1)


def test_one_reader_of_the_right_kind() -> None:
    channel, other = bound([]), bound([], is_async=True)
    with pytest.raises(TypeError, match="'for'"):
        aiter(channel)
    with pytest.raises(TypeError, match="'async for'"):
        iter(other)
    iter(channel), aiter(other)
    with pytest.raises(RuntimeError, match=r"\.tee\(n\)"):
        iter(channel)
    with pytest.raises(RuntimeError, match=r"\.atee\(n\)"):
        aiter(other)
    with pytest.raises(TypeError, match="has not been bound"):
        iter(StreamChannel("mine"))
    with pytest.raises(RuntimeError, match="already bound"):
        channel.attach(StreamMux([]))


def test_branches_get_everything_and_the_failure_too() -> None:
    one, two = bound([1, 2], err=ValueError("no")).tee(2)
    assert [next(one), next(one), next(two)] == [1, 2, 1]
    with pytest.raises(ValueError, match="no"):
        next(one)
    assert next(two) == 2
    with pytest.raises(ValueError, match="no"):
        next(two)


def test_branches_of_an_async_run_may_be_read_at_the_same_time() -> None:
    async def program() -> Any:
        async def read(branch: Any) -> Any:
            seen = []
            try:
                async for item in branch:
                    seen.append(item)
            except ValueError as exc:
                seen.append(str(exc))
            return seen

        return await asyncio.gather(*map(read, bound([1, 2, 3], is_async=True, err=ValueError("no")).atee(3)))

    assert asyncio.run(program()) == [[1, 2, 3, "no"]] * 3


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match="maxlen"):
        StreamChannel(maxlen=0)
    with pytest.raises(ConfigError, match="n >= 1"):
        bound([]).tee(0)
    with pytest.raises(ConfigError, match="n >= 1"):
        bound([], is_async=True).atee(0)


def test_nothing_is_kept_for_a_reader_that_left() -> None:
    channel = bound([1, 2, 3])
    for item in channel:
        assert item == 1
        break
    channel.push("nobody's")
    assert channel.oldest is None
    assert list(channel) == [2, 3]  # somebody else may read on


def test_nothing_is_kept_for_an_async_reader_that_left() -> None:
    async def program() -> Any:
        channel = bound([1, 2, 3], is_async=True)
        reader: Any = aiter(channel)
        assert await anext(reader) == 1
        await reader.aclose()
        channel.push("nobody's")
        return [item async for item in channel]

    assert asyncio.run(program()) == [2, 3]


def test_nothing_is_kept_for_a_branch_that_nobody_reads_any_more() -> None:
    class Item:
        pass

    items: Any = (Item() for _ in range(3))
    one, two = bound(items).tee(2)
    next(one)
    next(two)
    del two
    kept = weakref.ref(next(one))
    assert kept() is None


def test_branches_may_be_read_by_several_os_threads() -> None:
    """Who wants more while another one pulls waits for it."""
    channel: StreamChannel[Any] = StreamChannel()
    mux, rest = StreamMux([]), iter([1, 2, 3])
    channel.attach(mux)

    def pull() -> bool:
        wait_until(lambda: any(each.done() for each in reading) or waits("more"), what="the other one wants more too")
        for item in rest:
            channel.push(item)
            return True
        channel.close()
        return False

    def waits(where: str) -> bool:
        return any(frame.f_code.co_name == where for frame in sys._current_frames().values())

    mux.drive_by(pull)
    reading: list[Any] = []
    with ThreadPoolExecutor(2) as pool:
        reading += [pool.submit(list, branch) for branch in channel.tee(2)]
        assert [each.result(10) for each in reading] == [[1, 2, 3]] * 2
