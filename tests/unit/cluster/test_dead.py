"""Dead letters: what was quarantined is listed, shown, and may be tried again."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.errors import PoisonTaskError, RunNotFoundError
from distgraph.testing import InProcessCluster, die
from distgraph.types import Placement
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit

DEADLY = {"x": 3}


def deadly() -> tuple[Any, Counted]:
    node = Counted("risky", lambda state: die() if state["x"] == 3 else None)
    return chain(Counted("first"), node), node


def poisoned(placement: Placement) -> tuple[InProcessCluster, Any, Counted]:
    graph, node = deadly()
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(6)], batch_id="b", placement=placement)
    cluster.run_until_idle()
    return cluster, batch, node


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_an_item_that_was_quarantined_is_a_dead_letter(placement: Placement) -> None:
    cluster, _, _ = poisoned(placement)
    [letter] = cluster.dead_letters()
    assert (letter.run_id, letter.batch_id, letter.index) == ("b:3", "b", 3)
    assert (letter.graph, letter.node, letter.crashes) == ("chain", "risky", 3)
    assert "in node 'risky'" in letter.reason
    assert "was quarantined: 3 worker processes died" in letter.message
    assert letter.when == pytest.approx(cluster.clock.seconds(), abs=60)
    assert cluster.dead_letter("b:3") == letter


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_it_is_none_once_it_was_retried_and_is_done(placement: Placement) -> None:
    cluster, batch, node = poisoned(placement)
    node.does = lambda state: None
    cluster.retry_dead_letter(cluster.dead_letter("b:3"))
    assert cluster.dead_letters() == []
    cluster.run_until_idle()
    assert batch.status().done == 6
    assert cluster.memory.state.dead.look(0) == {} == cluster.memory.state.dead.look(1)


def test_one_that_dies_again_is_one_again() -> None:
    cluster, batch, _ = poisoned("auto")
    cluster.retry_dead_letter(cluster.dead_letter("b:3"))
    cluster.run_until_idle()
    assert [letter.run_id for letter in cluster.dead_letters()] == ["b:3"]
    assert batch.status().failed == 1


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_a_run_is_one_too(placement: Placement) -> None:
    graph, node = deadly()
    cluster = cluster_of(graph)
    run = cluster.submit(graph, DEADLY, placement=placement)
    with pytest.raises(PoisonTaskError) as failed:
        run.result()
    assert (failed.value.node, failed.value.crashes) == ("risky", 3)
    [letter] = cluster.dead_letters()
    assert (letter.run_id, letter.batch_id, letter.index, letter.node) == (run.run_id, "", None, "risky")
    node.does = lambda state: None
    cluster.retry_dead_letter(letter)
    assert cluster.dead_letters() == []
    assert run.result()["trail"] == ["first", "risky"]


def test_the_newest_come_first() -> None:
    graph, _ = deadly()
    cluster = cluster_of(graph)
    for name in ("one", "two", "three"):
        cluster.submit(graph, DEADLY, run_id=name)
        cluster.run_until_idle()
    assert [letter.run_id for letter in cluster.dead_letters(2)] == ["three", "two"]


def test_what_failed_by_itself_is_none() -> None:
    def fails(state: Any) -> Any:
        raise ValueError("no")

    graph = chain(Counted("bad", fails))
    cluster = cluster_of(graph)
    cluster.submit(graph, {"x": 1}, run_id="r")
    cluster.run_until_idle()
    assert cluster.dead_letters() == []
    with pytest.raises(RunNotFoundError, match="no dead letter 'r'"):
        cluster.dead_letter("r")


def test_a_deleted_batch_leaves_none() -> None:
    cluster, batch, _ = poisoned("auto")
    batch.delete()
    assert cluster.memory.state.dead.look(0) == {} == cluster.memory.state.dead.look(1)
    assert cluster.dead_letters() == []
