"""Scripts that go nowhere: what was called is remembered, and answered from a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from distgraph.ledger.scripts import Call, Scripts


class Recorded(Scripts):
    """Answers each call with the next reply."""

    __slots__ = ("calls", "replies")

    def __init__(self, *replies: Any) -> None:
        super().__init__(redis.Redis())  # connects to nothing until it is asked
        self.replies = list(replies)
        self.calls: list[Call] = []

    def run(self, call: Call) -> Any:
        self.calls.append(call)
        return self.replies.pop(0)

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        return [self.run(call) for call in calls]
