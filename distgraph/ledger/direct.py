"""Script calls without the client's own way to its connections: for whoever stores superstep by superstep."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from itertools import islice
from threading import Lock
from typing import Any

import redis
from hiredis import pack_command

from distgraph.ledger import seam
from distgraph.ledger.connection import guard
from distgraph.ledger.scripts import Ahead, Call, Scripts

#: Calls that may be without a reply before the oldest reply is waited for.
MOST_UNREAD = 32
#: Bytes of such calls, which are kept to be sent again.
MOST_BYTES = 512 * 1024


class DirectScripts(Scripts):
    """Runs script calls on connections that it keeps: three quarters of the client's time for a superstep.

    They are borrowed from the client's pool, as many as there are calls at once, and closed with the client.
    """

    __slots__ = ("_idle", "_pid")

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()

    def run(self, call: Call) -> Any:
        return self.run_all([call])[0]

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        if seam.nemesis is not None:
            return seam.nemesis.call([call.name for call in calls], lambda: self._run_all(calls))
        return self._run_all(calls)

    def _run_all(self, calls: Sequence[Call]) -> list[Any]:
        lane = _Lane(self)
        lane.send(calls)
        lane.wait()
        return lane.replies()

    def ahead(self) -> Ahead:
        return _Lane(self) if seam.nemesis is None else super().ahead()

    def take(self) -> Any:
        """A connection that nobody uses."""
        if self._pid != os.getpid():
            # A forked child does not speak on its parent's connections.
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self.client.connection_pool.get_connection()

    def give_back(self, connection: Any) -> None:
        """Nothing is on its way on this connection any more."""
        self._idle.append(connection)


class _Lane(Ahead):
    """Calls on one connection, which it has as long as replies are missing.

    What has no reply when the connection is lost is sent again, all of it and in its order, as often as the client would;
    after that, whoever calls next begins with it.
    """

    __slots__ = ("_bytes", "_connection", "_direct", "_lock", "_sent", "_unread")

    def __init__(self, scripts: DirectScripts) -> None:
        super().__init__(scripts)
        self._direct = scripts
        #: Whoever needs what was stored reads replies too.
        self._lock = Lock()
        self._connection: Any = None
        #: Calls without a reply; so many of them are on their way on the connection; bytes sent since there were none.
        self._unread: deque[Call] = deque()
        self._sent = self._bytes = 0

    def send(self, calls: Sequence[Call]) -> None:
        with self._lock:
            self._unread += calls
            self._advance(MOST_UNREAD)

    def wait(self) -> None:
        with self._lock:
            if self._unread:
                self._advance(0)

    def replies(self) -> list[Any]:
        with self._lock:
            found, self._answered = self._answered, []
        with guard():
            for reply in found:
                if isinstance(reply, Exception):
                    raise reply
        return found

    def forget(self) -> None:
        with self._lock:
            self._cut()
            self._unread.clear()
            self._answered.clear()
            self._part()

    def _advance(self, most: int) -> None:
        """Send what is not on its way; read until at most so many replies are missing."""
        with guard():
            if self._connection is not None and self._connection.pid != os.getpid():
                # A forked child that goes on with its parent's run: the replies that are on their way are the parent's.
                self._connection, self._sent = None, 0
            if self._connection is None:
                self._connection = self._direct.take()
            try:
                self._connection.retry.call_with_retry(lambda: self._exchange(most), lambda _: self._cut())
            except BaseException:
                # Whatever interrupted this: the next call must not read replies that were meant for this one.
                self._cut()
                raise
            finally:
                if not self._sent:
                    self._part()

    def _exchange(self, most: int) -> None:
        self._push()
        loaded = False
        while len(self._unread) > (most if self._bytes <= MOST_BYTES else 0):
            reply = self._read()
            if isinstance(reply, redis.exceptions.NoScriptError) and not loaded:
                # Those behind it may have found the script again: all that is on its way comes again, in its order.
                for _ in range(1, self._sent):
                    self._read()
                self._direct.load()
                self._sent, loaded = 0, True
                self._push()
                continue
            self._unread.popleft()
            self._sent -= 1
            self._answered.append(reply)

    def _push(self) -> None:
        fresh = [*islice(self._unread, self._sent, None)]
        if fresh:
            # Past the client's packer, which looks at each argument first.
            packed = b"".join([pack_command(call.command()) for call in fresh])
            first = not self._sent
            self._bytes = len(packed) + (0 if first else self._bytes)
            # Before they are sent: an interruption right after that must find them on their way.
            self._sent = len(self._unread)
            # The connection's own test would take a reply that is on its way for its own.
            self._connection.send_packed_command([packed], check_health=first)

    def _read(self) -> Any:
        try:
            return self._connection.read_response()
        except redis.exceptions.ResponseError as error:
            return error

    def _cut(self) -> None:
        if self._sent:
            self._connection.disconnect()
            self._sent = 0

    def _part(self) -> None:
        if self._connection is not None:
            self._direct.give_back(self._connection)
            self._connection = None
