"""Records of runs that something else wrote to: one error that says so, no worker that is held up, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from distgraph.cluster import RunHandle
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import LedgerCorruptError
from distgraph.examples import chain
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

GIVEN = {"text": "It rained."}

#: The numbers are those of the list of bad inputs. What is written, and the field that is then complained of.
DAMAGED: dict[str, tuple[dict[Any, Any], str]] = {
    "206 a negative epoch": ({"epoch": "-1"}, "epoch"),
    "206 an epoch that is no number": ({"epoch": "x"}, "epoch"),
    "206 fewer crashes than none": ({"x": "-3"}, "x"),
    "206 crashes that are no number": ({"x": "many"}, "x"),
    "206 more crashes than anybody counts": ({"x": "9" * 60}, "x"),
    "206 fewer tasks than none": ({"plan": "-5"}, "plan"),
    "206 tasks that are no number": ({"plan": "abc"}, "plan"),
    "206 a limit with an exponent": ({"stop": "1e9"}, "stop"),
    "207 a time that is none": ({"limit": "1000", "ends": "soon"}, "ends"),
    "210 a version that is no text": ({"fp": b"\xff\xfe"}, "fp"),
    "210 a name that is no text": ({"graph": b"\xff"}, "graph"),
    "210 a reason that is no text": ({"x": "3", "why": b"\xff"}, "why"),
}
#: What is odd, and does no harm.
HARMLESS: dict[str, dict[Any, Any]] = {
    "207 created in the future": {"created": "99999999999999", "hinted": "99999999999999"},
    "207 a time limit far away": {"limit": "1000", "ends": "99999999999999"},
    "210 fields of others": {"\xff": b"\xff", "": b""},
}


def key_of(cluster: EmbeddedCluster, run: RunHandle) -> str:
    return cluster.ledger.keys.of(run.thread_id, "run", run.run_id)


@contextmanager
def submitted(cluster: EmbeddedCluster) -> Iterator[RunHandle]:
    """A run that no worker has seen yet: they stand still until the end of the block."""
    for process in cluster.processes:
        process.pause()
    try:
        yield cluster.bind(chain.graph).submit(GIVEN)
    finally:
        for process in cluster.processes:
            process.resume()


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_record_is_named_and_left_as_it_is(cluster: EmbeddedCluster, case: str) -> None:
    changes, field = DAMAGED[case]
    client = cluster.ledger.client
    with submitted(cluster) as run:
        key = key_of(cluster, run)
        before: list[Any] = client.hmget(key, list(changes))
        client.hset(key, mapping=changes)
    assert cluster.bind(chain.graph).invoke(GIVEN)["words"] == 2, "others are not held up"
    for look in (run.status, lambda: run.result(timeout=5)):
        with pytest.raises(
            LedgerCorruptError, match=f"run '{run.run_id}' is damaged: its field '{field}' .* cancel the run"
        ):
            look()
    if "x" not in changes:
        assert client.hget(key, "x") in (b"0", None), "it is no crash"
    _restore(cluster, key, dict(zip(changes, before, strict=True)))
    run.cancel()
    run.delete()
    wait_at_rest(cluster)


def _restore(cluster: EmbeddedCluster, key: str, fields: dict[str, bytes | None]) -> None:
    for field, value in fields.items():
        if value is None:
            cluster.ledger.client.hdel(key, field)
        else:
            cluster.ledger.client.hset(key, field, value)


def test_a_damaged_run_can_be_cancelled_and_deleted(cluster: EmbeddedCluster) -> None:
    with submitted(cluster) as run:
        cluster.ledger.client.hset(key_of(cluster, run), "epoch", "x")
    assert run.cancel()
    assert run.status() == "cancelled"
    run.delete()
    wait_at_rest(cluster)


def test_a_damaged_run_that_is_restored_goes_on(cluster: EmbeddedCluster) -> None:
    """A worker looks at it again once a minute; its next hint is one of those looks."""
    client = cluster.ledger.client
    with submitted(cluster) as run:
        key = key_of(cluster, run)
        client.hset(key, "stop", "1e9")
    wait_until(lambda: client.hget(key, "left"), 20)
    client.hdel(key, "stop")
    client.zadd(cluster.ledger.keys.due(cluster.ledger.keys.partition(run.thread_id)), {f"r:{run.run_id}": 1})
    assert run.result(timeout=20)["words"] == 2


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_odd_and_does_no_harm(cluster: EmbeddedCluster, case: str) -> None:
    with submitted(cluster) as run:
        cluster.ledger.client.hset(key_of(cluster, run), mapping=HARMLESS[case])
    assert run.result(timeout=20)["words"] == 2
    wait_at_rest(cluster)


@pytest.mark.parametrize("holder", ["", "gone:1.0"])
def test_205_a_run_that_says_running_and_has_nothing_left_to_do(cluster: EmbeddedCluster, holder: str) -> None:
    """Nobody is at it, or somebody who is not there: a sweep finds it, and it comes to its end with its result."""
    run = cluster.bind(chain.graph).submit(GIVEN)
    before = run.result(timeout=20)
    client, key = cluster.ledger.client, key_of(cluster, run)
    wait_at_rest(cluster)
    client.hset(cluster.ledger.keys.line(run.thread_id), "run", run.run_id)
    client.hset(key, mapping={"status": "running", "lease": holder, "plan": 0})
    client.hdel(key, "output", "ended")
    client.zadd(cluster.ledger.keys.due(cluster.ledger.keys.partition(run.thread_id)), {f"r:{run.run_id}": 1})
    assert run.result(timeout=20) == before
    wait_at_rest(cluster)
