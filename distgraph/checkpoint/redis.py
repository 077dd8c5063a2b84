"""Checkpoints on a Redis or Valkey server: the very lines that a cluster's workers write.

A thread that workers ran can be looked at, forked and continued in this process, and the other way round. One
superstep costs one round trip, and sends only what it changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from distgraph.checkpoint.line_saver import LineSaver
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.checkpoint.several import Op, is_own
from distgraph.closing import Closing
from distgraph.errors import ConfigError
from distgraph.ledger.connection import connect
from distgraph.ledger.direct import DirectScripts
from distgraph.ledger.keys import Keys
from distgraph.ledger.lines import LineLedger, LinesAhead
from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Answer
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
        self._ledger = LineLedger(self._scripts, Keys(namespace))
        super().__init__(self._ledger, codec, retention)

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

    def ahead(self, thread_id: str) -> _Ahead | None:
        """Stores what one run stores, without waiting for the server after each superstep: for durability "async".

        None where a subclass has methods of its own that are to see each call.
        """
        if not is_own(self, RedisSaver, "put", "put_writes", "put_all"):
            return None
        return _Ahead(self, self._ledger.ahead(thread_id))

    def close(self) -> None:
        """Close the connections that this saver opened; using it again opens new ones."""
        if self._owns:
            self._client.close()


class _Ahead:
    """``put_all`` for one run: sent when it returns, answered later. What was refused is raised by one of the next calls."""

    __slots__ = ("_lines", "_saver")

    def __init__(self, saver: RedisSaver, lines: LinesAhead) -> None:
        self._saver, self._lines = saver, lines

    def put_all(self, ops: Sequence[Op]) -> None:
        changes = self._saver._changes(ops)
        self._take(lambda: self._lines.put(changes), changes)

    def wait(self) -> None:
        """All of it is stored.

        Raises:
            StoreError: the server cannot be reached or refuses.
            ThreadBusyError: a run of a cluster holds the thread.
            InputError: a checkpoint that others build on is gone.
        """
        self._take(self._lines.wait, ())

    def _take(self, ask: Callable[[], list[tuple[Place, Answer]]], changes: Sequence[Change]) -> None:
        try:
            self._saver._stored(ask(), changes)
        except BaseException:
            self._lines.forget()
            raise
