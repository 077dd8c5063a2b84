"""A run's life: submitted, claimed, advanced by compare-and-set, at rest."""

from __future__ import annotations

import pytest

from distgraph.ledger.replies import Address, Answer, Claimed, Submitted
from tests.conformance.ledger.scenes import (
    C1,
    C2,
    C3,
    FIRST,
    LOOK_MS,
    OK,
    RUN,
    A,
    B,
    advanced,
    claim,
    driven,
    due,
    offer,
    offered,
    settle,
    stale,
    step,
    submit,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance

OTHER = Address("r2", "t1")
ON_SAME_THREAD = Address("r3", "t1")


# ---------------------------------------------------------------- ids


def test_an_id_is_tied_to_the_thread_that_came_first(world: World) -> None:
    assert world.runs.reserve(OTHER) == "t1"
    with unchanged(world):
        assert world.runs.reserve(Address("r2", "t2")) == "t1"
        assert world.runs.reserve(Address("r2", "r2")) == "t1"


def test_a_run_on_the_thread_of_its_own_id_keeps_the_id(world: World) -> None:
    """Nothing is written for the common case, and still nobody else gets the id."""
    with unchanged(world):
        assert world.runs.reserve(RUN) == "r1"
    submit(world)
    with unchanged(world):
        assert world.runs.reserve(Address("r1", "t9")) == "r1"


def test_an_id_that_was_tied_meanwhile_is_not_submitted_twice(world: World) -> None:
    """Two clients ask for the same id on different threads; both got past the question, one of them submits."""
    assert world.runs.reserve(RUN) == "r1"
    assert world.runs.reserve(Address("r1", "t9")) == "t9"
    with unchanged(world):
        assert world.runs.submit(RUN, "d", {}, due_ms=0).kind == "conflict"


def test_a_tie_that_the_server_has_lost_is_made_again(world: World) -> None:
    """Rolled back between the two, a server may have a run without its tie; the same submission again finds it."""
    threads = (f"thread-{n}" for n in range(1000))
    beside = next(name for name in threads if world.keys.partition(name) == world.keys.partition("r2"))
    address = Address("r2", beside)
    submit(world, address, thread=beside)
    with unchanged(world):
        assert world.runs.reserve(Address("r2", "elsewhere")) == "r2"
    assert world.runs.reserve(address) == beside
    assert world.runs.submit(address, "d", {}, due_ms=0).kind == "same"
    assert world.runs.address("r2") == address


def test_where_a_run_lives(world: World) -> None:
    world.runs.reserve(OTHER)
    assert world.runs.address("r2") is None  # asked for, never submitted
    submit(world, OTHER)
    submit(world)
    assert world.runs.address("r2") == OTHER
    assert world.runs.address("r1") == RUN
    assert world.runs.address("nobody") is None


# ---------------------------------------------------------------- submission


def test_a_submitted_run_is_on_the_ledger_and_due(world: World) -> None:
    assert world.runs.submit(RUN, "d", {"input": b"\x00", "graph": "g", "n": 5}, due_ms=300) == Submitted("new", 1)
    record = world.runs.record(RUN)
    assert {name: record[name] for name in ("status", "input", "graph", "n", "digest", "lease", "plan")} == {
        "status": b"queued",
        "input": b"\x00",
        "graph": b"g",
        "n": b"5",
        "digest": b"d",
        "lease": b"",
        "plan": b"0",
    }
    assert record["created"] == record["hinted"] == str(world.now_ms).encode()
    assert due(world) == []
    world.pass_ms(300)
    assert due(world) == [("run", "r1", "")]


def test_the_same_submission_again_is_the_same_run(world: World) -> None:
    submit(world)
    with unchanged(world):
        assert world.runs.submit(RUN, "d", {"input": b"x"}, due_ms=0) == Submitted("same", 1)


def test_another_input_under_the_same_id_is_a_conflict(world: World) -> None:
    submit(world)
    with unchanged(world):
        assert world.runs.submit(RUN, "other", {}, due_ms=0).kind == "conflict"


def test_a_thread_has_one_active_run(world: World) -> None:
    world.runs.reserve(OTHER)
    submit(world, OTHER)
    world.runs.reserve(ON_SAME_THREAD)
    with unchanged(world):
        assert world.runs.submit(ON_SAME_THREAD, "d", {}, due_ms=0) == Submitted("busy", other="r2")


def test_epochs_grow_along_a_thread(world: World) -> None:
    """A run that follows another on its thread can refuse what was meant for the one before."""
    world.runs.reserve(OTHER)
    world.runs.reserve(ON_SAME_THREAD)
    driven(world, A, OTHER)
    assert world.runs.commit(step(C1, status="done", address=OTHER)) == OK
    assert world.runs.submit(ON_SAME_THREAD, "d", {}, due_ms=0) == Submitted("new", 2)


# ---------------------------------------------------------------- the lease


def test_a_claim_gives_head_and_record(world: World) -> None:
    submit(world, graph="g")
    world.pass_ms(5)
    claimed = claim(world)
    assert (claimed.kind, claimed.head, claimed.record["graph"]) == ("ok", "", b"g")
    assert (claimed.record["status"], claimed.record["lease"]) == (b"running", A.encode())
    assert claimed.record["started"] == str(world.now_ms).encode()
    assert claimed.record == world.runs.record(RUN)


def test_a_claim_moves_the_due_entry(world: World) -> None:
    submit(world)
    world.pass_ms(10)
    claim(world)
    world.pass_ms(LOOK_MS - 1)
    assert due(world) == []
    world.pass_ms(1)
    assert due(world) == [("run", "r1", "")]


def test_a_lease_is_held_against_others(world: World) -> None:
    driven(world)
    with unchanged(world):
        assert claim(world, B) == Claimed("held", A)


def test_the_holder_may_claim_again(world: World) -> None:
    """The reply was lost, or a second hint came: the answer is the same."""
    submit(world)
    first = claim(world)
    with unchanged(world):
        assert claim(world) == first


def test_what_is_not_there_or_at_rest_cannot_be_claimed(world: World) -> None:
    with unchanged(world):
        assert claim(world) == Claimed("gone", "")
    driven(world)
    world.runs.commit(step(C1, status="done"))
    with unchanged(world):
        assert claim(world, B) == Claimed("gone", "done")


def test_while_tasks_are_out_nobody_drives(world: World) -> None:
    offered(world)
    hinted = world.runs.record(RUN)["hinted"].decode()
    with unchanged(world):
        assert claim(world, B) == Claimed("open", hinted)


def test_a_closed_barrier_that_nobody_drives_can_be_claimed(world: World) -> None:
    """Whoever closed it died: a sweep frees the lease, and the next hint finds everything settled."""
    offered(world)
    settle(world, "T1", B)
    assert settle(world, "T2", B) == Answer("closed")
    world.runs.reclaim(RUN, B, crashed=True)
    claimed = claim(world)
    assert (claimed.kind, claimed.head) == ("ok", C1)


def test_a_run_handed_back_is_free_and_due(world: World) -> None:
    driven(world)
    world.pass_ms(10)
    assert world.runs.release(RUN, A, due_ms=50) == Answer("ok", str(world.now_ms))
    assert world.runs.record(RUN)["hinted"] == str(world.now_ms).encode()
    world.pass_ms(50)
    assert due(world) == [("run", "r1", "")]
    assert claim(world, B).kind == "ok"


def test_handing_back_twice_answers_the_same(world: World) -> None:
    driven(world)
    first = world.runs.release(RUN, A, due_ms=50)
    world.pass_ms(1)
    with unchanged(world):
        assert world.runs.release(RUN, A, due_ms=50) == first


def test_only_the_holder_hands_back(world: World) -> None:
    driven(world)
    with unchanged(world):
        assert world.runs.release(RUN, B, due_ms=0) == Answer("stale")
    world.runs.release(RUN, A, due_ms=0)
    claim(world, B)
    with unchanged(world):
        assert world.runs.release(RUN, A, due_ms=0) == Answer("stale")


# ---------------------------------------------------------------- commits


def test_a_commit_moves_the_head(world: World) -> None:
    driven(world)
    commit = step(
        C1,
        sets=[("c:" + C1, b"record"), ("v:x@1", b"\xff")],
        fields=[("stop", 25)],
        log=[b"one", b"two"],
        kept=[("-|T|w", b"w")],
        index_history=True,
    )
    world.pass_ms(7)
    assert world.runs.commit(commit) == OK
    assert world.runs.read_line("r1", ["head", "c:" + C1, "v:x@1", "absent"]) == [C1.encode(), b"record", b"\xff", None]
    record = world.runs.record(RUN)
    assert (record["stop"], record["status"], record["updated"]) == (b"25", b"running", str(world.now_ms).encode())
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"one", b"two"]
    dump = world.dump()
    assert dump[world.keys.of("r1", "pend", "r1", "")] == {b"-|T|w": b"w"}
    assert dump[world.keys.of("r1", "hist", "r1", "")] == {C1.encode(): 0.0}


