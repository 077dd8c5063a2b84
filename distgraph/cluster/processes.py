"""Workers and Flower as child processes: started, watched, paused, drained, killed. Used by `up` and by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from distgraph.errors import ProcessFailedError
from distgraph.ledger.connection import parse_url, redact
from distgraph.ledger.tether import TetheredProcess

#: seconds that a drain may take before the process is killed: more than a worker itself has the patience for
DRAIN_TIMEOUT = 40.0


class ChildProcess:
    """A program with its log, in a process group of its own, that cannot outlive this process. A context manager.

    Args:
        name: what it is called in errors.
        command: program and arguments.
        log: file for its output, appended to.
        env: variables besides this process's own.

    Raises:
        ProcessFailedError: it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = tuple(command)
        self.log = log
        self._asked = False
        self._process = TetheredProcess(self.command, log=log, env={**os.environ, **_importable(), **(env or {})})

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; negative: the signal that ended it."""
        return self._process.exit_code

    def children(self) -> list[int]:
        """Process ids of its living children, the oldest first as far as the ids tell."""
        return children_of(self.pid)

    def kill(self) -> None:
        """SIGKILL the process alone; what becomes of its children is theirs to show."""
        self._process.signal(signal.SIGKILL)

    def kill_child(self) -> int:
        """SIGKILL one child, as a crashing node would take its pool process along; its pid.

        Raises:
            ProcessFailedError: it has no child.
        """
        for pid in self.children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return pid
        raise ProcessFailedError(f"{self.name} has no child process to kill.")

    def kill_tree(self) -> None:
        """SIGKILL the whole process group at once, as a machine that loses power would."""
        self._process.reap()

    def pause(self) -> None:
        """Stop the whole group from running, as a hung machine would, until :meth:`resume`."""
        self._process.signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused group go on."""
        self._process.signal_group(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to finish what it runs (SIGTERM), once, and return at once."""
        if self.alive and not self._asked:
            self._asked = True
            self.resume()
            self._process.signal(signal.SIGTERM)

    def stop(self, timeout: float = DRAIN_TIMEOUT) -> bool:
        """Ask it to finish what it runs (:meth:`terminate`) and wait; then SIGKILL what is left of the group.

        Args:
            timeout: seconds.

        Returns:
            True if it ended by itself in time.
        """
        self.terminate()
        in_time = self._process.wait(timeout)
        self.kill_tree()
        return in_time

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; True if it has."""
        return self._process.wait(timeout)

    def wait_ready(self, timeout: float, is_ready: Callable[[], bool]) -> None:
        """Wait until ``is_ready()``.

        Args:
            timeout: seconds.
            is_ready: asked again and again, about every 20 ms.

        Raises:
            ProcessFailedError: the process ended first, or time ran out; with the end of its log.
        """
        give_up = time.monotonic() + timeout
        while not is_ready():
            if not self.alive:
                raise ProcessFailedError(self._report(f"ended (exit code {self.exit_code}) before it was ready"))
            if time.monotonic() >= give_up:
                raise ProcessFailedError(self._report(f"was not ready after {timeout:g} s"))
            time.sleep(0.02)

    def _report(self, what: str) -> str:
        tail = redact(self._process.log_tail()).strip() or "(empty)"
        return f"{self.name} {what}. The end of its log, {self.log}:\n{tail}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.alive else f"ended {self.exit_code}"
        return f"<{type(self).__name__} {self.name} pid {self.pid} {state}>"


class WorkerProcess(ChildProcess):
    """`distgraph worker` as a child process. It can import whatever this process can.

    Args:
        graphs: modules, or module:name, whose graphs it serves.
        url: the server.
        broker_url: where hints wait; empty: on the same server.
        namespace: what it works for.
        pool: "prefork", "threads" or "solo".
        concurrency: slots.
        name: the worker's name; unique within the namespace.
        log: file for its output.
        env: variables besides this process's own.
        arguments: more arguments of `distgraph worker`.
    """

    def __init__(
        self,
        *,
        graphs: Sequence[str],
        url: str,
        namespace: str,
        name: str,
        log: Path,
        pool: str = "prefork",
        concurrency: int = 1,
        broker_url: str = "",
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        address, secret = _address(url, broker_url)
        command = [
            *(sys.executable, "-m", "distgraph", "worker"),
            *("--graphs", ",".join(graphs)),
            *("--pool", pool),
            *("--concurrency", str(concurrency)),
            *address,
            *("--namespace", namespace),
            *("--name", name),
            *arguments,
        ]
        super().__init__(f"Worker {name}", command, log=log, env={**secret, **(env or {})})


class FlowerProcess(ChildProcess):
    """`distgraph flower` as a child process.

    Args:
        url: the server.
        broker_url: where hints wait; empty: on the same server.
        namespace: what it shows.
        port: where it listens, on loopback.
        log: file for its output.
        env: variables besides this process's own.
        arguments: more arguments of `distgraph flower`.
    """

    def __init__(
        self,
        *,
        url: str,
        namespace: str,
        port: int,
        log: Path,
        broker_url: str = "",
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        address, secret = _address(url, broker_url)
        command = [
            *(sys.executable, "-m", "distgraph", "flower"),
            *address,
            *("--namespace", namespace),
            *("--port", str(port)),
            *arguments,
        ]
        super().__init__("Flower", command, log=log, env={**secret, **(env or {})})


def children_of(pid: int) -> list[int]:
    """Process ids of the living children of ``pid``, in ascending order."""
    return sorted(child for child, parent in _parents() if parent == pid)


def _parents() -> list[tuple[int, int]]:
    """(pid, pid of its parent) of all processes that are not zombies."""
    processes = Path("/proc")
    if not (processes / "self" / "stat").exists():
        return _parents_by_ps()
    found = []
    for entry in processes.iterdir():
        if entry.name.isdigit():
            try:
                # "pid (name) state parent ...": the name may hold anything, parentheses too
                state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue  # it ended while we read
            if state not in "ZX":
                found.append((int(entry.name), int(parent)))
    return found


def _parents_by_ps() -> list[tuple[int, int]]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listing.splitlines())
    return [(int(pid), int(parent)) for pid, parent, state in rows if not state.startswith("Z")]


def _address(url: str, broker_url: str) -> tuple[list[str], dict[str, str]]:
    """How a child is told the servers: as arguments, for people who list processes, unless they hold a password."""
    servers = [server for server in (url, broker_url) if server]
    if any(parse_url(server).password is not None for server in servers):
        return [], {"DISTGRAPH_URL": url, "DISTGRAPH_BROKER_URL": broker_url}
    # What this process's own broker is says nothing about the child's.
    options = [word for pair in zip(("--url", "--broker-url"), servers, strict=False) for word in pair]
    return options, {"DISTGRAPH_BROKER_URL": ""}


def _importable() -> dict[str, str]:
    """Lets a child import what this process can, also modules beside a script that is run from elsewhere."""
    # an archive or a directory that does not exist is passed on too: it may appear
    return {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
