"""What answers at an address may be anything: each impostor is named for what it is, within 5 s."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from distgraph.errors import (
    ServerAuthError,
    ServerLoadingError,
    ServerNotReadyError,
    ServerProtocolError,
    ServerReadOnlyError,
    ServerSettingError,
    ServerTooOldError,
    ServerUnreachableError,
    StoreError,
)
from distgraph.ledger.connection import ServerReport, check_server, connect

pytestmark = pytest.mark.unit

Answer = Callable[[list[bytes]], bytes]


def bulk(text: str) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text.encode()), text.encode())


def array(*parts: bytes) -> bytes:
    return b"*%d\r\n%s" % (len(parts), b"".join(parts))


class Redis:
    """Speaks the protocol, knows what a probe asks, and says of itself what a test wants."""

    def __init__(self, info: str = "", **answers: bytes) -> None:
        self.info = info
        self.answers = answers

    def __call__(self, words: list[bytes]) -> bytes:
        name = words[0].decode().upper()
        if name in self.answers:
            return self.answers[name]
        known = {
            "PING": b"+PONG\r\n",
            "INFO": bulk("\r\n".join(["redis_version:7.2.4", "redis_mode:standalone", "role:master", self.info])),
            "TIME": array(bulk(str(int(time.time()))), bulk("0")),
            "CONFIG": array(bulk("appendonly"), bulk("yes"), bulk("appendfsync"), bulk("everysec")),
            "SCRIPT": bulk("ab" * 20),
            "EVALSHA": b":1\r\n",
        }
        return known.get(name, b"+OK\r\n")


@contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A TCP server on loopback that hands each connection to ``handle``; gives its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                handle(self.request)
            except OSError:
                return  # the client gave up

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()


@contextmanager
def speaking(answer: Answer) -> Iterator[str]:
    """A server that speaks Redis' protocol and answers each command by ``answer``."""

    def serve(connection: socket.socket) -> None:
        file = connection.makefile("rb")
        while line := file.readline():
            words = []
            for _ in range(int(line[1:])):
                length = int(file.readline()[1:])
                words.append(file.read(length + 2)[:-2])
            connection.sendall(answer(words))

    with listening(serve) as url:
        yield url


def checked(url: str, *, allow_eviction: bool = False) -> ServerReport:
    with connect(url) as client:
        return check_server(client, where=url, allow_eviction=allow_eviction)


def refused(url: str) -> StoreError:
    begin = time.monotonic()
    with pytest.raises(StoreError) as caught:
        checked(url)
    assert time.monotonic() - begin < 5
    return caught.value


