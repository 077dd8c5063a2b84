"""Runs whose time is over are deleted, portion by portion, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster import collect
from distgraph.cluster.collect import Collector
from distgraph.errors import ConfigError, ResultExpiredError, RunActiveError
from distgraph.testing import InProcessCluster
from tests.unit.cluster.small import Counted, ask, chain, cluster_of

pytestmark = pytest.mark.unit


def walk(cluster: InProcessCluster) -> None:
    """Sweep until every partition was walked through."""
    for _ in range(4 * cluster.memory.keys.partitions):
        cluster.advance_clock(int(collect.EVERY * 1000))
        cluster.sweep()


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
    walker, now = Collector(cluster.memory.runs, lambda: 0.0), cluster.memory.state.now_ms() + 10_000  # type: ignore[arg-type]
    cluster.advance_clock(10_000)
    for _ in range(40):
        walker._next = 0.0
        walker.collect(now)
    assert max(looked) == 2
    assert sorted(address.run_id for address in cluster.memory.runs.runs()) == ["r:0", "r:3", "r:6", "r:9"]


@pytest.mark.parametrize("odd", [-1, True, "7d", float("nan")])
def test_a_retention_is_a_number_of_seconds(odd: object) -> None:
    graph = chain(Counted("a"))
    with pytest.raises(ConfigError, match="it is the seconds that a run is kept"):
        cluster_of(graph).submit(graph, {"x": 1}, retention=odd)
