"""A batch, from its submitter's side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.cluster.batch import Batch
from distgraph.errors import BatchExistsError, BatchLostError, BatchNotFoundError, InputError, WaitTimeoutError
from distgraph.testing import Faults, InProcessCluster
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit


def items(count: int) -> list[dict[str, Any]]:
    return [{"x": at} for at in range(count)]


@pytest.fixture
def node() -> Counted:
    return Counted("a", lambda state: state["x"])


@pytest.fixture
def graph(node: Counted) -> Any:
    return chain(node)


@pytest.fixture
def cluster(graph: Any) -> InProcessCluster:
    return cluster_of(graph)


def test_waiting_makes_the_cluster_work(cluster: InProcessCluster, graph: Any) -> None:
    status = cluster.submit_batch(graph, items(10)).wait()
    assert (status.total, status.done, status.sealed, status.finished) == (10, 10, True, True)
    assert status.persistence == "memory"


def test_a_status_counts_where_items_stand(cluster: InProcessCluster, graph: Any) -> None:
    batch = cluster.submit_batch(graph, items(10))
    status = batch.status()
    assert (status.queued, status.running, status.done, status.finished) == (10, 0, 0, False)
    with pytest.raises(WaitTimeoutError, match="0 of 10 items are at rest"):
        batch.wait(0)


def test_the_same_again_goes_on_with_what_is_there(cluster: InProcessCluster, graph: Any, node: Counted) -> None:
    first = cluster.submit_batch(graph, items(600), batch_id="mine")
    first.wait()
    again = cluster.submit_batch(graph, items(600), batch_id="mine")
    assert again.wait().done == 600
    assert node.calls == 600


def test_a_batch_that_is_lost_while_it_is_sent_is_not_sealed(cluster: InProcessCluster, graph: Any) -> None:
    """What a seal alone would leave behind is a batch that nobody can read."""

    def lost() -> Iterator[Any]:
        yield from items(3)
        cluster.batch("mine").delete()

    with pytest.raises(BatchNotFoundError, match="Submit it again"):
        cluster.submit_batch(graph, lost(), batch_id="mine")
    with pytest.raises(BatchNotFoundError):
        cluster.batch("mine")
    assert cluster.submit_batch(graph, items(3), batch_id="mine").wait().done == 3


def test_a_submitter_that_died_halfway_goes_on(cluster: InProcessCluster, graph: Any, node: Counted) -> None:
    def half() -> Iterator[Any]:
        yield from items(300)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cluster.submit_batch(graph, half(), batch_id="mine")
    assert not cluster.batch("mine").status().sealed
    assert cluster.submit_batch(graph, items(600), batch_id="mine").wait().done == 600
    assert node.calls == 600


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (items(11), "other items"),
        (items(9), "other items"),
        ([{"x": 99}, *items(10)[1:]], "the first difference is among items 0 to 9"),
    ],
)
def test_other_items_under_the_same_id_are_refused(
    cluster: InProcessCluster, graph: Any, other: Any, match: str
) -> None:
    cluster.submit_batch(graph, items(10), batch_id="mine")
    with pytest.raises(BatchExistsError, match=match):
        cluster.submit_batch(graph, other, batch_id="mine")
    assert cluster.batch("mine").wait().done == 10


def test_other_options_under_the_same_id_are_refused(cluster: InProcessCluster, graph: Any) -> None:
    cluster.submit_batch(graph, items(3), batch_id="mine")
    with pytest.raises(BatchExistsError, match="another graph, version or options"):
        cluster.submit_batch(graph, items(3), batch_id="mine", config={"recursion_limit": 3})


def test_keys_name_items_in_results(cluster: InProcessCluster, graph: Any) -> None:
    batch = cluster.submit_batch(graph, items(3), key="x")
    batch.wait()
    assert [(row.index, row.key) for row in batch.results()] == [(0, 0), (1, 1), (2, 2)]
    named = cluster.submit_batch(graph, items(2), key=lambda item: f"item {item['x']}")
    named.wait()
    assert [row.key for row in named.results()] == ["item 0", "item 1"]


def test_an_item_without_its_key_is_named(cluster: InProcessCluster, graph: Any) -> None:
    with pytest.raises(InputError, match="has no 'y' to take its key from") as caught:
        cluster.submit_batch(graph, items(3), key="y")
    assert "Item 0 of the batch" in caught.value.__notes__[0]


def test_an_empty_batch_is_finished(cluster: InProcessCluster, graph: Any) -> None:
    batch = cluster.submit_batch(graph, [])
    assert batch.wait().finished
    assert list(batch.results()) == []


def test_failed_items_can_be_tried_again(node: Counted, graph: Any, cluster: InProcessCluster) -> None:
    broken = True

    def does(state: Any) -> None:
        if broken and state["x"] % 2:
            raise ValueError("odd")

    node.does = does
    batch = cluster.submit_batch(graph, items(6), key="x")
    assert (batch.wait().done, len(list(batch.failures()))) == (3, 3)
    broken = False
    assert batch.retry_failed() == 3
    assert batch.wait().done == 6
    assert [row.key for row in batch.results()] == list(range(6))
    assert batch.retry_failed() == 0


def test_a_cancelled_batch_keeps_what_it_has(node: Counted, graph: Any) -> None:
    cluster = cluster_of(graph, slots=1, faults=Faults(node_ms=300))
    batch = cluster.submit_batch(graph, items(40))
    cluster.step()
    done = batch.status().done
    assert 0 < done < 40
    batch.cancel()
    cluster.run_until_idle()
    status = batch.status()
    assert (status.done, status.cancelled, status.finished) == (done, 40 - done, True)
    assert [row.status for row in batch.results()].count("cancelled") == 40 - done


def test_an_item_has_a_handle_of_its_own(cluster: InProcessCluster, graph: Any) -> None:
    batch = cluster.submit_batch(graph, items(3))
    run = cluster.run(f"{batch.batch_id}:1")
    assert run.status() == "queued"
    batch.wait()
    assert run.result()["trail"] == ["a:1"]
    assert batch.item(1) is not None


def test_a_deleted_batch_leaves_nothing(cluster: InProcessCluster, graph: Any) -> None:
    batch = cluster.submit_batch(graph, items(3))
    batch.delete()
    with pytest.raises(BatchNotFoundError):
        batch.status()
    state = cluster.memory.state
    assert not any((state.rows, state.manifests, state.parts, state.inputs, state.ready))
    cluster.run_until_idle()


def test_an_unknown_batch(cluster: InProcessCluster) -> None:
    with pytest.raises(BatchNotFoundError, match="no batch 'nobody'"):
        cluster.batch("nobody")


class TestARolledBackServer:
    """The handle knows what it was told: nobody waits for ever, and nothing is less without a word."""

    @pytest.mark.parametrize("kept", [list, tuple])
    @pytest.mark.parametrize("left", ["nothing sealed", "a chunk", "no chunk"])
    def test_what_it_lost_the_submitter_sends_again(
        self, cluster: InProcessCluster, graph: Any, left: str, kept: Any
    ) -> None:
        batch, saved = forgetful(cluster, graph, kept(items(600)))
        cluster.memory.restore(saved[left])
        status = batch.wait()
        assert (status.total, status.done, status.finished) == (600, 600, True)
        assert [row.index for row in batch.results()] == list(range(600))

    @pytest.mark.parametrize("left", ["nothing sealed", "a chunk"])
    @pytest.mark.parametrize("asked", ["status", "wait", "results"])
    def test_who_has_no_items_is_told(self, cluster: InProcessCluster, graph: Any, left: str, asked: str) -> None:
        mine, saved = forgetful(cluster, graph, iter(items(600)))
        other = cluster.batch("mine")
        cluster.memory.restore(saved[left])
        found = {"nothing sealed": "it waits for more items", "a chunk": "256 of 600 items are there"}[left]
        for batch in (mine, other):
            with pytest.raises(BatchLostError, match=rf"rolled back.*{found}.*Submit the same items again"):
                list(getattr(batch, asked)() or ())
        assert cluster.submit_batch(graph, items(600), batch_id="mine").wait().done == 600
        assert other.wait().done == 600

    def test_who_comes_later_waits_for_items(self, cluster: InProcessCluster, graph: Any) -> None:
        """Nobody told him that these were all."""
        _, saved = forgetful(cluster, graph, items(600))
        cluster.memory.restore(saved["a chunk"])
        assert not cluster.batch("mine").status().sealed

    def test_items_that_were_changed_since_are_not_sent_again(self, cluster: InProcessCluster, graph: Any) -> None:
        mine = items(600)
        batch, saved = forgetful(cluster, graph, mine)
        mine[500] = {"x": -1}
        cluster.memory.restore(saved["a chunk"])
        with pytest.raises(BatchExistsError, match=r"items 256 to 511 were changed since"):
            batch.wait()
        mine[500:] = []
        with pytest.raises(BatchExistsError, match=r"changed since"):
            batch.wait()

    def test_a_batch_that_is_lost_whole_is_said_to_be(self, cluster: InProcessCluster, graph: Any) -> None:
        batch, saved = forgetful(cluster, graph, items(600))
        cluster.memory.restore(saved["no batch"])
        with pytest.raises(BatchNotFoundError):
            batch.wait()

    def test_results_that_are_missing_are_not_left_out_silently(self, cluster: InProcessCluster, graph: Any) -> None:
        batch = cluster.submit_batch(graph, items(10))
        saved = cluster.memory.snapshot()
        batch.wait()
        cluster.memory.restore(saved)
        with pytest.raises(BatchLostError, match="0 results are there, of 10 items that were done"):
            list(batch.results())
        batch.wait()
        assert len(list(batch.results())) == 10

    def test_results_of_a_batch_that_is_being_deleted(self, cluster: InProcessCluster, graph: Any) -> None:
        """That they get fewer is no roll-back: nobody would do them again."""
        batch = cluster.submit_batch(graph, items(600))
        batch.wait()
        results = batch.results()
        assert next(results).status == "done"
        cluster.memory.batches.drop(batch.batch_id, "somebody")
        cluster.memory.batches.delete_items(batch.batch_id, [1, 2])
        with pytest.raises(BatchNotFoundError):
            list(results)

    def test_a_pause_that_was_ended_is_ended_again(self, cluster: InProcessCluster, graph: Any) -> None:
        batch = cluster.submit_batch(graph, items(10))
        watcher = cluster.batch(batch.batch_id)
        batch.pause()
        watcher.status()
        saved = cluster.memory.snapshot()
        batch.unpause()
        watcher.status()
        for who in (batch, watcher):
            cluster.memory.restore(saved)
            saved = cluster.memory.snapshot()
            assert cluster.memory.batches.counts(batch.batch_id).states == {"paused"}
            who.status()
            assert cluster.memory.batches.counts(batch.batch_id).states == set()
        assert batch.wait().done == 10

    def test_a_pause_of_somebody_else_stands(self, cluster: InProcessCluster, graph: Any) -> None:
        batch = cluster.submit_batch(graph, items(10))
        batch.pause()
        batch.unpause()
        cluster.batch(batch.batch_id).pause()
        with pytest.raises(WaitTimeoutError):
            batch.wait(0)
        assert cluster.memory.batches.counts(batch.batch_id).states == {"paused"}

    def test_what_is_deleted_meanwhile_is_not_sent_again(self, cluster: InProcessCluster, graph: Any) -> None:
        batch = cluster.submit_batch(graph, items(600))
        cluster.memory.batches.drop(batch.batch_id, "somebody")
        cluster.memory.batches.delete_items(batch.batch_id, [0, 1, 2])
        batch.status()
        cluster.batch(batch.batch_id).delete()
        with pytest.raises(BatchNotFoundError):
            batch.status()


def forgetful(cluster: InProcessCluster, graph: Any, given: Any) -> tuple[Batch, dict[str, int]]:
    """A batch, and what the server may go back to, by what it has of it then."""
    batches, saved = cluster.memory.batches, {"no batch": cluster.memory.snapshot()}
    add, seal = batches.add, batches.seal

    def added(batch_id: str, chunk: int, *args: Any, **more: Any) -> str:
        saved.setdefault({0: "no chunk", 1: "a chunk"}.get(chunk, ""), cluster.memory.snapshot())
        return add(batch_id, chunk, *args, **more)

    def sealed(*args: Any) -> str:
        saved.setdefault("nothing sealed", cluster.memory.snapshot())
        return seal(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "add", added)
        patch.setattr(batches, "seal", sealed)
        return cluster.submit_batch(graph, given, batch_id="mine"), saved