def say(greeting: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        connection.sendall(greeting)
        connection.recv(4096)

    return serve


def test_a_web_server() -> None:
    with listening(say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")) as url:
        error = refused(url)
    assert type(error) is ServerProtocolError
    assert "Is it a Redis or Valkey port?" in str(error)


def test_an_ssh_server() -> None:
    with listening(say(b"SSH-2.0-OpenSSH_9.2\r\n")) as url:
        assert type(refused(url)) is ServerProtocolError


def test_a_tls_port_reached_in_plain_text() -> None:
    with listening(say(b"\x15\x03\x01\x00\x02\x02\x46")) as url:
        error = refused(url)
    assert type(error) is ServerProtocolError
    assert "rediss:// is for TLS" in str(error)


def test_a_plain_port_reached_by_tls() -> None:
    with speaking(Redis()) as url:
        error = refused(url.replace("redis://", "rediss://"))
    assert isinstance(error, ServerProtocolError | ServerUnreachableError)
    assert "127.0.0.1" in str(error)


def test_one_that_never_says_anything() -> None:
    released = threading.Event()
    with listening(lambda connection: (released.wait(20), None)[1]) as url:
        error = refused(url)
        released.set()
    assert type(error) is ServerUnreachableError
    assert "Timeout" in str(error)


def test_one_that_hangs_up() -> None:
    with listening(lambda connection: connection.close()) as url:
        assert type(refused(url)) is ServerUnreachableError


def test_nobody_listens() -> None:
    with listening(lambda connection: None) as url:
        pass
    error = refused(url)
    assert type(error) is ServerUnreachableError
    assert isinstance(error, ConnectionError)
    assert "Is it running" in str(error)


def test_a_host_that_does_not_exist() -> None:
    assert type(refused("redis://no-such-host.invalid:6379/0")) is ServerUnreachableError


def test_a_good_one() -> None:
    with speaking(Redis("maxmemory_policy:noeviction")) as url:
        report = checked(url)
    assert (report.product, report.version, report.persistence) == ("redis", "7.2.4", "standard")
    assert abs(report.clock_ahead) < 5


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16"])
def test_one_that_is_too_old(version: str) -> None:
    info = bulk(f"redis_version:{version}\r\nredis_mode:standalone\r\nrole:master")
    with speaking(Redis(INFO=info)) as url:
        error = refused(url)
    assert type(error) is ServerTooOldError
    assert f"redis {version}" in str(error)
    assert "6.2" in str(error)


def test_a_fork_is_judged_by_what_it_is_compatible_with() -> None:
    """Valkey 8.1 says that it is like Redis 7.2.4; its own version is what people are shown."""
    with speaking(Redis("server_name:valkey\r\nvalkey_version:8.1.8")) as url:
        report = checked(url)
    assert (report.product, report.version, report.redis_version) == ("valkey", "8.1.8", (7, 2, 4))


def test_eviction_is_refused_unless_allowed() -> None:
    with speaking(Redis("maxmemory_policy:allkeys-lru")) as url:
        error = refused(url)
        assert checked(url, allow_eviction=True).eviction_policy == "allkeys-lru"
    assert type(error) is ServerSettingError
    assert "CONFIG SET maxmemory-policy noeviction" in str(error)


def test_a_replica_names_its_primary() -> None:
    info = "redis_version:7.2.4\r\nredis_mode:standalone\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379"
    with speaking(Redis(INFO=bulk(info))) as url:
        error = refused(url)
    assert type(error) is ServerReadOnlyError
    assert "10.0.0.1:6379" in str(error)


@pytest.mark.parametrize("info", ["redis_mode:cluster\r\ncluster_enabled:1", "redis_mode:sentinel"])
def test_clusters_and_sentinels_are_refused(info: str) -> None:
    with speaking(Redis(INFO=bulk(f"redis_version:7.2.4\r\n{info}"))) as url:
        error = refused(url)
    assert type(error) is ServerSettingError
    assert "one primary" in str(error)


def test_one_that_still_loads_says_how_far_it_is() -> None:
    with speaking(Redis("loading:1\r\nloading_loaded_perc:43.20")) as url:
        error = refused(url)
    assert type(error) is ServerLoadingError
    assert "43 %" in str(error)


def test_one_that_wants_a_password() -> None:
    with speaking(lambda words: b"-NOAUTH Authentication required.\r\n") as url:
        error = refused(url)
    assert type(error) is ServerAuthError
    assert "redis://:password@host:6379/0" in str(error)


def test_one_with_too_many_clients() -> None:
    with speaking(lambda words: b"-ERR max number of clients reached\r\n") as url:
        assert type(refused(url)) is ServerNotReadyError


@pytest.mark.parametrize("command", ["SCRIPT", "EVALSHA"])
def test_scripts_that_are_renamed_or_disabled(command: str) -> None:
    server = Redis()
    server.answers[command] = f"-ERR unknown command '{command}'\r\n".encode()
    with speaking(server) as url:
        error = refused(url)
    assert type(error) is ServerSettingError
    assert command in str(error)


def test_what_a_user_may_not_read_is_said_not_failed() -> None:
    """Hosted servers rename CONFIG; the recommended user may run neither it nor INFO nor SCRIPT LOAD."""
    denied = b"-NOPERM this user has no permissions to run the '%s' command\r\n"
    hello = array(*map(bulk, ["server", "redis", "version", "7.2.4", "mode", "standalone", "role", "master"]))
    server = Redis(
        INFO=denied % b"info", CONFIG=b"-ERR unknown command 'CONFIG'\r\n", SCRIPT=denied % b"script|load", HELLO=hello
    )
    with speaking(server) as url:
        report = checked(url)
    assert report.unread == ("INFO", "CONFIG")
    assert (report.redis_version, report.persistence, report.eviction_policy) == ((7, 2, 4), None, None)


def test_a_user_who_may_not_run_scripts_is_told_the_missing_permission() -> None:
    with speaking(Redis(EVALSHA=b"-NOPERM this user has no permissions to run the 'evalsha' command\r\n")) as url:
        error = refused(url)
    assert type(error) is ServerAuthError
    assert "'evalsha'" in str(error)
