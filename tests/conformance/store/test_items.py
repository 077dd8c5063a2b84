"""Items one at a time: what is put is what is found, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distgraph.errors import CodecError, InputError, InvalidNamespaceError
from distgraph.store.base import BaseStore, GetOp, Item, ListNamespacesOp, PutOp, SearchOp
from tests.conformance.store.conftest import Opened
from tests.waiting import wait_until

pytestmark = pytest.mark.conformance

NS = ("users", "ann")


def test_an_item_comes_back_as_it_was_put(store: BaseStore) -> None:
    before = datetime.now(UTC)
    store.put(NS, "likes", {"food": ["pizza"], "n": 1})
    item = store.get(NS, "likes")
    assert item is not None
    assert (item.namespace, item.key, item.value) == (NS, "likes", {"food": ["pizza"], "n": 1})
    assert item.created_at == item.updated_at
    assert item.created_at.tzinfo is not None
    assert abs(item.created_at - before) < timedelta(minutes=1)
    assert Item(**item.dict()) == item
    assert hash(item) == hash(Item(**item.dict()))


@pytest.mark.parametrize("place", [(NS, "other"), (("users",), "likes"), ((*NS, "x"), "likes"), (("nobody",), "likes")])
def test_what_is_not_there_is_none(store: BaseStore, place: Any) -> None:
    store.put(NS, "likes", {"n": 1})
    assert store.get(*place) is None
    store.delete(*place)
    assert store.list_namespaces() == [NS]


def test_a_later_put_replaces_the_value_and_keeps_the_birthday(store: BaseStore) -> None:
    store.put(NS, "likes", {"n": 1, "old": True})
    first = store.get(NS, "likes")
    store.put(NS, "likes", {"n": 2})
    second = store.get(NS, "likes")
    assert first is not None
    assert second is not None
    assert second.value == {"n": 2}
    assert second.created_at == first.created_at
    assert second.updated_at >= first.updated_at


def test_a_deleted_item_is_gone_and_its_namespace_with_the_last_one(store: BaseStore) -> None:
    store.put(NS, "a", {})
    store.put(NS, "b", {})
    store.delete(NS, "a")
    assert store.get(NS, "a") is None
    assert store.list_namespaces() == [NS]
    store.delete(NS, "b")
    assert store.list_namespaces() == []
    assert store.search(()) == []


def test_nobody_changes_what_others_read(store: BaseStore) -> None:
    value: dict[str, Any] = {"log": ["a"]}
    store.put(NS, "k", value)
    value["log"].append("after the put")
    found = store.get(NS, "k")
    assert found is not None
    found.value["log"].append("after the get")
    store.search(NS)[0].value["log"].append("after the search")
    again = store.get(NS, "k")
    assert again is not None
    assert again.value == {"log": ["a"]}


def test_values_keep_their_types(store: BaseStore) -> None:
    value = {"tuple": (1, 2), "set": {1}, "at": datetime(2030, 1, 1, tzinfo=UTC), "none": None, "bytes": b"\0\xff"}
    store.put(NS, "k", value)
    found = store.get(NS, "k")
    assert found is not None
    assert found.value == value
    assert isinstance(found.value["tuple"], tuple)


def test_keys_and_labels_may_hold_anything_but_periods(store: BaseStore) -> None:
    names = ["a:b", "a", "b", "{x}", "*", "50%", "\u00e9\n", " ", "\u202e", "a/b", "A" * 200]
    for name in names:
        store.put(("root", name), name, {"name": name})
    for name in names:
        found = store.get(("root", name), name)
        assert found is not None
        assert found.value == {"name": name}
    assert store.list_namespaces() == sorted(("root", name) for name in names)
    assert len(store.search(("root",), limit=100)) == len(names)


def test_labels_are_not_run_together(store: BaseStore) -> None:
    for namespace in (("a", "b"), ("a:b",), ("a", "b", "c"), ("a|b",)):
        store.put(namespace, "k", {"ns": list(namespace)})
    assert [item.namespace for item in store.search(("a",))] == [("a", "b"), ("a", "b", "c")]
    assert [item.namespace for item in store.search(("a:b",))] == [("a:b",)]


@pytest.mark.parametrize("namespace", [(), ("",), ("a.b",), (1,), ("langgraph",), ("a\0",), "text"])
def test_a_namespace_that_is_none_is_refused(store: BaseStore, namespace: Any) -> None:
    with pytest.raises(InvalidNamespaceError):
        store.put(namespace, "k", {})
    assert store.list_namespaces() == []


def test_operations_made_by_hand_are_checked_too(store: BaseStore) -> None:
    operations: list[Any] = [GetOp(("a.b",), "k"), SearchOp(("",)), PutOp(("a.b",), "k", {})]
    for op in operations:
        with pytest.raises(InvalidNamespaceError):
            store.batch([op])
    wrong: Any = ["no operation"]
    with pytest.raises(InputError, match="Unknown operation"):
        store.batch(wrong)


def test_a_batch_reads_before_it_writes(store: BaseStore) -> None:
    store.put(NS, "k", {"n": 1})
    results = store.batch(
        [
            PutOp(NS, "k", {"n": 2}),
            GetOp(NS, "k"),
            PutOp(NS, "k", {"n": 3}),
            PutOp(("new",), "k", {}),
            ListNamespacesOp(),
            SearchOp(()),
        ]
    )
    assert [results[0], results[2], results[3]] == [None, None, None]
    found, listed, searched = results[1], results[4], results[5]
    assert isinstance(found, Item)
    assert found.value == {"n": 1}
    assert listed == [NS]
    assert isinstance(searched, list)
    assert len(searched) == 1
    latest = store.get(NS, "k")
    assert latest is not None
    assert latest.value == {"n": 3}
    assert store.batch([]) == []


def test_another_store_sees_the_same_items(opened: Opened) -> None:
    one, other = opened(), opened()
    one.put(NS, "k", {"n": 1})
    found = other.get(NS, "k")
    assert found == one.get(NS, "k")
    other.delete(NS, "k")
    assert one.get(NS, "k") is None


def test_the_async_methods_do_what_the_others_do(store: BaseStore) -> None:
    async def scenario() -> None:
        await store.aput(NS, "k", {"n": 1})
        await store.aput((*NS, "x"), "k", {"n": 2})
        assert await store.aget(NS, "k") == store.get(NS, "k")
        assert await store.asearch(NS, filter={"n": 2}) == store.search(NS, filter={"n": 2})
        assert await store.alist_namespaces(max_depth=1) == [("users",)]
        await store.adelete(NS, "k")
        assert await store.aget(NS, "k") is None
        assert await store.abatch([GetOp(NS, "k")]) == [None]

    asyncio.run(scenario())


def test_many_writers_at_once(store: BaseStore) -> None:
    async def scenario() -> None:
        await asyncio.gather(*(store.aput(("many", str(n % 5)), str(n), {"n": n}) for n in range(60)))

    asyncio.run(scenario())
    found = store.search(("many",), limit=100)
    assert sorted(item.value["n"] for item in found) == [*range(60)]
    assert len(store.list_namespaces()) == 5


# ------------------------------------------------------------- time to live


def test_an_item_goes_when_its_time_is_over(store: BaseStore) -> None:
    store.put(NS, "short", {"n": 1}, ttl=0.002)
    store.put(NS, "long", {"n": 2}, ttl=60)
    store.put(NS, "ever", {"n": 3})
    wait_until(lambda: store.get(NS, "short", refresh_ttl=False) is None)
    assert [item.key for item in store.search(NS)] == ["long", "ever"]
    store.put(("gone",), "k", {}, ttl=0.001)
    wait_until(lambda: store.list_namespaces() == [NS])
    store.put(NS, "short", {"n": 4})
    assert [item.key for item in store.search(NS, filter={"n": 4})] == ["short"]


def test_reading_starts_the_time_again(opened: Opened) -> None:
    store = opened(ttl={"default_ttl": 0.025, "refresh_on_read": True})
    store.put(NS, "read", {})
    store.put(NS, "left", {})
    # 1.5 s to live: read all the time, it outlives the other
    wait_until(lambda: store.get(NS, "read") is not None and store.get(NS, "left", refresh_ttl=False) is None)
    assert [item.key for item in store.search(NS)] == ["read"]
    wait_until(lambda: store.get(NS, "read", refresh_ttl=False) is None)


def test_a_put_without_time_makes_an_item_last(store: BaseStore) -> None:
    store.put(NS, "k", {"n": 1}, ttl=0.005)
    store.put(NS, "k", {"n": 2})
    store.put(NS, "marker", {}, ttl=0.01)
    wait_until(lambda: store.get(NS, "marker", refresh_ttl=False) is None)
    assert store.get(NS, "k") is not None


def test_what_cannot_be_stored_is_an_error_and_changes_nothing(store: BaseStore) -> None:
    store.put(NS, "k", {"n": 1})
    with pytest.raises((CodecError, TypeError)):
        store.put(NS, "k", {"generator": (n for n in range(3))})
    found = store.get(NS, "k")
    assert found is not None
    assert found.value == {"n": 1}
