"""Waiting for a condition, never for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], timeout: float = 10.0, what: str = "") -> None:
    """Return as soon as ``condition()`` is true, asked about every 10 ms.

    Args:
        condition: what is waited for.
        timeout: seconds; generous, because it is only used up by a failing test.
        what: names the condition in the failure.
    """
    give_up = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= give_up:
            raise AssertionError(f"still not true after {timeout:g} s: {what or condition}")
        time.sleep(0.01)
