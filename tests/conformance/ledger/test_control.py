"""Cancel, queue again, take a dead slot's rights away."""

from __future__ import annotations

import pytest

from distgraph.ledger.replies import Address, Answer, Claimed
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    C2,
    LOOK_MS,
    RUN,
    A,
    B,
    asked,
    claim,
    claim_task,
    driven,
    due,
    offer,
    offered,
    promoted,
    retry,
    settle,
    stale,
    step,
    submit,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance


# ---------------------------------------------------------------- cancel


def test_a_cancelled_run_refuses_everything_older(world: World) -> None:
    offered(world)
    claim_task(world, "T1")
    assert world.runs.control("cancel", RUN, "n1", log=b"cancelled") == Answer("ok", "2")
    record = world.runs.record(RUN)
    assert (record["status"], record["epoch"], record["lease"]) == (b"cancelled", b"2", b"")
    with unchanged(world):
        assert settle(world, "T1") == stale("epoch")
        assert claim_task(world, "T2").info == "epoch"
        assert retry(world, "T1") == stale("epoch")
        assert offer(world, 2) == stale("epoch")
        assert world.runs.commit(step(C2, C1, offered=True)) == stale("epoch")
        assert claim(world, B) == Claimed("gone", "cancelled")
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"cancelled"]


def test_a_cancelled_run_leaves_nothing_due(world: World) -> None:
    """Neither the run, nor a task of it that waits for its next attempt."""
    offered(world)
    claim_task(world, "T1")
    retry(world, "T1")
    settle(world, "T2")
    world.runs.control("cancel", RUN, "n1")
    world.pass_ms(10 * LOOK_MS)
    assert due(world) == []
    assert world.runs.peek(world.keys.partition("r1"), "r1", ["p:T1"]) == [""]
    assert world.runs.read_line("r1", ["run", "head"]) == [None, C1.encode()]
    assert not [key for key in world.dump() if ":tries:" in key or ":claims:" in key or ":open:" in key]


def test_cancelling_frees_the_thread(world: World) -> None:
    driven(world, A, Address("r1", "t1"))
    world.runs.control("cancel", Address("r1", "t1"), "n1")
    assert world.runs.submit(Address("r2", "t1"), "d", {}, due_ms=0).kind == "new"


def test_the_same_cancel_again_answers_the_same(world: World) -> None:
    driven(world)
    first = world.runs.control("cancel", RUN, "n1", log=b"x")
    with unchanged(world):
        assert world.runs.control("cancel", RUN, "n1", log=b"x") == first
        assert world.runs.control("cancel", RUN, "n2") == Answer("gone", "cancelled")


def test_a_queued_or_resting_run_can_be_cancelled(world: World) -> None:
    submit(world)
    assert world.runs.control("cancel", RUN, "n1").kind == "ok"
    other = Address("r2", "r2")
    driven(world, A, other)
    world.runs.commit(step(C1, status="interrupted", address=other))
    assert world.runs.control("cancel", other, "n1").kind == "ok"
    assert world.runs.record(other)["status"] == b"cancelled"


@pytest.mark.parametrize("status", ["done", "failed"])
def test_what_has_ended_is_not_cancelled(world: World, status: str) -> None:
    driven(world)
    world.runs.commit(step(C1, status=status))
    with unchanged(world):
        assert world.runs.control("cancel", RUN, "n1") == Answer("gone", status)


def test_what_is_not_there_is_gone(world: World) -> None:
    with unchanged(world):
        assert world.runs.control("cancel", RUN, "n1") == Answer("gone", "")
        assert world.runs.control("requeue", RUN, "n1") == Answer("gone", "")


def test_a_cancelled_item_has_its_row(world: World) -> None:
    _, address = promoted(world)
    assert world.runs.control("cancel", address, "n1", row=b"c").kind == "ok"
    counts = world.batches.counts(BATCH)
    assert (counts.cancelled, counts.promoted) == (1, 0)
    assert world.batches.rows(BATCH, 0) == {0: b"c"}
    with unchanged(world):
        assert world.runs.control("cancel", address, "n1", row=b"c").kind == "ok"


# ---------------------------------------------------------------- requeue


def test_a_resumed_run_keeps_what_its_siblings_did(world: World) -> None:
    asked(world)
    world.pass_ms(50)
    answer = world.runs.control("requeue", RUN, "n1", fields={"n:T2": b"answer"}, drop=["T2"], due_ms=200)
    assert answer == Answer("ok", "2")
    assert world.runs.outcomes(RUN) == {"T1": b"wrote"}
    record = world.runs.record(RUN)
    assert (record["status"], record["plan"], record["n:T2"]) == (b"queued", b"0", b"answer")
    assert record["hinted"] == str(world.now_ms).encode()
    assert world.runs.read_line("r1", ["run"]) == [b"r1"]
    world.pass_ms(200)
    assert due(world) == [("run", "r1", "")]
    claim(world)
    assert offer(world, 2, epoch=2).kind == "ok"
    assert settle(world, "T2", B, epoch=2) == Answer("closed")


