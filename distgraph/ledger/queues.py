"""The broker's lists: pushing rendered messages, and seeing how many wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from distgraph.ledger.connection import connect, guard

#: A broker that is not the ledger's server is waited for no longer than this: work does not hang on it. Seconds.
BRIEF = 1.0


class Queues:
    """Lists of messages on one server.

    Args:
        url: the ledger's server, or another one.
        brief: give up soon. A connection that broke while nobody used it is made anew, and that is all.
    """

    def __init__(self, url: str, *, brief: bool = False) -> None:
        once = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
        options: dict[str, Any] = {"socket_timeout": BRIEF, "retry": once} if brief else {}
        self.client = connect(url, client_name="distgraph-hints", **options)

    def ping(self) -> bool:
        """Whether the server answers.

        Raises:
            StoreError: it does not.
        """
        with guard():
            return bool(self.client.ping())

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
