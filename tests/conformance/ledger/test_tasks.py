"""A superstep that is open to all workers: offered, claimed, settled, closed."""

from __future__ import annotations

import pytest

from distgraph.ledger.lines import LineLedger
from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Answer, ClaimedTask
from tests.conformance.ledger.scenes import (
    C1,
    C2,
    FIRST,
    LOOK_MS,
    OK,
    RUN,
    SECOND,
    A,
    B,
    advanced,
    asked,
    claim,
    claim_task,
    driven,
    due,
    offer,
    offered,
    retry,
    settle,
    stale,
    step,
    submit,
    unchanged,
)
from tests.conformance.ledger.worlds import ServerWorld, World

pytestmark = pytest.mark.conformance


# ---------------------------------------------------------------- offers


def test_an_offer_gives_up_the_lease(world: World) -> None:
    driven(world)
    advanced(world)
    world.pass_ms(5)
    assert offer(world, 2) == Answer("ok", str(world.now_ms))
    record = world.runs.record(RUN)
    assert (record["lease"], record["plan"], record["hinted"]) == (b"", b"2", str(world.now_ms).encode())


@pytest.mark.parametrize("settled", [{}, {"T1": FIRST + b"one", "T2": FIRST + b"two"}])
def test_an_offer_moves_the_due_entry(world: World, settled: dict[str, bytes]) -> None:
    driven(world)
    advanced(world)
    world.pass_ms(10)
    offer(world, 2, settled)
    world.pass_ms(LOOK_MS - 1)
    assert due(world) == []
    world.pass_ms(1)
    assert due(world) == [("run", "r1", "")]


def test_an_offer_that_closes_late_moves_the_due_entry_again(world: World) -> None:
    offered(world, 1)
    world.pass_ms(10)
    assert offer(world, 1, {"T1": FIRST + b"one"}).kind == "closed"
    world.pass_ms(LOOK_MS - 1)
    assert due(world) == []


def test_an_offer_brings_what_has_settled_already(world: World) -> None:
    offered(world, 3, {"T1": FIRST + b"one", "T2": FIRST + b"two"})
    assert world.runs.outcomes(RUN) == {"T1": b"one", "T2": b"two"}


def test_an_offer_of_what_is_all_settled_keeps_the_lease(world: World) -> None:
    driven(world)
    advanced(world)
    assert offer(world, 1, {"T1": FIRST + b"one"}).kind == "closed"
    assert world.runs.record(RUN)["lease"] == A.encode()


@pytest.mark.parametrize("settled", [{}, {"T1": FIRST + b"one", "T2": FIRST + b"two"}])
def test_an_offer_repeated_answers_the_same(world: World, settled: dict[str, bytes]) -> None:
    driven(world)
    advanced(world)
    first = offer(world, 2, settled)
    with unchanged(world):
        assert offer(world, 2, settled) == first


def test_an_offer_repeated_late_takes_no_lease_away(world: World) -> None:
    """The first reply was lost; until the repeat came, others settled everything and one of them drives."""
    offered(world)
    settle(world, "T1", B)
    settle(world, "T2", B)
    with unchanged(world):
        assert offer(world, 2).kind == "ok"
    assert world.runs.record(RUN)["lease"] == B.encode()


def test_a_second_driver_adds_what_it_has(world: World) -> None:
    """It lost its lease while it ran the tasks in place: its outcomes count where no other one stands."""
    offered(world, 3, {"T1": FIRST + b"first"})
    assert offer(world, 3, {"T1": SECOND + b"second", "T2": SECOND + b"second"}, slot=B).kind == "ok"
    assert world.runs.outcomes(RUN) == {"T1": b"first", "T2": b"second"}
    assert offer(world, 3, {"T3": SECOND + b"second"}, slot=B).kind == "closed"
    assert world.runs.record(RUN)["lease"] == B.encode()


def test_an_offer_by_a_zombie_leaves_the_lease_of_its_successor(world: World) -> None:
    driven(world)
    advanced(world)
    world.runs.reclaim(RUN, A, crashed=True)
    claim(world, B)
    assert offer(world, 2, {"T1": FIRST + b"x", "T2": FIRST + b"y"}, slot=A).kind == "ok"
    assert world.runs.record(RUN)["lease"] == B.encode()
    assert offer(world, 2, {"T1": SECOND + b"z"}, slot=B).kind == "closed"