def test_a_resume_repeated_answers_the_same(world: World) -> None:
    asked(world)
    first = world.runs.control("requeue", RUN, "n1", drop=["T2"], log=b"resumed")
    world.pass_ms(1)
    with unchanged(world):
        assert world.runs.control("requeue", RUN, "n1", drop=["T2"], log=b"resumed") == first


def test_a_resume_repeated_after_the_run_went_on_changes_nothing(world: World) -> None:
    asked(world)
    first = world.runs.control("requeue", RUN, "n1", drop=["T2"])
    claim(world, B)
    with unchanged(world):
        assert world.runs.control("requeue", RUN, "n1", drop=["T2"]) == first


def test_commits_from_before_the_resume_are_refused(world: World) -> None:
    asked(world)
    world.runs.control("requeue", RUN, "n1", drop=["T2"])
    claim(world, B)
    with unchanged(world):
        assert world.runs.commit(step(C2, C1)) == stale("epoch")
        assert settle(world, "T2") == stale("epoch")


def test_an_answer_to_a_question_that_does_not_wait_any_more_is_refused(world: World) -> None:
    """The run asked again meanwhile: whoever answers the question before saw another superstep."""
    asked(world)
    with unchanged(world):
        assert world.runs.control("requeue", RUN, "n1", drop=["T2", "T9"]) == Answer("gone", "interrupted")


def test_a_failed_run_can_be_queued_again_with_tries_forgotten(world: World) -> None:
    offered(world, 1)
    claim_task(world, "T1")
    retry(world, "T1", attempts=3)
    claim_task(world, "T1")
    settle(world, "T1", outcome=b"failed")
    world.runs.commit(step("", C1, "failed", offered=True))
    assert world.runs.control("requeue", RUN, "n1", drop=["T1"]).kind == "ok"
    claim(world)
    offer(world, 1, epoch=2)
    assert claim_task(world, "T1", epoch=2).attempts == 0


@pytest.mark.parametrize("status", ["queued", "running", "done", "cancelled"])
def test_only_a_run_that_was_interrupted_or_failed_is_queued_again(world: World, status: str) -> None:
    submit(world)
    if status != "queued":
        claim(world)
    if status == "done":
        world.runs.commit(step(C1, status="done"))
    if status == "cancelled":
        world.runs.control("cancel", RUN, "n0")
    with unchanged(world):
        assert world.runs.control("requeue", RUN, "n1") == Answer("gone", status)


def test_a_thread_that_was_taken_meanwhile_is_not_taken_back(world: World) -> None:
    address = Address("r1", "t1")
    driven(world, A, address)
    world.runs.commit(step(C1, status="interrupted", address=address))
    submit(world, Address("r2", "t1"))
    with unchanged(world):
        assert world.runs.control("requeue", address, "n1") == Answer("busy", "r2")


# ---------------------------------------------------------------- another version


def test_a_run_goes_on_in_another_version(world: World) -> None:
    """What had settled stays; what older drivers and tasks still send is refused."""
    offered(world)
    settle(world, "T1")
    answer = world.runs.control("repin", RUN, "n1", fields={"fp": "v2", "was": "v1"}, due_ms=200)
    assert answer == Answer("ok", "2")
    record = world.runs.record(RUN)
    assert (record["status"], record["fp"], record["was"], record["plan"]) == (b"queued", b"v2", b"v1", b"0")
    assert world.runs.outcomes(RUN) == {"T1": b"wrote"}
    with unchanged(world):
        assert settle(world, "T2") == stale("epoch")
        assert world.runs.control("repin", RUN, "n1", fields={"fp": "v2", "was": "v1"}, due_ms=200) == answer
        assert world.runs.control("repin", RUN, "n2", fields={"fp": "v2"}) == Answer("gone", "queued")
    world.pass_ms(200)
    assert due(world) == [("run", "r1", "")]
    assert claim(world, B).kind == "ok"


@pytest.mark.parametrize("status", ["interrupted", "done"])
def test_a_run_at_rest_keeps_its_version(world: World, status: str) -> None:
    driven(world)
    world.runs.commit(step(C1, status=status))
    with unchanged(world):
        assert world.runs.control("repin", RUN, "n1", fields={"fp": "v2"}) == Answer("gone", status)


def test_a_run_in_line_keeps_its_version_until_its_turn(world: World) -> None:
    submit(world, Address("r1", "t1"))
    waits = Address("r2", "t1")
    world.runs.submit(waits, "d", {}, due_ms=0, policy="enqueue")
    with unchanged(world):
        assert world.runs.control("repin", waits, "n1", fields={"fp": "v2"}) == Answer("gone", "queued")


# ---------------------------------------------------------------- the dead


def test_a_dead_driver_loses_its_lease(world: World) -> None:
    driven(world)
    world.pass_ms(100)
    assert world.runs.reclaim(RUN, A, crashed=True) == (1, 1)
    assert world.runs.record(RUN)["lease"] == b""
    assert due(world) == [("run", "r1", "")]


