"""A batch as a whole: manifest, chunks, counters, cancel, retry, deletion."""

from __future__ import annotations

import pytest

from distgraph.ledger.keys import CHUNK
from distgraph.ledger.replies import Address, BatchCounts, Taken
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    C2,
    LOOK_MS,
    A,
    B,
    added,
    claim,
    due,
    end,
    give_back,
    go_on,
    item_commit,
    part_of,
    promote,
    promoted,
    stale,
    step,
    take,
    taken,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance


# ---------------------------------------------------------------- manifest


def test_a_manifest_stands_once_written(world: World) -> None:
    first = world.batches.open(BATCH, {"graph": "g", "n": [1, 2]}, 1000)
    told = {"graph": "g", "n": [1, 2], "created": 1000, "total": None, "content": None, "pinned": None}
    assert first == {**told, "retain": None, "ended": None, "dropped": False}
    with unchanged(world):
        assert world.batches.open(BATCH, {"graph": "other"}, 2000) == first
        assert world.batches.manifest(BATCH) == first
    assert world.batches.manifest("nobody") is None


def test_batches_are_listed_newest_first(world: World) -> None:
    for ms, name in enumerate(("x", "z", "y")):
        world.batches.open(name, {}, 1000 + ms)
    assert world.batches.ids() == ["y", "z", "x"]
    assert world.batches.ids(most=1) == ["y"]


def test_batches_that_may_have_work(world: World) -> None:
    world.batches.open("y", {}, 1000)
    world.batches.open("x", {}, 1000)
    assert world.batches.active() == ["x", "y"]
    world.batches.finish("y")
    assert world.batches.active() == ["x"]
    assert world.batches.reopen("y")
    assert world.batches.active() == ["x", "y"]
    assert not world.batches.reopen("nobody")
    assert world.batches.active() == ["x", "y"]


# ---------------------------------------------------------------- the end of a batch


def at_rest(world: World, retain_ms: int | None = 100, name: str = BATCH) -> None:
    world.batches.open(name, {"graph": "g"}, 1000, retain_ms=retain_ms)
    world.batches.finish(name)


def test_the_time_of_a_batch_begins_with_its_end(world: World) -> None:
    world.batches.open(BATCH, {"graph": "g"}, 1000, retain_ms=100)
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "kept"
    world.pass_ms(500)
    ended = world.now_ms
    world.batches.finish(BATCH)
    assert (world.batches.manifest(BATCH) or {})["ended"] == ended
    world.pass_ms(99)
    world.batches.finish(BATCH)  # who says so again changes nothing
    assert world.batches.over(world.now_ms, most=9) == []
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "kept"
    world.pass_ms(1)
    assert world.batches.over(world.now_ms, most=9) == [BATCH]
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "ok"
    assert world.batches.expired(BATCH) == ended + 100
    world.batches.delete(BATCH, 1)
    assert world.batches.over(world.now_ms + 10**9, most=9) == []
    assert (world.batches.manifest(BATCH), world.batches.expired(BATCH)) == (None, ended + 100)


def test_a_batch_that_is_reopened_is_not_over(world: World) -> None:
    at_rest(world)
    world.pass_ms(100)
    assert world.batches.reopen(BATCH)
    assert world.batches.over(world.now_ms, most=9) == []
    with unchanged(world):
        assert world.batches.drop(BATCH, "w1", expired=True).kind == "kept"
    assert (world.batches.manifest(BATCH) or {})["ended"] is None


def test_without_a_retention_a_batch_is_never_over(world: World) -> None:
    at_rest(world, retain_ms=None)
    world.pass_ms(10**9)
    assert world.batches.over(world.now_ms, most=9) == []
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "kept"
    assert world.batches.drop(BATCH, "w1").kind == "ok"
    assert world.batches.expired(BATCH) is None


def test_a_batch_is_deleted_by_one_at_a_time(world: World) -> None:
    at_rest(world, retain_ms=0)
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "ok"
    with unchanged(world):
        assert world.batches.drop(BATCH, "w2", expired=True).kind == "held"
        assert not world.batches.reopen(BATCH)
        world.batches.finish(BATCH)
    assert (world.batches.manifest(BATCH) or {})["dropped"]
    assert world.batches.over(world.now_ms, most=9) == []
    world.pass_ms(9_999)
    assert world.batches.drop(BATCH, "w1", expired=True).kind == "ok"
    world.pass_ms(10_000)
    assert world.batches.over(world.now_ms, most=9) == [BATCH]
    assert world.batches.drop(BATCH, "w2", expired=True).kind == "ok"


def test_the_longest_over_comes_first(world: World) -> None:
    for name, ms in (("x", 30), ("y", 10), ("z", 20)):
        at_rest(world, ms, name)
    world.pass_ms(100)
    assert world.batches.over(world.now_ms, most=2) == ["y", "z"]