def test_what_an_offer_holds_is_taken_by_nobody_else(world: World) -> None:
    """Its driver puts it off next; a server that is away between the two gives it to no other attempt."""
    driven(world)
    advanced(world)
    assert offer(world, 3, {"T1": FIRST + b"one"}, held=["T2"]).kind == "ok"
    assert world.runs.claims(RUN) == {"T2": A}
    with unchanged(world):
        assert claim_task(world, "T2", B).kind == "held"
    assert claim_task(world, "T3", B).kind == "ok"
    assert retry(world, "T2", A) == OK
    assert world.runs.claims(RUN) == {"T3": B}


def test_who_dies_before_it_puts_off_what_it_holds_is_found(world: World) -> None:
    driven(world)
    advanced(world)
    offer(world, 2, held=["T1"])
    assert world.runs.reclaim(RUN, A, crashed=False) == (1, 0)
    assert due(world) == [("run", "r1", "")]
    assert claim_task(world, "T1", B).kind == "ok"


def test_an_offer_repeated_late_holds_nothing_again(world: World) -> None:
    """The first reply was lost; until the repeat came, the task had been put off."""
    driven(world)
    advanced(world)
    offer(world, 2, held=["T1"])
    retry(world, "T1", A)
    with unchanged(world):
        assert offer(world, 2, held=["T1"]).kind == "ok"


def test_an_offer_for_another_head_or_epoch_is_refused(world: World) -> None:
    driven(world)
    advanced(world)
    with unchanged(world):
        assert offer(world, 2, head=C2) == stale("head")
        assert offer(world, 2, epoch=2) == stale("epoch")


def test_a_run_at_rest_is_not_opened(world: World) -> None:
    driven(world)
    advanced(world)
    world.runs.commit(step("", C1, "failed"))
    with unchanged(world):
        assert offer(world, 2) == stale("failed")


def test_outcomes_of_another_checkpoint_close_no_barrier(server_world: ServerWorld) -> None:
    """A run rests after a question; somebody updates its state; it goes on with other tasks from there."""
    world = server_world
    asked(world)
    LineLedger(world.scripts, world.keys).put([Change(Place("r1"), C2, [("c:" + C2, b"2")])])
    epoch = int(world.runs.control("requeue", RUN, "n1").info)
    assert claim(world).head == C2
    assert offer(world, 2, head=C2, epoch=epoch).kind == "ok"
    assert world.runs.outcomes(RUN) == {}
    assert settle(world, "T3", head=C2, epoch=epoch) == OK


# ---------------------------------------------------------------- claims


def test_a_claim_brings_the_tries_so_far_and_what_an_attempt_needs_of_the_run(world: World) -> None:
    fields = {"config": b"c", "stop": 9, "n:T1": b"answers", "n:T2": b"others", "input": b"large"}
    fields["outside"] = b"told"
    driven(world, **fields)  # type: ignore[arg-type]
    advanced(world)
    offer(world, 2)
    world.pass_ms(9)
    claimed = claim_task(world, "T1", B)
    needed = {"epoch": b"1", "config": b"c", "stop": b"9", "x": b"0", "n:T1": b"answers", "outside": b"told"}
    assert claimed == ClaimedTask("ok", "", 0, 0, world.now_ms, needed)
    assert world.runs.claims(RUN) == {"T1": B}


def test_a_claim_repeated_answers_the_same(world: World) -> None:
    offered(world)
    first = claim_task(world, "T1", B)
    world.pass_ms(1)
    with unchanged(world):
        assert claim_task(world, "T1", B) == first


def test_a_task_is_held_against_others(world: World) -> None:
    """A hint that came twice finds nothing to do."""
    offered(world)
    claim_task(world, "T1", A)
    with unchanged(world):
        assert claim_task(world, "T1", B) == ClaimedTask("held", A)


def test_a_settled_task_is_not_claimed(world: World) -> None:
    offered(world)
    settle(world, "T1")
    with unchanged(world):
        assert claim_task(world, "T1", B) == ClaimedTask("done")


def test_what_is_not_offered_is_not_claimed(world: World) -> None:
    driven(world)
    advanced(world)
    with unchanged(world):
        assert claim_task(world, "T1") == ClaimedTask("stale", "head")  # driven in place
        assert claim_task(world, "T1", head=C2) == ClaimedTask("stale", "head")
        assert claim_task(world, "T1", epoch=9) == ClaimedTask("stale", "epoch")
    world.runs.commit(step("", C1, "failed"))
    with unchanged(world):
        assert claim_task(world, "T1") == ClaimedTask("stale", "failed")


# ---------------------------------------------------------------- settlements


