"""What one worker has: its graphs, its slot table, and a workplace for each process and OS thread that works.

Made in the parent before it forks. What must not be shared over a fork - connections, random numbers - is made anew by
whoever works first in a process.
"""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from distgraph.cluster.celery.dispatcher import CeleryDispatcher
from distgraph.cluster.celery.tidy import Tidy
from distgraph.cluster.liveness import BEAT_SECONDS, Mark, SlotTable, slot_name, works_at
from distgraph.cluster.registry import Registry, load
from distgraph.cluster.workplace import EFFECTS_SECONDS, Workplace
from distgraph.ledger import seam
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.patience import COMMIT_PATIENCE, Patience

log = logging.getLogger(__name__)

#: Rows of a slot table: more than any pool has slots, for a dead child keeps its row until it was looked into.
ROWS = 512
#: The row whose ``busy`` tells every process of the worker to hand its work back.
DRAIN_ROW = ROWS - 1
#: The row in which the watcher leaves what it knows of the fleet: "idle slots version version ...".
FLEET_ROW = ROWS - 2
#: How many tasks that a node calls may run beside it: mostly they wait for somebody else, as it does for them.
TASK_THREADS = 8
#: So much of a fingerprint stands there, and so much of all together. Characters.
MARK, MOST_MARKS = 8, 1900


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """What a worker is told.

    Attributes:
        url: the ledger's server.
        graphs: modules, or module:attribute, whose graphs it serves.
        queues: queues of nodes that ask for one of their own; empty: the namespace's own queue alone.
        secret: signs stored values.
        async_concurrency: how many async nodes of one slot may wait at the same time.
        drain_seconds: how long a stop waits for nodes that run.
        cancel_seconds: how long a node may go on after it was told that its run was cancelled.
        max_memory: MiB that a process of the pool may hold; 0: no limit.
        effects_seconds: how long records of effects are kept of a run or batch item that is done.
        versions: what it takes over from versions that nobody serves any more: "pin" nothing, "compatible" what its
            graphs declare, "force" whatever has their name.
        broker_url: where hints wait; empty: on the ledger's server.
        commit_patience: seconds that a result is offered to a ledger that is away.
    """

    url: str
    namespace: str = "default"
    graphs: Sequence[str] = ("workers.graphs",)
    name: str = ""
    pool: str = "prefork"
    queues: Sequence[str] = ()
    secret: bytes | None = None
    async_concurrency: int = 100
    drain_seconds: float = 30.0
    cancel_seconds: float = 5.0
    max_memory: int = 0
    effects_seconds: int = EFFECTS_SECONDS
    versions: str = "compatible"
    broker_url: str = ""
    commit_patience: float = COMMIT_PATIENCE


class AtRun:
    """Whether a slot of any worker is at a run, by beats that are a moment old at most."""

    def __init__(self, fleet: FleetLedger) -> None:
        self._fleet, self._works, self._until = fleet, dict[str, str](), 0.0

    def __call__(self, slot: str, run_id: str) -> bool:
        if time.monotonic() > self._until:
            workers = self._fleet.workers().values()
            self._works = {own: work for record in workers for own, work in record["works"].items()}
            self._until = time.monotonic() + BEAT_SECONDS
        return works_at(self._works.get(slot, ""), run_id)


