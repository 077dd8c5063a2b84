"""Dead letters: runs and items of batches that were quarantined because they killed their process again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distgraph.cluster.rows import split_row
from distgraph.errors import CheckpointCorruptError, DistgraphError, RunNotFoundError
from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.replies import Address

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A run or an item that was quarantined.

    Attributes:
        run_id: of the run; of an item ``<batch>:<index>``.
        batch_id: the item's batch; '' for a run.
        index: the item's index; None for a run.
        graph: name of its graph.
        node: the node that ran when its last process died, where that is known.
        reason: what that process died of.
        crashes: how many died.
        when: when it was quarantined, seconds since the epoch.
        message: the failure's text.
        traceback: of the failure, where there is one; a process that dies leaves none.
    """

    run_id: str
    batch_id: str
    index: int | None
    graph: str
    node: str
    reason: str
    crashes: int
    when: float
    message: str
    traceback: str


def dead_letters(cluster: Cluster, limit: int) -> Iterator[DeadLetter]:
    """The newest dead letters, newest first. What was retried or deleted since is none any more."""
    for address, when in cluster.ledger.runs.dead(most=limit):
        error, graph = _error(cluster, address)
        if error is None:
            cluster.ledger.runs.revive(address)
            continue
        item = split_item(address.run_id) if address.own_thread else None
        in_batch = item if item is not None and cluster.find_batch(item[0]) is not None else None
        yield DeadLetter(
            run_id=address.run_id,
            batch_id=in_batch[0] if in_batch else "",
            index=in_batch[1] if in_batch else None,
            graph=graph,
            node=str(error.get("node") or ""),
            reason=str(error.get("reason", "")),
            crashes=int(error.get("crashes", 0)),
            when=when / 1000,
            message=str(error.get("message", "")),
            traceback=str(error.get("traceback", "")),
        )


def dead_letter(cluster: Cluster, run_id: str) -> DeadLetter:
    """The dead letter of that run or item.

    Raises:
        RunNotFoundError: it is none.
    """
    found = next((letter for letter in dead_letters(cluster, 1_000_000) if letter.run_id == run_id), None)
    if found is None:
        raise RunNotFoundError(
            f"There is no dead letter {run_id!r}: it was never quarantined, or was retried or deleted since."
        )
    return found


def retry(cluster: Cluster, letter: DeadLetter) -> None:
    """Give a dead letter three more chances: it goes on where it died."""
    if letter.index is None:
        cluster.run(letter.run_id).retry()
    else:
        cluster.batch(letter.batch_id).retry_item(letter.index)


def _error(cluster: Cluster, address: Address) -> tuple[dict[str, Any] | None, str]:
    """(the failure of a run or item that is quarantined, its graph); None: it is not, any more."""
    record = cluster.ledger.runs.record(address)
    if record:
        graph = record["graph"].decode()
        if record.get("status") != b"failed" or "error" not in record:
            return None, graph
        return _poison(cluster, graph, record["error"]), graph
    item = split_item(address.run_id)
    batch = cluster.find_batch(item[0]) if item else None
    if item is None or batch is None:
        return None, ""
    row = cluster.ledger.batches.rows(item[0], item[1] // CHUNK).get(item[1])
    if row is None or row[:1] != b"f":
        return None, batch.graph
    try:
        return _poison(cluster, batch.graph, split_row(row)[2]), batch.graph
    except CheckpointCorruptError:
        return None, batch.graph


def _poison(cluster: Cluster, graph: str, data: bytes) -> dict[str, Any] | None:
    try:
        error: Any = cluster.codec_of(graph).decode(data)
    except DistgraphError:
        return None
    return error if isinstance(error, dict) and error.get("kind") == "poison" else None
