"""What Prometheus learns of workers from Flower."""

from __future__ import annotations

import threading
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from distgraph.cli import flower_metrics
from distgraph.cli.flower_metrics import FleetMetrics
from distgraph.cluster.fleet import RunningTask, WorkerInfo
from distgraph.errors import ServerUnreachableError

pytestmark = pytest.mark.unit


def worker(name: str, *running: RunningTask) -> WorkerInfo:
    return WorkerInfo(name, "h", 7, "prefork", 4, len(running), ("g",), ("dg.default",), running)


def told(metrics: FleetMetrics) -> set[str]:
    """The lines of a scrape, without remarks."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return {line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")}


def test_slots_and_the_node_that_runs_longest() -> None:
    hangs, quick = RunningTask("charge", "order-17", 4000.5, 9, None), RunningTask("wait", "order-9", 2.0, 8, 5.0)
    assert told(FleetMetrics(lambda: [worker("w1", hangs, quick), worker("w2")])) == {
        "distgraph_ledger_up 1.0",
        'distgraph_slots{worker="w1"} 4.0',
        'distgraph_slots{worker="w2"} 4.0',
        'distgraph_slots_busy{worker="w1"} 2.0',
        'distgraph_slots_busy{worker="w2"} 0.0',
        'distgraph_longest_task_seconds{node="charge",worker="w1"} 4000.5',
        'distgraph_longest_task_seconds{node="",worker="w2"} 0.0',
    }


def test_nothing_is_read_before_somebody_asks() -> None:
    asked: list[int] = []

    def workers() -> list[WorkerInfo]:
        asked.append(1)
        return []

    registry = CollectorRegistry()
    registry.register(FleetMetrics(workers))
    assert asked == []


def test_a_server_that_is_away_is_said_to_be() -> None:
    def workers() -> list[WorkerInfo]:
        raise ServerUnreachableError("away")

    assert told(FleetMetrics(workers)) == {"distgraph_ledger_up 0.0"}


def test_a_scrape_does_not_wait_for_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it asked again and again meanwhile; when it answers, that is told."""
    monkeypatch.setattr(flower_metrics, "PATIENCE", 0.05)
    answers, asked = threading.Event(), []

    def workers() -> list[WorkerInfo]:
        asked.append(1)
        answers.wait(30)
        return [worker("w1")]

    metrics = FleetMetrics(workers)
    began = time.monotonic()
    assert [told(metrics) for _ in range(3)] == [{"distgraph_ledger_up 0.0"}] * 3
    assert time.monotonic() - began < 20
    assert len(asked) == 1
    answers.set()
    monkeypatch.setattr(flower_metrics, "PATIENCE", 20.0)
    assert "distgraph_ledger_up 1.0" in told(metrics)
