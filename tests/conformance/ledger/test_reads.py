"""What is read, and what is written without a decision."""

from __future__ import annotations

import pytest

from distgraph.ledger import reads
from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Address, Answer
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    C2,
    OK,
    RUN,
    A,
    advanced,
    claim,
    claim_task,
    driven,
    offered,
    settle,
    stale,
    step,
    submit,
    taken,
    unchanged,
)
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
    assert world.runs.records([RUN], ["status"]) == [{}]
    assert world.runs.records([], ["status"]) == []


def test_runs_are_listed_newest_first(world: World) -> None:
    addresses = [Address("x", "x"), Address("z", "t"), Address("y", "y")]
    for address in addresses:
        world.runs.reserve(address)
        submit(world, address)
        world.pass_ms(1)
    assert world.runs.runs() == addresses[::-1]
    assert world.runs.runs(most=2) == addresses[:0:-1]
    records = world.runs.records(addresses, ["status", "wake"])
    assert records == [{"status": b"queued"}] * 3


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


def test_a_log_is_read_back_from_any_entry(world: World) -> None:
    assert (world.runs.log_back(RUN), world.runs.log_length(RUN)) == ([], 0)
    driven(world)
    world.runs.append_log(RUN, [b"1", b"2", b"3"])
    entries = world.runs.log(RUN, "0")
    assert world.runs.log_back(RUN) == entries[::-1]
    assert world.runs.log_back(RUN, entries[1][0]) == entries[1::-1]
    assert world.runs.log_back(RUN, entries[1][0], most=1) == [entries[1]]
    assert world.runs.log_length(RUN) == 3


def test_that_a_run_goes_on_is_told_once(world: World) -> None:
    """Whoever drives it may say so; who comes late, of a checkpoint it has left or an epoch that is over, says nothing."""
    driven(world)
    assert world.runs.tell_start(RUN, 1, "", b"go") == Answer("ok")
    with unchanged(world):
        assert world.runs.tell_start(RUN, 1, "", b"go, says another") == Answer("ok")
        assert world.runs.tell_start(RUN, 2, "", b"go") == Answer("stale", "epoch")
        assert world.runs.tell_start(Address("nobody", "nobody"), 1, "", b"go") == Answer("stale", "gone")
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"go"]


def test_that_it_goes_on_is_not_told_after_the_end(world: World) -> None:
    driven(world)
    with unchanged(world):
        assert world.runs.tell_start(RUN, 1, C1, b"go") == Answer("stale", "head")
    world.runs.commit(step(C1, log=[b"end"], status="done"))
    with unchanged(world):
        assert world.runs.tell_start(RUN, 1, C1, b"go") == Answer("stale", "done")


def test_an_effect_is_recorded_once(world: World) -> None:
    submit(world)
    assert world.runs.effect(RUN, "key", b"first") == b"first"
    with unchanged(world):
        assert world.runs.effect(RUN, "key", b"second") == b"first"
        assert world.runs.effect(RUN, "key") == b"first"


def test_the_effects_of_a_run_that_is_gone_are_kept_for_a_time(world: World) -> None:
    """A server that was rolled back may have lost the run and not the effect; where it comes back, they stay."""
    assert world.runs.effect(RUN, "key", b"first", keep_ms=1000) == b"first"
    world.pass_ms(500)
    assert world.runs.effect(RUN, "other", b"second", keep_ms=1000) == b"second"
    world.pass_ms(501)
    assert world.runs.effect(RUN, "key") is None
    world.runs.effect(RUN, "key", b"first", keep_ms=1000)
    submit(world)
    world.runs.effect(RUN, "key", b"again", keep_ms=1000)
    world.pass_ms(1001)
    assert world.runs.effect(RUN, "key") == b"first"


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_the_effects_of_a_run_that_is_done_are_kept_for_a_time(world: World, status: str) -> None:
    """For whoever was taken for dead and comes late; what may go on finds them however late that is."""
    driven(world)
    world.runs.effect(RUN, "key", b"first", keep_ms=1000)
    world.pass_ms(2000)
    assert world.runs.commit(step(C1, status=status, effects_ms=1000)).kind == "ok"
    world.pass_ms(500)
    assert world.runs.effect(RUN, "key", b"again", keep_ms=5000) == b"first"
    assert world.runs.effect(RUN, "late", b"late", keep_ms=5000) == b"late"
    world.pass_ms(501)
    found = [world.runs.effect(RUN, "key"), world.runs.effect(RUN, "late")]
    assert found == ([None, None] if status == "done" else [b"first", b"late"])
    assert any(":once:" in key for key in world.dump()) == (status != "done")


def test_one_effect_is_forgotten_without_the_others(world: World) -> None:
    submit(world)
    world.runs.effect(RUN, "key", b"first")
    world.runs.effect(RUN, "other", b"other")
    world.runs.forget_effect(RUN, "key")
    with unchanged(world):
        world.runs.forget_effect(RUN, "key")
    assert world.runs.effect(RUN, "key") is None
    assert world.runs.effect(RUN, "other") == b"other"


def test_retries_that_are_recorded_count_for_the_run_once(world: World) -> None:
    submit(world)
    for name in ("1", "1", "2"):
        world.runs.effect(RUN, name, b"", retries=True)
    world.runs.effect(RUN, "3", b"")
    assert world.runs.record(RUN)["retries"] == b"2"
    world.runs.effect(RUN._replace(run_id="gone"), "1", b"", retries=True)
    assert world.runs.record(RUN._replace(run_id="gone")) == {}


