"""What a batch takes of memory: submitted, while it runs, done, read, deleted.

    python ops/bench/footprint.py [--items 10000] [--size 950] [--json]

The batch of the suite ``batch``, items of about 1 KB (``--size``: of their text) through five supersteps, on a worker of
two slots and a server of this bench's own. Prints bytes an item: what the server uses more than before, and of that by
kind of key; and megabytes of the process that submits and reads, and of the worker's largest.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.ledger.usage import usage
from ops.bench import graphs, workloads
from ops.bench.machine import memory_mb

#: Seconds to wait for a batch.
PATIENCE = 3600.0


class Bench:
    """One cluster, one batch; ``row`` looks at both."""

    def __init__(self, cluster: EmbeddedCluster, items: int) -> None:
        self.cluster, self.items = cluster, items
        self.before = self.server_bytes()
        self.began = time.perf_counter()

    def server_bytes(self) -> int:
        info: Any = self.cluster.ledger.client.info("memory")
        return int(info["used_memory"])

    def row(self, when: str) -> dict[str, Any]:
        """Memory at one moment."""
        after = time.perf_counter() - self.began
        used = self.server_bytes() - self.before
        pids = [pid for one in self.cluster.processes if one.alive for pid in (one.pid, *one.children())]
        found = usage(self.cluster.ledger.client, self.cluster.ledger.keys)
        return {
            "when": when,
            "after": round(after, 1),
            "used": round(used / self.items),
            "keys": found.keys.total(),
            "kinds": {
                kind: round(size / self.items, 1) for kind, size in found.bytes.most_common() if size / self.items >= 1
            },
            "here_mb": round(memory_mb("VmRSS")),
            "worker_mb": round(max((memory_mb("VmRSS", pid) for pid in pids), default=0.0)),
        }


def rows(items: int, size: int) -> list[dict[str, Any]]:
    """All moments."""
    with Cluster.embedded(workers=0, graphs=["ops.bench.graphs"]) as cluster:
        cluster.add_worker(concurrency=2)
        bound = cluster.bind(graphs.batch)
        bound.submit_batch([workloads.item(0, size)]).wait(60)
        for process in cluster.processes:
            process.stop()
        bench = Bench(cluster, items)
        found = [bench.row("before")]
        batch = bound.submit_batch(workloads.item(n, size) for n in range(items))
        found.append(bench.row("submitted"))
        cluster.add_worker(concurrency=2)
        while batch.status().done < items // 2:
            cluster.pause(0.05)
        found.append(bench.row("half done"))
        batch.wait(PATIENCE)
        found.append(bench.row("done"))
        if sum(result.value["x"] for result in batch.results()) != sum(range(items)) + items * workloads.ITEM_STEPS:
            raise SystemExit("The results are not those of the items.")
        found.append(bench.row("read"))
        batch.delete()
        found.append(bench.row("deleted"))
        return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=950)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for one in rows(given.items, given.size):
        if given.json:
            sys.stdout.write(json.dumps(one) + "\n")
            continue
        kinds = ", ".join(f"{kind} {size:,}" for kind, size in one["kinds"].items())
        sys.stdout.write(
            f"{one['when']:<10} {one['after']:>8,.1f} s {one['used']:>6,} bytes an item in {one['keys']:>6,} keys; "
            f"here {one['here_mb']:,} MB, worker {one['worker_mb']:,} MB; {kinds}\n"
        )


if __name__ == "__main__":
    main()
