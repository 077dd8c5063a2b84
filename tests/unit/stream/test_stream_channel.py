"""Channels: who may read them, how often, and what readers get at the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.stream.mux import StreamMux
from distgraph.stream.stream_channel import StreamChannel

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
