"""What the suites need of the machine: memory of this process, costs of a server, waiting, Celery workers."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import redis

from distgraph.cluster.processes import ChildProcess
from ops.bench.common import Numbers, Skip

ROOT = Path(__file__).resolve().parents[2]
#: A measurement that takes longer is given up. Seconds.
PATIENCE = 300.0
#: Settings of a peer's server: no file, or an append-only file that is flushed every second.
Persistence = Literal["memory", "standard"]
#: Two worker slots, as (processes, slots of each) by pool.
TWO_SLOTS = {"prefork": (1, 2), "threads": (1, 2), "solo": (2, 1)}


def memory_mb(field: str = "VmHWM", pid: int | str = "self") -> float:
    """Megabytes a process uses, this one unless told: "VmRSS" now, "VmHWM" at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise Skip(f"/proc/{pid}/status does not tell memory here")


def await_count(done: Callable[[], int], total: int) -> None:
    """Wait until ``done()`` reaches ``total``; the looks cost little, and the last one comes at most 3 % too late."""
    began = time.perf_counter()
    while (found := done()) < total:
        spent = time.perf_counter() - began
        if spent > PATIENCE:
            raise Skip(f"{found} of {total} done after {PATIENCE:g} s")
        left = spent * (total - found) / found if found else spent
        time.sleep(max(0.002, min(left / 4, spent / 30)))


class ServerMeter:
    """What a stretch of work costs the server: use as a context manager, then ``per``."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._before: dict[str, float] = {}
        self._after: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._before = self._read()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._after = self._read()
        self._client.close()

    def _read(self) -> dict[str, float]:
        info: dict[str, Any] = self._client.info()
        return {
            "server_us": (info["used_cpu_user"] + info["used_cpu_sys"]) * 1e6,
            "kb_in": info["total_net_input_bytes"] / 1024,
            "kb_kept": info["used_memory"] / 1024,
        }

    def per(self, count: int) -> Numbers:
        """Server CPU (us), kilobytes received and kilobytes kept, for each of ``count``."""
        return {name: (self._after[name] - before) / count for name, before in self._before.items()}


class CallCounter:
    """Counts a server's commands, those of clients and those that scripts make apart. Too costly for what is timed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._url, self.direct, self.inside = url, 0, 0
        self._ended = threading.Event()
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._socket.sendall(b"MONITOR\r\n")
        if not self._socket.recv(64).startswith(b"+OK"):
            raise Skip("the server does not let its commands be watched")
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with redis.Redis.from_url(self._url) as last:
            last.echo("the-bench-ends-here")
        self._ended.wait(10)
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as lines:
            for line in lines:  # +time [db address] "COMMAND" ...
                if b"the-bench-ends-here" in line[-40:]:
                    break
                source, _, _ = line.partition(b"]")
                if source.endswith(b" lua"):
                    self.inside += 1
                else:
                    self.direct += 1
        self._ended.set()

    def per(self, count: int) -> Numbers:
        """Commands of clients, and all with those inside scripts, for each of ``count``."""
        return {"calls": self.direct / count, "all_calls": (self.direct + self.inside) / count}


@contextmanager
def celery_workers(url: str, pool: str, processes: int, slots: int) -> Iterator[Any]:
    """Workers of the peer application; gives its module once they have worked. One server for each process."""
    os.environ["BENCH_URL"] = url
    command = [sys.executable, "-m", "celery", "-A", "ops.bench.celery_app", "worker", "--loglevel", "ERROR"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-celery-")))
        for index in range(processes):
            more = ["--hostname", f"w{index}@bench", "--pool", pool, "--concurrency", str(slots)]
            stack.enter_context(
                ChildProcess(
                    f"Celery worker {index}", command + more, log=logs / f"{index}.log", env={"BENCH_URL": url}
                )
            )
        from ops.bench import celery_app

        for answer in [celery_app.noop.delay(0) for _ in range(100)]:
            answer.get(timeout=60)
        yield celery_app
