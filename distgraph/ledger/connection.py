"""How distgraph reaches its server: every client of redis-py is made here."""

from __future__ import annotations

import re
from typing import Any

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from distgraph.ledger.check import Persistence, ServerReport, check_server
from distgraph.ledger.faults import guard
from distgraph.ledger.url import ServerURL, parse_url, redact

__all__ = ["Persistence", "ServerReport", "ServerURL", "check_server", "connect", "guard", "parse_url", "redact"]

#: A dropped connection is tried again this often. Safe, because every script answers a repeat as it did at first.
#: redis-py's default of 10, each with its timeout, would hold a caller for a minute on a half-open connection.
RETRIES = 3
#: seconds between the tries: at first, at most
BACKOFF = (0.05, 0.5)
#: seconds of silence after which a connection is tested before it is used
HEALTH_CHECK = 30


def connect(
    url: str, *, client_name: str = "distgraph", socket_timeout: float = 5.0, retry: Retry | None = None
) -> redis.Redis:
    """A client for the server at ``url``; nothing is sent yet. Replies are bytes. Safe to share between OS threads.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        client_name: shown by CLIENT LIST; characters that a name cannot have become ``-``.
        socket_timeout: seconds to wait for a connection, and for each reply.
        retry: what is tried again, and when; default: a dropped connection and a late reply, a few times.

    Raises:
        ConfigError: the address is not understood.
    """
    server = parse_url(url)
    first, most = BACKOFF
    return redis.Redis.from_pool(
        redis.ConnectionPool(
            **_endpoint(server),
            db=server.db,
            username=server.username,
            password=server.password,
            client_name=re.sub(r"[^!-~]+", "-", client_name),
            socket_timeout=socket_timeout,
            socket_connect_timeout=socket_timeout,
            health_check_interval=HEALTH_CHECK,
            retry=retry or Retry(ExponentialWithJitterBackoff(base=first, cap=most), RETRIES),
            decode_responses=False,
            # RESP3 measured no faster; RESP2 has the same replies in every release of redis-py, and no first
            # message that a server too old for distgraph would stumble over before it can tell its version
            protocol=2,
        )
    )


def _endpoint(server: ServerURL) -> dict[str, Any]:
    if server.scheme == "unix":
        return {"connection_class": redis.UnixDomainSocketConnection, "path": server.path}
    tcp: dict[str, Any] = {"host": server.host, "port": server.port, "socket_keepalive": True}
    if server.scheme == "redis":
        return {"connection_class": redis.Connection, **tcp}
    return {"connection_class": redis.SSLConnection, **tcp, **server.tls}