def test_whoever_closes_the_barrier_has_the_lease(world: World) -> None:
    offered(world, 3)
    claim_task(world, "T1", B)
    assert settle(world, "T1", B) == OK
    assert world.runs.claims(RUN) == {}
    assert settle(world, "T2", A) == OK
    world.pass_ms(10)
    assert settle(world, "T3", B) == Answer("closed")
    assert world.runs.record(RUN)["lease"] == B.encode()
    world.pass_ms(LOOK_MS - 1)
    assert due(world) == []
    world.pass_ms(1)
    assert due(world) == [("run", "r1", "")]
    assert claim(world, A).kind == "held"


def test_duplicates_never_close_a_barrier_early(world: World) -> None:
    """The barrier is a set of task ids: the same task settled three times by three attempts is one task."""
    offered(world, 3)
    for nonce in (FIRST, SECOND, b"3" * 16):
        assert settle(world, "T1", nonce=nonce).kind in ("ok", "dup")
    assert settle(world, "T2") == OK
    assert settle(world, "T2", nonce=SECOND) == Answer("dup")
    assert world.runs.record(RUN)["lease"] == b""
    assert settle(world, "T3") == Answer("closed")


def test_the_first_valid_settlement_wins(world: World) -> None:
    offered(world)
    assert settle(world, "T1", A, FIRST, b"first") == OK
    with unchanged(world):
        assert settle(world, "T1", B, SECOND, b"second") == Answer("dup")
    assert world.runs.outcomes(RUN) == {"T1": b"first"}


def test_a_zombie_may_settle_what_another_claimed(world: World) -> None:
    """Its work is as valid as any: a result that came late is not thrown away (a task that outlives every lease ends)."""
    offered(world)
    claim_task(world, "T1", A)
    world.runs.reclaim(RUN, A, crashed=True)
    claim_task(world, "T1", B)
    assert settle(world, "T1", A, FIRST, b"zombie") == OK
    assert settle(world, "T1", B, SECOND, b"late") == Answer("dup")
    assert world.runs.claims(RUN) == {}


@pytest.mark.parametrize("others", [(), ("T2",)])
def test_a_settlement_repeated_answers_the_same(world: World, others: tuple[str, ...]) -> None:
    offered(world)
    for task in others:
        settle(world, task)
    first = settle(world, "T1")
    assert first.kind == ("closed" if others else "ok")
    with unchanged(world):
        assert settle(world, "T1") == first


def test_a_settlement_repeated_after_the_end_takes_no_lease(world: World) -> None:
    """The reply to the first was lost, another worker closed the barrier and drives."""
    offered(world)
    settle(world, "T1", A)
    settle(world, "T2", B)
    with unchanged(world):
        assert settle(world, "T1", A) == OK


def test_a_barrier_closed_under_a_lease_leaves_it(world: World) -> None:
    """A second driver took the run and has not noticed yet that its tasks are out."""
    driven(world)
    advanced(world)
    world.runs.reclaim(RUN, A, crashed=True)
    claim(world, B)
    offer(world, 1, slot=A)
    assert settle(world, "T1", A) == OK
    assert world.runs.record(RUN)["lease"] == B.encode()


def test_a_settlement_of_another_superstep_or_epoch_is_refused(world: World) -> None:
    offered(world)
    with unchanged(world):
        assert settle(world, "T1", head=C2) == stale("head")
        assert settle(world, "T1", epoch=2) == stale("epoch")
    settle(world, "T1")
    settle(world, "T2")
    world.runs.commit(step(C2, C1, offered=True))
    with unchanged(world):
        assert settle(world, "T1") == stale("head")
        assert settle(world, "T1", head=C2) == stale("head")  # nothing is offered there


def test_a_run_at_rest_takes_nothing_of_its_tasks(world: World) -> None:
    """A second attempt is still under way when the first one's question brought the run to rest."""
    asked(world)
    with unchanged(world):
        assert settle(world, "T2", nonce=SECOND) == stale("interrupted")
        assert retry(world, "T2") == stale("interrupted")
        assert claim_task(world, "T2").info == "interrupted"


def test_calls_of_one_round_trip_are_done_in_order(world: World) -> None:
    offered(world)
    calls = [
        world.runs.settle_call(RUN, A, 1, C1, "T1", FIRST, b"1", sweep_ms=LOOK_MS),
        world.runs.settle_call(RUN, A, 1, C1, "T2", FIRST, b"2", sweep_ms=LOOK_MS),
        world.runs.commit_call(step(C2, C1, offered=True)),
        world.runs.settle_call(RUN, A, 1, C1, "T2", FIRST, b"2", sweep_ms=LOOK_MS),
    ]
    assert world.runs.settle(calls) == [OK, Answer("closed"), OK, stale("head")]
    assert world.runs.settle([]) == []


