"""Is what a slot runs still wanted? Not once its run or batch was cancelled, or another attempt took its place."""

from __future__ import annotations

from distgraph.cluster.liveness import Called
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.runs import RunLedger


def wanted(runs: RunLedger, batches: BatchLedger, called: Called) -> bool:
    """Whether what ``called`` comes to can still be committed."""
    item = split_item(called.run_id)
    epoch, _, of_batch = called.epoch.partition("/")
    if called.kind == "n":
        partition = runs.keys.partition(called.other)
        status, now = runs.peek(partition, called.run_id, ("status", "epoch"))
        if status != "running" or now != epoch:
            return False
    else:
        of_batch = epoch
    if not of_batch or item is None:
        return True
    return batches.epoch(item[0], runs.keys.chunk_partition(item[0], item[1] // CHUNK)) == of_batch
