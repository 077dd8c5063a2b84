"""Which store and cache the nodes of a graph have on a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph import START, StateGraph
from distgraph.cache.memory import InMemoryCache
from distgraph.cache.redis import RedisCache
from distgraph.cache.sqlite import SqliteCache
from distgraph.cluster.registry import codec_for
from distgraph.cluster.shelves import shelf_of
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.store.memory import InMemoryStore
from distgraph.store.redis import RedisStore
from distgraph.store.sqlite import SqliteStore
from distgraph.testing import InProcessCluster
from distgraph.types import CachePolicy
from tests.unit.cluster.small import Counted, State


def graph(node: Any, **options: Any) -> Any:
    builder = StateGraph(State).add_node("n", node, cache_policy=CachePolicy(key_func=lambda state: str(state["x"])))
    return builder.add_edge(START, "n").compile(name="g", **options)


def shelf(**options: Any) -> Any:
    ledger = MemoryLedger(Keys("n"), lambda: 0)
    return shelf_of(graph(Counted("n"), **options), ledger.items, ledger.kept, codec_for())


def test_a_graph_without_any_has_the_clusters_store_and_no_cache() -> None:
    found = shelf()
    assert isinstance(found.store, RedisStore)
    assert found.cache is None


def test_what_lives_in_one_process_is_replaced() -> None:
    index: Any = {"dims": 1, "embed": lambda texts: [[1.0] for _ in texts]}
    found = shelf(store=InMemoryStore(index=index, ttl={"default_ttl": 5}), cache=InMemoryCache())
    assert isinstance(found.store, RedisStore)
    assert found.store.index_config == index
    assert found.store.ttl_config == {"default_ttl": 5}
    assert isinstance(found.cache, RedisCache)


def test_what_processes_can_share_is_kept() -> None:
    store, cache = SqliteStore(":memory:"), SqliteCache[Any](":memory:")
    found = shelf(store=store, cache=cache)
    assert (found.store, found.cache) == (store, cache)
    store.close()
    cache.close()


def test_nodes_of_an_in_process_cluster_use_them() -> None:
    def visits(state: Any, runtime: Any) -> Any:
        found = runtime.store.get(("v",), "n")
        runtime.store.put(("v",), "n", {"n": found.value["n"] + 1 if found else 1})
        return {"trail": [str(runtime.store.get(("v",), "n").value["n"])]}

    with InProcessCluster([graph(visits, cache=InMemoryCache())]) as cluster:
        remote = cluster.bind(graph(visits, cache=InMemoryCache()))
        results = [remote.invoke({"x": x})["trail"] for x in (1, 2, 1)]
        assert results == [["1"], ["2"], ["1"]]
        assert [item.value for item in cluster.store.search(("v",))] == [{"n": 2}]
        remote.clear_cache()
        assert remote.invoke({"x": 1})["trail"] == ["3"]


@pytest.mark.parametrize("point", ["items.put", "items.read", "kept.read", "kept.put", "runs.effect"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_outage_of_the_ledger_is_no_failure_of_the_node_that_met_it(moment: str, point: str) -> None:
    def notes(state: Any, runtime: Any) -> Any:
        runtime.store.put(("v",), "k", {"x": state["x"]})
        return {"trail": [runtime.once("key", lambda: "once"), runtime.store.get(("v",), "k").value["x"]]}

    with InProcessCluster([graph(notes, cache=InMemoryCache())]) as cluster:
        cluster.fail_at(f"{moment} {point}")
        assert cluster.bind(graph(notes, cache=InMemoryCache())).invoke({"x": 1})["trail"] == ["once", 1]
        assert cluster._plans == []
