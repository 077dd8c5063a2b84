"""Values under (namespace, key), for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.cache.base import BaseCache
from distgraph.errors import CodecError
from distgraph.types import Send
from tests.waiting import wait_until

pytestmark = pytest.mark.conformance

Cache = BaseCache[Any]
NS = ("writes", "graph", "node")


def test_what_is_set_is_found(cache: Cache) -> None:
    value = [("x", (1, {"a"})), ("to", Send("node", {"x": 1})), ("nothing", None)]
    cache.set({(NS, "a"): (value, None), (("other",), "a"): ("b", 60)})
    assert cache.get([(NS, "a"), (NS, "absent"), (("other",), "a")]) == {(NS, "a"): value, (("other",), "a"): "b"}
    assert cache.get([]) == {}


def test_a_later_value_replaces_the_earlier_one(cache: Cache) -> None:
    cache.set({(NS, "a"): (1, 60)})
    cache.set({(NS, "a"): (2, None)})
    assert cache.get([(NS, "a")]) == {(NS, "a"): 2}


def test_nobody_changes_what_others_read(cache: Cache) -> None:
    value = [["a"]]
    cache.set({(NS, "a"): (value, None)})
    value[0].append("after")
    cache.get([(NS, "a")])[NS, "a"][0].append("read")
    assert cache.get([(NS, "a")]) == {(NS, "a"): [["a"]]}


def test_a_value_goes_when_its_time_is_over(cache: Cache) -> None:
    cache.set({(NS, "short"): (1, 1), (NS, "long"): (2, 600), (NS, "ever"): (3, None)})
    wait_until(lambda: not cache.get([(NS, "short")]))
    assert set(cache.get([(NS, "long"), (NS, "ever")])) == {(NS, "long"), (NS, "ever")}


def test_values_are_forgotten_by_namespace(cache: Cache) -> None:
    cache.set({(("a",), "k"): (1, None), (("a", "b"), "k"): (2, 60), (("c",), "k"): (3, None)})
    everything = [(("a",), "k"), (("a", "b"), "k"), (("c",), "k")]
    cache.clear([("a",), ("nobody",)])
    assert cache.get(everything) == {(("a", "b"), "k"): 2, (("c",), "k"): 3}
    cache.clear([])
    assert len(cache.get(everything)) == 2
    cache.clear()
    assert cache.get(everything) == {}


def test_names_may_hold_anything(cache: Cache) -> None:
    names = ["a:b", "a", "{x}", "*", "\u00e9\n", ""]
    cache.set({((name, "ns"), name): (name, None) for name in names})
    assert cache.get([((name, "ns"), name) for name in names]) == {((name, "ns"), name): name for name in names}


def test_what_cannot_be_stored_is_an_error(cache: Cache) -> None:
    with pytest.raises(CodecError):
        cache.set({(NS, "a"): (object(), None)})
    assert cache.get([(NS, "a")]) == {}


def test_the_async_methods_do_what_the_others_do(cache: Cache) -> None:
    async def scenario() -> None:
        await cache.aset({(NS, "a"): (1, None)})
        assert await cache.aget([(NS, "a")]) == cache.get([(NS, "a")]) == {(NS, "a"): 1}
        await cache.aclear([NS])
        assert await cache.aget([(NS, "a")]) == {}

    asyncio.run(scenario())
