"""Items of a batch: taken together, advanced each by itself, counted once."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from distgraph.ledger.keys import item_id
from distgraph.ledger.replies import Address, Answer, BatchCounts, ItemStep, Taken
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    C2,
    C3,
    LOOK_MS,
    OK,
    A,
    B,
    added,
    claim,
    due,
    end,
    give_back,
    go_on,
    item_commit,
    own,
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


# ---------------------------------------------------------------- taking


def test_a_slice_takes_neighbours_in_order(world: World) -> None:
    added(world, 10)
    assert take(world, "s1", A, 4) == Taken(0, 0, 4, "n", "0")
    assert take(world, "s2", B, 4) == Taken(0, 4, 8, "n", "0")
    assert take(world, "s3", B, 4) == Taken(0, 8, 10, "n", "0")
    with unchanged(world):
        assert take(world, "s4") is None
    assert world.batches.slices(BATCH, part_of(world)) == {
        "s1": (A, Taken(0, 0, 4, "n", "")),
        "s2": (B, Taken(0, 4, 8, "n", "")),
        "s3": (B, Taken(0, 8, 10, "n", "")),
    }
    assert world.batches.slice_of(BATCH, part_of(world), "s2") == (B, Taken(0, 4, 8, "n", ""))
    assert world.batches.slice_of(BATCH, part_of(world), "s9") is None


def test_taking_again_for_the_same_slice_gives_the_same(world: World) -> None:
    """The reply was lost: the repeat must not bind a second range that nobody knows of."""
    added(world, 10)
    first = take(world, "s1", A, 4)
    world.pass_ms(1)
    with unchanged(world):
        assert take(world, "s1", A, 4) == first


def test_nothing_is_taken_of_what_is_not_there(world: World) -> None:
    with unchanged(world):
        assert take(world) is None


def test_a_batch_taken_empty_is_not_due(world: World) -> None:
    """What is in slices has entries of its own."""
    taken(world)
    world.pass_ms(10 * LOOK_MS)
    assert [entry.kind for entry in world.runs.sweep(part_of(world), most=9, push_ms=0).due] == ["slice"]


def test_what_crashed_comes_alone(world: World) -> None:
    of = taken(world, 4)
    assert world.batches.next_flag(BATCH, part_of(world)) == ""
    assert give_back(world, of, crashed=1) == Answer("ok", "1")
    assert [take(world, name) for name in ("s2", "s3")] == [Taken(0, 0, 1, "r", "0"), Taken(0, 2, 4, "r", "0")]
    assert world.batches.next_flag(BATCH, part_of(world)) == "c"
    assert take(world, "s4") == Taken(0, 1, 2, "c", "0")


def test_a_cancelled_batch_has_another_epoch(world: World) -> None:
    added(world, 1)
    assert world.batches.epoch(BATCH, part_of(world)) == "0"
    world.batches.control(BATCH, "cancel")
    assert world.batches.epoch(BATCH, part_of(world)) == "1"
    assert world.batches.epoch("nobody's", 0) == ""


def test_a_suspect_comes_alone(world: World) -> None:
    """One of these items killed its process: the next crash names it."""
    of = taken(world, 4)
    give_back(world, of, "a")
    assert take(world, "s2", B) == Taken(0, 0, 1, "a", "0")
    assert take(world, "s3", B) == Taken(0, 1, 2, "a", "0")


# ---------------------------------------------------------------- steps


def test_items_of_a_slice_commit_independently(world: World) -> None:
    """One that another driver moved does not hold up the others."""
    of = taken(world, 4)
    item_commit(world, of, go_on(1, C2))
    answers = item_commit(world, of, go_on(0), go_on(1, C1), end(2), go_on(3, C2, C1))
    assert answers == [True, False, True, False]
    heads = [line.get(b"head") for line in world.batches.lines(BATCH, range(4))]
    assert heads == [C1.encode(), C2.encode(), None, None]
    assert world.batches.rows(BATCH, 0) == {2: b"d-result"}


def test_a_step_sets_and_deletes_fields_of_the_line(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0, C1, sets=[("c:" + C1, b"1"), ("v:x@1", b"x"), ("v:y@1", b"")]))
    item_commit(world, of, go_on(0, C2, C1, sets=[("c:" + C2, b"2")], drops=["c:" + C1, "v:x@1"]))
    line = world.batches.lines(BATCH, [0])[0]
    assert line == {b"head": C2.encode(), b"c:" + C2.encode(): b"2", b"v:y@1": b""}


def test_a_wide_item_is_committed_whole(world: World) -> None:
    of = taken(world, 1)
    many = [(f"v:{n}@1", b"x") for n in range(6000)]
    assert item_commit(world, of, go_on(0, C1, sets=many)) == [True]
    assert item_commit(world, of, go_on(0, C2, C1, sets=[], drops=[name for name, _ in many])) == [True]
    assert world.batches.lines(BATCH, [0]) == [{b"head": C2.encode()}]


def test_a_commit_repeated_is_applied_once(world: World) -> None:
    of = taken(world, 4)
    item_commit(world, of, go_on(3))
    steps = (go_on(0), end(1), promote(2), end(3, C1, b"f"))
    assert item_commit(world, of, *steps) == [True] * 4
    world.pass_ms(1)
    with unchanged(world):
        assert item_commit(world, of, *steps) == [True] * 4


def test_rows_are_counted_once(world: World) -> None:
    of = taken(world, 2)
    assert item_commit(world, of, end(0, row=b"d1"), end(1, row=b"f1")) == [True, True]
    with unchanged(world):
        assert item_commit(world, of, end(0, row=b"d2"), end(1, row=b"d2")) == [False, False]
    assert world.batches.counts(BATCH) == BatchCounts(total=2, done=1, failed=1, in_slices=2)


def test_an_item_takes_one_step_in_a_call(world: World) -> None:
    """All are judged before the first is written to."""
    of = taken(world, 2)
    assert item_commit(world, of, end(0), end(0), go_on(1), end(1, C1), last=True) == [True, False, True, False, False]
    assert world.batches.counts(BATCH) == BatchCounts(total=2, done=1, in_slices=2)


@pytest.mark.parametrize("late", [go_on(0, C2, C1), go_on(0, C2), promote(0, C2, C1), promote(0, C2)])
@pytest.mark.parametrize("row", [b"d", b"f"])
def test_a_zombie_moves_no_item_that_has_its_row(world: World, late: ItemStep, row: bytes) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0))
    item_commit(world, of, end(0, C1, row))
    with unchanged(world):
        assert item_commit(world, of, late) == [False]


def test_a_head_of_an_item_only_moves_up(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0, C2))
    with unchanged(world):
        assert item_commit(world, of, go_on(0, C1, C2)) == [False]


def test_a_done_item_leaves_no_line_and_a_failed_one_does(world: World) -> None:
    of = taken(world, 2)
    item_commit(world, of, go_on(0), go_on(1))
    item_commit(world, of, end(0, C1), end(1, C1, b"f"))
    done, failed = world.batches.lines(BATCH, [0, 1])
    assert done == {}
    assert failed[b"head"] == C1.encode()


def test_the_input_goes_when_all_items_are_done(world: World) -> None:
    """Not before: a failed item may be retried from it."""
    of = taken(world, 3)
    item_commit(world, of, end(0), end(1, row=b"f"))
    item_commit(world, of, end(2))
    assert world.batches.items(BATCH, of) == [b"item-0", b"item-1", b"item-2"]
    world.batches.retry_failed(BATCH, 1)
    again = take(world, "s2")
    assert again is not None
    item_commit(world, again, end(1), slice_id="s2")
    assert world.batches.items(BATCH, of) == []


def test_the_input_goes_also_when_the_last_one_ended_as_a_run(world: World) -> None:
    of, address = promoted(world, 0, 2)
    item_commit(world, of, end(1))
    world.runs.commit(step(C2, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True))
    assert world.batches.items(BATCH, of) == []


# ---------------------------------------------------------------- the end of a slice


def test_a_slice_ends_with_its_last_commit(world: World) -> None:
    of = taken(world, 2)
    assert item_commit(world, of, end(0), end(1), last=True) == [True, True, True]
    assert world.batches.slices(BATCH, part_of(world)) == {}
    assert item_commit(world, of, end(0), end(1), last=True) == [True, True, True]
    assert world.batches.counts(BATCH).done == 2


def test_a_slice_goes_on_while_an_item_was_refused(world: World) -> None:
    """Somebody else moved the item and may be dead by now: this slice is all that still knows of it."""
    of = taken(world, 2)
    item_commit(world, of, go_on(1, C2))
    assert item_commit(world, of, end(0), end(1), last=True) == [True, False, False]
    assert world.batches.slice_of(BATCH, part_of(world), "s1") is not None


def test_a_slice_goes_on_while_an_item_has_come_to_nothing(world: World) -> None:
    """Its driver takes it for done: the server was rolled back, and this slice is all that still knows of it."""
    of = taken(world, 3)
    item_commit(world, of, end(0), go_on(1))
    with unchanged(world):
        assert item_commit(world, of, last=True) == [False]
    assert item_commit(world, of, end(1, C1), promote(2), last=True) == [True, True, True]
    assert world.batches.slices(BATCH, part_of(world)) == {}


def test_a_slice_goes_on_while_a_run_of_its_own_is_not_there(world: World) -> None:
    """An item that went on by itself has no row yet; one that is said to have, and has not, is not lost."""
    of = taken(world, 2)
    item_commit(world, of, end(0))
    with unchanged(world):
        assert item_commit(world, of, own(1), last=True) == [False, False]
    item_commit(world, of, promote(1))
    assert item_commit(world, of, last=True) == [False]
    assert item_commit(world, of, own(1), last=True) == [True, True]
    assert item_commit(world, of, own(0), own(1)) == [True, True]


def test_what_is_handed_back_is_taken_next(world: World) -> None:
    added(world, 10)
    of = take(world, "s1", A, 6)
    assert of is not None
    item_commit(world, of, end(0), end(2))
    assert give_back(world, of) == Answer("ok", "0")
    assert world.batches.counts(BATCH) == BatchCounts(total=10, done=2, ready=8)
    assert [take(world, name, B) for name in ("s2", "s3", "s4")] == [
        Taken(0, 1, 2, "r", "0"),
        Taken(0, 3, 6, "r", "0"),
        Taken(0, 6, 10, "n", "0"),
    ]


def test_a_batch_handed_back_is_due_at_once(world: World) -> None:
    of = taken(world)
    give_back(world, of)
    assert [entry.kind for entry in world.runs.sweep(part_of(world), most=9, push_ms=0).due] == ["batch"]


def test_a_slice_with_nothing_left_just_ends(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, end(0))
    assert give_back(world, of) == Answer("ok", "0")
    world.pass_ms(10 * LOOK_MS)
    assert world.runs.sweep(part_of(world), most=9, push_ms=0).due == []


def test_only_the_slot_of_a_slice_gives_it_back(world: World) -> None:
    of = taken(world)
    with unchanged(world):
        assert give_back(world, of, slot=B) == Answer("stale")
        assert give_back(world, of, slice_id="s9") == Answer("stale")


def test_giving_back_twice_answers_the_same(world: World) -> None:
    of = taken(world)
    first = give_back(world, of, "a", crashed=1)
    assert first == Answer("ok", "1")
    with unchanged(world):
        assert give_back(world, of, "a", crashed=1) == first


def test_the_death_that_made_it_a_suspect_counts_once_it_crashes(world: World) -> None:
    """Nobody was named then; who dies alone afterwards has died twice."""
    assert give_back(world, taken(world, 1), "a") == Answer("ok", "0")
    suspect = Taken(0, 0, 1, "a", "0")
    assert take(world, "s2") == suspect
    assert give_back(world, suspect, slice_id="s2", crashed=0) == Answer("ok", "2")
    crashed = Taken(0, 0, 1, "c", "0")
    assert take(world, "s3") == crashed
    assert give_back(world, crashed, "a", slice_id="s3", crashed=0, allowed=4) == Answer("ok", "3")
    assert take(world, "s4") == suspect
    assert give_back(world, suspect, slice_id="s4", crashed=0, allowed=4) == Answer("quarantined", "4")


def test_a_poisonous_item_is_quarantined_at_the_limit(world: World) -> None:
    """The batch goes on without it, and tells why."""
    of = taken(world, 2)
    assert give_back(world, of, crashed=0, allowed=3) == Answer("ok", "1")
    assert take(world, "other") == Taken(0, 1, 2, "r", "0")
    again = Taken(0, 0, 1, "c", "0")
    assert take(world, "s2") == again
    assert give_back(world, again, slice_id="s2", crashed=0, allowed=3) == Answer("ok", "2")
    assert take(world, "s3") == again
    assert give_back(world, again, slice_id="s3", crashed=0, allowed=3) == Answer("quarantined", "3")
    assert world.batches.rows(BATCH, 0) == {0: b"f-poison"}
    assert world.batches.counts(BATCH) == BatchCounts(total=2, failed=1, in_slices=1)
    assert take(world, "s4") is None
    assert give_back(world, Taken(0, 1, 2, "r", "0"), slice_id="other") == Answer("ok", "0")
    assert take(world, "s4") == Taken(0, 1, 2, "r", "0")


def test_a_row_that_is_there_stands_against_the_quarantine(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, end(0))
    assert give_back(world, of, crashed=0, allowed=1) == Answer("ok", "0")
    assert world.batches.counts(BATCH) == BatchCounts(total=1, done=1)
    assert world.batches.rows(BATCH, 0) == {0: b"d-result"}


@pytest.mark.parametrize("flag", ["r", "a"])
def test_what_has_settled_in_this_moment_is_not_ready_again(world: World, flag: Literal["r", "a"]) -> None:
    """The ledger decides, not what the caller saw a moment before."""
    of = taken(world, 6)
    item_commit(world, of, end(1), promote(2), go_on(3), end(5, row=b"f"))
    assert give_back(world, of, flag, crashed=2, allowed=1) == Answer("ok", "0")
    assert world.batches.counts(BATCH) == BatchCounts(total=6, done=1, failed=1, promoted=1, ready=3)
    ready = [take(world, f"s{at}") for at in (2, 3, 4, 5)]
    spans = [(0, 1), (3, 5)] if flag == "r" else [(0, 1), (3, 4), (4, 5)]
    assert [of for of in ready if of] == [Taken(0, start, stop, flag, "0") for start, stop in spans]


def test_a_slice_of_other_items_is_not_given_back(world: World) -> None:
    of = taken(world)
    with unchanged(world):
        assert give_back(world, of._replace(stop=2)) == Answer("stale")


def test_settled_items(world: World) -> None:
    of = taken(world, 5)
    item_commit(world, of, end(0), end(1, row=b"f"), promote(2), go_on(3))
    assert world.batches.settled_items(BATCH, of) == {0, 1, 2}


# ---------------------------------------------------------------- items that become runs


def test_a_promoted_item_is_a_run_that_the_slot_drives(world: World) -> None:
    of = taken(world, 2)
    item_commit(world, of, go_on(0))
    step_ = ItemStep("promote", 0, C1, C2, [("c:" + C2, b"2")], ["c:" + C1], fields=[("thread", "b1:0"), ("n", 7)])
    world.pass_ms(5)
    assert item_commit(world, of, step_) == [True]
    address = Address("b1:0", "b1:0")
    record = world.runs.record(address)
    now = str(world.now_ms).encode()
    assert record == {
        "epoch": b"1",
        "status": b"running",
        "plan": b"0",
        "lease": A.encode(),
        "created": now,
        "hinted": now,
        "thread": b"b1:0",
        "n": b"7",
    }
    assert world.runs.read_line("b1:0", ["head", "c:" + C1, "c:" + C2, "run"]) == [C2.encode(), None, b"2", b"b1:0"]
    assert world.batches.counts(BATCH).promoted == 1
    assert claim(world, A, address).kind == "ok"
    assert claim(world, B, address).kind == "held"
    world.pass_ms(LOOK_MS)
    assert ("run", "b1:0", "") in due(world, address)


def test_an_item_may_be_promoted_where_it_stands(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0))
    assert item_commit(world, of, ItemStep("promote", 0, C1, C1, fields=[("thread", "b1:0")])) == [True]
    assert claim(world, A, Address("b1:0", "b1:0")).head == C1


@pytest.mark.parametrize("late", [go_on(0, C3, C1), end(0, C1), end(0, C1, b"f")])
@pytest.mark.parametrize("status", ["running", "interrupted"])
def test_a_slice_moves_no_item_that_is_a_run(world: World, late: ItemStep, status: str) -> None:
    """A driver taken for dead still has the item in its slice; the head is the same as before the promotion."""
    of = taken(world, 1)
    item_commit(world, of, go_on(0))
    item_commit(world, of, ItemStep("promote", 0, C1, C1, fields=[("thread", "b1:0")]))
    if status == "interrupted":
        world.runs.commit(step("", C1, "interrupted", address=Address("b1:0", "b1:0"), batch_epoch="0"))
    with unchanged(world):
        assert item_commit(world, of, late) == [False]


@pytest.mark.parametrize("ends", ["answer", "cancel", "cancel with its row"])
def test_items_that_ask_are_counted_until_they_are_answered_or_cancelled(world: World, ends: str) -> None:
    of = taken(world, 1)
    item_commit(world, of, go_on(0))
    item_commit(world, of, ItemStep("promote", 0, C1, C1, fields=[("thread", "b1:0")]))
    address = Address("b1:0", "b1:0")
    assert (world.batches.asking("b1"), world.batches.counts("b1").asking) == ([], 0)
    world.runs.commit(step("", C1, "interrupted", address=address, batch_epoch="0"))
    assert (world.batches.asking("b1"), world.batches.counts("b1").asking) == ([0], 1)
    assert world.batches.asking("b") == []
    row = b"c" if ends == "cancel with its row" else b""
    with unchanged(world):
        assert world.runs.control("requeue", address, "n0", drop=["T9"]).kind == "gone"
    assert world.runs.control("requeue" if ends == "answer" else "cancel", address, "n1", row=row).kind == "ok"
    assert (world.batches.asking("b1"), world.batches.counts("b1").asking) == ([], 0)


def test_a_run_whose_name_looks_like_an_item_leaves_nothing_of_a_batch(world: World) -> None:
    address = Address("b9:4", "b9:4")
    world.runs.submit(address, "d", {"input": b""}, due_ms=0)
    claim(world, A, address)
    world.runs.commit(step(C1, status="interrupted", address=address))
    assert world.runs.control("requeue", address, "n1").kind == "ok"
    assert world.batches.asking("b9") == []
    assert not [key for key in world.dump() if "b9" in key and ":asks" in key]


def test_a_driver_taken_for_dead_does_not_take_the_run_of_another_for_its_own(world: World) -> None:
    """Both had the item in their slices, both find that it must go on as a run: one of them makes it."""
    of = taken(world, 1)
    give_back(world, of)
    again = take(world, "s2", B)
    assert again is not None
    assert item_commit(world, again, promote(0, C1), slice_id="s2", slot=B) == [True]
    with unchanged(world):
        assert item_commit(world, of, promote(0, C2)) == [False]


def test_effects_of_an_item_that_is_done_are_kept_for_a_time(world: World) -> None:
    """Whoever was taken for dead and comes late finds them, and what he records goes with them."""
    _, address = promoted(world, 0, 2)
    world.runs.effect(address, "key", b"result", keep_ms=5)
    world.pass_ms(100)
    world.runs.commit(
        step(C2, C1, address=address, batch_epoch="0", row=b"d", compact=True, status="done", effects_ms=1000)
    )
    world.pass_ms(500)
    assert world.runs.effect(address, "key", b"again", keep_ms=5000) == b"result"
    assert world.runs.effect(address, "late", b"other", keep_ms=5000) == b"other"
    world.pass_ms(501)
    assert world.runs.effect(address, "key") is None
    assert world.runs.effect(address, "late") is None
    assert not [key for key in world.dump() if ":once:" in key]


def test_effects_of_an_item_of_a_slice_are_kept_for_a_time(world: World) -> None:
    of = taken(world, 2)
    done, other = (Address(item_id(BATCH, index), item_id(BATCH, index)) for index in range(2))
    for address in (done, other):
        world.runs.effect(address, "key", b"result", keep_ms=5)
    item_commit(world, of, end(0))
    world.runs.keep_effects(done, 1000)
    world.pass_ms(500)
    assert world.runs.effect(done, "key", b"again", keep_ms=5) == b"result"
    world.pass_ms(501)
    assert world.runs.effect(done, "key") is None
    assert world.runs.effect(other, "key") == b"result", "it is still to be done"


@pytest.mark.parametrize(("status", "row"), [("done", b"d"), ("failed", b"f")])
def test_a_promoted_item_ends_with_its_row(world: World, status: str, row: bytes) -> None:
    of, address = promoted(world, 0, 2)
    world.runs.effect(address, "key", b"result")
    commit = step(C2, C1, status, address=address, batch_epoch="0", row=row, compact=True)
    assert world.runs.commit(commit) == OK
    counts = world.batches.counts(BATCH)
    assert (getattr(counts, status), counts.promoted) == (1, 0)
    assert world.batches.rows(BATCH, 0) == {0: row}
    assert world.runs.address(address.run_id) is None
    assert world.runs.effect(address, "key") == (b"result" if status == "failed" else None), "a retry finds it"
    assert world.runs.read_line(address.thread_id, ["head"]) == [C2.encode() if status == "failed" else None]
    with unchanged(world):
        assert world.runs.commit(commit) == OK
        assert world.batches.settled_items(BATCH, of) == {0}


@pytest.mark.parametrize("late", [{}, {"status": "done", "row": b"d-other"}, {"status": "failed", "row": b"f"}])
def test_a_zombie_changes_no_row(world: World, late: dict[str, Any]) -> None:
    """It drove the run that the item had become, and comes back when another driver has ended it."""
    _, address = promoted(world)
    world.runs.commit(step(C2, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True))
    with unchanged(world):
        again = step(C3, C1, address=address, batch_epoch="0", compact=True, **late)
        assert world.runs.commit(again) == stale("row")


def test_a_zombie_that_came_to_the_same_row_is_told_that_it_stands(world: World) -> None:
    """It had made another checkpoint of the same outcomes: the row is all that is left to know a repeat by."""
    _, address = promoted(world)
    world.runs.commit(step(C2, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True))
    with unchanged(world):
        late = step(C3, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True)
        assert world.runs.commit(late) == OK


def test_an_item_that_failed_as_a_run_goes_on_in_a_slice(world: World) -> None:
    of, address = promoted(world, 0, 1)
    assert item_commit(world, of, own(0), last=True) == [True, True]
    world.runs.commit(step(C2, C1, "failed", address=address, batch_epoch="0", row=b"f", compact=True))
    assert world.batches.retry_failed(BATCH, 1) == 1
    again = take(world, "s2", B)
    assert again == Taken(0, 0, 1, "r", "0")
    assert world.batches.settled_items(BATCH, again) == set()
    assert item_commit(world, again, end(0, C2), slice_id="s2", slot=B) == [True]
    assert world.batches.counts(BATCH) == BatchCounts(total=1, done=1, in_slices=1)


def test_an_item_promoted_again_has_a_new_epoch(world: World) -> None:
    """What its first life still sends is refused."""
    of, address = promoted(world, 0, 1)
    assert item_commit(world, of, own(0), last=True) == [True, True]
    world.runs.commit(step(C2, C1, "failed", address=address, batch_epoch="0", row=b"f", compact=True))
    world.batches.retry_failed(BATCH, 1)
    again = take(world, "s2", B)
    assert again is not None
    assert item_commit(world, again, promote(0, C3, C2), slice_id="s2", slot=B) == [True]
    assert world.runs.record(address)["epoch"] == b"2"
    with unchanged(world):
        late = step("0000009-cafe", C3, address=address, batch_epoch="0", epoch=1)
        assert world.runs.commit(late) == stale("epoch")


def test_an_item_that_has_got_on_begins_to_be_counted_anew(world: World) -> None:
    """The death that made it a suspect counts no more either: it is an item like others."""
    give_back(world, taken(world, 1), "a", crashed=0)
    of = take(world, "s2", B)
    assert of is not None
    with unchanged(world):
        assert not world.batches.got_on(BATCH, "s2", A, of), "it is another slot's"
        assert not world.batches.got_on(BATCH, "s1", A, of), "that slice has ended"
    assert world.batches.got_on(BATCH, "s2", B, of)
    assert world.batches.slice_of(BATCH, part_of(world), "s2") == (B, of._replace(flag="r", epoch=""))
    assert give_back(world, of, slice_id="s2", slot=B, crashed=0) == Answer("ok", "1")
