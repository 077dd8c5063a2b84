"""Script calls without the client's own way to its connections: for whoever stores superstep by superstep."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from typing import Any

import redis

from distgraph.ledger import seam
from distgraph.ledger.connection import guard
from distgraph.ledger.scripts import Call, Scripts


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
        commands = [call.command() for call in calls]
        with guard():
            replies = self._ask(commands)
            if any(isinstance(reply, redis.exceptions.NoScriptError) for reply in replies):
                self.load()
                replies = self._ask(commands)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Replies of commands, errors of the server among them; tried again as the client would."""
        connection = self._connection()
        try:
            replies: list[Any] = connection.retry.call_with_retry(
                lambda: _exchange(connection, commands), lambda _: connection.disconnect()
            )
        except BaseException:
            # Whatever interrupted this: the next call must not read replies that were meant for this one.
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)
        return replies

    def _connection(self) -> Any:
        if self._pid != os.getpid():
            # A forked child does not speak on its parent's connections.
            self._idle, self._pid = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self.client.connection_pool.get_connection()


def _exchange(connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    connection.send_packed_command(connection.pack_commands(commands))
    replies: list[Any] = []
    for _ in commands:
        try:
            replies.append(connection.read_response())
        except redis.exceptions.ResponseError as error:
            replies.append(error)
    return replies
