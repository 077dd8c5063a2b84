"""Checkpoints on a Redis or Valkey server: the very lines that a cluster's workers write.

A thread that workers ran can be looked at, forked and continued in this process, and the other way round. One
superstep costs one round trip, and sends only what it changed.
"""

from __future__ import annotations

from typing import Any, Self

from distgraph.checkpoint.line_saver import LineSaver
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.closing import Closing
from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.direct import DirectScripts
from distgraph.ledger.keys import Keys
from distgraph.ledger.lines import LineLedger
from distgraph.ledger.scripts import Scripts
from distgraph.wire import Codec


class RedisSaver(LineSaver, Closing):
    """A saver for threads that outlive processes and may be run by workers. Safe to use from any OS thread.

    While a run of a cluster holds a thread, nothing of it is stored or deleted here: ``ThreadBusyError``.

    Args:
        client_or_url: ``redis://``, ``rediss://`` or ``unix://``; or a client of redis-py that replies with bytes,
            which stays the caller's to close.
        namespace: keeps users of one server apart; a cluster's, to share its threads.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        retention: which checkpoints of a thread stay that is written to from here; None: all.

    Raises:
        ConfigError: the address or namespace is not understood, or the client decodes its replies.
    """

    def __init__(
        self,
        client_or_url: Any,
        *,
        namespace: str = "default",
        codec: Codec | None = None,
        retention: CheckpointRetention | None = None,
    ) -> None:
        self._owns = isinstance(client_or_url, str)
        self._client = connect(client_or_url, client_name="distgraph-saver") if self._owns else client_or_url
        if self._client.get_connection_kwargs().get("decode_responses"):
            raise ConfigError("RedisSaver needs a client that replies with bytes: make it without decode_responses.")
        # A pool of the caller's may be too small to lend connections for good.
        self._scripts = DirectScripts(self._client) if self._owns else Scripts(self._client)
        super().__init__(LineLedger(self._scripts, Keys(namespace)), codec, retention)

    @classmethod
    def from_conn_string(
        cls,
        url: str,
        *,
        namespace: str = "default",
        codec: Codec | None = None,
        retention: CheckpointRetention | None = None,
    ) -> Self:
        """A saver for the server at ``url``; close it, or use it in a ``with`` block."""
        return cls(url, namespace=namespace, codec=codec, retention=retention)

    def setup(self) -> None:
        """See that the server answers. There is nothing to create; programs that call this first may go on doing so.

        Raises:
            StoreError: it cannot be reached, or refuses.
        """
        self._scripts.load()

    def close(self) -> None:
        """Close the connections that this saver opened; using it again opens new ones."""
        if self._owns:
            self._client.close()
