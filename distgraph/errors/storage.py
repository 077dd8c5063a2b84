"""Errors of the places where state is kept: the server behind the ledger, database files."""

from __future__ import annotations

from distgraph.errors.base import DistgraphError

__all__ = [
    "DatabaseFileError",
    "LedgerCorruptError",
    "OverloadedError",
    "ServerAuthError",
    "ServerLoadingError",
    "ServerNotReadyError",
    "ServerOutOfMemoryError",
    "ServerProtocolError",
    "ServerReadOnlyError",
    "ServerSettingError",
    "ServerTooOldError",
    "ServerUnreachableError",
    "StoreError",
]


class StoreError(DistgraphError):
    """The server behind the ledger."""

    code = "STORE_ERROR"
    #: The ledger of the very run failed that a node works for, not something the node uses: no failure of the node.
    of_ledger = False


class ServerUnreachableError(StoreError, ConnectionError):
    """Nobody answers at the address."""

    code = "SERVER_UNREACHABLE"


class ServerAuthError(StoreError, PermissionError):
    """Wrong user or password, or the user lacks a permission."""

    code = "SERVER_AUTH"


class ServerTooOldError(StoreError):
    """The server is older than distgraph needs."""

    code = "SERVER_TOO_OLD"


class ServerSettingError(StoreError):
    """The server runs with a setting that would lose data or that distgraph cannot use."""

    code = "SERVER_SETTING"


class ServerReadOnlyError(StoreError):
    """A replica answered; distgraph writes to the primary."""

    code = "SERVER_READ_ONLY"


class ServerLoadingError(StoreError):
    """The server is still loading its data."""

    code = "SERVER_LOADING"


class ServerOutOfMemoryError(StoreError):
    """maxmemory is reached. Nothing was written; free memory or raise the limit, then repeat the call."""

    code = "SERVER_OUT_OF_MEMORY"


class LedgerCorruptError(StoreError):
    """A key holds what distgraph did not put there, or lacks what it did."""

    code = "LEDGER_CORRUPT"


class ServerProtocolError(StoreError):
    """What answers at the address is not Redis, or speaks TLS where plain text was expected, or the reverse."""

    code = "SERVER_PROTOCOL"


class ServerNotReadyError(StoreError):
    """The server answers but cannot serve the call now: too many clients, a script that runs too long, a full disk."""

    code = "SERVER_NOT_READY"


class DatabaseFileError(StoreError):
    """A database file cannot be opened or written, is damaged or none at all, or others held it for too long."""

    code = "DATABASE_FILE"


class OverloadedError(StoreError):
    """The server is nearly full, or too much waits already; nothing was submitted by this call, or not all of it."""

    code = "OVERLOADED"
