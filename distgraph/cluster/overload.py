"""Backpressure: whoever submits waits, or is refused, while the server is nearly full or the queue is too long.

What runs goes on meanwhile, and so do cancels, deletes and clean-up: they are what makes room.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeVar

from distgraph.errors import ConfigError, OverloadedError, ServerOutOfMemoryError

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster

log = logging.getLogger(__name__)

T = TypeVar("T")
Overload = Literal["wait", "refuse"]
POLICIES = ("wait", "refuse")
#: Above this share of maxmemory nothing is submitted; above the second one no worker takes new items of batches.
HIGH_WATER, FULL = 0.85, 0.95
#: Hints that may wait in the common queue.
BACKLOG = 100_000
#: How long a submission waits for room by default. Seconds.
PATIENCE = 300.0
#: What was seen holds for so long. Seconds.
FRESH = 0.25


class Gate:
    """Lets submissions in. One for each client.

    Args:
        policy: "wait" for room, at most ``patience`` seconds; or "refuse" at once.
        patience: seconds.

    Raises:
        ConfigError: no such policy, or no such time.
    """

    def __init__(self, cluster: Cluster, policy: str = "wait", patience: float = PATIENCE) -> None:
        if policy not in POLICIES:
            raise ConfigError(f"overload {policy!r} does not exist. Use one of {', '.join(POLICIES)}.")
        if not patience >= 0:
            raise ConfigError(f"overload_timeout must be 0 or more seconds, got {patience!r}.")
        self._cluster, self._policy, self._patience = cluster, policy, patience
        self._looked = float("-inf")

    def enter(self) -> None:
        """Go on when there is room.

        Raises:
            OverloadedError: there is none; or none came in time.
        """
        if time.monotonic() - self._looked < FRESH:
            return
        self._wait_until(lambda: self.why() is None)
        self._looked = time.monotonic()

    def put(self, store: Callable[[], T]) -> T:
        """What ``store`` returns, once the server has taken what it sends; it may be called again.

        Raises:
            OverloadedError: as ``enter``.
        """
        found: list[T] = []

        def stored() -> bool:
            try:
                found.append(store())
            except ServerOutOfMemoryError:
                return False
            return True

        self.enter()
        self._wait_until(stored)
        return found[0]

    def why(self) -> str | None:
        """Why nothing is to be submitted now; None: there is room."""
        used, limit = self._cluster.ledger.fleet.memory()
        if limit and used >= HIGH_WATER * limit:
            return (
                f"the server holds {used / 2**20:.1f} MiB of its maxmemory of {limit / 2**20:.1f} MiB "
                f"({used / limit:.0%}; submissions stop at {HIGH_WATER:.0%})"
            )
        waiting = self._cluster.dispatcher.waiting()
        return f"{waiting} messages wait in the queue (submissions stop at {BACKLOG})" if waiting >= BACKLOG else None

    def _wait_until(self, there_is_room: Callable[[], bool]) -> None:
        give_up, told = time.monotonic() + self._patience, False
        pause = 0.05
        while not there_is_room():
            why = self.why() or "the server refuses to store more: its maxmemory is reached"
            if self._policy == "refuse" or time.monotonic() >= give_up:
                waited = "" if self._policy == "refuse" else f" No room came in {self._patience:g} s."
                raise OverloadedError(
                    f"The cluster is overloaded: {why}.{waited} Delete batches and runs that are done, raise maxmemory, or "
                    "add workers; then submit again. What was submitted goes on."
                )
            if not told:
                log.warning("submission waits: %s", why)
                told = True
            self._cluster.pause(pause)
            pause = min(1.0, pause * 1.5)
        if told:
            log.warning("submission goes on")
