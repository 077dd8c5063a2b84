"""What items that kill their process cost those that do not: a batch without any, and one with 1 % of them.

    python ops/bench/poison.py [--items 2000] [--poison 20] [--ms 5] [--workers 2] [--repeat 1] [--json]

The poison is in the first half of the batch. Each such item kills its process (SIGKILL) until it is quarantined, three
times. Prints healthy items a second of both batches, until the last healthy item is done; their ratio (the healthy
slow-down); the slot time that one death costs, which does not depend on how long items take; and how fast healthy items are
in the last quarter, with the poison out of the way, in parts of the clean batch's last quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distgraph import END, START, StateGraph
from distgraph.cluster import Cluster

ALLOWED = 3


class Item(TypedDict, total=False):
    """One item."""

    ms: float
    kill: bool
    done: bool


def work(state: Item) -> Item:
    """Take so long, or die."""
    time.sleep(state["ms"] / 1000)
    if state["kill"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"done": True}


graph = StateGraph(Item).add_node(work).add_edge(START, "work").add_edge("work", END).compile(name="bench_poison")


def race(remote: Any, items: list[dict[str, Any]], healthy: int) -> tuple[float, float]:
    """(seconds until all healthy items are done, healthy items a second in the last quarter of them)."""
    batch = remote.submit_batch(items)
    began, quarter, at = time.monotonic(), 0.0, 0
    while (done := batch.status().done) < healthy:
        if not quarter and done >= healthy * 3 // 4:
            quarter, at = time.monotonic(), done
        time.sleep(0.02)
    end = time.monotonic()
    status = batch.wait(120)
    if (status.done, status.failed) != (healthy, len(items) - healthy):
        raise SystemExit(f"The batch did not come to its right end: {status}")
    batch.delete()
    return end - began, (healthy - at) / max(1e-9, end - quarter)


def measure(remote: Any, items: int, bad: int, ms: float, slots: int) -> dict[str, float]:
    """One clean batch and one with poison, one after the other."""
    clean = [{"ms": ms, "kill": False} for _ in range(items)]
    every = items // 2 // bad
    mixed = [{"ms": ms, "kill": at % every == every // 2 and at // every < bad} for at in range(items)]
    killers = sum(bool(item["kill"]) for item in mixed)
    seconds, late = race(remote, clean, items)
    worse, after = race(remote, mixed, items - killers)
    rates = items / seconds, (items - killers) / worse
    return {
        "clean_per_s": rates[0],
        "healthy_per_s": rates[1],
        "slow_down": rates[0] / rates[1],
        "slot_s_per_death": (worse - seconds) * slots / (killers * ALLOWED),
        "last_quarter": after / late,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--poison", type=int, default=20)
    parser.add_argument("--ms", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with Cluster.embedded(workers=given.workers, graphs=["ops.bench.poison:graph"]) as cluster:
        remote = cluster.bind(graph)
        race(remote, [{"ms": 1, "kill": False}] * 100, 100)
        rows = [measure(remote, given.items, given.poison, given.ms, given.workers) for _ in range(given.repeat)]
    middle = {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}
    print(
        json.dumps({"rows": rows, "median": middle})
        if given.json
        else "\n".join(f"{n:18} {v}" for n, v in middle.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
