"""Runs whose time is over are deleted, portion by portion, and no other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from distgraph.cluster import collect
from distgraph.cluster.collect import Collector
from distgraph.errors import BatchExpiredError, BatchNotFoundError, ConfigError, ResultExpiredError, RunActiveError
from distgraph.testing import InProcessCluster
from tests.unit.cluster.small import Counted, ask, chain, cluster_of

pytestmark = pytest.mark.unit


def walk(cluster: InProcessCluster) -> None:
    """Sweep until every partition was walked through."""
    for _ in range(4 * cluster.memory.keys.partitions):
        cluster.advance_clock(int(collect.EVERY * 1000))
        cluster.sweep()


def _collector(cluster: InProcessCluster) -> Collector:
    return Collector(cluster.memory.runs, cluster.memory.batches, lambda: 0.0)  # type: ignore[arg-type]


def test_a_run_expires_and_says_so() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    kept = cluster.submit(graph, {"x": 1}, run_id="kept")
    run = cluster.submit(graph, {"x": 1}, run_id="short", retention=1)
    assert run.result()["trail"] == kept.result()["trail"]
    walk(cluster)
    for look in (run.status, run.result, run.delete, lambda: cluster.run("short")):
        with pytest.raises(ResultExpiredError, match="'short' has expired: it was kept until") as caught:
            look()
    assert caught.value.run_id == "short"
    assert kept.status() == "done"
    assert [line for line in cluster.memory.state.lines if line[0] == "short"] == []


def test_what_lives_does_not_expire() -> None:
    """Whoever waits for an answer is not at its end; its time begins with that."""
    graph = chain(Counted("a", ask("ok?")))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, run_id="asks", retention=0)
    run.result()
    walk(cluster)
    assert run.status() == "interrupted"
    with pytest.raises(RunActiveError, match="is interrupted; nothing was deleted. Cancel it first"):
        run.delete()
    run.cancel()
    walk(cluster)
    with pytest.raises(ResultExpiredError):
        run.status()


def test_none_is_for_ever_and_a_named_thread_stays() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    config = {"configurable": {"thread_id": "t"}}
    forever = cluster.submit(graph, {"x": 1}, config, run_id="r1", retention=None)
    forever.result()
    brief = cluster.submit(graph, {"x": 1}, config, run_id="r2", retention=0)
    brief.result()
    cluster.advance_clock(365 * 86_400_000)
    walk(cluster)
    assert forever.status() == "done"
    with pytest.raises(ResultExpiredError):
        cluster.run("r2")
    assert ("t", "") in cluster.memory.state.lines


def test_a_step_looks_at_a_portion(monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk comes to all, though runs that stay fill the first portions."""
    monkeypatch.setattr(collect, "PORTION", 2)
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    runs = [cluster.submit(graph, {"x": 1}, run_id=f"r:{n}", retention=n % 3 or None) for n in range(12)]
    for run in runs:
        run.result()
    looked: list[int] = []
    ended = cluster.memory.runs.ended

    def counted(*at: int) -> Any:
        found = ended(*at)
        looked.append(len(found))
        return found

    monkeypatch.setattr(cluster.memory.runs, "ended", counted)
    walker, now = _collector(cluster), cluster.memory.state.now_ms() + 10_000
    cluster.advance_clock(10_000)
    for _ in range(40):
        walker._next = 0.0
        walker.collect(now)
    assert max(looked) == 2
    assert sorted(address.run_id for address in cluster.memory.runs.runs()) == ["r:0", "r:3", "r:6", "r:9"]


@pytest.mark.parametrize("odd", [-1, True, "7d", float("nan")])
def test_a_retention_is_a_number_of_seconds(odd: object) -> None:
    graph = chain(Counted("a"))
    with pytest.raises(ConfigError, match="it is the seconds that a run or batch is kept"):
        cluster_of(graph).submit(graph, {"x": 1}, retention=odd)


def kept_keys(cluster: InProcessCluster) -> list[str]:
    """What the ledger holds of batches and their items."""
    state = cluster.memory.state
    tables = ("manifests", "opened", "active", "over", "parts", "digests", "finished", "inputs", "ready", "slices")
    more = ("rows", "crashes", "lines", "history", "kept", "records", "effects", "logs", "nested")
    return [name for name in (*tables, *more) if any(getattr(state, name).values() or getattr(state, name))]


