"""The companion beats for a worker whose own interpreter is busy, and ends when the worker does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from distgraph.cluster import companion
from distgraph.cluster.liveness import SlotTable, state_of
from distgraph.ledger.ledger import Ledger
from tests.waiting import wait_until

ABOUT = {"name": "w", "host": "h", "pid": 1, "pool": "solo", "concurrency": 1, "graphs": {}, "queues": []}


@pytest.mark.unit
def test_it_ends_with_its_worker_even_if_the_server_does_not_answer() -> None:
    process = companion.start(SlotTable(8), "redis://127.0.0.1:1/0", "nobody", "boot", ABOUT)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


@pytest.mark.integration
def test_it_beats_what_the_table_says_and_says_goodbye(redis_url: str, namespace: str) -> None:
    ledger, table = Ledger(redis_url, namespace), SlotTable(8)
    process = companion.start(table, redis_url, namespace, "boot", ABOUT)

    def told() -> tuple[Any, Any]:
        # On a busy machine a beat may come too late, and nothing is known until the next.
        beat = ledger.fleet.workers().get("boot", {})
        return beat.get("slots"), beat.get("idle")

    wait_until(lambda: told() == ([], 1))
    table.write(0, 77, True, 0.0, "n:run")
    wait_until(lambda: told() == (["boot:77.0"], 0))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0
    assert ledger.fleet.workers() == {}
    ledger.close()


@pytest.mark.integration
def test_a_worker_that_is_stopped_does_not_look_alive(redis_url: str, namespace: str) -> None:
    """SIGSTOP holds the worker, not its companion: it sees that and is silent."""
    code = (
        "import sys\nfrom distgraph.cluster import companion\nfrom distgraph.cluster.liveness import SlotTable\n"
        f"companion.start(SlotTable(8), {redis_url!r}, {namespace!r}, 'boot', {ABOUT!r})\nsys.stdin.read()\n"
    )
    ledger = Ledger(redis_url, namespace)
    worker = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        wait_until(lambda: "boot" in ledger.fleet.workers())
        os.kill(worker.pid, signal.SIGSTOP)
        wait_until(lambda: state_of(worker.pid) == "T")
        wait_until(lambda: "boot" not in ledger.fleet.workers(), what="its last beat is forgotten")
        os.kill(worker.pid, signal.SIGCONT)
        wait_until(lambda: "boot" in ledger.fleet.workers())
    finally:
        worker.kill()
        worker.communicate()
    wait_until(lambda: "boot" not in ledger.fleet.workers())
    ledger.close()