def test_what_is_gone_is_not_dropped(world: World) -> None:
    with unchanged(world):
        assert world.batches.drop(BATCH, "w1").kind == "gone"


def test_items_are_deleted_chunk_by_chunk(world: World) -> None:
    world.batches.open(BATCH, {"graph": "g"}, 1000)
    for chunk in (0, world.keys.partitions, 1):
        added(world, 2, chunk)
    first, second = (world.keys.chunk_partition(BATCH, chunk) for chunk in (0, 1))
    assert world.batches.chunks_in(BATCH, first) == [0, world.keys.partitions]
    assert world.batches.chunks_in(BATCH, second) == [1]
    world.batches.delete_items(BATCH, [0, 1])
    assert [
        len(world.batches.items(BATCH, Taken(chunk, 0, 2, "n", ""))) for chunk in (0, 1, world.keys.partitions)
    ] == [0, 0, 2]


def test_what_is_not_there_is_not_sealed(world: World) -> None:
    """It was deleted meanwhile, or the server lost it: half a manifest would be a batch that nobody can read."""
    with unchanged(world):
        assert world.batches.seal(BATCH, 10, "one") == ""
    assert world.batches.manifest(BATCH) is None


def test_a_seal_is_that_of_whoever_was_first(world: World) -> None:
    """Two submitters with the same batch id and other items: the second one sees that it is another batch."""
    world.batches.open(BATCH, {}, 1000)
    assert world.batches.seal(BATCH, 10, "one") == "one"
    with unchanged(world):
        assert world.batches.seal(BATCH, 20, "two") == "one"
        assert world.batches.seal(BATCH, 10, "one") == "one"
    manifest = world.batches.manifest(BATCH)
    assert manifest is not None
    assert (manifest["total"], manifest["content"]) == (10, "one")


# ---------------------------------------------------------------- chunks


def test_a_chunk_comes_once(world: World) -> None:
    """A submitter that died is continued by the same call."""
    added(world, 3)
    with unchanged(world):
        assert world.batches.add(BATCH, 0, "digest-0-3", [b"x"] * 3, due_ms=0) == "same"
        assert world.batches.add(BATCH, 0, "another", [b"x"] * 3, due_ms=0) == "conflict"
    assert world.batches.chunk_digests(BATCH, [0, 1]) == ["digest-0-3", None]
    assert world.batches.counts(BATCH) == BatchCounts(total=3, ready=3)


def test_chunks_go_round_the_partitions(world: World) -> None:
    for chunk in range(world.keys.partitions + 1):
        added(world, 1, chunk)
    assert world.batches.ready_partitions(BATCH) == list(range(world.keys.partitions))
    assert world.batches.ready(BATCH, part_of(world, 3))
    taken_from = take(world, "s1", chunk=world.keys.partitions)
    assert taken_from == Taken(0, 0, 1, "n", "0")  # the older chunk of the same partition first


def test_partitions_with_items_that_were_taken_before_come_first(world: World) -> None:
    for chunk in range(3):
        added(world, 2, chunk)
    of = take(world, "s1", chunk=2)
    assert of is not None
    assert world.batches.ready_partitions(BATCH) == sorted(part_of(world, chunk) for chunk in (0, 1))
    give_back(world, of, "a")
    fresh = sorted(part_of(world, chunk) for chunk in (0, 1))
    assert world.batches.ready_partitions(BATCH) == [part_of(world, 2), *fresh]


def test_a_chunk_is_due_when_its_hint_may_have_been_lost(world: World) -> None:
    added(world)
    assert world.runs.sweep(part_of(world), most=9, push_ms=0).due == []
    world.pass_ms(LOOK_MS)
    assert [entry.kind for entry in world.runs.sweep(part_of(world), most=9, push_ms=0).due] == ["batch"]


def test_a_full_chunk_of_large_items(world: World) -> None:
    items = [b"%d" % n * 100 for n in range(CHUNK)]
    assert world.batches.add(BATCH, 0, "d", items, due_ms=0) == "new"
    assert world.batches.items(BATCH, Taken(0, 100, 103, "n", "0")) == items[100:103]


# ---------------------------------------------------------------- cancel, pause


def test_a_cancelled_batch_refuses_what_comes_late(world: World) -> None:
    of = taken(world)
    world.batches.control(BATCH, "cancel")
    with unchanged(world):
        assert item_commit(world, of, end(0)) is None
        assert item_commit(world, of, go_on(1)) is None
        assert take(world, "s2") is None
        assert world.batches.add(BATCH, 0, "digest-0-3", [b"x"], due_ms=0) == "same"
        assert world.batches.add(BATCH, 1, "d", [b"x"], due_ms=0) == "cancelled"
        world.batches.control(BATCH, "cancel")
        world.batches.control(BATCH, "continue")


