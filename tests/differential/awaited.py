"""A graph whose methods go through those of async programs: the same program, in the other engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any


class Awaited:
    """The methods that programs here use, each as ``a...`` under an event loop of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def invoke(self, *args: Any, **more: Any) -> Any:
        return asyncio.run(self.app.ainvoke(*args, **more))

    def stream(self, *args: Any, **more: Any) -> Iterator[Any]:
        return iter(asyncio.run(_all(self.app.astream(*args, **more))))

    def get_state(self, *args: Any, **more: Any) -> Any:
        return asyncio.run(self.app.aget_state(*args, **more))

    def get_state_history(self, *args: Any, **more: Any) -> Iterator[Any]:
        return iter(asyncio.run(_all(self.app.aget_state_history(*args, **more))))

    def update_state(self, *args: Any, **more: Any) -> Any:
        return asyncio.run(self.app.aupdate_state(*args, **more))


async def _all(values: AsyncIterator[Any]) -> list[Any]:
    return [value async for value in values]
