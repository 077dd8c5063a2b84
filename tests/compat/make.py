"""Make the golden file of this release: `python -m tests.compat.make tests/compat/ledger/0.1.0.json`.

A real cluster is filled with work, and all its workers are killed in the midst of it: what is then on the server, and
what the test of later releases must make of it, is the file. It is made once for a release and never changed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import WaitTimeoutError
from tests.compat import graphs
from tests.compat.stored import dump
from tests.waiting import wait_until

NAMESPACE = "golden"
#: Items of the batch, and those that hold up their slices: it is half done.
ITEMS, HELD = 600, (300, 590)


def main(path: str) -> int:
    """Write the golden file."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[graphs.GATE] = str(Path(folder) / "shut")
        served = ["tests.compat.graphs"]
        with Cluster.embedded(workers=1, graphs=served, concurrency=4, namespace=NAMESPACE) as cluster:
            _fill(cluster)
            for process in cluster.processes:
                process.kill()
            stored = dump(cluster.ledger.client, NAMESPACE)
    Path(path).write_text(
        json.dumps({"version": Path(path).stem, "fingerprints": fingerprints(), "keys": stored}, indent=1)
    )
    sys.stdout.write(f"{path}: {len(stored)} keys\n")
    return 0


def fingerprints() -> dict[str, str]:
    """Graph name -> fingerprint."""
    return {graph.name: graph.fingerprint for graph in (graphs.golden, graphs.fan, graphs.asks, graphs.fails)}


def items() -> list[Any]:
    """The batch."""
    return [{"x": x, "holds": x in HELD} for x in range(ITEMS)]


def _fill(cluster: EmbeddedCluster) -> None:
    history: Any = {"configurable": {"thread_id": "history"}}
    remote = cluster.bind(graphs.golden)
    for x in (1, 2):
        remote.invoke({"x": x}, history)
    cluster.bind(graphs.asks).submit({"x": 1}, run_id="asks").result(20)
    answered = cluster.bind(graphs.asks).submit({"x": 1}, run_id="asks-again")
    answered.result(20)
    answered.resume("Ada").result(20)
    failed = cluster.bind(graphs.fails).submit({"x": 1}, run_id="fails")
    try:
        failed.result(20)
    except FileNotFoundError:
        assert failed.status() == "failed"
    cluster.bind(graphs.fan, placement="spread").submit({"x": 1, "holds": True}, run_id="fan")
    half: Any = {"configurable": {"thread_id": "half"}}
    running = remote.submit({"x": 5, "holds": True}, half, run_id="half")
    remote.submit({"x": 6}, half, run_id="in-line", multitask_strategy="enqueue")
    wait_until(lambda: len(list(cluster.ledger.runs.outcomes(cluster.run("fan")._address))) == 1, 30)
    wait_until(lambda: running.status() == "running", 30)
    batch = remote.submit_batch(items(), batch_id="batch", key="x")
    wait_until(lambda: batch.status().done >= 200, 30)
    wait_until(lambda: all(worker.busy == worker.slots for worker in cluster.workers()), 30)
    remote.submit({"x": 7}, run_id="queued")
    try:
        batch.wait(0.5)
    except WaitTimeoutError:
        return
    raise SystemExit("the batch came to an end: nothing is half done")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