def test_a_batch_is_cancelled_where_it_has_no_items_yet(world: World) -> None:
    """Its submitter is still at work, and finds out with the next chunk."""
    added(world, 1, 0)
    world.batches.control(BATCH, "cancel")
    for chunk in range(1, world.keys.partitions + 1):
        assert world.batches.add(BATCH, chunk, "d", [b"x"], due_ms=0) == "cancelled"
    assert world.batches.counts(BATCH) == BatchCounts(total=1, states={"cancelled"})


def test_a_cancelled_batch_takes_nothing_back(world: World) -> None:
    added(world, 4)
    of = take(world, k=2)
    assert of is not None
    world.batches.control(BATCH, "cancel")
    assert give_back(world, of).kind == "ok"
    assert world.batches.ready_partitions(BATCH) == []
    world.pass_ms(10 * LOOK_MS)
    assert world.runs.sweep(part_of(world), most=9, push_ms=0).due == []


def test_a_run_of_a_cancelled_batch_takes_no_commit(world: World) -> None:
    _, address = promoted(world)
    world.batches.control(BATCH, "cancel")
    with unchanged(world):
        assert world.runs.commit(step(C2, C1, address=address, batch_epoch="0")) == stale("batch")


def test_nothing_is_taken_while_a_batch_is_paused(world: World) -> None:
    of = taken(world, 2)
    added(world, 2, 8)
    world.batches.control(BATCH, "pause")
    assert world.batches.counts(BATCH).states == {"paused"}
    with unchanged(world):
        assert take(world, "s2") is None
    assert item_commit(world, of, end(0)) == [True]  # what was taken goes on
    world.batches.control(BATCH, "continue")
    assert world.batches.counts(BATCH).states == set()
    assert world.runs.sweep(part_of(world), most=9, push_ms=0).due[0].kind == "batch"
    assert take(world, "s2") == Taken(8, 0, 2, "n", "0")


# ---------------------------------------------------------------- retry


def test_only_failed_items_are_retried(world: World) -> None:
    of = taken(world, 5)
    item_commit(world, of, end(0), end(1, row=b"f1"), end(2, row=b"f2"), end(3), end(4, row=b"f4"), last=True)
    assert world.batches.counts(BATCH) == BatchCounts(total=5, done=2, failed=3)
    assert world.batches.retry_failed(BATCH, 1) == 3
    assert world.batches.counts(BATCH) == BatchCounts(total=5, done=2, ready=3)
    assert world.batches.rows(BATCH, 0) == {0: b"d-result", 3: b"d-result"}
    with unchanged(world):
        assert world.batches.retry_failed(BATCH, 1) == 0
    assert take(world, "s2") == Taken(0, 1, 3, "r", "0")  # neighbours together
    assert take(world, "s3") == Taken(0, 4, 5, "r", "0")
    assert world.batches.items(BATCH, Taken(0, 4, 5, "r", "0")) == [b"item-4"]


def test_a_retried_item_goes_on_where_it_failed(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0))
    item_commit(world, of, end(0, C1, b"f"), last=True)
    world.batches.retry_failed(BATCH, 1)
    again = take(world, "s2", B)
    assert again is not None
    assert world.batches.lines(BATCH, [0])[0][b"head"] == C1.encode()
    assert world.batches.settled_items(BATCH, again) == set()
    assert item_commit(world, again, go_on(0, C2, C1), slice_id="s2", slot=B) == [True]


def test_a_retried_batch_is_due_at_once(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, end(0, row=b"f"), last=True)
    assert world.runs.sweep(part_of(world), most=9, push_ms=0).due == []
    world.batches.retry_failed(BATCH, 1)
    assert [entry.kind for entry in world.runs.sweep(part_of(world), most=9, push_ms=0).due] == ["batch"]


def test_a_retry_forgets_the_crashes(world: World) -> None:
    of = taken(world, 1)
    give_back(world, of, crashed=0, allowed=1)
    world.batches.retry_failed(BATCH, 1)
    again = take(world, "s2", B)
    assert again is not None
    assert give_back(world, again, slice_id="s2", slot=B, crashed=0, allowed=3).info == "1"


def test_a_retry_reaches_all_chunks(world: World) -> None:
    for chunk in range(3):
        added(world, 1, chunk)
        of = take(world, f"s{chunk}", chunk=chunk)
        assert of is not None
        item_commit(world, of, end(chunk * CHUNK, row=b"f"), slice_id=f"s{chunk}", last=True)
    assert world.batches.retry_failed(BATCH, 3) == 3


