"""One attempt of one task, on a worker: the call, and what its failure means."""

from __future__ import annotations

from typing import Any

from distgraph.cluster.lane import Lane
from distgraph.cluster.workplace import Workplace
from distgraph.engine.retry import next_delay
from distgraph.ledger import seam
from distgraph.superstep.model import Task


def attempt_task(place: Workplace, run: Any, task: Task, attempt: int) -> float | None:
    """One attempt of one task of ``run`` (a Run, or an item of a slice).

    Returns:
        None: it has settled, ``task.writes`` tells how. Else the seconds to wait before its next attempt.
    """
    lane: Lane = run.lane
    answers = run.record.get(f"n:{task.id}")
    given = run.served.codec.decode(answers) if answers else ()
    seconds = run_timeout(task)
    place.watch(run.mark(task), seconds)
    seam.reach("node", "before")
    try:
        task.writes = lane.execute(task, answers=given, attempt=attempt, seconds=seconds)
        seam.reach("node", "after")
    except BaseException as exc:
        delay = next_delay(task.node.retry, exc, attempt, place.noise(32) / 2**32)
        task.writes = [] if delay is not None else lane.failure(task, exc)
        return delay
    finally:
        place.watch("", None)
    return None


def run_timeout(task: Task) -> float | None:
    """Seconds one attempt of ``task`` may take; None: no limit."""
    policy: Any = task.timeout if task.timeout is not None else task.node.timeout
    limit = getattr(policy, "run_timeout", policy)
    if limit is None:
        return None
    return float(limit.total_seconds()) if hasattr(limit, "total_seconds") else float(limit)
