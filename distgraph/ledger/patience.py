"""Patience with a server that is away: a result that work has come to is offered again, not thrown away and worked out anew."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from distgraph.errors import (
    ServerLoadingError,
    ServerNotReadyError,
    ServerOutOfMemoryError,
    ServerReadOnlyError,
    ServerUnreachableError,
    StoreError,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
#: So long a result is offered, unless the worker is told otherwise. Seconds.
COMMIT_PATIENCE = 60.0
#: Between two tries: at first, at most. Seconds.
FIRST, MOST = 0.05, 0.5
#: What passes by itself, or as soon as an operator has seen to it. The call was not done, or was and its reply lost.
PASSING = (
    ServerUnreachableError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerReadOnlyError,
    ServerOutOfMemoryError,
)
#: Scripts that store what work has come to. Whoever asks for more work, or looks, is told at once that nobody answers.
RESULTS = frozenset({"batch_commit", "commit", "effect", "offer", "put", "retry_task", "settle", "sleep_task"})


class Patience:
    """How long a call is tried again while the server is away.

    Args:
        seconds: from the first failure.
    """

    def __init__(
        self,
        seconds: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds, self._monotonic, self._sleep = seconds, monotonic, sleep

    def through(self, call: Callable[[], T]) -> T:
        """What ``call`` returns, which must be safe to repeat.

        Raises:
            StoreError: the server refuses it for good, or was away for too long.
        """
        give_up, pause = 0.0, FIRST
        while True:
            try:
                return call()
            except PASSING as exc:
                give_up = give_up or self._begin(exc)
                if self._monotonic() + pause > give_up:
                    log.warning("the server did not take a result in %g s, which is given up", self.seconds)
                    raise
            self._sleep(pause * random.uniform(0.8, 1.0))
            pause = min(MOST, pause * 2)

    def _begin(self, exc: StoreError) -> float:
        log.warning("the server does not take a result, which is offered for %g s: %s", self.seconds, exc)
        return self._monotonic() + self.seconds