def test_a_deleted_run_leaves_its_thread(world: World) -> None:
    address = Address("r1", "t1")
    world.runs.reserve(address)
    driven(world, A, address)
    world.runs.commit(step(C1, address=address, log=[b"x"], status="done"))
    world.runs.effect(address, "key", b"result")
    assert world.runs.delete(address) == OK
    assert world.runs.address("r1") is None
    assert world.runs.read_line("t1", ["head"]) == [C1.encode()]
    assert [key for key in world.dump() if ":line:" not in key] == []


def test_a_run_on_a_thread_of_its_own_leaves_nothing(world: World) -> None:
    driven(world)
    world.runs.effect(RUN, "key", b"result")
    world.runs.commit(step(C1, log=[b"x"], kept=[("k", b"w")], index_history=True, status="done"))
    assert world.runs.delete(RUN) == OK
    assert world.dump() == {}


def test_graphs_nested_in_a_run_go_with_its_own_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many: in portions. An attempt that still runs in one stores nothing any more."""
    monkeypatch.setattr(reads, "NESTED", 2)
    driven(world)
    advanced(world)
    places = [Place("r1", f"nested:{n}") for n in range(5)]
    for place in places:
        assert world.lines.hold(place, "a1", RUN, C1, "1") == OK
    world.runs.control("cancel", RUN, "n")
    assert world.runs.delete(RUN) == OK
    assert world.dump() == {}
    with unchanged(world):
        assert world.lines.hold(places[0], "a1", RUN, C1, "1").kind == "stale"
        late = Change(places[0], C2, [("c:" + C2, b"x")], holder="a1")
        assert [answer.kind for _, answer in world.lines.put([late])] == ["held"]


def test_nothing_is_left_where_the_thread_was_deleted_before_its_run(world: World) -> None:
    driven(world)
    world.runs.commit(step(C1, status="interrupted"))
    assert world.lines.delete("r1") == OK
    world.runs.control("cancel", RUN, "n")
    assert world.runs.delete(RUN) == OK
    assert world.dump() == {}


def test_a_thread_that_has_seen_another_run_stays(world: World) -> None:
    driven(world)
    world.runs.commit(step(C1, status="done"))
    driven(world, A, Address("r2", "r1"))
    assert world.runs.delete(RUN) == OK
    assert world.runs.read_line("r1", ["head"]) == [C1.encode()]


@pytest.mark.parametrize("status", ["queued", "running", "interrupted"])
@pytest.mark.parametrize("expired", [False, True])
def test_a_live_run_is_not_deleted(world: World, status: str, expired: bool) -> None:
    address = Address("r1", "t1")
    world.runs.reserve(address, "keep")
    submit(world, address, retain=0)
    if status != "queued":
        claim(world, A, address)
    if status == "interrupted":
        world.runs.commit(step(C1, address=address, status=status))
    world.pass_ms(1000)
    with unchanged(world):
        assert world.runs.delete(address, expired=expired) == Answer("live", status)


def test_a_run_expires_after_its_end(world: World) -> None:
    address, part = Address("r1", "t1"), world.keys.partition("t1")
    world.runs.reserve(address, "keep")
    driven(world, A, address, thread="t1", retain=500)
    assert world.runs.ended(part, 0, 9) == [(address, None)]
    world.runs.commit(step(C1, address=address, status="done"))
    over = int(world.runs.record(address)["ended"]) + 500
    assert world.runs.ended(part, 0, 9) == [(address, over)]
    assert world.runs.ended(part, 1, 9) == []
    with unchanged(world):
        assert world.runs.delete(address, expired=True).kind == "kept"
    world.pass_ms(501)
    assert world.runs.expired("r1") is None
    assert world.runs.delete(address, expired=True) == OK
    assert (world.runs.address("r1"), world.runs.expired("r1")) == (None, over)
    world.pass_ms(30 * 86_400_000)
    assert world.runs.expired("r1") is None


def test_a_run_that_says_nothing_of_it_is_kept_for_ever(world: World) -> None:
    driven(world)
    world.runs.commit(step(C1, status="done"))
    assert world.runs.ended(world.keys.partition("r1"), 0, 9) == [(RUN, None)]
    assert world.runs.delete(RUN, expired=True).kind == "kept"


def test_what_comes_late_leaves_no_ghost_of_a_run(world: World) -> None:
    """A task of it still ran when it was deleted."""
    offered(world)
    claim_task(world, "T1")
    world.runs.control("cancel", RUN, "n")
    assert world.runs.delete(RUN) == OK
    assert not world.runs.slept(RUN, "k", ms=5)
    world.runs.append_log(RUN, [b"event"])
    assert settle(world, "T1").kind == "stale"
    assert world.runs.commit(step(C2, C1, offered=True)) == stale("gone")
    assert world.dump() == {}


def test_an_item_in_a_slice_has_a_log_without_a_record(world: World) -> None:
    taken(world, 1)
    item = Address(f"{BATCH}:0", f"{BATCH}:0")
    world.runs.append_log(item, [b"event"])
    assert [entry for _, entry in world.runs.log(item, "0")] == [b"event"]


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