def test_a_barrier_may_be_very_wide(world: World) -> None:
    offered(world, 2000)
    calls = [world.runs.settle_call(RUN, A, 1, C1, f"T{n}", FIRST, b"%d" % n, sweep_ms=LOOK_MS) for n in range(2000)]
    answers = world.runs.settle(calls)
    assert answers == [OK] * 1999 + [Answer("closed")]
    assert world.runs.outcomes(RUN) == {f"T{n}": b"%d" % n for n in range(2000)}


# ---------------------------------------------------------------- retries


def test_a_failed_task_waits_in_the_due_index(world: World) -> None:
    offered(world)
    started = claim_task(world, "T1").first_ms
    world.pass_ms(10)
    assert retry(world, "T1", wait_ms=500, attempts=1) == OK
    assert world.runs.claims(RUN) == {}
    assert world.runs.peek(world.keys.partition("r1"), "r1", ["p:T1", "p:T2"]) == ["=T1", ""]
    world.pass_ms(499)
    assert ("task", "r1", "T1") not in due(world)
    world.pass_ms(1)
    assert ("task", "r1", "T1") in due(world)
    claimed = claim_task(world, "T1", B)
    assert (claimed.attempts, claimed.first_ms) == (1, started)


def test_a_task_that_was_taken_up_again_waits_no_longer(world: World) -> None:
    """If that worker dies too, the run's own entry finds the task unclaimed; nothing else keeps it from being hinted."""
    offered(world)
    claim_task(world, "T1")
    retry(world, "T1")
    claim_task(world, "T1", B)
    assert world.runs.peek(world.keys.partition("r1"), "r1", ["p:T1"]) == [""]
    world.pass_ms(10 * LOOK_MS)
    assert due(world) == [("run", "r1", "")]


def test_a_retry_repeated_waits_once(world: World) -> None:
    """The repeat comes when the wait has begun: it does not begin again."""
    offered(world)
    claim_task(world, "T1")
    retry(world, "T1")
    world.pass_ms(100)
    with unchanged(world):
        assert retry(world, "T1") == OK


def test_a_task_that_failed_in_place_waits_too(world: World) -> None:
    """Its driver opened the superstep for it and never claimed it."""
    offered(world)
    assert retry(world, "T1", A) == OK
    assert claim_task(world, "T1", B).attempts == 1


def test_a_zombie_puts_nothing_back(world: World) -> None:
    offered(world)
    claim_task(world, "T1", A)
    world.runs.reclaim(RUN, A, crashed=True)
    claim_task(world, "T1", B)
    with unchanged(world):
        assert retry(world, "T1", A) == Answer("held", B)
    settle(world, "T1", B)
    with unchanged(world):
        assert retry(world, "T1", A) == Answer("done")


def test_a_settlement_ends_the_wait(world: World) -> None:
    """Another attempt failed and went to wait; this one, taken for dead, was successful."""
    offered(world)
    claim_task(world, "T1", B)
    retry(world, "T1", B)
    settle(world, "T1", A)
    assert world.runs.peek(world.keys.partition("r1"), "r1", ["p:T1"]) == [""]
    world.pass_ms(10 * LOOK_MS)
    assert due(world) == [("run", "r1", "")]


def test_a_retry_for_another_superstep_is_refused(world: World) -> None:
    driven(world)
    advanced(world)
    with unchanged(world):
        assert retry(world, "T1") == stale("head")
    offer(world, 2)
    with unchanged(world):
        assert retry(world, "T1", head=C2) == stale("head")
        assert retry(world, "T1", epoch=2) == stale("epoch")


def test_tries_end_with_their_superstep(world: World) -> None:
    """However long a run goes on, it does not collect what happened to tasks of long ago."""
    offered(world, 1)
    claim_task(world, "T1")
    retry(world, "T1")
    claim_task(world, "T1")
    fields = set(world.runs.record(RUN))
    settle(world, "T1")
    world.runs.commit(step(C2, C1, offered=True))
    assert set(world.runs.record(RUN)) <= fields
    assert not [key for key in world.dump() if ":tries:" in key or ":claims:" in key or ":open:" in key]


