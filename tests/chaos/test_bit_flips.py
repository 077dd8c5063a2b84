"""Bits flip in what a real server holds: only who needs it fails, with an error that names the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import CheckpointCorruptError, LedgerCorruptError
from distgraph.examples import sums
from tests.graphs import hard
from tests.integration.cluster.at_rest import crashes, wait_at_rest
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

GRAPHS = ("distgraph.examples.sums", "tests.graphs.hard")
ITEMS = 10
BAD = 4


def flip(cluster: EmbeddedCluster, key: str, field: str | bytes | None = None) -> None:
    """Flip one bit at the end of a value."""
    client: Any = cluster.ledger.client
    if field is None:
        client.lset(key, BAD, damaged(client.lindex(key, BAD)))
    else:
        client.hset(key, field, damaged(client.hget(key, field)))


def damaged(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 4])


def key_of(cluster: EmbeddedCluster, kind: str, name: str) -> str:
    """The one key of a kind that has ``name`` in it."""
    (found,) = cluster.ledger.client.scan_iter(match=f"*:{kind}:*{name}*", count=1000)
    return str(found.decode())


def spoil_input(cluster: EmbeddedCluster, batch_id: str) -> None:
    flip(cluster, key_of(cluster, "in", batch_id))


def spoil_value(cluster: EmbeddedCluster, batch_id: str) -> None:
    spoil_line(cluster, batch_id, b"v:")


def spoil_record(cluster: EmbeddedCluster, batch_id: str) -> None:
    spoil_line(cluster, batch_id, b"c:")


def spoil_line(cluster: EmbeddedCluster, batch_id: str, start: bytes) -> None:
    line = key_of(cluster, "line", f"{batch_id}%3a{BAD}:")
    names: Any = cluster.ledger.client.hkeys(line)
    flip(cluster, line, next(name for name in names if name.startswith(start)))


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (spoil_input, f"Input of item {BAD} of batch"),
        (spoil_value, "Value of a key in checkpoint"),
        (spoil_record, "Record of checkpoint"),
    ],
)
def test_an_item_that_is_damaged_fails_alone(
    spoil: Callable[[EmbeddedCluster, str], None], place: str, tmp_path: Path
) -> None:
    """All items fail at their second node, and are tried again; in between, a bit of one of them flips."""
    gate, log = tmp_path / "there", tmp_path / "log"
    with Cluster.embedded(workers=2, graphs=GRAPHS) as cluster:
        batch = cluster.bind(hard.needs_file).submit_batch(
            [{"file": str(gate), "log": str(log)}] * ITEMS, batch_id="mine"
        )
        assert batch.wait(30).failed == ITEMS
        spoil(cluster, "mine")
        gate.touch()
        assert batch.retry_failed() == ITEMS
        status = batch.wait(30)
        assert (status.done, status.failed) == (ITEMS - 1, 1)
        (failure,) = batch.failures()
        assert failure.index == BAD
        assert failure.error is not None
        assert failure.error["type"].endswith("CheckpointCorruptError")
        assert place in failure.error["message"]
        assert all(result.value["steps"] == ["first", "needs"] for result in batch.results() if result.status == "done")
        assert crashes(cluster, "mine") == {}
        wait_at_rest(cluster)


def test_a_result_that_is_damaged_is_said() -> None:
    items = sums.items(ITEMS)
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        batch = cluster.bind(sums.graph).submit_batch(items, batch_id="mine")
        batch.wait(30)
        rows = key_of(cluster, "out", "mine")
        client: Any = cluster.ledger.client
        row = client.hget(rows, str(BAD))
        # The first bit that matters: of a result it makes a failure.
        for spoilt in (bytes([row[0] ^ 2]) + row[1:], damaged(row)):
            client.hset(rows, str(BAD), spoilt)
            with pytest.raises(CheckpointCorruptError, match=f"item {BAD} of batch 'mine'"):
                list(batch.results())
        whole = batch.item(BAD - 1)
        assert whole is not None
        assert whole.value == sums.expected(items[BAD - 1])


@pytest.mark.parametrize(("field", "place"), [("input", "Input of run"), ("config", "Options of run")])
def test_a_run_whose_record_is_damaged_fails_alone(field: str, place: str) -> None:
    """It was submitted while nobody worked."""
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        cluster.processes[0].pause()
        remote = cluster.bind(sums.graph)
        spoilt, whole = remote.submit({"index": 1}, run_id="spoilt"), remote.submit({"index": 2}, run_id="whole")
        flip(cluster, key_of(cluster, "run", "spoilt"), field)
        cluster.processes[0].resume()
        assert whole.result(20) == sums.expected({"index": 2})
        with pytest.raises(CheckpointCorruptError, match="damaged"):
            spoilt.result(20)
        wait_until(lambda: spoilt.status() == "failed")
        error = cluster.codec().decode(cluster.ledger.runs.record(spoilt._address)["error"])
        assert place in error["message"]
        wait_at_rest(cluster)


def test_an_output_that_is_damaged_is_said() -> None:
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(sums.graph).submit({"index": 1}, run_id="mine")
        run.result(20)
        flip(cluster, key_of(cluster, "run", "mine"), "output")
        with pytest.raises(CheckpointCorruptError, match="Output of run 'mine'"):
            run.result(5)
        cluster.ledger.client.hset(key_of(cluster, "run", "mine"), "status", "dond")
        with pytest.raises(LedgerCorruptError, match="run 'mine'"):
            run.status()


def test_an_outcome_that_is_damaged_is_said() -> None:
    """Of a run that waits for two people, one question is damaged: nobody can answer it, and nobody is shown another."""
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        run = cluster.bind(hard.polls).submit({}, run_id="mine")
        run.result(20)
        key = key_of(cluster, "open", "mine")
        flip(cluster, key, next(iter(cluster.ledger.client.hkeys(key))))
        with pytest.raises(CheckpointCorruptError, match="Outcome of a task of run 'mine'"):
            run.interrupts()
        with pytest.raises(CheckpointCorruptError):
            run.resume("yes")
        assert run.status() == "interrupted"
        wait_at_rest(cluster)


def test_what_nobody_understands_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A strange entry in each due index, and a manifest that is no JSON: sweeps go on."""
    with Cluster.embedded(workers=1, graphs=GRAPHS) as cluster:
        client, keys = cluster.ledger.client, cluster.ledger.keys
        client.hset(keys.shared("manifest", "broken"), "manifest", json.dumps({"graph": "sums"})[:-4])
        for partition in range(keys.partitions):
            entries: Any = {"q:damaged": 0, b"\xff\xfe": 0, "b:broken": 0, "r:broken": 0}
            client.zadd(keys.due(partition), entries)
            client.rpush(keys.batch(partition, "ready", "broken"), "0:0:1:n")
        with pytest.raises(LedgerCorruptError, match="manifest of batch 'broken'"):
            cluster.batch("broken")
        cluster.dispatcher.publish = lambda *_, **__: None  # type: ignore[method-assign]
        run = cluster.bind(sums.graph).submit({"index": 1})
        assert run.result(20) == sums.expected({"index": 1}), "a sweep has found it"