def test_a_commit_moves_the_due_entry(world: World) -> None:
    """A driver that goes on is not looked at."""
    driven(world)
    world.pass_ms(10)
    world.runs.commit(step(C1))
    world.pass_ms(LOOK_MS - 1)
    assert due(world) == []
    world.pass_ms(1)
    assert due(world) == [("run", "r1", "")]


def test_a_commit_deletes_what_the_new_checkpoint_does_not_share(world: World) -> None:
    driven(world)
    world.runs.commit(step(C1, sets=[("c:" + C1, b"1"), ("v:x@1", b"x"), ("v:y@1", b"y")]))
    world.runs.commit(step(C2, C1, sets=[("c:" + C2, b"2")], drops=["c:" + C1, "v:x@1"]))
    assert world.runs.read_line("r1", ["c:" + C1, "v:x@1", "v:y@1"]) == [None, None, b"y"]


def test_a_wide_state_is_committed_whole(world: World) -> None:
    """Thousands of channels: more than one command of a script can take."""
    driven(world)
    many = [(f"v:{n}@1", b"x") for n in range(6000)]
    assert world.runs.commit(step(C1, sets=many)) == OK
    assert world.runs.commit(step(C2, C1, sets=[("v:0@2", b"y")], drops=[name for name, _ in many])) == OK
    assert world.runs.read_line("r1", ["v:0@1", "v:5999@1", "v:0@2"]) == [None, None, b"y"]


