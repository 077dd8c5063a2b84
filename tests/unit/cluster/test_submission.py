"""Sending a batch while others cancel it, or the server forgets it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.errors import BatchCancelledError, BatchExistsError, BatchLostError
from distgraph.testing import InProcessCluster
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit


def items(count: int) -> list[dict[str, Any]]:
    return [{"x": at} for at in range(count)]


@pytest.fixture
def graph() -> Any:
    return chain(Counted("a"))


@pytest.fixture
def cluster(graph: Any) -> InProcessCluster:
    return cluster_of(graph)


class TestACancelMeanwhile:
    def cancelled(self, cluster: InProcessCluster, graph: Any) -> BatchCancelledError:
        def given() -> Iterator[Any]:
            yield from items(512)
            cluster.run_until_idle()
            cluster.batch("mine").cancel()
            yield from items(600)[512:]

        with pytest.raises(BatchCancelledError, match="it holds the 512 that came before") as caught:
            cluster.submit_batch(graph, given(), batch_id="mine")
        return caught.value

    def test_is_told_to_the_submitter(self, cluster: InProcessCluster, graph: Any) -> None:
        assert self.cancelled(cluster, graph).batch_id == "mine"

    def test_what_came_before_is_all_there_is_and_adds_up(self, cluster: InProcessCluster, graph: Any) -> None:
        self.cancelled(cluster, graph)
        batch = cluster.batch("mine")
        status = batch.wait()
        assert (status.total, status.done, status.cancelled, status.sealed, status.finished) == (
            512,
            512,
            0,
            True,
            True,
        )
        assert len(list(batch.results())) == 512

    def test_the_same_again_is_answered_in_the_same_way(self, cluster: InProcessCluster, graph: Any) -> None:
        first = self.cancelled(cluster, graph)
        for _ in range(2):
            with pytest.raises(BatchCancelledError) as again:
                cluster.submit_batch(graph, items(600), batch_id="mine")
            assert str(again.value) == str(first)

    def test_other_items_are_still_others(self, cluster: InProcessCluster, graph: Any) -> None:
        self.cancelled(cluster, graph)
        with pytest.raises(BatchExistsError, match="among items 0 to 255"):
            cluster.submit_batch(graph, [{"x": -1}, *items(600)[1:]], batch_id="mine")

    def test_of_a_batch_that_was_sent_whole_changes_nothing_for_its_submitter(
        self, cluster: InProcessCluster, graph: Any
    ) -> None:
        cluster.submit_batch(graph, items(600), batch_id="mine").cancel()
        assert cluster.submit_batch(graph, items(600), batch_id="mine").wait().cancelled == 600

    def test_where_the_submitter_died_the_same_again_says_it(self, cluster: InProcessCluster, graph: Any) -> None:
        def given() -> Iterator[Any]:
            yield from items(512)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            cluster.submit_batch(graph, given(), batch_id="mine")
        cluster.batch("mine").cancel()
        with pytest.raises(BatchCancelledError, match="it holds the 512 that came before"):
            cluster.submit_batch(graph, items(600), batch_id="mine")
        assert cluster.batch("mine").status().total == 512


class TestARollBackMeanwhile:
    """The server loses the first items while the last are sent: sealed, the batch would wait for them for ever."""

    def rolled_back(self, cluster: InProcessCluster, patch: pytest.MonkeyPatch) -> None:
        add = cluster.memory.batches.add
        saved: list[int] = []

        def added(batch_id: str, chunk: int, *args: Any, **more: Any) -> str:
            if chunk == 1 and not saved:
                saved.append(cluster.memory.snapshot())
            elif chunk == 2 and len(saved) == 1:
                saved.append(0)
                cluster.memory.restore(saved[0])
            return add(batch_id, chunk, *args, **more)

        patch.setattr(cluster.memory.batches, "add", added)

    def test_items_at_hand_are_sent_again(
        self, cluster: InProcessCluster, graph: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.rolled_back(cluster, monkeypatch)
        assert cluster.submit_batch(graph, items(600), batch_id="mine").wait().done == 600

    def test_who_read_them_once_is_told(
        self, cluster: InProcessCluster, graph: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.rolled_back(cluster, monkeypatch)
        with pytest.raises(BatchLostError, match="344 of 600 items are there"):
            cluster.submit_batch(graph, iter(items(600)), batch_id="mine")
        assert cluster.submit_batch(graph, items(600), batch_id="mine").wait().done == 600
