"""Workers that live, graphs that were ever served."""

from __future__ import annotations

import pytest

from distgraph.errors import LedgerCorruptError
from distgraph.ledger.fleet import FleetLedger
from distgraph.ledger.keys import Keys
from tests.conformance.ledger.scenes import unchanged
from tests.conformance.ledger.worlds import ServerWorld, World

pytestmark = pytest.mark.conformance


def test_a_worker_lives_while_it_beats(world: World) -> None:
    world.fleet.beat("b", {"slots": ["b:1"], "idle": 1}, ttl_ms=2000)
    world.fleet.beat("a", {"slots": []}, ttl_ms=5000)
    assert world.fleet.workers() == {"a": {"slots": []}, "b": {"slots": ["b:1"], "idle": 1}}
    assert list(world.fleet.workers()) == ["a", "b"]
    world.pass_ms(1500)
    world.fleet.beat("b", {"slots": ["b:2"]}, ttl_ms=2000)
    world.pass_ms(1000)
    assert world.fleet.workers()["b"] == {"slots": ["b:2"]}
    world.pass_ms(1000)
    assert set(world.fleet.workers()) == {"a"}
    world.pass_ms(60_000)
    assert world.fleet.workers() == {}
    assert world.dump() == {}


def test_a_worker_that_leaves_is_gone_at_once(world: World) -> None:
    world.fleet.beat("a", {}, ttl_ms=5000)
    world.fleet.leave("a")
    world.fleet.leave("nobody")
    assert world.fleet.workers() == {}
    assert world.dump() == {}


def test_graphs_once_served_stay_known(world: World) -> None:
    world.fleet.serve({("g", "v1"): {"inputs": ["x"]}, ("a\nb", "v1"): {}})
    world.fleet.serve({("g", "v2"): {}, ("g", "v1"): {"inputs": ["x", "y"]}})
    world.fleet.serve({})
    assert world.fleet.served() == {"g": {"v1": {"inputs": ["x", "y"]}, "v2": {}}, "a\nb": {"v1": {}}}
    assert world.fleet.is_served("a\nb", "v1")
    assert not world.fleet.is_served("g", "v3")


def test_a_namespace_is_joined_by_equals(world: World) -> None:
    world.fleet.join()
    with unchanged(world):
        world.fleet.join()


def test_a_namespace_of_another_layout_is_refused(server_world: ServerWorld) -> None:
    server_world.fleet.join()
    namespace = server_world.keys.namespace
    other = FleetLedger(server_world.scripts, Keys(namespace, partitions=server_world.keys.partitions * 2))
    with unchanged(server_world), pytest.raises(LedgerCorruptError, match=rf"{namespace}.*with 8 partitions.*with 16"):
        other.join()


def test_the_server_has_an_id(world: World) -> None:
    first = world.fleet.server()[0]
    assert first
    assert world.fleet.server()[0] == first


def test_what_happens_rarely_is_counted(world: World) -> None:
    assert world.fleet.counts() == {}
    for what in ("unknown_hints", "other", "unknown_hints"):
        world.fleet.count(what)
    assert world.fleet.counts() == {"unknown_hints": 2, "other": 1}


def test_failures_of_a_node_in_a_row_are_counted(world: World) -> None:
    assert world.fleet.failing() == {}
    assert [world.fleet.failed("g\nfetch", forget_ms=1000) for _ in range(3)] == [1, 2, 3]
    assert world.fleet.failed("g\nother", forget_ms=1000) == 1
    assert world.fleet.failing() == {"g\nfetch": 3, "g\nother": 1}
    world.fleet.worked("g\nfetch")
    world.fleet.worked("nobody")
    assert world.fleet.failing() == {"g\nother": 1}
    world.pass_ms(600)
    assert world.fleet.failed("g\nfetch", forget_ms=1000) == 1
    world.pass_ms(600)
    assert world.fleet.failing() == {"g\nother": 1, "g\nfetch": 1}
    world.pass_ms(600)
    assert world.fleet.failing() == {}
    assert world.dump() == {}
