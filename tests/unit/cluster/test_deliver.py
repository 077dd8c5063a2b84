"""A delivery that fails leaves nothing behind that only its slot could go on with: the slot lives, so nobody frees it."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.testing import Faults
from tests.unit.cluster.small import Counted, chain, cluster_of, fan, wide

pytestmark = pytest.mark.unit

POINTS = [
    f"{when} {call}"
    for call in ("runs.claim", "runs.commit", "runs.record", "runs.offer", "runs.claim_task", "runs.settle")
    for when in ("before", "after")
]


@pytest.mark.parametrize("point", [*POINTS, "before publish"])
def test_a_run_goes_on_after_an_outage_anywhere(point: str) -> None:
    """After a call its reply is lost: it was applied, and nobody knows."""
    graph = fan(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.fail_at(point)
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a", "b", "join"]
    assert cluster.deaths == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["take", "items", "commit", "manifest", "ready_partitions"])
def test_a_batch_goes_on_after_an_outage_anywhere(call: str, when: str) -> None:
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(10)])
    cluster.fail_at(f"{when} batches.{call}")
    cluster.run_until_idle()
    assert [row.status for row in batch.results()] == ["done"] * 10
    assert not any(cluster.memory.state.crashes.values()), "an outage is not a crash"


def test_items_that_left_their_slice_go_on_after_an_outage() -> None:
    """They are runs by then, and their leases this slot's."""
    graph = wide(Counted("work"), 40)
    cluster = cluster_of(graph, slots=3, faults=Faults(node_ms=20))
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(4)])
    cluster.fail_at("after batches.commit")
    cluster.fail_at("before runs.offer")
    cluster.run_until_idle()
    assert [len(row.value["trail"]) for row in batch.results()] == [40] * 4


def test_ten_outages_do_not_make_an_item_poison() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    batch = cluster.submit_batch(graph, [{"x": 1}])
    for nth in range(1, 11):
        cluster.fail_at("before runs.commit", nth)
        cluster.fail_at("before batches.commit", nth)
    cluster.run_until_idle()
    assert run.status() == "done"
    assert batch.status().done == 1


def test_a_driver_that_stumbles_is_heard_and_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it should not raise is seen by whoever delivers; the run does not stay with a slot that forgot it."""
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})

    def stumble(*_: Any) -> None:
        raise AssertionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("distgraph.cluster.drive.open_run", stumble)
        with pytest.raises(AssertionError, match="a bug"):
            cluster.step()
    assert cluster.memory.runs.record(run._address)["lease"] == b""
    assert run.result()["trail"] == ["a"]
