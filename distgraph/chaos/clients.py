"""Clients of a storm: the submitter, a process that is killed and continued by the same call; and those that watch.

python -m distgraph.chaos.clients '{"url": ..., "namespace": ..., "folder": ..., "batch": ..., ...}'
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from distgraph.chaos import graphs
from distgraph.chaos.history import Journal
from distgraph.cluster import Cluster
from distgraph.errors import DistgraphError, StoreError, ThreadBusyError
from distgraph.ledger.keys import CHUNK
from distgraph.types import Placement

#: Waits between two tries of a call that could not reach the server. Seconds.
AGAIN = 0.2


@dataclass(frozen=True, slots=True)
class Submission:
    """What one submitter is to submit.

    Attributes:
        folder: where its history goes.
        first: index of its first item.
        pause: seconds before each chunk: time to be killed in.
    """

    url: str
    namespace: str
    folder: str
    batch: str
    first: int
    count: int
    steps: int
    delay_ms: float
    placement: Placement = "auto"
    pause: float = 0.0

    def items(self) -> Iterator[graphs.Item]:
        """Its items, chunk by chunk."""
        for at in range(self.count):
            if at % CHUNK == 0:
                time.sleep(self.pause)
            yield graphs.item(self.first + at, steps=self.steps, delay_ms=self.delay_ms)

    def command(self) -> list[str]:
        """The process that does it."""
        return [sys.executable, "-m", "distgraph.chaos.clients", json.dumps(asdict(self))]


def submit(told: Submission) -> None:
    """Submit the batch; again, by the same call, while the server cannot be reached."""
    journal = Journal(told.folder, "submitter")
    while True:
        try:
            with Cluster.connect(told.url, namespace=told.namespace) as cluster:
                journal.write("submit", "invoke", batch=told.batch)
                cluster.bind("storm", placement=told.placement).submit_batch(told.items(), batch_id=told.batch)
                journal.write("submit", "ok", batch=told.batch, count=told.count)
                return
        except StoreError as error:
            journal.write("submit", "info", batch=told.batch, error=type(error).__name__)
            time.sleep(AGAIN)


class Canary:
    """Single runs, one after the other, on threads that another canary uses too: streamed, answered, now and then cancelled.

    Works in an OS thread until `stop`; what it sees goes into its journal.
    """

    def __init__(self, cluster: Cluster, folder: str, name: int, *, steps: int, delay_ms: float) -> None:
        self.cluster, self.name, self.steps, self.delay_ms = cluster, name, steps, delay_ms
        self.journal = Journal(folder, f"canary{name}")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"distgraph-canary-{name}", daemon=True)
        self._remote = cluster.bind(graphs.graph, placement="auto" if name % 2 else "spread")

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Let it finish its run; whether it did within ``timeout`` seconds."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            # Two canaries share two threads, and move on together before these have seen too many runs.
            thread = f"shared-{int(time.monotonic() // 20)}-{number % 2}"
            self._one(f"canary{self.name}-{number}", thread, cancel=number % 5 == 0)
            self._stop.wait(0.1)

    def _one(self, run: str, thread: str, *, cancel: bool) -> None:
        # Not among the batch's indexes: the service and the log tell them apart by the run.
        told: graphs.Item = {**graphs.item(0, steps=self.steps, delay_ms=self.delay_ms), "width": 3, "effect": "none"}
        self.journal.write("run", "invoke", run=run, thread=thread)
        handle = self._call("run", run, lambda: self._remote.submit(told, self._config(thread), run_id=run))
        if handle is None:
            return
        if cancel:
            self.journal.write("cancelling", "invoke", run=run)
            if self._call("cancelling", run, lambda: (handle.cancel(), True)[1]):
                self.journal.write("cancelling", "ok", run=run)
            return
        seen = self._call("stream", run, lambda: [chunk for chunk in handle.stream("updates")])
        if seen is not None:
            done = [step for update in seen for part in update.values() for step in _steps(part)]
            self.journal.write("stream", "ok", run=run, steps=done)
        state = self._call("result", run, lambda: handle.result(60))
        if state is not None:
            self.journal.write("run", "ok", run=run, thread=thread, marks=state.get("marks", []))

    def _config(self, thread: str) -> Any:
        return {"configurable": {"thread_id": thread}}

    def _call(self, op: str, run: str, call: Any) -> Any:
        """What ``call`` answers; again while the server cannot be reached; None where it is refused."""
        while True:
            try:
                return call()
            except StoreError as error:
                self.journal.write(op, "info", run=run, error=type(error).__name__)
                time.sleep(AGAIN)
            except ThreadBusyError as error:
                self.journal.write(op, "fail", run=run, error=type(error).__name__)
                return None
            except Exception as error:
                known = isinstance(error, DistgraphError)
                self.journal.write(op, "fail", run=run, error=type(error).__name__, known=known, text=str(error)[:300])
                return None


def _steps(update: Any) -> list[int]:
    """Supersteps a stream told of, from an update's marks."""
    return [int(mark.partition(".")[0]) for mark in (update or {}).get("marks", [])]


class Reader:
    """Reads results and progress while the storm lasts: what was read once must never change."""

    def __init__(self, cluster: Cluster, folder: str) -> None:
        self.cluster = cluster
        self.journal = Journal(folder, "reader")

    def look(self, batch: str, indexes: list[int]) -> int:
        """Read the batch's progress and some of its items; how many are done. -1: the server could not be reached."""
        try:
            handle = self.cluster.batch(batch)
            status = handle.status()
            self.journal.write("status", "ok", batch=batch, done=status.done)
            for index in indexes:
                result = handle.item(index)
                if result is not None and result.status == "done":
                    self.journal.write("read", "ok", run=result.run_id, total=result.value["total"])
            return status.done
        except DistgraphError as error:
            self.journal.write("status", "fail", batch=batch, error=type(error).__name__)
            return -1


if __name__ == "__main__":
    submit(Submission(**json.loads(sys.argv[1])))
