"""A cluster in memory with the public methods that the command line calls. Its graphs are plain functions.

Nothing runs by itself: each look at a batch's status runs ``PER_LOOK`` more of its items, so that a test sees the same
progress every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from distgraph.cli.stage import Settings
from distgraph.cluster.batch import BatchStatus, ItemResult
from distgraph.cluster.dead import DeadLetter
from distgraph.cluster.fleet import RunningTask, WorkerInfo
from distgraph.cluster.following import RunEvent
from distgraph.cluster.handle import RunInfo
from distgraph.errors import (
    BatchExistsError,
    BatchNotFoundError,
    ConfigError,
    GraphNotFoundError,
    LedgerCorruptError,
    RunCancelledError,
    RunNotFoundError,
    WaitTimeoutError,
)
from distgraph.graph.profiling import Profile
from distgraph.graph.spans import Span
from distgraph.superstep.lifecycle import RunStatus
from distgraph.superstep.routing import goto_writes
from distgraph.types import Command, Interrupt

Graph = Callable[[dict[str, Any]], dict[str, Any]]

PER_LOOK = 4
#: When everything was submitted.
SUBMITTED = datetime(2030, 1, 1, 12, 30, tzinfo=UTC)


def double(state: dict[str, Any]) -> dict[str, Any]:
    """A graph that doubles n, and fails where n is negative."""
    if state["n"] < 0:
        raise ValueError(f"n is {state['n']}, which is below zero\nsecond line")
    return {"n": state["n"] * 2}


@dataclass
class FakeBatch:
    """A batch handle and the batch itself."""

    batch_id: str
    function: Graph
    items: list[dict[str, Any]]
    keys: list[str | None]
    rows: dict[int, ItemResult] = field(default_factory=dict)
    cancelled: bool = False
    #: Called at every look; a test makes it raise.
    on_look: Callable[[], None] = lambda: None
    deleted: bool = False
    graph: str = "double"
    submitted: datetime = SUBMITTED

    def delete(self) -> None:
        self.deleted = True

    def _look(self) -> None:
        self.on_look()
        waiting = [index for index in range(len(self.items)) if index not in self.rows]
        for index in waiting[:PER_LOOK]:
            self.rows[index] = self._run(index)

    def _run(self, index: int) -> ItemResult:
        row = ItemResult(index, self.keys[index], f"{self.batch_id}:{index}", "cancelled")
        if self.cancelled:
            return row
        try:
            return ItemResult(row.index, row.key, row.run_id, "done", value=self.function(self.items[index]))
        except ValueError as error:
            wrong = {"type": f"builtins:{type(error).__name__}", "message": str(error)}
            return ItemResult(row.index, row.key, row.run_id, "failed", error=wrong)

    def status(self) -> BatchStatus:
        self._look()
        return self._counted()

    def _counted(self) -> BatchStatus:
        counts = {
            name: sum(row.status == name for row in self.rows.values()) for name in ("done", "failed", "cancelled")
        }
        left = len(self.items) - len(self.rows)
        return BatchStatus(
            len(self.items),
            **counts,
            running=min(left, 2),
            queued=max(0, left - 2),
            sealed=True,
            rate=4.0,
            eta=left / 4,
            persistence="standard",
        )

    def wait(self, timeout: float | None = None) -> BatchStatus:
        if len(self.rows) < len(self.items):
            raise WaitTimeoutError("still running")
        return self._counted()

    def results(self, ordered: bool = False) -> Iterator[ItemResult]:
        yield from (self.rows[index] for index in sorted(self.rows, reverse=not ordered))

    def failures(self) -> Iterator[ItemResult]:
        yield from (row for row in self.rows.values() if row.status == "failed")

    def cancel(self) -> None:
        self.cancelled = True
        for index in range(len(self.items)):
            self.rows.setdefault(index, self._run(index))

    def retry_failed(self) -> int:
        failed = [row.index for row in self.failures()]
        for index in failed:
            del self.rows[index]
        return len(failed)


@dataclass
class FakeRun:
    """A run handle and the run itself; it is done at the second look."""

    run_id: str
    thread_id: str
    graph: Graph
    input: dict[str, Any]
    looks: int = 0
    cancelled: bool = False
    deleted: bool = False
    failed: bool = False
    damaged: bool = False
    wakes: datetime | None = None
    limit: tuple[timedelta, datetime | None] | None = None
    profiled: bool = False

    def profile(self) -> Profile:
        if not self.profiled:
            raise ConfigError(f"Run {self.run_id!r} keeps no times of its nodes.")
        spans = [Span(1, "double", "", 1, 1.5, 2.0, "task", "w:1.0")]
        return Profile("double", wall=2.0, spans=spans, ready={"task": 0.5}, queued=[(0.0, 1.0)])

    def time_limit(self) -> tuple[timedelta, datetime | None] | None:
        return self.limit

    def interrupts(self) -> tuple[Interrupt, ...]:
        return ()

    def resume(self, value: Any) -> None:
        if isinstance(value, Command):
            goto_writes(value.goto, {"double": None}, "The Command")

    def wakes_at(self) -> datetime | None:
        return self.wakes

    def status(self) -> str:
        if self.wakes is not None:
            return "sleeping"
        return "cancelled" if self.cancelled else "failed" if self.failed else "done" if self.looks > 1 else "running"

    def result(self, timeout: float | None = None) -> Any:
        self.looks += 1
        if self.cancelled:
            raise RunCancelledError(f"Run {self.run_id} was cancelled.")
        if self.looks < 2:
            raise WaitTimeoutError("still running")
        try:
            return self.graph(self.input)
        except ValueError:
            self.failed = True
            raise

    def info(self) -> RunInfo:
        if self.damaged:
            raise LedgerCorruptError(f"The record of run {self.run_id!r} is damaged.")
        return RunInfo(self.run_id, self.thread_id, "double", RunStatus(self.status()), SUBMITTED)

    def waits_for(self) -> str:
        return "version v1"

    def stream(self) -> Iterator[Any]:
        yield {"double": self.graph(self.input)}
        yield {"finish": None}

    def events(
        self, modes: list[str], *, subgraphs: bool = False, from_start: bool = True, cursor: str | None = None
    ) -> Iterator[RunEvent]:
        told = list(self.stream())
        first = int(cursor or 0) if from_start else len(told)
        for number, data in enumerate(told[first:], first + 1):
            yield RunEvent(modes[0], data, ("in:1",) if subgraphs else (), str(number))

    def delete(self) -> None:
        self.deleted = True

    def cancel(self) -> bool:
        self.cancelled = True
        return True


@dataclass
class Remote:
    """A bound graph."""

    cluster: FakeCluster
    name: str
    graph: Graph

    def submit(
        self,
        value: dict[str, Any],
        config: Any = None,
        run_id: str | None = None,
        multitask_strategy: str = "reject",
        retention: Any = "default",
        profile: bool = False,
        **limits: Any,
    ) -> FakeRun:
        assert multitask_strategy == "reject"
        self.cluster.retentions.append(retention)
        self.cluster.limits.append(limits)
        thread = (config or {}).get("configurable", {}).get("thread_id", "thread-1")
        run = FakeRun(run_id or f"run-{len(self.cluster.all_runs) + 1}", thread, self.graph, value)
        run.profiled = profile
        self.cluster.all_runs[run.run_id] = run
        return run

    def submit_batch(
        self,
        items: Iterable[dict[str, Any]],
        *,
        batch_id: str | None = None,
        key: Callable[[dict[str, Any]], str] | None = None,
        retention: Any = "default",
        **limits: Any,
    ) -> FakeBatch:
        self.cluster.retentions.append(retention)
        self.cluster.limits.append(limits)
        batch = FakeBatch(batch_id or "batch-1", self.graph, [], [])
        known = self.cluster.all_batches.setdefault(batch.batch_id, batch)
        for item in items:
            batch.items.append(item)
            batch.keys.append(None if key is None else key(item))
        if known.items != batch.items:
            raise BatchExistsError(f"Batch {batch.batch_id} exists with other content.")
        return known


class FakeCluster:
    """The cluster; ``graphs_here`` is what its workers serve."""

    def __init__(self) -> None:
        self.dead: list[DeadLetter] = []
        self.graphs_here: dict[str, Graph] = {"double": double}
        self.all_batches: dict[str, FakeBatch] = {}
        self.all_runs: dict[str, FakeRun] = {}
        #: What was asked for with each submission.
        self.retentions: list[Any] = []
        self.limits: list[dict[str, Any]] = []
        #: What runs for long: node, run, seconds, process, seconds that are left.
        self.running: list[tuple[str, str, float, int, float | None]] = []
        self.closed = 0

    def __enter__(self) -> FakeCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1

    def bind(self, graph: str) -> Remote:
        if graph not in self.graphs_here:
            raise GraphNotFoundError(f"No worker serves a graph named {graph!r}.")
        return Remote(self, graph, self.graphs_here[graph])

    def batch(self, batch_id: str) -> FakeBatch:
        if batch_id not in self.all_batches:
            raise BatchNotFoundError(f"There is no batch {batch_id!r}.")
        return self.all_batches[batch_id]

    def batches(self, limit: int = 100) -> list[FakeBatch]:
        return list(self.all_batches.values())[:limit]

    def run(self, run_id: str) -> FakeRun:
        if run_id not in self.all_runs:
            raise RunNotFoundError(f"There is no run {run_id!r}.")
        return self.all_runs[run_id]

    def runs(self, limit: int = 100, *, graph: str | None = None, status: str | None = None) -> list[FakeRun]:
        found = [run for run in self.all_runs.values() if graph in (None, "double") and status in (None, run.status())]
        return found[:limit]

    def unknown_hints(self) -> int:
        return 0

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return self.dead[:limit]

    def dead_letter(self, run_id: str) -> DeadLetter:
        for letter in self.dead:
            if letter.run_id == run_id:
                return letter
        raise RunNotFoundError(f"There is no dead letter {run_id!r}.")

    def retry_dead_letter(self, letter: DeadLetter) -> None:
        self.dead.remove(letter)

    def workers(self) -> list[WorkerInfo]:
        tasks = tuple(RunningTask(*told) for told in self.running)
        return [WorkerInfo("worker-1", "host", 7, "prefork", 2, 1, ("double",), ("dg.default",), tasks)]

    def graphs(self) -> list[dict[str, Any]]:
        return [{"name": name, "version": "0123456789ab", "workers": 1} for name in self.graphs_here]


class FakeProcess:
    """A worker's process."""

    def __init__(self, name: str, pid: int) -> None:
        self.name, self.pid = name, pid
        self.alive = True
        self.log = Path(f"/logs/{name}.log")

    @property
    def exit_code(self) -> int | None:
        return None if self.alive else -9

    def children(self) -> list[int]:
        return [self.pid + 1]

    def kill_tree(self) -> None:
        self.alive = False


