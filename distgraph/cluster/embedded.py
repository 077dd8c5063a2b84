"""A private server with worker processes on this machine: for a laptop, a demo, a test."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distgraph.cluster.celery.dispatcher import CeleryDispatcher
from distgraph.cluster.client import Cluster
from distgraph.cluster.processes import FlowerProcess, WorkerProcess
from distgraph.ledger.connection import check_server
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.server import EmbeddedServer

#: How long a worker may take to come up. Seconds.
START_TIMEOUT = 60.0


class EmbeddedCluster(Cluster):
    """A cluster that ends with its ``with`` block.

    Attributes:
        server: the private server.
        processes: the worker processes, in order of their start.
        directory: where logs and the server's data are; deleted at the end.
    """

    server: EmbeddedServer
    flower: FlowerProcess | None
    directory: Path
    processes: list[WorkerProcess]
    _directory: tempfile.TemporaryDirectory[str]
    _told: dict[str, Any]

    @classmethod
    def start(
        cls,
        *,
        workers: int,
        graphs: Sequence[str],
        pool: str,
        concurrency: int,
        namespace: str,
        persistence: Any,
        flower: bool,
    ) -> EmbeddedCluster:
        """Start server and workers, and wait until they serve."""
        server = EmbeddedServer(persistence=persistence)
        try:
            ledger = Ledger(server.url, namespace, client_name="distgraph-client")
            report = check_server(ledger.client, where=server.url)
            ledger.fleet.join()
            self = cls(
                ledger,
                CeleryDispatcher(server.url, namespace),
                persistence=str(report.persistence or "unknown"),
                secret=None,
            )
        except BaseException:
            server.close()
            raise
        self.server, self.flower = server, None
        self._directory = tempfile.TemporaryDirectory(prefix="distgraph-")
        self.directory = Path(self._directory.name)
        self.processes = []
        self._told = {"graphs": tuple(graphs), "pool": pool, "concurrency": concurrency}
        try:
            for _ in range(workers):
                self.add_worker(wait=False)
            for process in self.processes:
                self._await(process)
            if flower:
                self.start_flower()
        except BaseException:
            self.close()
            raise
        return self

    def add_worker(self, *, wait: bool = True, **changes: Any) -> WorkerProcess:
        """Start one more worker; ``changes`` to graphs, pool or concurrency are its own."""
        name = f"worker-{len(self.processes) + 1}"
        process = WorkerProcess(
            url=self.server.url,
            namespace=self.namespace,
            name=name,
            log=self.directory / f"{name}.log",
            **{**self._told, **changes},
        )
        self.processes.append(process)
        if wait:
            self._await(process)
        return process

    def _await(self, process: WorkerProcess) -> None:
        process.wait_ready(START_TIMEOUT, lambda: any(worker.pid == process.pid for worker in self.workers()))

    def start_flower(self, port: int = 0) -> FlowerProcess:
        """Start Flower on loopback; its address is on the first lines of its log."""
        if port == 0:
            from distgraph.ledger.server import _free_port

            port = _free_port()
        self.flower = FlowerProcess(
            url=self.server.url, namespace=self.namespace, port=port, log=self.directory / "flower.log"
        )
        return self.flower

    def close(self) -> None:
        """Drain the workers, stop the server, delete the directory."""
        if self.flower is not None:
            self.flower.stop(5)
        deadline = time.monotonic() + 10
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.stop(max(0.5, deadline - time.monotonic()))
        super().close()
        self.server.close()
        self._directory.cleanup()
