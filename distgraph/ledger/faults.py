"""What a server or the way to it can do wrong, in distgraph's errors. No error of redis-py leaves the ledger."""

from __future__ import annotations

import re
from types import TracebackType
from typing import NoReturn

import redis
from redis import exceptions as raw

from distgraph.errors import (
    LedgerCorruptError,
    ServerAuthError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerOutOfMemoryError,
    ServerProtocolError,
    ServerReadOnlyError,
    ServerSettingError,
    ServerUnreachableError,
    StoreError,
)
from distgraph.ledger.url import EXAMPLE, redact

#: redis-py's class -> ours; the first that fits counts, so a class stands before its bases
_BY_CLASS: tuple[tuple[type[Exception], type[StoreError]], ...] = (
    (raw.AuthenticationError, ServerAuthError),
    (raw.AuthenticationWrongNumberOfArgsError, ServerAuthError),
    (raw.AuthorizationError, ServerAuthError),
    (raw.NoPermissionError, ServerAuthError),
    (raw.BusyLoadingError, ServerLoadingError),
    (raw.ReadOnlyError, ServerReadOnlyError),
    (raw.OutOfMemoryError, ServerOutOfMemoryError),
    (raw.ClusterDownError, ServerNotReadyError),
    (raw.TryAgainError, ServerNotReadyError),
    (raw.NoScriptError, ServerNotReadyError),
    (raw.MaxConnectionsError, ServerNotReadyError),
    (raw.AskError, ServerSettingError),
    (raw.ClusterCrossSlotError, ServerSettingError),
    (raw.InvalidResponse, ServerProtocolError),
)

#: What only the text tells. Servers before 7.0 report an error inside a script as text, with its code in the middle.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[StoreError]], ...] = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"max number of clients|\bBUSY\b|\bMISCONF\b|\bNOREPLICAS\b|\bMASTERDOWN\b", ServerNotReadyError),
        (r"\bOOM command\b", ServerOutOfMemoryError),
        (r"\bREADONLY\b", ServerReadOnlyError),
        (r"\bLOADING\b", ServerLoadingError),
        (r"\bWRONGTYPE\b", LedgerCorruptError),
        (r"\b(?:NOPERM|NOAUTH|WRONGPASS)\b|ACL failure|can't run this command", ServerAuthError),
        (r"(?i)unknown (?:sub)?command", ServerSettingError),
        (r"DB index is out of range", ServerSettingError),
        (r"\bSSL\b|(?i:certificate)|wrong version number", ServerProtocolError),
    )
)

_REMEDY: dict[type[StoreError], str] = {
    ServerUnreachableError: "Is it running, is the address right, does a firewall let it through?",
    ServerAuthError: f"Check user and password in the URL ({EXAMPLE}), and what the user may do (ACL LIST).",
    ServerReadOnlyError: "Give the address of the primary.",
    ServerLoadingError: "Try again when it is done.",
    ServerOutOfMemoryError: "Free memory or raise maxmemory, then repeat the call: nothing was written.",
    ServerNotReadyError: "Try again when that has passed; its log says more.",
    ServerProtocolError: "Is it a Redis or Valkey port? rediss:// is for TLS ports, redis:// for plain ones.",
    ServerSettingError: "distgraph needs one primary that is no cluster, with scripts and no renamed commands.",
    LedgerCorruptError: "Something else wrote there. Use a database or namespace of distgraph's own.",
}
_FAILED: dict[type[StoreError], str] = {
    ServerUnreachableError: "cannot be reached",
    ServerAuthError: "refuses the user",
    ServerReadOnlyError: "is a read-only replica",
    ServerLoadingError: "is still loading its data",
    ServerOutOfMemoryError: "is out of memory",
    ServerNotReadyError: "cannot serve the call now",
    ServerProtocolError: "does not speak as expected",
    ServerSettingError: "has a setting that distgraph cannot work with",
    LedgerCorruptError: "holds a key of another kind than distgraph wrote",
}

# redis-py puts the command, hence keys and values, before the error of a pipeline; servers repeat unknown arguments.
_NOISE = re.compile(r"^Command # \d+ \(.*\) of pipeline caused error: |,? ?with args beginning with: .*$", re.DOTALL)


def translated(error: Exception, where: str = "") -> StoreError:
    """The error of ours that ``error`` of redis-py amounts to; ``where`` is the server's address, or empty."""
    reason = redact(_NOISE.sub("", str(error)).strip()) or type(error).__name__
    ours = _kind(error, reason)
    what = _FAILED.get(ours, "answered with an error")
    at = f" at {redact(where)}" if where else ""
    end = "" if reason.endswith((".", "!", "?")) else "."
    return ours(f"The server{at} {what}: {reason}{end} {_remedy(ours, reason, where)}".rstrip())


def _remedy(ours: type[StoreError], reason: str, where: str) -> str:
    if "certificate" in reason.lower():
        return "Name its authority, ?ssl_ca_certs=PATH, and reach it by a host name that the certificate holds."
    hint = ""
    # A port of the other kind shows as silence or a closed connection. These have other causes too.
    if where.startswith("rediss://") and "Timeout" in reason:
        hint = " Does this port speak TLS? For a plain one write redis://."
    elif where.startswith("redis://") and re.search("closed|reset", reason):
        hint = " Is it a TLS port? Then write rediss://."
    return _REMEDY.get(ours, "") + hint


def _kind(error: Exception, reason: str) -> type[StoreError]:
    for theirs, ours in _BY_CLASS:
        if isinstance(error, theirs):
            return ours
    for pattern, ours in _BY_TEXT:
        if pattern.search(reason):
            return ours
    if isinstance(error, raw.ConnectionError | raw.TimeoutError | OSError):
        return ServerUnreachableError
    return StoreError


class Guard:
    """Context manager: errors of redis-py inside become ours. Holds no state, so one may be shared and nested."""

    __slots__ = ("_where",)

    def __init__(self, where: str = "") -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, redis.RedisError | raw.RedisClusterException | OSError):
            _raise(error, self._where)


def _raise(error: Exception, where: str) -> NoReturn:
    if isinstance(error, StoreError):
        raise error
    raise translated(error, where) from None


_ANYWHERE = Guard()


def guard(where: str = "") -> Guard:
    """A block in which errors of redis-py become :class:`~distgraph.errors.StoreError`.

    Args:
        where: the server's address, for the error's text; a password in it is masked.
    """
    return Guard(where) if where else _ANYWHERE
