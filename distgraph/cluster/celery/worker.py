"""`distgraph worker`: one worker process with its pool."""

from __future__ import annotations

import gc
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distgraph.cluster.workplace import EFFECTS_SECONDS
from distgraph.errors import ConfigError
from distgraph.ledger.patience import COMMIT_PATIENCE

POOLS = ("prefork", "threads", "solo")


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What `distgraph worker` takes.

    Attributes:
        graphs: modules, or module:attribute, whose graphs are served.
        url: the ledger's server.
        concurrency: slots; a solo pool has one.
        queues: queues of nodes that ask for one of their own, besides the namespace's own queue.
        async_concurrency: async nodes of one slot that may wait at the same time.
        drain_timeout: seconds that a stop waits for nodes that run.
        cancel_grace: seconds that a node may go on after its run was cancelled.
        max_memory_per_child: MiB that a process of the pool may hold; 0: no limit.
        keep_effects: seconds that records of effects are kept of a run or batch item that is done.
        secret: signs stored values.
        versions: what is taken over from versions that nobody serves any more: "pin", "compatible" or "force".
        broker_url: where hints wait; empty: on the ledger's server.
        commit_patience: seconds that a result is offered to a ledger that is away, before it is given up.
    """

    graphs: Sequence[str]
    url: str
    namespace: str = "default"
    pool: str = "prefork"
    concurrency: int = 1
    name: str = ""
    queues: Sequence[str] = ()
    log_level: str = "INFO"
    async_concurrency: int = 100
    drain_timeout: float = 30.0
    cancel_grace: float = 5.0
    max_memory_per_child: int = 0
    keep_effects: int = EFFECTS_SECONDS
    secret: bytes | None = None
    versions: str = "compatible"
    broker_url: str = ""
    commit_patience: float = COMMIT_PATIENCE


def main(options: WorkerOptions) -> int:
    """Run a worker until it is told to stop; returns its exit code.

    Raises:
        ConfigError: an option is wrong, the graphs cannot be loaded, or this machine or its packages are not fit for it.
        StoreError: the server cannot be used.
    """
    if options.pool not in POOLS:
        raise ConfigError(f"Pool {options.pool!r} is not supported. Use one of {', '.join(POOLS)}.")
    if options.max_memory_per_child and options.pool != "prefork":
        raise ConfigError(
            f"Pool {options.pool!r} runs its nodes in the worker's own process, which cannot end itself for holding too much "
            "memory. Use --pool prefork, or leave --max-memory-per-child out."
        )
    if not options.graphs:
        raise ConfigError("A worker needs graphs to serve: --graphs package.module[,package.module:attribute].")
    with _kept_for_good():
        worker = _make(options)
    worker.start()
    return int(worker.exitcode or 0)


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """What is made meanwhile, modules above all, stays until the process ends.

    So it is not looked through for garbage: neither now, nor before each process of a pool is forked, nor in the end. That
    took a third of the CPU time of a worker that starts and stops.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _make(options: WorkerOptions) -> Any:
    """Celery's worker, ready to be started."""
    from celery.exceptions import SecurityWarning

    from distgraph.cluster.celery.app import make_app
    from distgraph.cluster.celery.site import SiteOptions
    from distgraph.ledger.broker import check_broker
    from distgraph.ledger.connection import check_server, connect

    client = connect(options.url, client_name="distgraph-check")
    try:
        check_server(client, where=options.url)
    finally:
        client.close()
    check_broker(options.broker_url, options.url)
    # As `python -m` does: a worker started in a project's folder finds the project's modules.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    # Two workers of one host must not share a name: Flower and remote control would take them for one.
    name = options.name or f"worker-{os.getpid()}"
    app = make_app(
        SiteOptions(
            url=options.url,
            namespace=options.namespace,
            graphs=tuple(options.graphs),
            name=name,
            pool=options.pool,
            queues=tuple(options.queues),
            secret=options.secret,
            async_concurrency=options.async_concurrency,
            drain_seconds=options.drain_timeout,
            cancel_seconds=options.cancel_grace,
            max_memory=options.max_memory_per_child,
            effects_seconds=options.keep_effects,
            versions=options.versions,
            broker_url=options.broker_url,
            commit_patience=options.commit_patience,
        )
    )
    with warnings.catch_warnings():
        # It is said in the log, without options of another command.
        warnings.simplefilter("ignore", SecurityWarning)
        return app.Worker(
            pool_cls=options.pool,
            concurrency=1 if options.pool == "solo" else options.concurrency,
            hostname=f"{name}@{socket.gethostname()}",
            loglevel=options.log_level,
            without_gossip=True,
            without_mingle=True,
            quiet=True,
        )
