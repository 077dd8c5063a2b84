"""Celery's consumer, which comes back soon where its server was away, and waits where the server takes nothing.

Celery waits 2, 4, 6, ... 30 seconds between its tries to reconnect: after an outage of a minute a worker would be idle for
another quarter of one. And an answer that is an error (no room left on disk or in memory, too few replicas) ends a worker
of Celery's for good, though it passes like an outage. So does a message that cannot even be looked at (a pickle, say), and
it comes back to the next worker: here it is refused, like others that are no task's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.app import events
from celery.events.dispatcher import EventDispatcher
from celery.exceptions import InvalidTaskError
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.exceptions import ContentDisallowed, DecodeError

from distgraph.ledger.url import redact

log = logging.getLogger(__name__)

#: Between two tries to connect: at first, how much longer each time, at most. Seconds.
FIRST, MORE, MOST = 0.2, 0.2, 1.0
#: How long a server that refuses is left alone. Seconds.
REFUSED = 1.0


class OnceDispatcher(EventDispatcher):  # type: ignore[misc]
    """Tells Flower of a worker; what cannot be told at once is told when there is a connection again.

    Celery's own tries again and again, in the loop that does everything else: a worker whose server goes away in the moment
    of a heartbeat would not hear that it is to stop, and would not look after its processes, until the server is back.
    """

    def send(self, type: str, *args: Any, **fields: Any) -> Any:
        """Send an event once."""
        return super().send(type, *args, **{**fields, "retry": False})


class Events(events.Events):  # type: ignore[misc]
    """What Celery makes its dispatchers with."""

    dispatcher_cls = OnceDispatcher


class PatientConsumer(Consumer):  # type: ignore[misc]
    """What a worker consumes with."""

    def update_strategies(self) -> None:
        """What is done about each task's messages."""
        super().update_strategies()
        for name, strategy in [*self.strategies.items()]:
            self.strategies[name] = partial(self._take, strategy)

    def _take(self, strategy: Any, message: Any, *rest: Any) -> Any:
        """Take one message.

        Raises:
            InvalidTaskError: it cannot be read; whoever calls refuses it for good.
        """
        try:
            return strategy(message, *rest)
        except (InvalidTaskError, ContentDisallowed, DecodeError, *self.connection_errors, *self.channel_errors):
            raise
        except Exception as exc:
            raise InvalidTaskError(f"the message cannot be read: {type(exc).__name__}: {exc}") from exc

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, however long it takes."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=FIRST, interval_step=MORE, interval_max=MOST
        )
        conn.info = partial(_told, conn.info)
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Say what went wrong; begin again after a while where the server is there and refuses."""
        refused = isinstance(exc, self.channel_errors)
        if refused:
            log.warning("the server takes no messages now, this worker tries again in %g s: %s", REFUSED, exc)
        super().on_connection_error_after_connected(exc)
        if refused:
            self._wait(REFUSED)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            maybe_shutdown()
            time.sleep(0.1)


def _told(info: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a connection tells of itself, to Flower too. Of a socket the host's name is the whole address."""
    told = info()
    return {**told, "hostname": redact(told["hostname"])}