class Site:
    """One worker, as all its processes see it."""

    def __init__(self, options: SiteOptions) -> None:
        self.options = options
        self.boot = secrets.token_hex(8)
        self.registry = load(options.graphs, Registry(secret=options.secret, versions=options.versions))
        self.table = SlotTable(ROWS)
        self.host = socket.gethostname()
        self._lock = threading.Lock()
        self._local = threading.local()

    def ledger(self, role: str, patience: Patience | None = None) -> Ledger:
        """A ledger for this process and role; not to be carried over a fork."""
        name = f"distgraph-{role}"
        return Ledger(self.options.url, self.options.namespace, client_name=name, patience=patience)

    def dispatcher(self) -> CeleryDispatcher:
        """The way to the broker; not to be carried over a fork."""
        return CeleryDispatcher(self.options.url, self.options.namespace, self.options.broker_url)

    def workplace(self) -> Workplace:
        """This process's and OS thread's workplace, made when it first works."""
        made: tuple[int, Workplace] | None = getattr(self._local, "made", None)
        if made is None or made[0] != os.getpid():
            made = (os.getpid(), self._make())
            self._local.made = made
        return made[1]

    def _make(self) -> Workplace:
        import fcntl

        pid = os.getpid()
        # The file lock keeps processes apart, the other one the threads of this process.
        with self._lock:
            fcntl.lockf(self.table.fd, fcntl.LOCK_EX)
            try:
                row = self.table.take_free(pid)
            finally:
                fcntl.lockf(self.table.fd, fcntl.LOCK_UN)
        ledger = self.ledger("worker", Patience(self.options.commit_patience))
        mark, tidy = Mark(self.table, row), Tidy()
        return Workplace(
            runs=ledger.runs,
            batches=ledger.batches,
            items=ledger.items,
            kept=ledger.kept,
            lines=ledger.lines,
            fleet=ledger.fleet,
            registry=self.registry,
            dispatcher=self.dispatcher(),
            slot=slot_name(self.boot, pid, row),
            watch=mark,
            renew=mark.renew,
            cancelled=mark.cancelled,
            alone=mark.alone,
            steps_aside=mark.steps_aside,
            tidy=tidy.after_node,
            take_over=tidy.take_over,
            hand_over=tidy.hand_over,
            draining=lambda: self.table.read(DRAIN_ROW).busy,
            full=lambda: self.fleet()[2],
            effects_ms=self.options.effects_seconds * 1000,
            idle=lambda: self.fleet()[0],
            slots=lambda: self.fleet()[1],
            threads=TASK_THREADS,
            at_run=AtRun(ledger.fleet),
            overlap=self.options.async_concurrency,
            served=self.served,
            monotonic=time.monotonic,
            now=time.time,
            noise=random.Random(secrets.randbits(128)).getrandbits,
        )

    def unstoppable(self, pool: str) -> dict[str, list[str]]:
        """Graph -> nodes whose time limits this worker cannot keep; says so: a process that runs nodes cannot stop one."""
        found = {
            served.name: nodes
            for served in self.registry.all()
            if pool != "prefork" and (nodes := served.unstoppable())
        }
        for graph, nodes in found.items():
            log.warning(
                "pool %s cannot stop a node: the time limits of %s in graph %r are looked at when the node returns, and "
                "idle timeouts are not kept. Use --pool prefork to have them kept.",
                pool,
                ", ".join(nodes),
                graph,
            )
        return found

    def drain(self) -> None:
        """Tell every process of this worker to hand its work back."""
        seam.reach("drain", "before")
        self.table.write(DRAIN_ROW, 0, True, 0.0, "")
        seam.reach("drain", "after")

    def know_fleet(self, idle: int, slots: int, full: bool, served: set[tuple[str, str]]) -> None:
        """Leave what the watcher knows of the fleet and the server, for the processes that work."""
        marks = " ".join(sorted({fingerprint[:MARK] for _, fingerprint in served}))
        # A row has room for some two hundred versions. Who does not see them takes every version for served.
        self.table.write(FLEET_ROW, 0, full, 0.0, f"{idle} {slots} {marks if len(marks) < MOST_MARKS else ''}")

    def fleet(self) -> tuple[int, int, bool]:
        """(idle slots, slots, is the server full), as last known; at least one slot, this one."""
        row = self.table.read(FLEET_ROW)
        said = row.what.split()
        return (int(said[0]), max(1, int(said[1])), row.busy) if len(said) >= 2 else (1, 1, row.busy)

    def served(self, graph: str, fingerprint: str) -> bool:
        """Whether a worker that lives serves this version of a graph, as last known."""
        marks = self.table.read(FLEET_ROW).what.split()[2:]
        return not marks or fingerprint[:MARK] in marks
