"""An event loop whose clock leaps to the next timer as soon as nothing else is left to do.

What is timed by such a loop takes no time, and a busy machine cannot make it late. Not for code that waits for other OS
threads: the clock would leap while they work.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Leaping(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(None if timeout is None else 0)
        if timeout and not found:
            self.now += timeout
        return found


class _LeapingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Leaping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def leaping_run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` by such a clock."""
    with asyncio.Runner(loop_factory=_LeapingLoop) as runner:
        return runner.run(main)
