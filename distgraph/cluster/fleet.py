"""What can be told of the workers of a namespace: who they are, what takes them long, which nodes do nothing but fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A call of a node that has taken a second or more, as of its worker's last beat.

    Attributes:
        node: the node's name.
        run_id: its run, or the item of a batch.
        seconds: how long it has run.
        pid: the process that runs it.
        left: seconds until its time limit is over; None: none is kept for it, by whoever watches the slot.
    """

    node: str
    run_id: str
    seconds: float
    pid: int
    left: float | None


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker that lives.

    Attributes:
        slots: places where a task can run.
        busy: slots that run something now.
        graphs: names of the graphs it serves.
        running: nodes that have run for a second or more, the longest first, one of each slot and 20 at most.
    """

    name: str
    host: str
    pid: int
    pool: str
    slots: int
    busy: int
    graphs: tuple[str, ...]
    queues: tuple[str, ...]
    running: tuple[RunningTask, ...] = ()


@dataclass(frozen=True, slots=True)
class FailingNode:
    """A node that does nothing but fail.

    Attributes:
        failures: since it last worked, as far as is known.
        seconds: that its retries wait now, at least.
    """

    graph: str
    node: str
    failures: int
    seconds: float


def worker_of(record: Mapping[str, Any]) -> WorkerInfo:
    """A worker, by its beat."""
    return WorkerInfo(
        name=record["name"],
        host=record["host"],
        pid=record["pid"],
        pool=record["pool"],
        slots=record["concurrency"],
        busy=record["busy"],
        graphs=tuple(sorted(record["graphs"])),
        queues=tuple(record["queues"]),
        # A worker of an older release says nothing of it.
        running=tuple(RunningTask(*told) for told in record.get("running", ())),
    )
