"""The proxy harms the request it is told to, and no other. The server here is a few lines that answer and count."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.chaos.proxy import Fate, Fault, Harm, Proxy, Request
from distgraph.chaos.resp import parse
from distgraph.ledger.scripts import digests
from tests.waiting import wait_until


class Server(socketserver.ThreadingTCPServer):
    """Answers every request with how many came before it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.executed: list[list[bytes]] = []


class Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        buffer = b""
        while data := self.request.recv(65536):
            buffer += data
            while (found := parse(buffer)) is not None:
                words, end = found
                buffer = buffer[end:]
                self.server.executed.append(words)
                self.request.sendall(b":%d\r\n" % len(self.server.executed))


Seen = list[tuple[bytes, Fate, Any]]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def seen() -> Seen:
    return []


@pytest.fixture
def proxy(server: Server, seen: Seen) -> Iterator[Proxy]:
    def observe(request: Request, fate: Fate, reply: Any, t: float) -> None:
        assert t >= request.t
        seen.append((request.command, fate, reply))

    with Proxy("127.0.0.1", int(server.server_address[1]), observe) as running:
        yield running


class Client:
    """One connection to the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *words: bytes) -> None:
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))

    def answer(self) -> Any:
        while (found := parse(self.buffer)) is None:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError
            self.buffer += data
        self.buffer = self.buffer[found[1] :]
        return found[0]

    def ask(self, *words: bytes) -> Any:
        self.send(*words)
        return self.answer()


def script(name: str) -> tuple[bytes, ...]:
    return (b"EVALSHA", digests()[name].encode(), b"0")


def test_without_harm_all_passes_in_order(proxy: Proxy, seen: Seen) -> None:
    with Client(proxy) as client:
        for word in (b"a", b"b" * 200_000, b"c"):
            client.send(b"ECHO", word)
        assert [client.answer() for _ in range(3)] == [1, 2, 3]
    assert seen == [(b"ECHO", "answered", number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("harm", "executed", "fate"), [("reset", 0, "lost"), ("cut", 0, "lost"), ("drop_reply", 1, "unheard")]
)
def test_a_request_is_harmed_and_the_connection_ends(
    proxy: Proxy, server: Server, seen: Seen, harm: Harm, executed: int, fate: Fate
) -> None:
    """The third commit, whatever else goes by; what came before it is answered."""
    shot = proxy.arm(Fault(harm, script="commit", nth=3, after=5))
    with Client(proxy) as client:
        for words in (script("commit"), script("settle"), script("commit"), (b"PING",)):
            client.ask(*words)
        assert shot.at is None
        client.send(*script("commit"))
        with pytest.raises(ConnectionError):
            client.answer()
    assert shot.fired
    wait_until(lambda: len(seen) == 5)
    assert seen[-1][:2] == (b"EVALSHA", fate)
    assert len(server.executed) == 4 + executed
    with Client(proxy) as client:
        assert client.ask(*script("commit")) == 5 + executed, "one shot is one request"


def test_a_dropped_request_is_followed_by_silence(proxy: Proxy, server: Server, seen: Seen) -> None:
    proxy.arm(Fault("drop_request", command="lpush"))
    with Client(proxy) as client:
        assert client.ask(b"PING") == 1
        client.send(b"LPUSH", b"list", b"value")
        client.send(b"PING")
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.answer()
    assert [words[0] for words in server.executed] == [b"PING"]
    assert (b"LPUSH", "lost", None) in seen


@pytest.mark.parametrize("harm", ["delay", "blackhole"])
def test_what_is_held_back_comes_later(proxy: Proxy, harm: Harm) -> None:
    proxy.arm(Fault(harm, seconds=0.2))
    with Client(proxy) as client:
        began = time.monotonic()
        assert client.ask(b"PING") == 1
        assert time.monotonic() - began >= 0.2
        assert client.ask(b"PING") == 2


def test_a_black_hole_for_all_and_its_end(proxy: Proxy, server: Server) -> None:
    with Client(proxy) as old:
        assert old.ask(b"PING") == 1
        proxy.blackhole()
        wait_until(lambda: not proxy.open.is_set())
        with Client(proxy) as new:
            for client in (old, new):
                client.send(b"PING")
                client.socket.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    client.answer()
            assert len(server.executed) == 1
            proxy.heal()
            for client in (old, new):
                client.socket.settimeout(5)
                assert client.answer() in (2, 3)


def test_a_reset_reaches_everybody_who_is_there(proxy: Proxy) -> None:
    with Client(proxy) as one, Client(proxy) as other:
        assert {one.ask(b"PING"), other.ask(b"PING")} == {1, 2}
        proxy.reset_all()
        for client in (one, other):
            with pytest.raises(ConnectionError):
                client.ask(b"PING")
    with Client(proxy) as later:
        later.ask(b"PING")


def test_a_request_whose_server_dies_has_an_unknown_fate(seen: Seen) -> None:
    """The server takes the request and closes: nobody knows what became of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def observe(request: Request, fate: Fate, reply: Any, t: float) -> None:
            seen.append((request.command, fate, reply))

        with Proxy("127.0.0.1", listener.getsockname()[1], observe) as proxy, Client(proxy) as client:
            client.send(b"PING")
            taken, _ = listener.accept()
            taken.recv(100)
            taken.close()
            with pytest.raises(ConnectionError):
                client.answer()
    assert seen == [(b"PING", "unknown", None)]


def test_no_server_is_a_connection_that_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Proxy("127.0.0.1", port) as proxy, pytest.raises(ConnectionError), Client(proxy) as client:
        client.ask(b"PING")


def test_subscribers_hear_what_they_did_not_ask_for(server: Server, proxy: Proxy) -> None:
    with Client(proxy) as client:
        client.send(b"SUBSCRIBE", b"news")
        assert client.answer() == 1
        client.send(b"UNSUBSCRIBE", b"news")
        assert client.answer() == 2


def test_disarmed_is_harmless(proxy: Proxy) -> None:
    shot = proxy.arm(Fault("reset"))
    proxy.disarm()
    with Client(proxy) as client:
        assert client.ask(b"PING") == 1
    assert not shot.fired
