"""A private server: it keeps its data over a crash, and outlives nobody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distgraph.errors import ConfigError, ProcessFailedError, ServerUnreachableError, StoreError
from distgraph.ledger.connection import check_server, connect, guard
from distgraph.ledger.server import EmbeddedServer
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def own(server_program: str) -> Iterator[EmbeddedServer]:
    """A server that a test may kill."""
    with EmbeddedServer(binary=server_program) as running:
        yield running


def put(url: str, value: str) -> None:
    with connect(url) as client, guard(url):
        client.set("dg:{test}", value)


def get(url: str) -> bytes | None:
    with connect(url) as client, guard(url):
        value = client.get("dg:{test}")
        assert value is None or isinstance(value, bytes)
        return value


def runs(pid: int) -> bool:
    """True while the process exists; one that waits to be reaped does not count."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_it_answers_on_loopback_and_on_its_socket(own: EmbeddedServer) -> None:
    put(own.url, "hello")
    assert own.unix_url is not None
    assert get(own.unix_url) == b"hello"
    assert own.url.startswith("redis://127.0.0.1:")


def test_it_listens_on_loopback_alone(own: EmbeddedServer) -> None:
    with connect(own.url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


@pytest.mark.parametrize(("level", "survives"), [("standard", b"hello"), ("fsync", b"hello"), ("memory", None)])
def test_what_a_crash_leaves(server_program: str, level: str, survives: bytes | None) -> None:
    with EmbeddedServer(binary=server_program, persistence=level) as server:  # type: ignore[arg-type]
        with connect(server.url) as client:
            report = check_server(client)
        assert (report.persistence, report.eviction_policy) == (level, "noeviction")
        before = server.url, server.pid
        put(server.url, "hello")
        server.kill()
        assert not server.alive
        with pytest.raises(ServerUnreachableError):
            get(server.url)
        server.restart()
        assert server.url == before[0]
        assert server.pid != before[1]
        assert get(server.url) == survives


def test_restart_stops_a_server_that_runs_first(own: EmbeddedServer) -> None:
    put(own.url, "hello")
    pid = own.pid
    own.restart()
    assert not runs(pid)
    assert get(own.url) == b"hello"


def test_a_paused_server_can_be_closed(own: EmbeddedServer) -> None:
    pid = own.pid
    os.kill(pid, signal.SIGSTOP)
    own.close()
    assert not runs(pid)


def test_closing_leaves_nothing(server_program: str) -> None:
    with EmbeddedServer(binary=server_program) as server:
        pid, directory = server.pid, server.directory
        assert directory.is_dir()
    assert not runs(pid)
    assert not directory.exists()
    server.close()
    with pytest.raises(ProcessFailedError):
        server.restart()
    with pytest.raises(ProcessFailedError):
        _ = server.pid


def test_a_given_directory_is_kept_with_its_data(server_program: str, tmp_path: Path) -> None:
    home = tmp_path / "with space" / "and 'quotes'"
    with EmbeddedServer(home, binary=server_program) as server:
        put(server.url, "hello")
    with EmbeddedServer(home, binary=server_program) as server:
        assert get(server.url) == b"hello"
        # The test's own directory may be too deep for a socket.
        assert get(server.unix_url or server.url) == b"hello"


def test_one_directory_is_for_one_server(server_program: str, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path, binary=server_program), pytest.raises(ConfigError, match="in use by another"):
        EmbeddedServer(tmp_path, binary=server_program)


def test_a_path_too_long_for_a_socket_costs_the_socket_only(server_program: str, tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / ("x" * 120), binary=server_program) as server:
        assert server.unix_url is None
        put(server.url, "hello")


@pytest.mark.parametrize("password", ["plain", "p@s:s/#?% \"'\\", "pässwörd"])
def test_a_password_is_needed(server_program: str, password: str) -> None:
    """It is in the address, in no command line, and in a file only this user can read."""
    with EmbeddedServer(binary=server_program, password=password) as server:
        put(server.url, "hello")
        assert server.unix_url is not None
        assert get(server.unix_url) == b"hello"
        with pytest.raises(StoreError, match="Authentication required"):
            get(f"redis://127.0.0.1:{server.port}/0")
        command_line = Path(f"/proc/{server.pid}/cmdline")
        if command_line.exists():
            assert password.encode() not in command_line.read_bytes()
        assert (server.directory / "server.conf").stat().st_mode & 0o077 == 0


def test_a_port_can_be_chosen_and_must_be_free(server_program: str, own: EmbeddedServer) -> None:
    with pytest.raises(ProcessFailedError, match=f"Port {own.port} of 127.0.0.1 is in use"):
        EmbeddedServer(port=own.port, binary=server_program)
    put(own.url, "still there")


def test_a_free_port_that_is_taken_meanwhile_is_given_up(
    server_program: str, own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding a port and binding it another process may be quicker: the next one is tried."""
    ports = iter([own.port, own.port])

    def first_taken() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return next(ports, int(probe.getsockname()[1]))

    monkeypatch.setattr("distgraph.ledger.server._free_port", first_taken)
    with EmbeddedServer(binary=server_program) as server:
        assert server.port != own.port
        put(server.url, "hello")


def test_a_server_that_cannot_start_shows_its_log(server_program: str, tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("a file where a directory belongs")
    with pytest.raises(ProcessFailedError) as caught:
        EmbeddedServer(tmp_path, binary=server_program)
    assert "ended at once (exit code 1)" in str(caught.value)
    assert "appendonlydir" in str(caught.value)


PARENT = """
import os, signal, sys
from distgraph.ledger.server import EmbeddedServer
server = EmbeddedServer(binary=sys.argv[1])
print(server.pid, server.directory, flush=True)
{then}
"""


def start_parent(program: str, then: str) -> tuple[subprocess.Popen[str], int, Path]:
    """A process with a server: itself, the server's pid and directory."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then), program],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    with parent.stdout as out:
        pid, _, directory = out.readline().strip().partition(" ")
    return parent, int(pid), Path(directory)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_server_behind(server_program: str, number: int) -> None:
    parent, pid, directory = start_parent(server_program, "signal.pause()")
    assert runs(pid)
    parent.send_signal(number)
    assert parent.wait(10) == -number
    wait_until(lambda: not runs(pid), what="the server is gone")
    wait_until(lambda: not directory.exists(), what="its temporary directory is gone")


@pytest.mark.parametrize("then", ["", "raise SystemExit(3)", "os._exit(0)"])
def test_a_parent_that_forgets_its_server_leaves_none_behind(server_program: str, then: str) -> None:
    parent, pid, directory = start_parent(server_program, then)
    parent.wait(20)
    wait_until(lambda: not runs(pid) and not directory.exists(), what="the server and its directory are gone")


def test_a_fork_of_the_parent_does_not_take_the_server_down(own: EmbeddedServer) -> None:
    """A forked child runs the same exit handlers; the server is not its own."""
    child = os.fork()
    if child == 0:
        try:
            own.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    put(own.url, "still there")


def test_a_server_made_by_a_thread_outlives_the_thread(server_program: str) -> None:
    """What dies with its parent must not die with the OS thread that happened to start it."""
    import threading

    made: list[EmbeddedServer] = []
    thread = threading.Thread(target=lambda: made.append(EmbeddedServer(binary=server_program)))
    thread.start()
    thread.join()
    with made[0] as server:
        put(server.url, "hello")
        assert get(server.url) == b"hello"