def test_a_commit_repeated_is_applied_once(world: World) -> None:
    """The reply was lost and the client library sent it again: same answer, one log entry."""
    driven(world)
    commit = step(C1, log=[b"one"])
    assert world.runs.commit(commit) == OK
    world.pass_ms(1)
    with unchanged(world):
        assert world.runs.commit(commit) == OK


def test_a_commit_on_another_parent_is_refused(world: World) -> None:
    """Two drivers of one run: the first commit wins, the second finds out."""
    driven(world)
    advanced(world, C1)
    with unchanged(world):
        assert world.runs.commit(step(C2, "", slot=B)) == stale("head")
        assert world.runs.commit(step(C3, C2)) == stale("head")


def test_a_zombie_that_wins_the_race_is_as_good_as_any(world: World) -> None:
    """A lease saves work and never decides: what counts is that the parent is the head."""
    driven(world)
    world.runs.reclaim(RUN, A, crashed=True)
    claim(world, B)
    assert world.runs.commit(step(C1, slot=A)) == OK
    assert world.runs.commit(step(C2, "", slot=B)) == stale("head")
    assert world.runs.record(RUN)["lease"] == B.encode()


def test_a_head_only_moves_up(world: World) -> None:
    driven(world)
    advanced(world, C2)
    with unchanged(world):
        assert world.runs.commit(step(C1, C2)) == stale("order")


def test_a_commit_of_an_older_epoch_is_refused(world: World) -> None:
    driven(world)
    world.runs.control("cancel", RUN, "n1")
    with unchanged(world):
        assert world.runs.commit(step(C1)) == stale("epoch")


def test_a_commit_of_a_run_that_is_not_there_is_refused(world: World) -> None:
    with unchanged(world):
        assert world.runs.commit(step(C1)) == stale("gone")


