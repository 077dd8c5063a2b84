"""What a process remembers of a broker that is away: it says so once, and does not knock at every hint.

Only where the broker is another server than the ledger's. Nothing hangs on it then: what is due stands in the ledger, and a
sweep hints it when the broker is back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from distgraph.errors import StoreError

log = logging.getLogger(__name__)

T = TypeVar("T")
#: A broker that was away is asked again after this. Seconds.
PAUSE = 0.5
#: And after this many times what it took to find out, where it took long: a silent server costs a wait.
SHARE = 3.0


class Outage:
    """The broker's outage, as this process knows it.

    Args:
        where: the broker's address, without a password.
    """

    def __init__(self, where: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.where, self.monotonic = where, monotonic
        self._away = False
        self._until = float("-inf")

    def ask(self, call: Callable[[], T], otherwise: T) -> T:
        """What ``call`` returns; ``otherwise`` where the broker does not answer, or did not a moment ago."""
        began = self.monotonic()
        if began < self._until:
            return otherwise
        try:
            found = call()
        except StoreError as exc:
            now = self.monotonic()
            self._until = now + max(PAUSE, SHARE * (now - began))
            if not self._away:
                log.warning(
                    "the broker at %s is away; nothing is lost, for what is due stands in the ledger, and workers hint it when "
                    "the broker is back: %s",
                    self.where,
                    exc,
                )
            self._away = True
            return otherwise
        if self._away:
            log.warning("the broker at %s is back", self.where)
            self._away = False
        return found
