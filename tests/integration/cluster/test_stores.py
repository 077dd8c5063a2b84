"""Store and cache on workers: one for all of them, and the same as the client's."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from distgraph.cluster import Cluster
from distgraph.store.redis import RedisStore
from tests.graphs.memory import Visit, cached, guests

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_nodes_on_all_workers_have_one_store(cluster: Cluster, placement: Any) -> None:
    name = f"ann-{uuid.uuid4().hex[:8]}"
    remote = cluster.bind(guests, placement=placement)
    numbers = [remote.invoke({"name": name})["visit"] for _ in range(4)]
    assert numbers == [Visit(n) for n in (1, 2, 3, 4)]
    assert remote.invoke({"name": name})["seen"] == ["visits", f"{name} 1.00"]
    found = remote.store.get(("guests", name), "visits")
    assert found is not None
    assert found.value == {"visit": Visit(5), "text": name}
    remote.store.delete(("guests", name), "visits")
    assert remote.store.get(("guests", name), "visits") is None


def test_a_client_without_the_graph_has_the_same_store(cluster: Cluster) -> None:
    assert isinstance(cluster.store, RedisStore)
    cluster.store.put(("notes", "x"), "k", {"n": 1})
    assert cluster.bind(guests).store.get(("notes", "x"), "k") == cluster.store.get(("notes", "x"), "k")
    cluster.store.delete(("notes", "x"), "k")
    assert ("notes", "x") not in cluster.store.list_namespaces()


@pytest.mark.parametrize("placement", ["auto", "spread"])
def test_a_result_is_used_again_by_other_workers_and_runs(cluster: Cluster, tmp_path: Path, placement: Any) -> None:
    log = tmp_path / "log"
    remote = cluster.bind(cached, placement=placement)
    given = [{"log": str(log), "n": n} for n in (1, 2, 1, 1, 2)]
    results = [remote.invoke(item) for item in given]
    assert [(result["result"], result["path"]) for result in results] == [
        *((2, "odd"), (4, "even"), (2, "odd"), (2, "odd"), (4, "even"))
    ]
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["1", "2"]
    chunks = [*remote.stream(given[0], stream_mode="updates")]
    assert chunks == [{"costly": {"result": 2}, "__metadata__": {"cached": True}}, {"odd": {"path": "odd"}}]
    remote.clear_cache(["costly"])
    assert "__metadata__" not in next(iter(remote.stream(given[0], stream_mode="updates")))
    assert len(log.read_text().splitlines()) == 3
    remote.clear_cache()


def test_items_of_a_batch_use_results_of_each_other(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    remote = cluster.bind(cached)
    remote.invoke({"log": str(log), "n": 7})
    batch = remote.submit_batch([{"log": str(log), "n": 7}] * 30)
    batch.wait(timeout=30)
    assert [result.value["result"] for result in batch.results()] == [14] * 30
    assert len(log.read_text().splitlines()) == 1
    batch.delete()
    remote.clear_cache()


def test_failures_are_not_kept(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            cluster.bind(cached).invoke({"log": str(log), "n": -1})
    assert len(log.read_text().splitlines()) == 2
