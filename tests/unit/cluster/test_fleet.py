"""What is told of workers, by their beats."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.fleet import RunningTask, worker_of

pytestmark = pytest.mark.unit

BEAT: dict[str, Any] = {
    **{"name": "w", "host": "h", "pid": 7, "pool": "prefork", "concurrency": 2, "busy": 1},
    **{"graphs": {"b": "1", "a": "2"}, "queues": ["dg.default"]},
}


def test_a_worker_with_what_runs_there() -> None:
    worker = worker_of({**BEAT, "running": [["node", "run", 3.5, 8, None]]})
    assert (worker.name, worker.slots, worker.graphs) == ("w", 2, ("a", "b"))
    assert worker.running == (RunningTask("node", "run", 3.5, 8, None),)


def test_a_worker_of_an_older_release_says_nothing_of_that() -> None:
    assert worker_of(BEAT).running == ()