def test_events_of_a_task_come_with_the_outcome_that_stands(world: World) -> None:
    offered(world, 2)

    def settle(nonce: bytes, entry: bytes) -> str:
        call = world.runs.settle_call(RUN, A, 1, C1, "T1", nonce, b"1", sweep_ms=LOOK_MS, log=entry)
        return world.runs.settle([call])[0].kind

    assert settle(FIRST, b"told") == "ok"
    assert settle(FIRST, b"told") == "ok"
    assert settle(b"2" * 16, b"late") == "dup"
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"told"]


def test_attempts_that_failed_are_counted_for_the_task_and_the_run(world: World) -> None:
    """One that does not count, for another one was at work, counts for neither."""
    offered(world, 2)
    assert world.runs.attempts(RUN, "T1") == 0
    for task, attempts in (("T1", 1), ("T2", 1), ("T1", 2), ("T1", 2)):
        claim_task(world, task)
        retry(world, task, attempts=attempts)
    assert (world.runs.attempts(RUN, "T1"), world.runs.attempts(RUN, "T2")) == (2, 1)
    assert world.runs.record(RUN)["retries"] == b"3"
    assert claim_task(world, "T2").record["retries"] == b"3"


# ---------------------------------------------------------------- time limits


def test_time_limits_begin_with_the_first_claim(world: World) -> None:
    """That of a superstep begins anew with each head, and where a run waits for its next driver."""
    submit(world, limit=5000, step_limit=2000)
    world.pass_ms(10_000)
    begun = claim(world)
    assert (begun.record["ends_in"], begun.record["step_in"]) == (b"5000", b"2000")
    world.pass_ms(500)
    assert claim(world).record["ends_in"] == b"4500"
    world.runs.commit(step(C1))
    world.pass_ms(100)
    again = claim(world)
    assert (again.record["ends_in"], again.record["step_in"]) == (b"4400", b"1900")
    world.runs.release(RUN, A, due_ms=0)
    world.pass_ms(1000)
    again = claim(world, B)
    assert (again.record["ends_in"], again.record["step_in"]) == (b"3400", b"2000")
    world.pass_ms(4000)
    world.runs.reclaim(RUN, B, crashed=True)
    late = claim(world, B)
    assert (late.record["ends_in"], late.record["step_in"]) == (b"-600", b"-2000")
    offer(world, 1, slot=B)
    task = claim_task(world, "T1").record
    assert (task["ends_in"], task["step_in"]) == (b"-600", b"-2000")


def test_what_is_late_is_queued_once_to_be_ended(world: World) -> None:
    """Until somebody queues it by hand, with all of its time again."""
    submit(world, limit=1000)
    claim(world)
    world.pass_ms(1500)
    assert world.runs.control("repin", RUN, "n1", fields={"late": "run"}).kind == "ok"
    assert world.runs.control("repin", RUN, "n2", fields={"late": "run"}) == Answer("gone", "queued")
    again = claim(world)
    assert (again.record["late"], again.record["ends_in"]) == (b"run", b"-500")
    world.runs.commit(step("", "", "failed", epoch=2))
    assert world.runs.control("requeue", RUN, "n3").kind == "ok"
    again = claim(world)
    assert again.record["ends_in"] == b"1000"
    assert "late" not in again.record


def test_a_sleep_is_looked_at_when_its_time_is_over(world: World) -> None:
    submit(world, limit=1000)
    claim(world)
    world.runs.commit(step(C1))
    offer(world, 1)
    claim_task(world, "T1")
    world.runs.sleep_task(RUN, A, 1, C1, "T1", "k", ms=60_000)
    world.pass_ms(1000)
    assert [entry.kind for entry in world.runs.sweep(world.keys.partition("r1"), most=9, push_ms=0).due] == ["run"]


def test_a_retry_that_comes_late_takes_nothing_back(world: World) -> None:
    """Its first call arrived, and the answer did not: until it was made again the task has failed elsewhere."""
    offered(world)
    claim_task(world, "T1", A)
    retry(world, "T1", A, attempts=1)
    claim_task(world, "T1", B)
    retry(world, "T1", B, attempts=2)
    world.pass_ms(100)
    with unchanged(world):
        assert retry(world, "T1", A, attempts=1) == OK
    claim_task(world, "T1", B)
    world.runs.reclaim(RUN, B, crashed=False)
    assert retry(world, "T1", A, attempts=1) == OK
    assert (world.runs.attempts(RUN, "T1"), world.runs.record(RUN)["retries"]) == (2, b"2")
