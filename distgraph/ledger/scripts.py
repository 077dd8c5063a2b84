"""The scripts of ``lua/``, called by name. Each opens with its keys, arguments and replies.

Scripts are sent by digest; a server that lost them (restart, SCRIPT FLUSH) gets them again and the call is repeated,
which is safe because every script answers a repeat as it answered the first time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import redis

from distgraph.ledger import seam
from distgraph.ledger.connection import guard
from distgraph.ledger.patience import RESULTS, Patience


@cache
def sources() -> dict[str, bytes]:
    """Script name -> source, read once."""
    folder = resources.files("distgraph.ledger").joinpath("lua")
    return {
        entry.name.removesuffix(".lua"): entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".lua")
    }


@cache
def digests() -> dict[str, str]:
    """Script name -> SHA-1 of its source, as EVALSHA wants it."""
    return {name: hashlib.sha1(source, usedforsecurity=False).hexdigest() for name, source in sources().items()}


class Call:
    """One script call, not sent yet."""

    __slots__ = ("args", "keys", "name")

    def __init__(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> None:
        self.name, self.keys, self.args = name, keys, args

    def command(self) -> tuple[Any, ...]:
        """The command that performs it."""
        return ("EVALSHA", digests()[self.name], len(self.keys), *self.keys, *self.args)


class Scripts:
    """Runs script calls on one server; with ``patience``, those that store a result wait for a server that is away."""

    __slots__ = ("client", "patience")

    def __init__(self, client: redis.Redis, patience: Patience | None = None) -> None:
        self.client, self.patience = client, patience

    def load(self) -> None:
        """Send all scripts."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for source in sources().values():
                pipe.script_load(source)
            pipe.execute()

    def run(self, call: Call) -> Any:
        """The reply of one call.

        Raises:
            StoreError: the server cannot be reached or refuses; nothing is known to be written.
        """
        if self.patience is not None and call.name in RESULTS:
            return self.patience.through(lambda: self._send(call))
        return self._send(call)

    def _send(self, call: Call) -> Any:
        if seam.nemesis is not None:
            return seam.nemesis.call((call.name,), lambda: self._run(call))
        return self._run(call)

    def _run(self, call: Call) -> Any:
        send: Any = self.client.execute_command
        with guard():
            try:
                return send(*call.command())
            except redis.exceptions.NoScriptError:
                self.load()
                return send(*call.command())

    def run_all(self, calls: Sequence[Call]) -> list[Any]:
        """The replies of several calls, in one round trip; each call is atomic, their sequence is not."""
        if len(calls) == 1:
            return [self.run(calls[0])]
        if self.patience is not None and any(call.name in RESULTS for call in calls):
            return self.patience.through(lambda: self._send_all(calls))
        return self._send_all(calls)

    def _send_all(self, calls: Sequence[Call]) -> list[Any]:
        if seam.nemesis is not None:
            return seam.nemesis.call([call.name for call in calls], lambda: self._run_all(calls))
        return self._run_all(calls)

    def _run_all(self, calls: Sequence[Call]) -> list[Any]:
        with guard():
            try:
                return self._pipelined(calls)
            except redis.exceptions.NoScriptError:
                self.load()
                return self._pipelined(calls)

    def ahead(self) -> Ahead:
        """Calls that go out in order, whose replies are looked at later."""
        return Ahead(self)

    def _pipelined(self, calls: Sequence[Call]) -> list[Any]:
        with self.client.pipeline(transaction=False) as pipe:
            send: Any = pipe.execute_command
            for call in calls:
                send(*call.command())
            return pipe.execute()


class Ahead:
    """Calls that go out in order, at once, whose replies are looked at later. Safe to use from any OS thread.

    These are answered before ``send`` returns: where a connection cannot be kept for one caller.
    """

    __slots__ = ("_answered", "_scripts")

    def __init__(self, scripts: Scripts) -> None:
        self._scripts = scripts
        self._answered: list[Any] = []

    def send(self, calls: Sequence[Call]) -> None:
        """Send calls.

        Raises:
            StoreError: the server cannot be reached; it is not known what of all that has no reply is written.
        """
        self._answered += self._scripts.run_all(calls)

    def wait(self) -> None:
        """Until all calls have their replies.

        Raises:
            StoreError: as ``send``.
        """

    def replies(self) -> list[Any]:
        """The replies that came since this was asked last, in the order of the calls.

        Raises:
            StoreError: the server refused one of these calls.
        """
        found, self._answered = self._answered, []
        return found

    def forget(self) -> None:
        """Nobody asks for replies any more, nor that calls be sent again."""
        self._answered.clear()
