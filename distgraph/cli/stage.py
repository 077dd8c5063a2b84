"""A private server with workers and Flower, for ``up`` and ``demo``: started together, drained together."""

from __future__ import annotations

import http.client
import importlib.util
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from distgraph.cli.flower import DEFAULT_USER, PASSWORD_VARIABLE, USER_VARIABLE, installed, new_password
from distgraph.cli.output import Row
from distgraph.cli.ports import FLOWER_PORT, SERVER_PORT, chosen, free_port
from distgraph.cli.session import import_from_here
from distgraph.errors import ProcessFailedError

if TYPE_CHECKING:
    from distgraph.cluster import Cluster
    from distgraph.cluster.processes import FlowerProcess, WorkerProcess
    from distgraph.ledger.server import EmbeddedServer

#: What is served where nothing else is asked for and no ``workers.graphs`` is there.
SAMPLES = (
    "distgraph.examples.chain",
    "distgraph.examples.map_reduce",
    "distgraph.examples.human_review",
    "distgraph.examples.flaky",
    "distgraph.examples.crunch",
    "distgraph.examples.sums",
    "distgraph.examples.census.graph",
)
#: Seconds until a new worker must work, and Flower must answer; a busy machine takes its time to start Python.
START_TIMEOUT = 60.0


def served_by_default() -> tuple[str, ...]:
    """The graphs of the repository the user is in, or else the samples."""
    import_from_here()
    try:
        found = importlib.util.find_spec("workers.graphs")
    except ModuleNotFoundError:
        found = None
    return SAMPLES if found is None else ("workers.graphs",)


@dataclass(frozen=True)
class Settings:
    """What a stage is made of.

    Attributes:
        workers: how many at the start.
        port: where the server listens on loopback; 0: a free port; None: the usual one if it is free.
        flower: whether to start it.
        flower_port: as ``port``.
        broker_url: where hints wait, if that is not to be the stage's own server.
    """

    graphs: Sequence[str]
    namespace: str = "default"
    workers: int = 2
    pool: str = "prefork"
    concurrency: int = 1
    port: int | None = None
    flower: bool = True
    flower_port: int | None = None
    broker_url: str = ""


def called(worker: WorkerProcess) -> str:
    """The worker's name as lists and Flower show it."""
    return worker.name.removeprefix("Worker ")


