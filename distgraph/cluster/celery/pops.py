"""Makes the moment between popping a message and having it a point of chaos: Celery has no place for that itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kombu.transport.redis import Transport

from distgraph.ledger import seam


def mark_pops(queues: Collection[str]) -> None:
    """From here on, whatever this process pops from one of these queues passes the mark "pop"."""
    deliver = Transport._deliver

    def marked(self: Any, message: Any, queue: str) -> None:
        if queue not in queues:
            deliver(self, message, queue)
            return
        # The message is in no list of the server any more, and nobody here has it yet.
        seam.reach("pop", "before")
        deliver(self, message, queue)
        seam.reach("pop", "after")

    Transport._deliver = marked
