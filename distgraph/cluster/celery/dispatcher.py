"""Publishes hints as Celery messages. Needs no Celery itself: a submitter does not pay for importing it."""

from __future__ import annotations

from collections.abc import Sequence

from distgraph.cluster.celery.envelope import read, render
from distgraph.cluster.hints import MOST_EXPECTED, Hint, meant, queue_name
from distgraph.ledger import seam
from distgraph.ledger.queues import Queues


class CeleryDispatcher:
    """The broker's side of one namespace."""

    def __init__(self, url: str, namespace: str) -> None:
        self.namespace = namespace
        self.queues = Queues(url)

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints; at once, in one round trip."""
        if hints:
            self._push([render(self.namespace, hint) for hint in hints], first)

    @seam.passes("publish")
    def _push(self, messages: Sequence[tuple[str, str]], first: bool) -> None:
        self.queues.push(messages, first=first)

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait in the namespace's own queue, or in ``queue``."""
        return self.queues.length(queue_name(self.namespace, queue))

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What the hints in a queue are for; None where they are too many to look at."""
        messages = self.queues.peek(queue_name(self.namespace, queue), MOST_EXPECTED)
        if messages is None:
            return None
        return frozenset(name for message in messages if (hint := read(message)) for name in meant(hint))

    def close(self) -> None:
        """Close the connections."""
        self.queues.close()