class FakeStage:
    """A server, workers and Flower that are not there; the cluster is the one in memory."""

    def __init__(self, cluster: FakeCluster, settings: Settings, say: Callable[[str], None]) -> None:
        self.cluster, self.settings, self.say = cluster, settings, say
        self.server = SimpleNamespace(url="redis://127.0.0.1:7000/0")
        self.workers = [
            FakeProcess(f"Worker worker-{number}", number * 100) for number in range(1, settings.workers + 1)
        ]
        self.flower = SimpleNamespace() if settings.flower else None
        self.flower_url, self.flower_user, self.flower_password = "http://127.0.0.1:7001", "distgraph", "hush"
        #: What check() does, look by look; then Ctrl-C.
        self.looks: list[Callable[[], None]] = []
        self.ended: type[BaseException] | str | None = "not yet"

    def __enter__(self) -> FakeStage:
        self.say("Server:   started")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.ended = kind

    def served(self) -> list[str]:
        return sorted(self.cluster.graphs_here)

    def row(self) -> dict[str, Any]:
        return {"url": self.server.url, "workers": [worker.name.split()[-1] for worker in self.workers]}

    def begin_worker(self) -> FakeProcess:
        self.workers.append(FakeProcess(f"Worker worker-{len(self.workers) + 1}", 900))
        return self.workers[-1]

    def beats(self, worker: FakeProcess) -> bool:
        return worker.alive

    def check(self) -> None:
        if not self.looks:
            raise KeyboardInterrupt
        self.looks.pop(0)()
