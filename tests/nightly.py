"""What the nightly run (DISTGRAPH_FULL=1) tests besides: more combinations of what is tested one by one every time."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")
FULL = bool(os.environ.get("DISTGRAPH_FULL"))


def nightly(*values: T) -> list[T]:
    """These values, by night."""
    return list(values) if FULL else []