class Stage:
    """The processes, from ``__enter__`` to ``__exit__``, which drains them. ``say`` gets a line for each step.

    Raises:
        ProcessFailedError: one of them does not start; with the end of its log.
        ConfigError: no server program is installed.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.settings = settings
        self.workers: list[WorkerProcess] = []
        self.flower: FlowerProcess | None = None
        self.flower_port = 0
        self.flower_password = new_password()
        self.server: EmbeddedServer
        self.cluster: Cluster
        self._say = say
        self._stack = ExitStack()
        self._made = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.kill()
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            if kind is None or kind is KeyboardInterrupt:
                self.drain()
        finally:
            # Whoever is left is killed: after an error, or after a second Ctrl-C.
            self.kill()
            self._stack.close()

    def _start(self) -> None:
        from distgraph.cluster import Cluster
        from distgraph.ledger.server import EmbeddedServer
        from distgraph.ledger.url import redact

        self.server = self._stack.enter_context(EmbeddedServer(port=chosen(self.settings.port, SERVER_PORT)))
        # The server's directory goes with it, even if this process is killed.
        self.logs = self.server.directory
        self._say(f"Server:   {self.server.url}")
        broker_url = self.settings.broker_url
        if broker_url:
            self._say(f"Broker:   {redact(broker_url)}")
        connected = Cluster.connect(self.server.url, namespace=self.settings.namespace, broker_url=broker_url)
        self.cluster = self._stack.enter_context(connected)
        # Starting Python takes longest, so all of them start at once.
        started = [self.begin_worker() for _ in range(self.settings.workers)]
        self._begin_flower()
        for worker in started:
            self.await_worker(worker)
        self._await_flower()

    # ------------------------------------------------------------ workers

    def begin_worker(self) -> WorkerProcess:
        """Start one more worker, and do not wait for it."""
        from distgraph.cluster.processes import WorkerProcess

        self._made += 1
        name = f"worker-{self._made}"
        settings = self.settings
        worker = WorkerProcess(
            graphs=settings.graphs,
            url=self.server.url,
            namespace=settings.namespace,
            name=name,
            log=self.logs / f"{name}.log",
            pool=settings.pool,
            concurrency=settings.concurrency,
            broker_url=settings.broker_url,
        )
        self.workers.append(worker)
        return worker

    def await_worker(self, worker: WorkerProcess) -> None:
        """Wait until it takes work."""
        worker.wait_ready(START_TIMEOUT, lambda: self.beats(worker))
        self._say(f"Worker:   {called(worker)}, pid {worker.pid}")

    def beats(self, worker: WorkerProcess) -> bool:
        """Whether it takes work: the fleet has heard of it."""
        return any(found.pid == worker.pid for found in self.cluster.workers())

    # ------------------------------------------------------------ Flower

    def _begin_flower(self) -> None:
        from distgraph.cluster.processes import FlowerProcess

        if not self.settings.flower:
            return
        if not installed():
            self._say("Flower:   not installed (pip install 'distgraph[flower]')")
            return
        self.flower_port = chosen(self.settings.flower_port, FLOWER_PORT) or free_port()
        self.flower = FlowerProcess(
            url=self.server.url,
            namespace=self.settings.namespace,
            port=self.flower_port,
            log=self.logs / "flower.log",
            broker_url=self.settings.broker_url,
            env={USER_VARIABLE: DEFAULT_USER, PASSWORD_VARIABLE: self.flower_password},
        )

    def _await_flower(self) -> None:
        if self.flower is None:
            return
        self.flower.wait_ready(START_TIMEOUT, self._flower_answers)
        self._say(f"Flower:   {self.flower_url}  user {self.flower_user}, password {self.flower_password}")

    @property
    def flower_user(self) -> str:
        """Who may look at Flower."""
        return DEFAULT_USER

    @property
    def flower_url(self) -> str:
        """Flower's address."""
        return f"http://127.0.0.1:{self.flower_port}"

    def _flower_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.flower_port, timeout=2)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # ------------------------------------------------------------ the end

    def _processes(self) -> list[Any]:
        return [*self.workers, *([self.flower] if self.flower else [])]

    def drain(self) -> None:
        """Let every worker finish what it runs, then stop; all of them at the same time."""
        processes = self._processes()
        with ThreadPoolExecutor(max_workers=len(processes) or 1) as pool:
            stopping = [pool.submit(process.stop) for process in processes]
            try:
                for one in stopping:
                    one.result()
            except BaseException:
                # Leaving the block waits for the threads, and these for their processes.
                self.kill()
                raise

    def kill(self) -> None:
        """End all processes at once."""
        for process in self._processes():
            process.kill_tree()

    def check(self) -> None:
        """See that the stage can still work.

        Raises:
            ProcessFailedError: the server or the last worker has ended.
        """
        if not self.server.alive:
            raise ProcessFailedError("The server has ended; without it nothing can go on.")
        if not any(worker.alive for worker in self.workers):
            raise ProcessFailedError("The last worker has ended. Start again.")

    def served(self) -> list[str]:
        """Names of the graphs that the workers serve."""
        return sorted({name for worker in self.cluster.workers() for name in worker.graphs})

    def row(self) -> Row:
        """The addresses, for the JSON answer."""
        flower = {"url": self.flower_url, "user": self.flower_user, "password": self.flower_password}
        return {
            "url": self.server.url,
            "namespace": self.settings.namespace,
            "graphs": list(self.settings.graphs),
            "workers": [{"name": called(worker), "pid": worker.pid, "log": str(worker.log)} for worker in self.workers],
            "flower": None if self.flower is None else flower,
        }
