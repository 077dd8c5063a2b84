"""Every error of redis-py becomes one of ours, with what to do; nothing of ours is translated twice."""

from __future__ import annotations

import inspect

import pytest
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
from distgraph.ledger.faults import guard, translated

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (raw.ConnectionError("Error 111 connecting to h:1. Connection refused."), ServerUnreachableError),
        (raw.TimeoutError("Timeout reading from socket"), ServerUnreachableError),
        (OSError("Network is unreachable"), ServerUnreachableError),
        (raw.ConnectionError("max number of clients reached"), ServerNotReadyError),
        (raw.ConnectionError("Error 1 connecting to h:1. [SSL: WRONG_VERSION_NUMBER]"), ServerProtocolError),
        (raw.InvalidResponse('Protocol error, got "H" as reply type byte'), ServerProtocolError),
        (raw.AuthenticationError("invalid username-password pair or user is disabled."), ServerAuthError),
        (raw.NoPermissionError("this user has no permissions to run the 'eval' command"), ServerAuthError),
        (raw.ResponseError("ACL failure in script: can't run this command or subcommand"), ServerAuthError),
        (raw.BusyLoadingError("Redis is loading the dataset in memory"), ServerLoadingError),
        (raw.ReadOnlyError("You can't write against a read only replica."), ServerReadOnlyError),
        (raw.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), ServerOutOfMemoryError),
        (raw.ResponseError("BUSY Redis is busy running a script."), ServerNotReadyError),
        (raw.ResponseError("MISCONF Errors writing to the AOF file: No space left"), ServerNotReadyError),
        (raw.ClusterDownError("CLUSTERDOWN The cluster is down"), ServerNotReadyError),
        (raw.MasterDownError("MASTERDOWN Link with MASTER is down"), ServerNotReadyError),
        (raw.TryAgainError("TRYAGAIN"), ServerNotReadyError),
        (raw.NoScriptError("No matching script."), ServerNotReadyError),
        (raw.MovedError("3999 127.0.0.1:6381"), ServerSettingError),
        (raw.ClusterCrossSlotError("Keys in request don't hash to the same slot"), ServerSettingError),
        (raw.ResponseError("unknown command 'EVALSHA', with args beginning with: "), ServerSettingError),
        (raw.ResponseError("DB index is out of range"), ServerSettingError),
        (raw.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), LedgerCorruptError),
        (raw.ResponseError("something new"), StoreError),
    ],
)
def test_each_kind(error: Exception, ours: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, guard():
        raise error
    assert type(caught.value) is ours


@pytest.mark.parametrize(
    ("code", "ours"),
    [
        ("OOM command", ServerOutOfMemoryError),
        ("READONLY You", ServerReadOnlyError),
        ("MISCONF Err", ServerNotReadyError),
    ],
)
def test_errors_inside_a_script_of_old_servers(code: str, ours: type[StoreError]) -> None:
    """Before 7.0 the code of a failing command stands in the middle of a text about the script."""
    error = raw.ResponseError(f"Error running script (call to f_ab): @user_script:1: @user_script: 1: -{code} ...")
    assert type(translated(error)) is ours


def test_every_error_of_redis_py_is_translated() -> None:
    """A new release of redis-py with a new class changes nothing: it is still a StoreError."""
    kinds = [kind for _, kind in inspect.getmembers(raw, inspect.isclass) if issubclass(kind, raw.RedisError)]
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        with pytest.raises(StoreError), guard():
            raise error


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), guard():
        _ = 1 // 0


def test_nested_guards_translate_once() -> None:
    with pytest.raises(ServerUnreachableError) as caught, guard("redis://outer"), guard("redis://inner"):
        raise raw.ConnectionError("refused")
    assert "redis://inner" in str(caught.value)
    assert "outer" not in str(caught.value)


def test_the_address_is_shown_without_its_password() -> None:
    with pytest.raises(ServerUnreachableError) as caught, guard("redis://:hunter2@host:1/0"):
        raise raw.ConnectionError("Error 111 connecting to host:1. Connection refused.")
    assert "redis://:***@host:1/0 cannot be reached: Error 111" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Command # 3 (SET dg:{n/0}:x hunter2) of pipeline caused error: something new",
        "unknown command `HELLO`, with args beginning with: `3` `AUTH` `default` `hunter2` ",
    ],
)
def test_what_was_sent_is_not_repeated(text: str) -> None:
    """State, and passwords, travel in the arguments of commands."""
    error = translated(raw.ResponseError(text))
    assert "hunter2" not in str(error)


def test_no_chain_of_causes_is_shown() -> None:
    with pytest.raises(StoreError) as caught, guard():
        raise raw.ResponseError("x")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
