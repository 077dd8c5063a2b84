"""Items found by namespace, by contents and by meaning."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.store.base import BaseStore, SearchItem
from distgraph.warnings import DistgraphWarning
from tests.conformance.store.conftest import Opened

pytestmark = pytest.mark.conformance


def letters(texts: Sequence[str]) -> list[list[float]]:
    """Texts are near to each other when they have the same letters."""
    return [[float(text.count(letter)) for letter in "abcdef"] for text in texts]


INDEX: Any = {"dims": 6, "embed": letters, "fields": ["text", "tags[*]"]}


def keys(found: Sequence[SearchItem]) -> list[str]:
    return [item.key for item in found]


@pytest.fixture
def filled(store: BaseStore) -> BaseStore:
    for n, namespace in enumerate([("a", "1"), ("a", "2"), ("b",), ("a", "1"), ("a",)]):
        store.put(namespace, f"k{n}", {"n": n, "even": n % 2 == 0, "deep": {"x": [n, {"y": n}]}})
    return store


def test_a_prefix_finds_all_below(filled: BaseStore) -> None:
    assert keys(filled.search(("a", "1"))) == ["k0", "k3"]
    assert keys(filled.search(("a",))) == ["k0", "k3", "k1", "k4"]
    assert keys(filled.search(())) == ["k0", "k3", "k1", "k2", "k4"]
    assert keys(filled.search(("nobody",))) == []


def test_pages(filled: BaseStore) -> None:
    everything = keys(filled.search((), limit=100))
    assert [keys(filled.search((), limit=2, offset=n)) for n in (0, 2, 4, 6)] == [
        *(everything[:2], everything[2:4], everything[4:], [])
    ]
    assert keys(filled.search((), limit=0)) == []


def test_a_long_namespace_is_complete(store: BaseStore) -> None:
    for n in range(1100):
        store.put(("many",), f"k{n:04d}", {"n": n})
    assert keys(store.search(("many",), limit=2000)) == [f"k{n:04d}" for n in range(1100)]
    assert keys(store.search(("many",), filter={"n": {"$gte": 1098}})) == ["k1098", "k1099"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"n": 3}, ["k3"]),
        ({"even": True}, ["k0", "k2", "k4"]),
        ({"n": {"$gt": 1, "$lte": 3}}, ["k3", "k2"]),
        ({"n": {"$ne": 3}, "even": False}, ["k1"]),
        ({"n": {"$eq": "3"}}, []),
        ({"deep": {"x": [2, {"y": 2}]}}, ["k2"]),
        ({"deep": {"x": [2]}}, []),
        ({"absent": None}, ["k0", "k3", "k1", "k2", "k4"]),
        ({"absent": {"$gt": 1}}, []),
        ({"deep": {"$gt": 1}}, []),
        ({}, ["k0", "k3", "k1", "k2", "k4"]),
    ],
)
def test_filters(filled: BaseStore, wanted: Any, found: list[str]) -> None:
    assert keys(filled.search((), filter=wanted)) == found


def test_an_unknown_operator_is_an_error(filled: BaseStore) -> None:
    with pytest.raises(ConfigError, match=r"\$like"):
        filled.search((), filter={"n": {"$like": 1}})


def test_namespaces(filled: BaseStore) -> None:
    assert filled.list_namespaces() == [("a",), ("a", "1"), ("a", "2"), ("b",)]
    assert filled.list_namespaces(max_depth=1) == [("a",), ("b",)]
    assert filled.list_namespaces(prefix=("a", "*")) == [("a", "1"), ("a", "2")]
    assert filled.list_namespaces(suffix=("2",)) == [("a", "2")]
    assert filled.list_namespaces(prefix=("a",), limit=1, offset=2) == [("a", "2")]


# ------------------------------------------------------------- by meaning


@pytest.fixture
def indexed(opened: Opened) -> BaseStore:
    store = opened(index=INDEX)
    store.put(("d",), "one", {"text": "aab", "n": 1})
    store.put(("d",), "two", {"text": "ccc", "tags": ["d", "ef"], "n": 2})
    store.put(("d",), "none", {"n": 3})
    store.put(("d", "x"), "hidden", {"text": "aaa", "n": 4}, index=False)
    store.put(("d", "x"), "other", {"text": "aaa", "title": "fff", "n": 5}, index=["title"])
    return store


def test_the_nearest_comes_first(indexed: BaseStore) -> None:
    found = indexed.search(("d",), query="ab")
    assert keys(found)[0] == "one"
    assert found[0].score == pytest.approx(3 / (5**0.5 * 2**0.5))
    assert [item.score for item in found[-2:]] == [None, None]
    assert {item.key for item in found[-2:]} == {"none", "hidden"}
    assert keys(indexed.search(("d",), query="f", limit=2)) == ["other", "two"]
    assert keys(indexed.search(("d",), query="f", limit=1, offset=1)) == ["two"]


def test_the_nearest_of_an_items_texts_counts(indexed: BaseStore) -> None:
    assert [item.score for item in indexed.search(("d",), query="d", limit=1)] == [pytest.approx(1.0)]


def test_query_and_filter(indexed: BaseStore) -> None:
    assert keys(indexed.search(("d",), query="ab", filter={"n": {"$gt": 1}}, limit=2)) == ["two", "other"]


def test_a_new_value_has_new_vectors(indexed: BaseStore) -> None:
    indexed.put(("d",), "one", {"text": "eee"})
    assert keys(indexed.search(("d",), query="e", limit=1)) == ["one"]
    indexed.put(("d",), "one", {"n": 0})
    assert keys(indexed.search(("d",), query="e", limit=1)) == ["two"]


def test_vectors_are_stored_with_the_items(indexed: BaseStore, opened: Opened) -> None:
    other = opened(index=INDEX)
    assert other.search(("d",), query="ab", limit=1) == indexed.search(("d",), query="ab", limit=1)


def test_a_store_without_index_says_that_it_ranks_nothing(filled: BaseStore) -> None:
    with pytest.warns(DistgraphWarning, match="no index"):
        found = filled.search((), query="anything", limit=2)
    assert [(item.key, item.score) for item in found] == [("k0", None), ("k3", None)]


def test_vectors_of_another_embedding_are_an_error(indexed: BaseStore, opened: Opened) -> None:
    other = opened(index={"dims": 1, "embed": lambda texts: [[1.0] for _ in texts]})
    with pytest.raises(ConfigError, match="different embeddings"):
        other.search(("d",), query="ab")


def test_an_async_embedding(opened: Opened) -> None:
    async def embed(texts: Sequence[str]) -> list[list[float]]:
        return letters(texts)

    store = opened(index={"dims": 6, "embed": embed, "fields": ["text"]})

    async def scenario() -> None:
        await store.aput(("d",), "one", {"text": "a"})
        await store.aput(("d",), "two", {"text": "b"})
        assert keys(await store.asearch(("d",), query="b", limit=1)) == ["two"]

    asyncio.run(scenario())
    with pytest.raises(ConfigError, match="async"):
        store.search(("d",), query="b")


@pytest.mark.parametrize("index", [{"dims": 0, "embed": letters}, {"dims": 3}, {"dims": 3, "embed": 1}])
def test_an_index_that_cannot_work_is_refused(opened: Opened, index: Any) -> None:
    with pytest.raises(ConfigError):
        opened(index=index)