def test_a_batch_expires_and_says_so() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    batch = cluster.bind(graph).submit_batch([{"x": n} for n in range(300)], retention=timedelta(minutes=1))
    batch.wait()
    walk(cluster)
    assert batch.status().done == 300
    cluster.advance_clock(60_000)
    walk(cluster)
    for look in (batch.status, batch.wait, batch.retry_failed, batch.delete, lambda: [*batch.results()]):
        with pytest.raises(BatchExpiredError, match="has expired: it was kept until") as caught:
            look()
    with pytest.raises(BatchExpiredError):
        cluster.batch(batch.batch_id)
    assert caught.value.batch_id == batch.batch_id
    assert kept_keys(cluster) == []
    again = cluster.bind(graph).submit_batch([{"x": 1}], batch_id=batch.batch_id)
    assert again.wait().done == 1


def test_failed_items_go_with_their_batch() -> None:
    def fails(state: Any) -> Any:
        raise ValueError("no")

    graph = chain(Counted("a", fails))
    cluster = cluster_of(graph)
    batch = cluster.bind(graph).submit_batch([{"x": 1}, {"x": 2}], retention=1)
    assert batch.wait().failed == 2
    cluster.advance_clock(2000)
    walk(cluster)
    assert kept_keys(cluster) == []


def test_the_time_of_a_batch_begins_with_its_end_and_anew_with_a_retry() -> None:
    broken = [True]

    def fails(state: Any) -> Any:
        if broken[0]:
            raise ValueError("no")
        return {}

    graph = chain(Counted("a", fails))
    cluster = cluster_of(graph)
    batch = cluster.bind(graph).submit_batch([{"x": 1}], retention=100)
    batch.wait()
    cluster.advance_clock(90_000)
    broken[0] = False
    assert batch.retry_failed() == 1
    assert batch.wait().done == 1
    cluster.advance_clock(90_000)
    walk(cluster)
    assert batch.status().done == 1
    assert batch.retry_failed() == 0  # and that changes nothing
    cluster.advance_clock(20_000)
    walk(cluster)
    with pytest.raises(BatchExpiredError):
        batch.status()


def test_a_batch_that_is_not_at_rest_or_is_kept_for_ever_does_not_expire() -> None:
    asking, quick = chain(Counted("a", ask("ok?")), name="asking"), chain(Counted("a"), name="quick")
    cluster = cluster_of(asking, quick)
    waits = cluster.bind(asking).submit_batch([{"x": 1}], retention=0)
    forever = cluster.bind(quick).submit_batch([{"x": 1}], retention=None)
    forever.wait()
    cluster.advance_clock(100 * 86_400_000)
    walk(cluster)
    assert (waits.status().interrupted, forever.status().done) == (1, 1)
    waits.cancel()
    walk(cluster)
    with pytest.raises(BatchExpiredError):
        waits.status()


def test_a_batch_that_somebody_did_not_delete_to_the_end_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    batch = cluster.bind(graph).submit_batch([{"x": n} for n in range(5)], retention=None)
    batch.wait()
    with monkeypatch.context() as patch:
        patch.setattr(cluster.memory.batches, "delete", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            batch.delete()
    assert batch.status().total == 5
    with pytest.raises(BatchNotFoundError, match="is being deleted"):
        cluster.bind(graph).submit_batch([{"x": 1}], batch_id=batch.batch_id)
    cluster.advance_clock(20_000)
    walk(cluster)
    assert kept_keys(cluster) == []
    with pytest.raises(BatchNotFoundError, match="never submitted here, or deleted since"):
        batch.status()


def test_a_large_batch_is_deleted_in_portions_by_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "CHUNKS", 2)
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    cluster.bind(graph).submit_batch([{"x": n} for n in range(5 * 256)], retention=0).wait()
    one, other = _collector(cluster), _collector(cluster)
    left = []
    for _ in range(4):
        for collector in (one, other):
            collector._next = -1.0
            collector.collect(cluster.memory.state.now_ms() + 1)
        left.append(sum(bool(rows) for rows in cluster.memory.state.rows.values()))
    assert left == [3, 1, 0, 0]
    assert kept_keys(cluster) == []


def test_what_a_submitter_sends_after_the_deletion_goes_too() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    remote = cluster.bind(graph)

    def items() -> Any:
        for n in range(512):
            if n == 300:
                cluster.batch("b").delete()
            yield {"x": n}

    with pytest.raises(BatchNotFoundError, match="deleted while its items were sent"):
        remote.submit_batch(items(), batch_id="b")
    cluster.advance_clock(5000)
    walk(cluster)
    assert kept_keys(cluster) == []
