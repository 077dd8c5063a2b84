"""Clients on real servers: what they answer, and how they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from distgraph.errors import (
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
from distgraph.ledger.connection import check_server, connect, guard
from distgraph.ledger.server import EmbeddedServer
from tests.servers import behind_tls, free_port, running_server
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own(server_program: str) -> Iterator[EmbeddedServer]:
    """A server whose settings these tests may change."""
    with EmbeddedServer(binary=server_program, persistence="memory", password="first") as running:
        yield running


def refused(url: str) -> StoreError:
    begin = time.monotonic()
    with connect(url) as client, pytest.raises(StoreError) as caught:
        check_server(client, where=url)
    assert time.monotonic() - begin < 5
    return caught.value


def test_replies_are_bytes(server: EmbeddedServer, namespace: str) -> None:
    """The same for every release of redis-py, whatever protocol it would choose by itself."""
    key = f"dg:{{{namespace}/0}}:x"
    with connect(server.url) as client:
        client.hset(key, mapping={"a": "1"})
        assert client.execute_command("HGETALL", key) in ({b"a": b"1"}, [b"a", b"1"])
        assert client.eval("return redis.call('HGETALL', KEYS[1])", 1, key) == [b"a", b"1"]
        client.delete(key)


def test_the_client_is_named(server: EmbeddedServer) -> None:
    with connect(server.url, client_name="worker one\n@host") as client:
        client.ping()
        assert client.client_getname() in (b"worker-one-@host", "worker-one-@host")


def test_a_healthy_server(server: EmbeddedServer) -> None:
    with connect(server.url) as client:
        report = check_server(client)
    assert report.redis_version is not None
    assert report.redis_version >= (6, 2)
    assert (report.mode, report.persistence, report.eviction_policy) == ("standalone", "standard", "noeviction")
    assert report.aof_write_ok is True
    assert report.delayed_flushes == 0
    assert report.unread == ()


def test_a_wrong_password(own: EmbeddedServer) -> None:
    error = refused(f"redis://:hunter2@127.0.0.1:{own.port}/0")
    assert type(error) is ServerAuthError
    assert isinstance(error, PermissionError)
    assert "hunter2" not in str(error)


def test_a_missing_password(own: EmbeddedServer) -> None:
    assert type(refused(f"redis://127.0.0.1:{own.port}/0")) is ServerAuthError


def test_a_password_for_a_server_that_has_none(server: EmbeddedServer) -> None:
    assert type(refused(f"redis://:needless@127.0.0.1:{server.port}/0")) is ServerAuthError


def test_a_database_that_does_not_exist(server: EmbeddedServer) -> None:
    error = refused(f"redis://127.0.0.1:{server.port}/99")
    assert type(error) is ServerSettingError
    assert "DB index is out of range" in str(error)


def test_an_eviction_policy(own: EmbeddedServer) -> None:
    with connect(own.url) as admin:
        admin.config_set("maxmemory-policy", "volatile-lru")
        try:
            error = refused(own.url)
            assert check_server(admin, allow_eviction=True).eviction_policy == "volatile-lru"
        finally:
            admin.config_set("maxmemory-policy", "noeviction")
    assert type(error) is ServerSettingError
    assert "volatile-lru" in str(error)


def test_a_replica(own: EmbeddedServer) -> None:
    with connect(own.url) as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            error = refused(own.url)
            with pytest.raises(ServerReadOnlyError), guard():
                admin.eval("return redis.call('SET', KEYS[1], 1)", 1, "dg:{x}")
        finally:
            admin.replicaof("NO", "ONE")
    assert type(error) is ServerReadOnlyError
    assert "127.0.0.1:1" in str(error)


def test_memory_that_is_full(own: EmbeddedServer) -> None:
    """The limit shows in a plain command and inside a script, and the check of a server does not trip over it."""
    with connect(own.url) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(ServerOutOfMemoryError), guard():
                client.set("dg:{x}", 1)
            with pytest.raises(ServerOutOfMemoryError), guard():
                client.eval("return redis.call('SET', KEYS[1], 1)", 1, "dg:{x}")
            assert check_server(client).max_memory == 1
        finally:
            client.config_set("maxmemory", 0)


def test_a_key_of_somebody_else(own: EmbeddedServer) -> None:
    with connect(own.url) as client:
        client.set("dg:{x}", 1)
        with pytest.raises(StoreError, match="holds a key of another kind"), guard():
            client.eval("return redis.call('HGET', KEYS[1], 'f')", 1, "dg:{x}")
        client.delete("dg:{x}")


def test_users_with_few_rights(own: EmbeddedServer) -> None:
    """The recommended kind of user may run loaded scripts on its keys, and look at nothing."""
    with connect(own.url) as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "few", "on", ">word", "~dg:{ns/*", "+@read", "+@write", "+@fast", "+@connection"),
            *("+evalsha", "-config", "-info"),
        )
        admin.execute_command("ACL", "SETUSER", "none", "on", ">word", "~*", "+@connection")
    with connect(f"redis://few:word@127.0.0.1:{own.port}/0") as client:
        report = check_server(client)
    assert report.unread == ("INFO", "CONFIG")
    error = refused(f"redis://none:word@127.0.0.1:{own.port}/0")
    assert type(error) is ServerAuthError
    assert "'time'" in str(error)


def test_too_many_clients(own: EmbeddedServer) -> None:
    with connect(own.url) as client:
        client.config_set("maxclients", 1)
        try:
            error = refused(own.url)
        finally:
            client.config_set("maxclients", 10_000)
    assert type(error) is ServerNotReadyError


def test_a_dropped_connection_is_not_noticed(own: EmbeddedServer) -> None:
    """The server may end connections at any time; a call is repeated on a new one."""
    with connect(own.url, client_name="victim") as client, connect(own.url) as admin:
        client.ping()
        for _ in range(3):
            [victim] = [row for row in admin.client_list() if row["name"] == "victim"]
            admin.client_kill_filter(_id=victim["id"])
            assert client.ping()


def test_a_server_that_hangs(server_program: str) -> None:
    """A paused server takes connections but answers nothing: the check gives up in time, and works again later."""
    with EmbeddedServer(binary=server_program) as hung:
        os.kill(hung.pid, signal.SIGSTOP)
        error = refused(hung.url)
        os.kill(hung.pid, signal.SIGCONT)
        with connect(hung.url) as client:
            check_server(client)
    assert type(error) is ServerUnreachableError


def test_a_client_of_before_a_restart_goes_on_after_it(server_program: str) -> None:
    with EmbeddedServer(binary=server_program) as own, connect(own.url) as client:
        client.set("dg:{x}", 1)
        own.kill()
        with pytest.raises(ServerUnreachableError), guard():
            client.get("dg:{x}")
        own.restart()
        assert client.get("dg:{x}") == b"1"


def test_a_server_that_loads_its_data(server_program: str, tmp_path: Path) -> None:
    """Until it has read its file a server answers questions about itself and nothing else."""
    with EmbeddedServer(tmp_path, binary=server_program) as own, connect(own.url) as client:
        client.eval("for i = 1, 2000 do redis.call('SET', KEYS[1] .. i, ARGV[1]) end", 1, "dg:{x}", "x" * 100)
        # rewritten, the file has the form whose loading can be slowed down
        client.config_set("rdbcompression", "no")
        client.bgrewriteaof()
        wait_until(lambda: client.info("persistence")["aof_base_size"] > 200_000, what="the file is rewritten")
    port = free_port()
    command = [
        *(server_program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--appendonly", "yes"),
        # 10 ms for each key, and a look at the network after every kibibyte
        *("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024"),
    ]
    with (tmp_path / "slow.log").open("wb") as log:
        slow = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"redis://127.0.0.1:{port}/0"
    try:
        seen: list[StoreError] = []

        def loading() -> bool:
            try:
                with connect(url) as client:
                    check_server(client)
            except (ServerLoadingError, ServerUnreachableError) as error:
                seen.append(error)
            return type(seen[-1]) is ServerLoadingError

        wait_until(loading)
        with connect(url) as client, pytest.raises(ServerLoadingError), guard():
            client.get("dg:{x}1")
    finally:
        slow.kill()
        slow.wait()
    assert "is still loading its data (" in str(seen[-1])


def test_tls(server_program: str, tmp_path: Path) -> None:
    """An authority of one's own is trusted when named; without it the certificate is refused, and never silently."""
    with running_server(server_program) as plain, behind_tls(plain, tmp_path) as (port, authority):
        with connect(f"rediss://localhost:{port}/0?ssl_ca_certs={authority}") as client:
            assert check_server(client).mode == "standalone"
        with connect(f"rediss://127.0.0.1:{port}/0?ssl_cert_reqs=none") as client:
            check_server(client)
        stranger = refused(f"rediss://localhost:{port}/0")
        in_plain_text = refused(f"redis://localhost:{port}/0")
        by_tls = refused(f"rediss://127.0.0.1:{plain}/0")
    assert type(stranger) is ServerProtocolError
    assert "ssl_ca_certs=PATH" in str(stranger)
    assert "write rediss://" in str(in_plain_text)
    assert "write redis://" in str(by_tls)
