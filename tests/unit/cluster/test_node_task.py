"""Offered tasks: each is claimed by itself, runs, settles; whoever closes the barrier drives on."""

from __future__ import annotations

import pytest

from distgraph.cluster.hints import NodeHint
from distgraph.errors import CodecError
from distgraph.testing import Faults
from distgraph.types import Placement
from tests.unit.cluster.small import Counted, ask, cluster_of, fan, wide

pytestmark = pytest.mark.unit


def test_a_hint_that_comes_twice_finds_nothing_to_do() -> None:
    arms = [Counted("a"), Counted("b")]
    graph = fan(*arms)
    cluster = cluster_of(graph, faults=Faults(repeat=1.0, shuffle=True))
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a", "b", "join"]
    assert [arm.calls for arm in arms] == [1, 1]


def test_lost_hints_are_found_by_the_sweep() -> None:
    arms = [Counted("a"), Counted("b")]
    graph = fan(*arms)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.step()
    assert cluster.broker.drop() == 2
    assert not cluster.step()
    assert run.result()["trail"] == ["a", "b", "join"]
    assert [arm.calls for arm in arms] == [1, 1]


def test_the_first_settlement_wins() -> None:
    """A slot that was taken for dead comes back with an outcome of its own: it is not wanted any more."""
    slow = Counted("slow")
    slow.does = lambda state: slow.calls
    graph = fan(slow, Counted("b"))
    cluster = cluster_of(graph)
    cluster.stall_at("before runs.settle", steps=60)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.run_until_idle()
    trail = run.result(0)["trail"]
    assert len(trail) == 3
    assert slow.calls <= 2


@pytest.mark.parametrize("point", ["after runs.claim_task", "node a", "before runs.settle", "after runs.settle"])
@pytest.mark.parametrize("tree", [False, True], ids=["child", "worker"])
def test_a_superstep_closes_after_a_death_anywhere(point: str, tree: bool) -> None:
    graph = fan(Counted("a"), Counted("b"), Counted("c"))
    cluster = cluster_of(graph)
    cluster.crash_at(point, tree=tree)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.run_until_idle()
    assert cluster.deaths == 1
    assert run.result(0)["trail"] == ["a", "b", "c", "join"]


def test_a_drained_slot_hands_the_rest_of_a_pack_back() -> None:
    work = Counted("work")
    graph = wide(work, 64)
    cluster = cluster_of(graph, slots=3, faults=Faults(node_ms=20))
    run = cluster.submit(graph, {"x": 1})
    cluster.step()
    before = work.calls

    def drain(state: object) -> None:
        slot = next(slot for slot in cluster.slots if slot.busy)
        if len(cluster.slots) - sum(other.draining for other in cluster.slots) > 1:
            cluster.drain(slot)

    work.does = drain
    cluster.step()
    assert work.calls == before + 1, "the task in hand is finished, no other one begun"
    assert len(run.result()["trail"]) == 64
    assert work.calls == 64


def test_tasks_of_an_older_epoch_are_refused() -> None:
    """A hint from before a cancellation, however late."""
    node = Counted("a")
    graph = fan(node, Counted("b"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.step()
    assert all(isinstance(hint, NodeHint) for hint in cluster.broker.hints())
    run.cancel()
    cluster.run_until_idle()
    assert (node.calls, run.status()) == (0, "cancelled")


class Unstorable(Counted):
    """A node that returns what no codec takes."""

    def __call__(self, state: object) -> object:
        self.calls += 1
        return {"x": object()}


@pytest.mark.parametrize("placement", ["local", "spread"])
def test_what_cannot_be_stored_fails_the_run(placement: Placement) -> None:
    """No other attempt would change that."""
    odd = Unstorable("odd")
    graph = fan(odd, Counted("b"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    cluster.run_until_idle()
    with pytest.raises(CodecError, match="key 'x'"):
        run.result(0)
    assert odd.calls == 1


def test_two_questions_of_one_superstep_are_answered_one_by_one() -> None:
    left, right, third = Counted("left", ask("l?")), Counted("right", ask("r?")), Counted("third")
    graph = fan(left, right, third)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.run_until_idle()
    asked = {question.value: question.id for question in run.interrupts()}
    assert set(asked) == {"l?", "r?"}
    run.resume({asked["l?"]: "L"})
    cluster.run_until_idle()
    assert [question.value for question in run.interrupts()] == ["r?"]
    assert run.resume("R").result()["trail"] == ["left:L", "right:R", "third", "join"]
    assert (left.calls, right.calls, third.calls) == (2, 2, 1)
