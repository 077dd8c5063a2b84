"""Publishes hints as Celery messages. Needs no Celery itself: a submitter does not pay for importing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from distgraph.cluster.celery.envelope import read, render
from distgraph.cluster.celery.outage import Outage
from distgraph.cluster.hints import MOST_EXPECTED, Hint, meant, queue_name
from distgraph.ledger import seam
from distgraph.ledger.queues import Queues
from distgraph.ledger.url import parse_broker_url

T = TypeVar("T")


class CeleryDispatcher:
    """The broker's side of one namespace.

    Args:
        url: the ledger's server.
        broker_url: the broker, where that is another server. Then nothing here raises for it: while it is away, hints are
            left to the sweep, and nothing is seen of those that wait.
    """

    def __init__(self, url: str, namespace: str, broker_url: str = "") -> None:
        self.namespace = namespace
        self._outage: Outage | None = None
        if broker_url not in ("", url):
            self._outage = Outage(str(parse_broker_url(broker_url)))
        self.queues = Queues(broker_url or url, brief=self._outage is not None)

    def _ask(self, call: Callable[[], T], otherwise: T) -> T:
        return call() if self._outage is None else self._outage.ask(call, otherwise)

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints; at once, in one round trip."""
        if hints:
            self.send([render(self.namespace, hint) for hint in hints], first=first)

    def send(self, messages: Sequence[tuple[str, str]], *, first: bool = False) -> None:
        """Send what is rendered already: (queue, message) each."""
        self._ask(lambda: self._push(messages, first), None)

    @seam.passes("publish")
    def _push(self, messages: Sequence[tuple[str, str]], first: bool) -> None:
        self.queues.push(messages, first=first)

    def reachable(self) -> bool:
        """Whether hints arrive now; asks only where they could be kept from it while the ledger is there."""
        return self._outage is None or self._outage.ask(self.queues.ping, False)

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait in the namespace's own queue, or in ``queue``."""
        return self._ask(lambda: self.queues.length(queue_name(self.namespace, queue)), 0)

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What the hints in a queue are for; None where they are too many to look at."""
        messages = self._ask(lambda: self.queues.peek(queue_name(self.namespace, queue), MOST_EXPECTED), None)
        if messages is None:
            return None
        return frozenset(name for message in messages if (hint := read(message)) for name in meant(hint))

    def close(self) -> None:
        """Close the connections."""
        self.queues.close()
