"""Batches on workers: lazily submitted, bound late, each item once; steered as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import (
    BatchCancelledError,
    BatchExistsError,
    BatchNotFoundError,
    CodecError,
    InputError,
    RunCancelledError,
    RunNotFoundError,
    WaitTimeoutError,
)
from distgraph.examples import flaky, human_review, sums
from distgraph.ledger.keys import CHUNK
from distgraph.types import Placement
from tests.graphs import hard
from tests.integration.cluster.at_rest import wait_at_rest, wait_for_progress
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

PLACEMENTS = get_args(Placement)


def new_id() -> str:
    return f"batch-{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("placement", PLACEMENTS)
class TestPlacements:
    def test_every_item_once_and_right(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        items = sums.items(60 if placement == "spread" else 700)
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        status = batch.wait(60)
        assert (status.total, status.done, status.failed, status.cancelled) == (len(items), len(items), 0, 0)
        assert (status.queued, status.running, status.sealed, status.finished) == (0, 0, True, True)
        results = list(batch.results(ordered=True))
        assert [result.index for result in results] == list(range(len(items)))
        assert [result.value for result in results] == [sums.expected(item) for item in items]
        wait_at_rest(cluster)

    def test_what_fails_does_not_stop_the_others(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        """Retried items heal or fail for good, each with its own error."""
        items = flaky.items(60)
        batch = cluster.bind(flaky.graph, placement=placement).submit_batch(items, key="index")
        status = batch.wait(60)
        wanted = {item["index"]: flaky.expected(item) for item in items}
        assert (status.done, status.failed) == (48, 12)
        for result in batch.results():
            expected = wanted[result.key]
            if isinstance(expected, str):
                assert result.value["stored"] == expected
            else:
                assert result.error is not None
                assert result.error["type"] == f"builtins:{expected.__name__}"
                assert result.error["node"] == "fetch"
                assert "fetch" in result.error["traceback"]
        wait_at_rest(cluster)

    def test_coroutines(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        batch = cluster.bind(hard.coroutines, placement=placement).submit_batch([{"n": n} for n in range(20)])
        batch.wait(60)
        assert [result.value["total"] for result in batch.results()] == [
            11 * n + (100 if 11 * n < 100 else 0) for n in range(20)
        ]


class TestSubmission:
    def test_of_nothing(self, cluster: EmbeddedCluster) -> None:
        batch = cluster.bind(sums.graph).submit_batch([])
        status = batch.wait(5)
        assert (status.total, status.finished) == (0, True)
        assert list(batch.results()) == list(batch.failures()) == []

    def test_of_one(self, cluster: EmbeddedCluster) -> None:
        item = sums.items(1)[0]
        batch = cluster.bind(sums.graph).submit_batch([item])
        batch.wait(20)
        assert [result.value for result in batch.results()] == [sums.expected(item)]
        assert cluster.run(f"{batch.batch_id}:0").result(5) == sums.expected(item)

    @pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1])
    def test_at_the_edges_of_a_chunk(self, cluster: EmbeddedCluster, count: int) -> None:
        items = sums.items(count, width=1, rounds=1)
        batch = cluster.bind(sums.graph).submit_batch(items)
        assert batch.wait(30).done == count
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]

    def test_items_are_consumed_as_they_are_sent(self, cluster: EmbeddedCluster) -> None:
        """Workers are done with the first items before the last one exists."""
        name, count = new_id(), 4 * CHUNK

        def items() -> Iterator[sums.Item]:
            for item in sums.items(count, width=1, rounds=1):
                if item["index"] == count - 1:
                    wait_for_progress(cluster, name, 3 * CHUNK)
                yield item

        assert cluster.bind(sums.graph).submit_batch(items(), batch_id=name).wait(30).done == count

    def test_by_name_alone(self, cluster: EmbeddedCluster) -> None:
        items = sums.items(20)
        batch = cluster.bind("sums").submit_batch(items)
        batch.wait(20)
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]

    def test_keys(self, cluster: EmbeddedCluster) -> None:
        """A function of the item or the name of a field; results have it, done or failed."""
        batch = cluster.bind(flaky.graph).submit_batch(flaky.items(20), key=lambda item: {"page": item["index"]})
        batch.wait(30)
        assert [result.key for result in batch.results(ordered=True)] == [{"page": index} for index in range(20)]
        with pytest.raises(InputError, match="nosuch"):
            cluster.bind(flaky.graph).submit_batch(flaky.items(20), key="nosuch")

    def test_the_same_again_is_the_same_batch(self, cluster: EmbeddedCluster, tmp_path: Path) -> None:
        name, log = new_id(), tmp_path / "log"
        items = [{"index": index, "log": str(log)} for index in range(300)]
        for _ in range(3):
            batch = cluster.bind(hard.poison).submit_batch(iter(items), batch_id=name)
            assert batch.wait(30).done == 300
        assert sorted(map(int, log.read_text().split())) == list(range(300))

    @pytest.mark.parametrize("change", ["an item", "one less", "a chunk more", "the graph", "the options"])
    def test_the_same_id_with_other_content(self, cluster: EmbeddedCluster, change: str) -> None:
        """One clear error, and the batch that was there stays as it was."""
        name, items = new_id(), sums.items(CHUNK, width=1, rounds=1)
        batch = cluster.bind(sums.graph).submit_batch(items, batch_id=name)
        changed: dict[str, Any] = {
            "an item": [{**items[0], "width": 9}, *items[1:]],
            "one less": items[:-1],
            "a chunk more": sums.items(2 * CHUNK, width=1, rounds=1),
        }
        with pytest.raises(BatchExistsError, match=name):
            if change == "the graph":
                cluster.bind(hard.poison).submit_batch(items, batch_id=name)
            elif change == "the options":
                cluster.bind(sums.graph, placement="local").submit_batch(items, batch_id=name)
            else:
                cluster.bind(sums.graph).submit_batch(changed[change], batch_id=name)
        status = batch.wait(30)
        assert (status.total, status.done) == (CHUNK, CHUNK)
        assert [result.value for result in batch.results()] == [sums.expected(item) for item in items]
        wait_at_rest(cluster)

    def test_an_item_that_cannot_be_stored(self, cluster: EmbeddedCluster) -> None:
        """The error says which one; what came before it stays, and the corrected call goes on."""
        name = new_id()
        items: list[Any] = [{"kind": ""} for _ in range(CHUNK + 10)]
        broken = [*items[: CHUNK + 5], {"kind": lambda: None}, *items[CHUNK + 6 :]]
        with pytest.raises(CodecError, match="function") as caught:
            cluster.bind(hard.raises).submit_batch(broken, batch_id=name)
        assert any(f"Item {CHUNK + 5} " in note for note in caught.value.__notes__)
        wait_for_progress(cluster, name, CHUNK)
        assert not cluster.batch(name).status().sealed
        assert cluster.bind(hard.raises).submit_batch(items, batch_id=name).wait(20).done == CHUNK + 10

    def test_an_iterable_that_fails(self, cluster: EmbeddedCluster) -> None:
        name = new_id()

        def items() -> Iterator[sums.Item]:
            yield from sums.items(CHUNK)
            raise OSError("the file ends here")

        with pytest.raises(OSError, match="the file ends here"):
            cluster.bind(sums.graph).submit_batch(items(), batch_id=name)
        wait_for_progress(cluster, name, CHUNK)
        assert cluster.bind(sums.graph).submit_batch(sums.items(CHUNK + 1), batch_id=name).wait(20).done == CHUNK + 1


class TestSteering:
    @pytest.mark.parametrize("placement", PLACEMENTS)
    def test_cancel(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        """Results so far stay; once it returns nothing more is applied."""
        items = sums.items(600, delay_ms=1)
        batch = cluster.bind(sums.graph, placement=placement).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, 10)
        batch.cancel()
        at_once = batch.status()
        assert at_once.finished
        assert 10 <= at_once.done < 600
        assert at_once.done + at_once.cancelled == 600
        assert (at_once.queued, at_once.running) == (0, 0)
        wait_until(lambda: all(worker.busy == 0 for worker in cluster.workers()), 10)
        wait_at_rest(cluster)
        assert replace(batch.status(), rate=None) == replace(at_once, rate=None)
        results = list(batch.results())
        assert [result.index for result in results] == list(range(600))
        done = [result for result in results if result.status == "done"]
        assert len(done) == at_once.done
        assert all(result.value == sums.expected(items[result.index]) for result in done)
        assert {result.status for result in results} == {"done", "cancelled"}

    def test_cancel_while_it_is_submitted(self, cluster: EmbeddedCluster) -> None:
        """No more items are asked for, the submitter is told, and the batch is at rest with those that came before."""
        name = new_id()
        asked: list[int] = []

        def items() -> Iterator[sums.Item]:
            for item in sums.items(100 * CHUNK, width=1, rounds=1):
                asked.append(item["index"])
                if item["index"] == 2 * CHUNK:
                    cluster.batch(name).cancel()
                yield item

        bound = cluster.bind(sums.graph)
        with pytest.raises(BatchCancelledError, match=f"holds the {2 * CHUNK} that came before"):
            bound.submit_batch(items(), batch_id=name)
        status = cluster.batch(name).wait(10)
        assert (status.finished, status.sealed, status.total) == (True, True, 2 * CHUNK)
        assert status.done + status.cancelled == len(list(cluster.batch(name).results())) == 2 * CHUNK
        assert len(asked) == 3 * CHUNK
        with pytest.raises(BatchCancelledError, match=f"holds the {2 * CHUNK} that came before"):
            bound.submit_batch(items(), batch_id=name)

    def test_an_item_of_a_cancelled_batch(self, cluster: EmbeddedCluster) -> None:
        batch = cluster.bind(sums.graph).submit_batch(sums.items(600, delay_ms=1))
        batch.cancel()
        cancelled = next(result for result in batch.results() if result.status == "cancelled")
        with pytest.raises(RunCancelledError):
            cluster.run(cancelled.run_id).result(5)
        assert cluster.run(cancelled.run_id).status() == "cancelled"

    def test_retry_what_failed(self, cluster: EmbeddedCluster, tmp_path: Path) -> None:
        """After the cause is gone the failed items are run again, from where they failed, and only they."""
        log = tmp_path / "log"
        items = [{"file": str(tmp_path / f"open{index % 10}"), "log": str(log)} for index in range(40)]
        batch = cluster.bind(hard.needs_file).submit_batch(items)
        assert batch.wait(30).failed == 40
        for index in range(5):
            (tmp_path / f"open{index}").touch()
        assert batch.retry_failed() == 40
        status = batch.wait(30)
        assert (status.done, status.failed) == (20, 20)
        (tmp_path / "open9").touch()
        assert batch.retry_failed() == 20
        status = batch.wait(30)
        assert (status.done, status.failed) == (24, 16)
        assert sorted(result.index % 10 for result in batch.failures()) == sorted([5, 6, 7, 8] * 4)
        assert all(result.value["steps"] == ["first", "needs"] for result in batch.results() if result.status == "done")
        assert len(log.read_text().splitlines()) == 40  # `first` ran once an item
        wait_at_rest(cluster)

    def test_retry_where_nothing_failed(self, cluster: EmbeddedCluster) -> None:
        batch = cluster.bind(sums.graph).submit_batch(sums.items(10))
        batch.wait(20)
        assert batch.retry_failed() == 0
        assert batch.wait(5).done == 10

    def test_pause(self, cluster: EmbeddedCluster) -> None:
        items = sums.items(400, delay_ms=1)
        batch = cluster.bind(sums.graph).submit_batch(items)
        wait_for_progress(cluster, batch.batch_id, 10)
        batch.pause()
        wait_until(lambda: batch.status().running == 0, 20)
        held = batch.status()
        assert 0 < held.queued < 400
        assert held.done + held.queued == 400
        with pytest.raises(WaitTimeoutError, match="it goes on"):
            batch.wait(0.2)
        assert batch.status().done == held.done
        batch.unpause()
        assert batch.wait(60).done == 400

    def test_items_that_ask_a_person(self, cluster: EmbeddedCluster) -> None:
        """They wait as runs of their own; the batch is done when all are answered."""
        batch = cluster.bind(human_review.graph).submit_batch([{"topic": str(index)} for index in range(5)])
        runs = [f"{batch.batch_id}:{index}" for index in range(5)]
        wait_until(lambda: all(cluster.run(run).status() == "interrupted" for run in runs), 20)
        assert not batch.status().finished
        for run in runs:
            cluster.run(run).resume({"approved": True})
        assert batch.wait(20).done == 5
        assert [result.value["published"] for result in batch.results()] == [f"About {index}" for index in range(5)]
        wait_at_rest(cluster)

    def test_waiting_for_one_item(self, cluster: EmbeddedCluster, gate: Path) -> None:
        """An item is a run as any other to whoever asks for it, also before a worker took it."""
        batch = cluster.bind(hard.gate).submit_batch([{"file": str(gate)}] * 3)
        run = cluster.run(f"{batch.batch_id}:2")
        assert run.status() in ("queued", "running")
        with pytest.raises(WaitTimeoutError):
            run.result(0.1)
        gate.touch()
        assert run.result(20)["steps"] == ["first", "wait", "last"]

    def test_a_batch_that_never_was(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(BatchNotFoundError, match="nobody"):
            cluster.batch("nobody")

    def test_an_item_that_never_was(self, cluster: EmbeddedCluster) -> None:
        batch = cluster.bind(sums.graph).submit_batch(sums.items(3))
        with pytest.raises(RunNotFoundError):
            cluster.run(f"{batch.batch_id}:3").status()
        batch.wait(20)

    @pytest.mark.parametrize("fate", ["done", "failed", "cancelled", "running"])
    def test_deleting_leaves_nothing(self, cluster: EmbeddedCluster, fate: str) -> None:
        name = new_id()
        graph, items = (flaky.graph, flaky.items(300)) if fate == "failed" else (sums.graph, sums.items(300))
        batch = cluster.bind(graph).submit_batch(items, batch_id=name)
        if fate in ("done", "failed"):
            batch.wait(30)
        if fate == "cancelled":
            batch.cancel()
        batch.delete()
        with pytest.raises(BatchNotFoundError):
            cluster.batch(name)
        wait_until(lambda: all(worker.busy == 0 for worker in cluster.workers()), 20)
        wait_at_rest(cluster)
        client = cluster.ledger.runs.client
        assert [key for key in client.scan_iter(match=f"*{name}*", count=10_000)] == []