@pytest.mark.parametrize("status", ["done", "failed", "interrupted"])
def test_a_run_at_rest_owes_and_holds_nothing(world: World, status: str) -> None:
    driven(world)
    world.pass_ms(3)
    assert world.runs.commit(step(C1, status=status)) == OK
    record = world.runs.record(RUN)
    assert (record["status"], record["lease"], record["ended"]) == (
        status.encode(),
        b"",
        str(world.now_ms).encode(),
    )
    assert world.runs.read_line("r1", ["run", "head"]) == [None, C1.encode()]
    world.pass_ms(10 * LOOK_MS)
    assert due(world) == []


def test_a_run_may_come_to_rest_at_the_head_it_has(world: World) -> None:
    driven(world)
    advanced(world, C1)
    commit = step("", C1, "interrupted", fields=[("asked", b"?")], log=[b"end"])
    assert world.runs.commit(commit) == OK
    assert world.runs.read_line("r1", ["head"]) == [C1.encode()]
    assert world.runs.record(RUN)["asked"] == b"?"
    world.pass_ms(1)
    with unchanged(world):
        assert world.runs.commit(commit) == OK


@pytest.mark.parametrize("late", [step(C2, C1), step("", C1, "failed"), step(C2, C1, "done")])
def test_a_run_at_rest_takes_no_commit(world: World, late: object) -> None:
    """A driver that was taken for dead goes on with a run which another one brought to rest at the same head."""
    driven(world)
    advanced(world, C1)
    world.runs.commit(step("", C1, "interrupted"))
    with unchanged(world):
        assert world.runs.commit(late) == stale("interrupted")  # type: ignore[arg-type]


def test_a_commit_ends_the_barrier_before_it(world: World) -> None:
    offered(world)
    world.runs.claim_task(RUN, B, 1, C1, "T1")
    settle(world, "T1", B)
    settle(world, "T2", A)
    assert world.runs.commit(step(C2, C1, offered=True)) == OK
    assert world.runs.outcomes(RUN) == {}
    assert world.runs.claims(RUN) == {}
    assert world.runs.record(RUN)["plan"] == b"0"


def test_a_commit_waits_for_all_that_was_offered(world: World) -> None:
    offered(world)
    settle(world, "T1")
    with unchanged(world):
        assert world.runs.commit(step(C2, C1, offered=True)) == Answer("open")


def test_a_driver_that_thinks_it_is_alone_is_told_of_an_offer(world: World) -> None:
    """It ran the tasks in place while another driver opened the superstep: settled outcomes may differ from its own."""
    offered(world)
    with unchanged(world):
        assert world.runs.commit(step(C2, C1)) == Answer("offered")
    settle(world, "T1")
    settle(world, "T2")
    with unchanged(world):
        assert world.runs.commit(step(C2, C1)) == Answer("offered")


def test_a_driver_may_come_to_rest_with_outcomes_that_stay(world: World) -> None:
    """One task asked: what the others did is found again when somebody answers."""
    driven(world)
    advanced(world, C1)
    settled = {"T1": FIRST + b"wrote", "T2": FIRST + b"asks"}
    assert offer(world, 2, settled).kind == "closed"
    assert world.runs.commit(step("", C1, "interrupted", offered=True)) == OK
    assert world.runs.outcomes(RUN) == {"T1": b"wrote", "T2": b"asks"}


def test_crashes_are_forgotten_when_the_head_moves(world: World) -> None:
    driven(world)
    world.runs.reclaim(RUN, A, crashed=True)
    assert claim(world, B).record["x"] == b"1"
    world.runs.commit(step(C1, slot=B))
    assert world.runs.record(RUN)["x"] == b"0"


def test_what_rests_on_outcomes_does_not_without_them(world: World) -> None:
    """A server that was rolled back has forgotten them: nobody could answer a run that rested like that."""
    driven(world)
    advanced(world)
    for status in ("interrupted", "failed"):
        with unchanged(world):
            assert world.runs.commit(step("", C1, status, kept_open=True)) == stale("plan")
    assert offer(world, 2, {"T1": FIRST + b"wrote", "T2": FIRST + b"asks"}).kind == "closed"
    assert world.runs.commit(step("", C1, "interrupted", kept_open=True)) == OK
