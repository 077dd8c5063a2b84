"""How a command ends: the exit codes, and which error leads to which."""

from __future__ import annotations

from distgraph.errors import (
    BatchCancelledError,
    BatchExistsError,
    BatchNotFoundError,
    CheckpointCorruptError,
    CodecError,
    ConfigError,
    DistgraphError,
    EventsTrimmedError,
    GraphError,
    GraphMismatchError,
    InputError,
    LedgerCorruptError,
    RunActiveError,
    RunError,
    RunExistsError,
    RunNotFoundError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerOutOfMemoryError,
    StoreError,
    ThreadBusyError,
    UntrustedTypeError,
    WaitTimeoutError,
)

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
CORRUPT = 4
INTERRUPTED = 5
RETRY = 75

#: Shown below the help of every command.
EPILOG = """\b
Exit codes:
   0  ok
   1  the run or some items failed, or a check found problems
   2  usage: a wrong option, name, file or input; nothing was started
   3  the server cannot be reached or used
   4  stored data are damaged
   5  interrupted; what runs on the workers goes on
  75  not now: busy, loading or out of memory; try again later
"""

#: The first kind that fits decides.
_BY_KIND: tuple[tuple[tuple[type[BaseException], ...], int], ...] = (
    ((CheckpointCorruptError, LedgerCorruptError), CORRUPT),
    ((ServerLoadingError, ServerNotReadyError, ServerOutOfMemoryError, ThreadBusyError, WaitTimeoutError), RETRY),
    ((StoreError,), UNREACHABLE),
    (
        (
            *(RunNotFoundError, RunActiveError, BatchNotFoundError, RunExistsError, BatchExistsError),
            *(GraphMismatchError, EventsTrimmedError, BatchCancelledError),
        ),
        USAGE,
    ),
    ((UntrustedTypeError,), USAGE),
    ((RunError, CodecError), FAILED),
    ((ConfigError, InputError, GraphError), USAGE),
)


class Detached(Exception):
    """The user pressed Ctrl-C; the text says what goes on and how to come back to it."""

    code = "INTERRUPTED"


class Reported(Exception):
    """An error whose text is out already; only its exit code is still to come."""


def exit_code(error: BaseException) -> int:
    """The exit code for ``error``."""
    return INTERRUPTED if isinstance(error, Detached | KeyboardInterrupt) else exit_code_of(type(error))


def exit_code_of(kind: type[BaseException]) -> int:
    """The exit code for errors of this kind."""
    return next((code for kinds, code in _BY_KIND if issubclass(kind, kinds)), FAILED)


def describe(error: BaseException) -> tuple[str, str]:
    """The stable code of ``error``, and a text fit to be shown: no credentials, no traceback."""
    from distgraph.ledger.url import redact

    if isinstance(error, DistgraphError | Detached):
        return error.code, redact("\n".join([str(error), *getattr(error, "__notes__", ())]))
    if isinstance(error, KeyboardInterrupt):
        return Detached.code, "Interrupted."
    reason = redact(f"{type(error).__name__}: {error}")
    return "INTERNAL", f"This should not happen: {reason}. With --debug the traceback is shown; please report it."
