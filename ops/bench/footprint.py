"""What a batch takes of the server's memory: submitted, while it runs, done, deleted.

    python ops/bench/footprint.py [--items 10000] [--json]

The batch of the suite ``batch``, items of about 1 KB through five supersteps, on a worker and a server of this bench's own.
Prints bytes an item: what the server uses more than before, and of that by kind of key.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.ledger.usage import usage
from ops.bench import graphs, workloads


def row(cluster: EmbeddedCluster, when: str, items: int, before: int) -> dict[str, Any]:
    """Bytes an item at one moment."""
    info: Any = cluster.ledger.client.info("memory")
    found = usage(cluster.ledger.client, cluster.ledger.keys)
    kinds = {kind: round(size / items, 1) for kind, size in found.bytes.most_common() if size / items >= 1}
    return {
        "when": when,
        "used": round((info["used_memory"] - before) / items),
        "keys": found.keys.total(),
        "kinds": kinds,
    }


def rows(items: int) -> list[dict[str, Any]]:
    """All moments."""
    with Cluster.embedded(workers=0, graphs=["ops.bench.graphs"]) as cluster:
        cluster.add_worker()
        graph = graphs.batch
        client = cluster.ledger.client
        cluster.bind(graph).submit_batch([workloads.item(0)]).wait(60)
        before = int(client.info("memory")["used_memory"])
        for process in cluster.processes:
            process.stop()
        batch = cluster.bind(graph).submit_batch(workloads.item(n) for n in range(items))
        found = [row(cluster, "submitted", items, before)]
        cluster.add_worker()
        while batch.status().done < items // 2:
            cluster.pause(0.02)
        found.append(row(cluster, "half done", items, before))
        batch.wait(600)
        found.append(row(cluster, "done", items, before))
        batch.delete()
        found.append(row(cluster, "deleted", items, before))
        return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for one in rows(given.items):
        if given.json:
            sys.stdout.write(json.dumps(one) + "\n")
            continue
        kinds = ", ".join(f"{kind} {size:,}" for kind, size in one["kinds"].items())
        sys.stdout.write(f"{one['when']:<10} {one['used']:>6,} bytes an item in {one['keys']:>6,} keys: {kinds}\n")


if __name__ == "__main__":
    main()
