"""The broker's lists on the same kind of server: pushing rendered messages, and seeing how many wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from distgraph.ledger.connection import connect, guard


class Queues:
    """Lists of messages on one server (the ledger's own, or a broker of its own)."""

    def __init__(self, url: str) -> None:
        self.client = connect(url, client_name="distgraph-hints")

    def push(self, messages: Iterable[tuple[str, str]], *, first: bool = False) -> None:
        """Append (queue, message) each, or put it where the next one is taken; all in one round trip."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            push = pipe.rpush if first else pipe.lpush
            for queue, message in messages:
                push(queue, message)
            pipe.execute()

    def length(self, queue: str) -> int:
        """How many messages wait."""
        with guard():
            waiting: Any = self.client.llen(queue)
        return int(waiting)

    def peek(self, queue: str, most: int) -> list[bytes] | None:
        """The messages that wait, which stay there; None if they are more than ``most``."""
        with guard():
            found: Any = self.client.lrange(queue, 0, most)
        return None if len(found) > most else list(found)

    def delete(self, queues: Sequence[str]) -> None:
        """Drop these lists: hints of a namespace that goes."""
        with guard():
            self.client.delete(*queues)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
