"""What is read, and what is written without a decision."""

from __future__ import annotations

import pytest

from distgraph.ledger.replies import Address
from tests.conformance.ledger.scenes import C1, RUN, A, advanced, driven, step, submit, unchanged
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance


def test_what_is_not_there_reads_as_nothing(world: World) -> None:
    assert world.runs.record(RUN) == {}
    assert world.runs.outcomes(RUN) == {}
    assert world.runs.claims(RUN) == {}
    assert world.runs.log(RUN, "0") == []
    assert world.runs.effect(RUN, "key") is None
    assert world.runs.read_line("r1", ["head"]) == [None]
    assert world.runs.read_line("r1", []) == []
    assert world.runs.peek(0, "r1", ["status"]) == [""]
    assert world.runs.runs() == []


def test_runs_are_listed_newest_first(world: World) -> None:
    addresses = [Address("x", "x"), Address("z", "t"), Address("y", "y")]
    for address in addresses:
        world.runs.reserve(address)
        submit(world, address)
        world.pass_ms(1)
    assert world.runs.runs() == addresses[::-1]
    assert world.runs.runs(most=2) == addresses[:0:-1]


def test_a_log_is_read_on_from_where_it_was_left(world: World) -> None:
    driven(world)
    world.runs.append_log(RUN, [b"1", b"2"])
    world.pass_ms(5)
    world.runs.commit(step(C1, log=[b"3"]))
    entries = world.runs.log(RUN, "0")
    assert [entry for _, entry in entries] == [b"1", b"2", b"3"]
    assert world.runs.log(RUN, entries[0][0]) == entries[1:]
    assert world.runs.log(RUN, "0", most=2) == entries[:2]
    assert world.runs.log(RUN, entries[-1][0]) == []
    assert world.runs.log(RUN, entries[-1][0], block_ms=1) == []
    assert world.runs.log(RUN, "0", block_ms=0) == entries


def test_an_effect_is_recorded_once(world: World) -> None:
    assert world.runs.effect(RUN, "key", b"first") == b"first"
    with unchanged(world):
        assert world.runs.effect(RUN, "key", b"second") == b"first"
        assert world.runs.effect(RUN, "key") == b"first"


def test_one_effect_is_forgotten_without_the_others(world: World) -> None:
    world.runs.effect(RUN, "key", b"first")
    world.runs.effect(RUN, "other", b"other")
    world.runs.forget_effect(RUN, "key")
    with unchanged(world):
        world.runs.forget_effect(RUN, "key")
    assert world.runs.effect(RUN, "key") is None
    assert world.runs.effect(RUN, "other") == b"other"


def test_a_deleted_run_leaves_its_thread(world: World) -> None:
    address = Address("r1", "t1")
    world.runs.reserve(address)
    driven(world, A, address)
    world.runs.commit(step(C1, address=address, log=[b"x"], status="done"))
    world.runs.effect(address, "key", b"result")
    world.runs.delete(address)
    assert world.runs.address("r1") is None
    assert world.runs.read_line("t1", ["head"]) == [C1.encode()]
    assert [key for key in world.dump() if ":line:" not in key] == []


def test_ids_may_be_any_text(world: World) -> None:
    """Spaces, separators, braces, globs: nothing leaks into the structure of keys."""
    for odd in ("a b", "a:b", "{a}", "a*", "ü\n", "r:x", "a%3ab"):
        address = Address(odd, f"{odd}/thread")
        assert world.runs.reserve(address) == address.thread_id
        driven(world, A, address)
        advanced(world, C1, address=address)
        assert world.runs.address(odd) == address
        found = world.runs.peek(world.keys.partition(address.thread_id), odd, ["status"])
        assert found == ["running"]
