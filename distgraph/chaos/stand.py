"""A test stand: a private server, workers and a submitter that may all be struck, and somebody who heals them.

The process that holds the stand is never armed: it watches, heals and judges.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

from distgraph.chaos.fault import CHAOS_VARIABLE, FAULT_VARIABLE, FOLLOW, STOP, Directory, Fault
from distgraph.cluster import Cluster
from distgraph.cluster.processes import ChildProcess
from distgraph.errors import ProcessFailedError, StoreError, WaitTimeoutError

T = TypeVar("T")

GRAPH_MODULES = (
    *("distgraph.examples.sums", "distgraph.examples.flaky", "distgraph.examples.human_review"),
    "distgraph.chaos.point_graphs",
)
#: How long a stopped process rests: longer than its worker's beats are remembered. Seconds.
STOP_SECONDS = 2.5
#: How long a killed server stays away. Seconds.
OUTAGE_SECONDS = 0.1
#: How long anything may take before it counts as hung. Seconds.
PATIENCE = 30.0


class Broken(AssertionError):
    """A promise was broken."""


class Refused(Exception):
    """The submitter's call ended in an error other than of the server; ``args`` are its class and its message."""


class Stand:
    """The stand. A context manager.

    Args:
        workers: how many workers are kept alive, of one process each.
    """

    def __init__(self, *, workers: int = 2) -> None:
        # At level standard a server that is killed loses what it was told during a flush.
        self.cluster = Cluster.embedded(workers=0, graphs=GRAPH_MODULES, namespace="chaos", persistence="fsync")
        self.wanted = workers
        self.number = 0
        self.fault: Fault | None = None
        self._struck_at = 0.0
        self._replaced: set[int] = set()
        self._submitter: subprocess.Popen[str] | None = None
        self._closing = threading.Event()
        self._healer = threading.Thread(target=self._heal, name="healer", daemon=True)
        try:
            self.directory = Directory.make(self.cluster.directory / "chaos")
            self.directory.server(self.cluster.server.pid)
            self._env = {CHAOS_VARIABLE: str(self.directory.path), FAULT_VARIABLE: FOLLOW}
            for _ in range(workers):
                self.cluster.add_worker(wait=False, env=self._env)
            self._healer.start()
            self.wait_whole()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started."""
        self._closing.set()
        if self._healer.is_alive():
            self._healer.join(10)
        self._dismiss_submitter()
        self.cluster.close()

    # ------------------------------------------------------------- the fault

    def prepare(self, fault: Fault) -> int:
        """A fault that is to be armed; the number of its trial."""
        self.number += 1
        self.fault, self._struck_at = fault, 0.0
        return self.number

    def arm(self, role: str) -> None:
        """Arm it in the processes of a role."""
        assert self.fault is not None
        self.directory.arm(self.number, role, self.fault)

    def disarm(self) -> None:
        """Let nothing strike any more."""
        self.directory.disarm()

    @property
    def struck(self) -> bool:
        """Whether it has struck."""
        return self.directory.struck(self.number) is not None

    # ------------------------------------------------------------- healing

    @property
    def living(self) -> list[ChildProcess]:
        """The workers that have not died."""
        return [process for process in self.cluster.processes if process.alive]

    def _heal(self) -> None:
        while not self._closing.wait(0.01):
            with contextlib.suppress(ProcessFailedError):
                self._let_go_on()
                self._restart_server()
                self._replace_workers()

    def _let_go_on(self) -> None:
        struck = self.directory.struck(self.number)
        if struck is None or self.fault is None or self.fault.what != STOP:
            return
        self._struck_at = self._struck_at or time.monotonic()
        if 0 < self._struck_at < time.monotonic() - STOP_SECONDS:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(struck[1], signal.SIGCONT)
            self._struck_at = float("inf")

    def _restart_server(self) -> None:
        server = self.cluster.server
        if not server.alive:
            time.sleep(OUTAGE_SECONDS)
            server.restart()
            self.directory.server(server.pid)

    def _replace_workers(self) -> None:
        for process in list(self.cluster.processes):
            if not process.alive and process.pid not in self._replaced:
                # What is left of its group, too: a parent that was killed alone leaves its children.
                process.kill_tree()
                self._replaced.add(process.pid)
                self.cluster.add_worker(wait=False, env=self._env)

    def wait_whole(self) -> None:
        """Wait until everything that was struck is healed: the server answers, and so many workers serve.

        Raises:
            Broken: it takes too long; the text has the end of the workers' logs.
        """
        if self._submitter is None or self._submitter.poll() is not None:
            self._start_submitter()

        def whole() -> bool:
            if self.fault is not None and self.fault.what == STOP and self.struck and self._struck_at != float("inf"):
                return False
            pids = {worker.pid for worker in self.cluster.workers()}
            return len(self.living) == self.wanted and {process.pid for process in self.living} == pids

        self.wait_for(whole, "the workers are back")

    # ------------------------------------------------------------- waiting

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait until ``condition()``, whatever the server does meanwhile.

        Raises:
            Broken: it takes too long.
        """
        give_up = time.monotonic() + seconds
        while True:
            with contextlib.suppress(StoreError):
                if condition():
                    return
            if time.monotonic() > give_up:
                raise Broken(f"After {seconds:g} s it is still not true that {what}.{self.logs()}")
            time.sleep(0.01)

    def eventually(self, act: Callable[[], T]) -> T:
        """The result of ``act``, which is repeated while the server is away.

        Raises:
            Broken: it takes too long.
        """
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                return act()
            except StoreError as error:
                if time.monotonic() > give_up:
                    raise Broken(f"The server is still away: {error}{self.logs()}") from None
                time.sleep(0.02)
            except WaitTimeoutError as error:
                raise Broken(f"{error}{self.logs()}") from None

    def logs(self) -> str:
        """The ends of the living workers' logs, for the text of an error."""
        tails = (
            f"\n--- {process.name}\n" + "\n".join(process.log.read_text(errors="replace").splitlines()[-12:])
            for process in self.cluster.processes[-3:]
        )
        return "".join(tails)

    # ------------------------------------------------------------- the submitter

    def ask(self, do: str, **told: Any) -> Any:
        """Have the submitter do something; while it dies or the server is away it is asked again, as a user would.

        Raises:
            Refused: the call ended in an error of another kind.
            Broken: it takes too long.
        """
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            reply = self._exchange({"do": do, **told})
            if reply is None:
                self._start_submitter()
            elif "error" not in reply:
                return reply["ok"]
            elif reply["error"] not in _OF_SERVER:
                raise Refused(reply["error"], reply["message"])
            else:
                time.sleep(0.02)
        raise Broken(f"The submitter's call {do} does not come to an end.")

    def _exchange(self, told: dict[str, Any]) -> dict[str, Any] | None:
        process = self._submitter
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            return None
        return json.loads(line) if line else None

    def _start_submitter(self) -> None:
        """Start another one, as often as it takes until the server answers it."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            self._dismiss_submitter()
            command = [sys.executable, "-m", "distgraph.chaos.submitter", self.cluster.server.url, "chaos"]
            path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
            with (self.cluster.directory / "submitter.log").open("ab") as log:
                self._submitter = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env={**os.environ, **self._env, "PYTHONPATH": path},
                    start_new_session=True,
                )
            assert self._submitter.stdout is not None
            if self._submitter.stdout.readline():
                return
        raise Broken("No submitter can be started.")

    def _dismiss_submitter(self) -> None:
        process, self._submitter = self._submitter, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


def _family(kind: type[Exception]) -> set[str]:
    heirs: list[type[Exception]] = kind.__subclasses__()
    return {kind.__name__}.union(*(_family(heir) for heir in heirs))


_OF_SERVER = _family(StoreError)