def test_only_what_that_slot_holds_is_freed(world: World) -> None:
    offered(world, 3)
    claim_task(world, "T1", A)
    claim_task(world, "T2", B)
    claim_task(world, "T3", A)
    assert world.runs.reclaim(RUN, A, crashed=True) == (2, 1)
    assert world.runs.claims(RUN) == {"T2": B}
    with unchanged(world):
        assert world.runs.reclaim(RUN, "boot-c:1", crashed=True) == (0, 0)


def test_a_freed_task_is_known_to_have_been_had(world: World) -> None:
    """Its hint is used up, unlike that of a task nobody ever claimed."""
    offered(world, 2)
    assert world.runs.tried(RUN) == set()
    claim_task(world, "T1", A)
    world.runs.reclaim(RUN, A, crashed=True)
    assert world.runs.tried(RUN) == {"T1"}


def test_a_death_is_counted_once(world: World) -> None:
    """Two sweeps find the same dead slot."""
    driven(world)
    assert world.runs.reclaim(RUN, A, crashed=True) == (1, 1)
    with unchanged(world):
        assert world.runs.reclaim(RUN, A, crashed=True) == (0, 1)


def test_crashes_of_a_run_add_up(world: World) -> None:
    submit(world)
    for crashes in (1, 2, 3):
        claim(world, B)
        assert world.runs.reclaim(RUN, B, crashed=True) == (1, crashes)
    assert claim(world).record["x"] == b"3"


def test_a_drain_is_no_crash(world: World) -> None:
    driven(world)
    assert world.runs.reclaim(RUN, A, crashed=False) == (1, 0)
    assert world.runs.record(RUN).get("x", b"0") == b"0"


def test_the_culprit_is_counted_alone(world: World) -> None:
    """The dead process told what it was running: the other task it had claimed is innocent."""
    offered(world)
    claim_task(world, "T1", A)
    claim_task(world, "T2", A)
    assert world.runs.reclaim(RUN, A, crashed=True, task_id="T2") == (2, 1)
    assert claim_task(world, "T1", B).crashes == 0
    assert claim_task(world, "T2", B).crashes == 1
    assert world.runs.reclaim(RUN, B, crashed=True, task_id="T2") == (2, 2)


def test_why_it_died_is_kept_with_the_count(world: World) -> None:
    """The last reason stands; a death without one says nothing, and what is not counted has none."""
    offered(world)
    claim_task(world, "T1", A)
    world.runs.reclaim(RUN, A, crashed=True, why="it fell")
    assert claim_task(world, "T1", A).why == "it fell"
    world.runs.reclaim(RUN, A, crashed=True)
    assert claim_task(world, "T1", A).why == "it fell"
    world.runs.reclaim(RUN, A, crashed=False, why="it was stopped")
    again = claim_task(world, "T1", A)
    assert (again.crashes, again.why) == (2, "it fell")
    assert claim_task(world, "T2", A).why == ""


def test_why_a_driver_died_is_kept_in_the_record(world: World) -> None:
    driven(world)
    world.runs.reclaim(RUN, A, crashed=True, why="it fell")
    assert claim(world, B).record["why"] == b"it fell"


def test_a_driver_that_died_in_a_task_is_not_blamed_twice(world: World) -> None:
    driven(world)
    assert world.runs.reclaim(RUN, A, crashed=True, task_id="T1") == (1, 0)
    assert claim(world, B).record.get("x", b"0") == b"0"


def test_a_run_at_rest_is_not_made_due(world: World) -> None:
    offered(world)
    claim_task(world, "T1", A)
    settle(world, "T1", B)
    settle(world, "T2", B)
    claim_task(world, "T1", A)
    world.runs.commit(step("", C1, "failed", offered=True, slot=B))
    world.runs.reclaim(RUN, A, crashed=True)
    world.pass_ms(10 * LOOK_MS)
    assert due(world) == []


# ---------------------------------------------------------------- what crashed and got on


def test_what_has_got_on_begins_to_be_counted_anew(world: World) -> None:
    """A run that its slot drives; and of a task that is offered, that one alone."""
    driven(world)
    world.runs.reclaim(RUN, A, crashed=True)
    with unchanged(world):
        assert not world.runs.got_on(RUN, A), "it holds it no more"
    claim(world, B)
    assert world.runs.got_on(RUN, B)
    assert world.runs.reclaim(RUN, B, crashed=True) == (1, 1)


def test_a_task_that_has_got_on_begins_to_be_counted_anew(world: World) -> None:
    offered(world, 2)
    for task in ("T1", "T2"):
        claim_task(world, task)
    world.runs.reclaim(RUN, A, crashed=True, why="it fell")
    with unchanged(world):
        assert not world.runs.got_on(RUN, A, "T1"), "it holds it no more"
    claim_task(world, "T1")
    assert world.runs.got_on(RUN, A, "T1")
    claimed = claim_task(world, "T1")
    assert (claimed.crashes, claimed.why) == (0, "")
    assert claim_task(world, "T2").crashes == 1
