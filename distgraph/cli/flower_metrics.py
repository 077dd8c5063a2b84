"""What Flower's ``/metrics`` tells besides its own: slots, and the node that has run the longest on each worker.

Flower knows Celery tasks; a node that hangs for good in one is to be seen in the beats of its worker alone. They are read
when Prometheus asks. Labels are names of workers and nodes, never ids: anybody in the network may read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

from distgraph.cluster.fleet import WorkerInfo, worker_of
from distgraph.errors import DistgraphError

#: How long a scrape waits for the server: Flower can do nothing else meanwhile. Seconds.
PATIENCE = 2.0


class FleetMetrics:
    """A collector of Prometheus' client library.

    Args:
        workers: the workers that live now.
    """

    def __init__(self, workers: Callable[[], list[WorkerInfo]]) -> None:
        self._workers = workers
        self._reader = ThreadPoolExecutor(1, "distgraph-metrics")
        self._asked: Future[list[WorkerInfo]] | None = None

    def describe(self) -> list[Any]:
        """Asked when it is registered: nothing is read for that."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metrics, as of the latest beats; ``distgraph_ledger_up`` alone where the server does not answer."""
        from prometheus_client.core import GaugeMetricFamily

        found = self._read()
        yield GaugeMetricFamily("distgraph_ledger_up", "Whether the ledger's server answers.", int(found is not None))
        slots = GaugeMetricFamily("distgraph_slots", "Places where a task can run.", labels=["worker"])
        busy = GaugeMetricFamily("distgraph_slots_busy", "Slots that run something now.", labels=["worker"])
        longest = GaugeMetricFamily(
            "distgraph_longest_task_seconds",
            "For how long the node runs now that has run the longest; 0 below a second.",
            labels=["worker", "node"],
        )
        for worker in found or ():
            slots.add_metric([worker.name], worker.slots)
            busy.add_metric([worker.name], worker.busy)
            task = worker.running[0] if worker.running else None
            longest.add_metric([worker.name, task.node if task else ""], task.seconds if task else 0.0)
        if found is not None:
            yield from (slots, busy, longest)

    def _read(self) -> list[WorkerInfo] | None:
        """None: the server does not answer in time."""
        # One that is still on its way is waited for, and not asked again.
        asked = self._asked = self._asked or self._reader.submit(self._workers)
        try:
            found = asked.result(PATIENCE)
        except TooLate:
            return None
        except DistgraphError:
            found = None
        self._asked = None
        return found


def register(url: str, namespace: str) -> None:
    """Have this process's ``/metrics`` tell of a namespace; nothing is sent to the server yet."""
    from prometheus_client import REGISTRY

    from distgraph.ledger.ledger import Ledger

    ledger = Ledger(url, namespace, client_name="distgraph-metrics")
    REGISTRY.register(FleetMetrics(lambda: [worker_of(record) for record in ledger.fleet.workers().values()]))
