"""Calls that a decision needs, made in either colour.

What decides is written once, as a generator that yields calls and is sent their results; ``drive`` makes them here and
now, ``adrive`` awaits them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from distgraph.engine.execute import arun_task, run_task
from distgraph.types import Durability

T = TypeVar("T")

#: Method of the saver and arguments; or "run_task" and those of ``run_task``, the value returned for it the last; or
#: "cache_get" or "cache_set", a cache, and the method's argument.
Op = tuple[str, tuple[Any, ...]]
Calls = Generator[Op, Any, T]

_PUTS = frozenset({"put", "put_writes"})


def drive(calls: Calls[T], saver: Any) -> T:
    """The result of ``calls``, made one after the other."""
    found = None
    while True:
        try:
            op = calls.send(found)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        found = call(saver, op)


async def adrive(calls: Calls[T], saver: Any) -> T:
    """``drive`` under an event loop."""
    found = None
    while True:
        try:
            op = calls.send(found)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        found = await acall(saver, op)


def call(saver: Any, op: Op) -> Any:
    """Make one call."""
    name, args = op
    if name == "run_task":
        ctx, task, returned = args
        return run_task(ctx, task, returned=returned)
    if name == "list":
        config, before, limit, wanted = args
        return list(saver.list(config, filter=wanted, before=before, limit=limit))
    if name.startswith("cache_"):
        cache, given = args
        return cache.get(given) if name == "cache_get" else cache.set(given)
    return getattr(saver, name)(*args)


class Stores:
    """Makes one run's calls that store something, in order; in one round trip where the saver takes several at a time.

    With durability "async", and a saver that can do so, they are sent and their answers looked at later.
    """

    __slots__ = ("_ahead", "_saver")

    def __init__(self, saver: Any, durability: Durability, thread_id: str | None) -> None:
        self._saver = saver
        self._ahead = saver.ahead(thread_id) if durability == "async" and hasattr(saver, "ahead") else None

    def make(self, ops: Sequence[Op]) -> None:
        """Make these calls.

        Raises:
            Exception: whatever the saver raises; where answers come later, also for an earlier call.
        """
        puts = all(name in _PUTS for name, _ in ops)
        if self._ahead is not None and puts:
            self._ahead.put_all(ops)
        elif len(ops) > 1 and hasattr(self._saver, "put_all") and puts:
            self._saver.put_all(ops)
        else:
            for op in ops:
                call(self._saver, op)

    def wait(self) -> None:
        """All of it is stored.

        Raises:
            Exception: as ``make``.
        """
        if self._ahead is not None:
            self._ahead.wait()


async def astore(saver: Any, ops: Sequence[Op]) -> None:
    """Make calls that store something, in order, under an event loop; in one round trip where the saver can."""
    if len(ops) > 1 and hasattr(saver, "aput_all") and all(name in _PUTS for name, _ in ops):
        await saver.aput_all(ops)
        return
    for op in ops:
        await acall(saver, op)


async def acall(saver: Any, op: Op) -> Any:
    """Await one call."""
    name, args = op
    if name == "run_task":
        ctx, task, returned = args
        return await arun_task(ctx, task, returned=returned)
    if name == "list":
        config, before, limit, wanted = args
        return [found async for found in saver.alist(config, filter=wanted, before=before, limit=limit)]
    if name.startswith("cache_"):
        cache, given = args
        return await (cache.aget(given) if name == "cache_get" else cache.aset(given))
    return await getattr(saver, "a" + name)(*args)


@lru_cache(maxsize=64)
def takes_path(saver: Any) -> bool:
    """Whether the saver's ``put_writes`` has the fourth parameter, in both colours; older ones have three."""
    from inspect import signature

    return all("task_path" in signature(put).parameters for put in (saver.put_writes, saver.aput_writes))