def test_nothing_of_a_cancelled_batch_is_retried(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, end(0, row=b"f"), last=True)
    world.batches.control(BATCH, "cancel")
    with unchanged(world):
        assert world.batches.retry_failed(BATCH, 1) == 0


# ---------------------------------------------------------------- results, deletion


def test_rows_come_in_order_of_index(world: World) -> None:
    for chunk in (1, 0):
        added(world, 3, chunk)
        of = take(world, f"s{chunk}", chunk=chunk)
        assert of is not None
        first = chunk * CHUNK
        steps = [end(first + n, row=b"d%d" % n) for n in (2, 0)]
        assert item_commit(world, of, *steps, slice_id=f"s{chunk}") == [True, True]
    assert list(world.batches.all_rows(BATCH, 2)) == [(0, b"d0"), (2, b"d2"), (CHUNK, b"d0"), (CHUNK + 2, b"d2")]


def test_counts_tell_where_every_item_is(world: World) -> None:
    added(world, 10)
    of = take(world, k=6)
    assert of is not None
    item_commit(world, of, end(0), end(1, row=b"f"), promote(2), go_on(3))
    assert world.batches.counts(BATCH) == BatchCounts(total=10, done=1, failed=1, promoted=1, ready=4, in_slices=6)


def test_items_on_their_own_are_those_that_somebody_must_look_at(world: World) -> None:
    added(world, 4)
    of = take(world)
    assert of is not None
    item_commit(world, of, go_on(0), promote(1), promote(2), promote(3))
    ended = Address(f"{BATCH}:2", f"{BATCH}:2")
    world.runs.commit(step(C2, C1, "failed", address=ended, batch_epoch="0", row=b"f", compact=True))
    assert world.batches.on_their_own(BATCH) == [1, 3]
    assert world.batches.on_their_own("b*") == []


def test_a_deleted_batch_leaves_nothing(world: World) -> None:
    """However its items were when it was deleted: in hand, failed, asking, cancelled, with logs and effects."""
    world.batches.open(BATCH, {"graph": "g"}, 1000)
    added(world, 8)
    of = take(world, k=7)
    assert of is not None
    item_commit(world, of, end(0), go_on(1), promote(2), promote(3), promote(4))
    item_commit(world, of, end(1, C1, b"f"))
    asking, failed, cancelled = (Address(f"{BATCH}:{n}", f"{BATCH}:{n}") for n in (2, 3, 4))
    world.runs.append_log(Address(f"{BATCH}:0", f"{BATCH}:0"), [b"event"])
    world.runs.effect(asking, "key", b"result")
    world.runs.commit(step("", C1, "interrupted", address=asking, batch_epoch="0", log=[b"x"], kept=[("w", b"w")]))
    world.runs.commit(step(C2, C1, "failed", address=failed, batch_epoch="0", row=b"f", compact=True))
    world.runs.control("cancel", cancelled, "n", row=b"c", log=b"x")
    world.batches.control(BATCH, "pause")
    world.batches.delete(BATCH, 1)
    assert world.dump() == {}
    world.batches.delete(BATCH, 1)
    assert world.dump() == {}


def test_a_finished_batch_is_deleted_with_its_logs(world: World) -> None:
    of, address = promoted(world, 0, 1)
    world.runs.effect(address, "key", b"result")
    world.runs.append_log(address, [b"event"])
    claim(world, A, address)
    world.runs.commit(step(C2, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True))
    item_commit(world, of, last=True)
    assert world.batches.counts(BATCH) == BatchCounts(total=1, done=1)
    world.batches.delete(BATCH, 1)
    assert world.dump() == {}
    assert due(world, address) == []


def test_a_batch_is_pinned_to_another_version(world: World) -> None:
    world.batches.open(BATCH, {"graph": "g", "fp": "v1"}, 1000)
    assert (world.batches.manifest(BATCH) or {})["pinned"] == "v1"
    world.batches.repin(BATCH, "v2")
    found = world.batches.manifest(BATCH) or {}
    assert (found["fp"], found["pinned"]) == ("v1", "v2")
    with unchanged(world):
        world.batches.repin("nobody", "v2")


def test_a_pause_is_known_by_its_name_while_it_stands(world: World) -> None:
    """Who saw its end knows it again where a server that was rolled back has forgotten that."""
    added(world)
    assert world.batches.counts(BATCH).pauses == set()
    world.batches.control(BATCH, "pause", "p1")
    assert world.batches.counts(BATCH).pauses == {"p1"}
    world.batches.control(BATCH, "pause", "p2")
    assert world.batches.counts(BATCH).pauses == {"p2"}
    world.batches.control(BATCH, "continue")
    assert world.batches.counts(BATCH).pauses == set()
    world.batches.control(BATCH, "pause", "p3")
    world.batches.control(BATCH, "cancel")
    assert world.batches.counts(BATCH).pauses == set()
