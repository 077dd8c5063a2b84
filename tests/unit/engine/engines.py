"""The two engines under one face, so that one test holds for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from distgraph.engine import aio, sync
from distgraph.engine.request import Request
from distgraph.engine.session import Result

ENGINES = pytest.mark.parametrize("engine", ["sync", "aio"])


def run(engine: str, request: Request) -> Result:
    """Run to the end."""
    return sync.run(request) if engine == "sync" else asyncio.run(aio.run(request))


def stream(engine: str, request: Request) -> Iterator[Any]:
    """The chunks; a failure comes after the chunks before it."""
    if engine == "sync":
        yield from sync.stream(request)
        return
    chunks: list[Any] = []

    async def collect() -> None:
        async for chunk in aio.stream(request):
            chunks.append(chunk)

    failure: BaseException | None = None
    try:
        asyncio.run(collect())
    except Exception as exc:
        failure = exc
    yield from chunks
    if failure is not None:
        raise failure


def until_it_fails(chunks: Iterator[Any]) -> tuple[list[Any], BaseException | None]:
    """The chunks before a failure, and the failure."""
    got: list[Any] = []
    try:
        for chunk in chunks:
            got.append(chunk)  # noqa: PERF402 - what came before a failure is wanted too
    except Exception as exc:
        return got, exc
    return got, None


def in_color(engine: str, fn: Callable[[Any], Any]) -> Callable[..., Any]:
    """``fn`` as a node of the engine's own kind: async for the async engine."""
    if engine == "sync":
        return fn

    async def node(state: Any) -> Any:
        await asyncio.sleep(0)
        return fn(state)

    return node
