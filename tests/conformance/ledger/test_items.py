"""Items of stores and cached results: what is kept, in which order, and until when."""

from __future__ import annotations

import pytest

from distgraph.ledger.contract.items import FoundItem, StoredItem
from tests.conformance.ledger.scenes import unchanged
from tests.conformance.ledger.worlds import START_MS, World

pytestmark = pytest.mark.conformance

NS = ("users", "ann")
NOW = START_MS * 1000


def put(world: World, *keys: str, namespace: tuple[str, ...] = NS, ms: int | None = None) -> None:
    world.items.put([StoredItem(namespace, key, key.encode(), b"x" + key.encode(), ms) for key in keys])


def walked(world: World, namespace: tuple[str, ...] = NS) -> list[str]:
    return [found.key for found in world.items.walk(namespace, vectors=False)]


def test_an_item_is_found_with_its_times(world: World) -> None:
    put(world, "a")
    world.pass_ms(5)
    put(world, "b")
    world.items.put([StoredItem(NS, "a", b"new")])
    assert world.items.read([(NS, "a"), (NS, "none"), (("users",), "a"), (NS, "b")]) == [
        FoundItem(NS, "a", b"new", b"", NOW, NOW + 5000, None),
        None,
        None,
        FoundItem(NS, "b", b"b", b"", NOW + 5000, NOW + 5000, None),
    ]
    assert [found.vectors for found in world.items.walk(NS, vectors=True)] == [b"", b"xb"]
    assert world.items.read([]) == []


def test_namespaces_and_keys_keep_the_order_of_their_first_items(world: World) -> None:
    for namespace in (("b",), ("a", "x"), ("a",)):
        put(world, "1", namespace=namespace)
        world.pass_ms(1)
    for key in ("z", "a", "m"):
        put(world, key, namespace=("b",))
        world.pass_ms(1)
    put(world, "1", namespace=("b",))
    assert world.items.namespaces() == [("b",), ("a", "x"), ("a",)]
    assert walked(world, ("b",)) == ["1", "z", "a", "m"]
    world.items.drop([(("b",), key) for key in ("1", "z", "a", "m")])
    put(world, "again", namespace=("b",))
    assert world.items.namespaces() == [("a", "x"), ("a",), ("b",)]


def test_namespaces_below_another(world: World) -> None:
    for namespace in (("a", "x"), ("a",), ("a!",), ("a", "x", "y"), ("ab",), ("a:x",), ("b", "a")):
        put(world, "1", namespace=namespace)
        world.pass_ms(1)
    assert world.items.namespaces(("a",)) == [("a", "x"), ("a",), ("a", "x", "y")]
    assert world.items.namespaces(("a", "x")) == [("a", "x"), ("a", "x", "y")]
    assert world.items.namespaces(("x",)) == []
    assert len(world.items.namespaces()) == 7


def test_a_namespace_goes_with_its_last_item(world: World) -> None:
    put(world, "a", "b")
    world.items.drop([(NS, "a"), (NS, "none")])
    assert world.items.namespaces() == [NS]
    world.items.drop([(NS, "b")])
    assert world.items.namespaces() == []
    assert world.dump() == {}


def test_an_item_lives_as_long_as_it_is_touched(world: World) -> None:
    put(world, "short", "read", ms=1000)
    put(world, "ever")
    world.pass_ms(600)
    world.items.touch([(NS, "read"), (NS, "ever"), (NS, "none")])
    world.pass_ms(600)
    assert [found and found.key for found in world.items.read([(NS, "short"), (NS, "read")])] == [None, "read"]
    assert walked(world) == ["ever", "read"]
    world.pass_ms(60_000)
    assert world.items.namespaces() == [NS]
    put(world, "read")
    assert walked(world) == ["ever", "read"]


def test_a_put_without_time_makes_an_item_last(world: World) -> None:
    put(world, "a", ms=1000)
    put(world, "a")
    world.pass_ms(2000)
    assert walked(world) == ["a"]


def test_what_has_expired_is_forgotten_by_whoever_walks(world: World) -> None:
    put(world, *(f"{n:03d}" for n in range(600)), ms=1000)
    put(world, "a", namespace=("other",), ms=1000)
    world.pass_ms(2000)
    assert world.items.namespaces() == []
    assert walked(world) == []
    assert world.dump() == {}


def test_an_item_of_an_expired_namespace_begins_anew(world: World) -> None:
    put(world, "a", ms=1000)
    world.pass_ms(2000)
    put(world, "a", "b")
    world.items.namespaces()
    assert walked(world) == ["a", "b"]
    found = world.items.read([(NS, "a")])[0]
    assert found is not None
    assert found.created == NOW + 2_000_000


# ------------------------------------------------------------- cached results

RESULTS = ("writes", "fingerprint", "node")


def test_a_result_is_kept_for_its_time(world: World) -> None:
    world.kept.put({(RESULTS, "a"): (b"1", 1000), (RESULTS, "b"): (b"2", None), (("other",), "a"): (b"3", 500)})
    assert world.kept.read([(RESULTS, "a"), (RESULTS, "b"), (("other",), "a"), (RESULTS, "c")]) == [
        *(b"1", b"2", b"3", None)
    ]
    world.pass_ms(1000)
    assert world.kept.read([(RESULTS, "a"), (RESULTS, "b"), (("other",), "a")]) == [None, b"2", None]
    world.kept.put({(RESULTS, "a"): (b"4", None)})
    world.pass_ms(100_000)
    assert world.kept.read([(RESULTS, "a")]) == [b"4"]
    assert world.kept.read([]) == []


def test_results_are_forgotten_by_namespace(world: World) -> None:
    world.kept.put({(RESULTS, str(n)): (b"x", None) for n in range(600)})
    world.kept.put({(("other",), "a"): (b"y", None), (("a", "b"), "c"): (b"z", 1000)})
    world.kept.clear([RESULTS, ("nobody",)])
    assert world.kept.read([(RESULTS, "0"), (RESULTS, "599"), (("other",), "a")]) == [None, None, b"y"]
    world.kept.clear(None)
    assert world.kept.read([(("other",), "a"), (("a", "b"), "c")]) == [None, None]
    assert world.dump() == {}


def test_namespaces_of_results_are_not_run_together(world: World) -> None:
    world.kept.put({(("a", "b"), "c"): (b"1", None), (("a",), "b"): (b"2", None), (("a:b",), "c"): (b"3", None)})
    world.kept.clear([("a", "b")])
    assert world.kept.read([(("a", "b"), "c"), (("a",), "b"), (("a:b",), "c")]) == [None, b"2", b"3"]


def test_reading_changes_nothing(world: World) -> None:
    put(world, "a", "b")
    world.kept.put({(RESULTS, "a"): (b"1", 1000)})
    with unchanged(world):
        world.items.read([(NS, "a")])
        walked(world)
        world.items.namespaces()
        world.kept.read([(RESULTS, "a")])
