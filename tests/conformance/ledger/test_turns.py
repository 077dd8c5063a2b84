"""Several runs on one thread: refused, in line, or in place of the one that has it."""

from __future__ import annotations

import pytest

from distgraph.ledger.contract.runs import Policy
from distgraph.ledger.replies import Address, Answer, Claimed, Submitted
from tests.conformance.ledger.scenes import (
    C1,
    C2,
    C3,
    LOOK_MS,
    OK,
    A,
    B,
    advanced,
    claim,
    driven,
    due,
    promoted,
    stale,
    step,
    submit,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance

ONE, TWO, THREE = (Address(name, "t") for name in ("one", "two", "three"))


def come(world: World, address: Address, policy: Policy = "reject", ends: str = "", log: bytes = b"") -> Submitted:
    return world.runs.submit(address, "d", {}, due_ms=LOOK_MS, policy=policy, ends=ends, log=log)


def line(world: World, *fields: str) -> list[bytes | None]:
    return world.runs.read_line("t", list(fields))


def epoch(world: World, address: Address) -> int:
    return int(world.runs.record(address)["epoch"])


def end(world: World, address: Address, status: str = "done") -> None:
    """The run comes to rest where it stands."""
    if world.runs.record(address)["status"] == b"queued":
        assert claim(world, A, address).kind == "ok"
    head = (line(world, "head")[0] or b"").decode()
    assert world.runs.commit(step("", head, status, address=address, epoch=epoch(world, address))) == OK


# ---------------------------------------------------------------- in line


def test_a_run_in_line_is_queued_and_owes_nothing(world: World) -> None:
    submit(world, ONE)
    assert come(world, TWO, "enqueue") == Submitted("waits", 2, "one")
    assert world.runs.record(TWO)["status"] == b"queued"
    world.pass_ms(10 * LOOK_MS)
    assert due(world, ONE) == [("run", "one", "")]
    with unchanged(world):
        assert come(world, TWO, "enqueue") == Submitted("same", 2)
        assert claim(world, B, TWO) == Claimed("waits", "one")


@pytest.mark.parametrize("status", ["done", "failed"])
def test_the_end_of_a_run_gives_the_thread_to_the_first_in_line(world: World, status: str) -> None:
    submit(world, ONE)
    come(world, TWO, "enqueue")
    come(world, THREE, "enqueue")
    end(world, ONE, status)
    assert line(world, "run", "last") == [b"two", b"two"]
    assert world.runs.last_run("t") == "two"
    assert due(world, TWO) == []
    world.pass_ms(LOOK_MS)
    assert due(world, TWO) == [("run", "two", "")]
    assert claim(world, B, THREE) == Claimed("waits", "two")
    end(world, TWO)
    end(world, THREE)
    assert line(world, "run") == [None]
    assert not [key for key in world.dump() if ":turns:" in key]


def test_the_last_commit_repeated_passes_the_thread_on_once(world: World) -> None:
    driven(world, A, ONE)
    for other in (TWO, THREE):
        come(world, other, "enqueue")
    last = step(C1, status="done", address=ONE)
    assert world.runs.commit(last) == OK
    with unchanged(world):
        assert world.runs.commit(last) == OK
    assert line(world, "run") == [b"two"]


def test_a_cancelled_run_gives_the_thread_on(world: World) -> None:
    driven(world, A, ONE)
    come(world, TWO, "enqueue")
    come(world, THREE, "enqueue")
    assert world.runs.control("cancel", ONE, "n1", due_ms=LOOK_MS).kind == "ok"
    with unchanged(world):
        assert world.runs.control("cancel", ONE, "n1", due_ms=LOOK_MS).kind == "ok"
    assert line(world, "run") == [b"two"]
    world.pass_ms(LOOK_MS)
    assert due(world, TWO) == [("run", "two", "")]


def test_who_is_cancelled_in_line_leaves_it(world: World) -> None:
    submit(world, ONE)
    come(world, TWO, "enqueue")
    come(world, THREE, "enqueue")
    assert world.runs.control("cancel", TWO, "n1").kind == "ok"
    assert line(world, "run") == [b"one"]
    end(world, ONE)
    assert line(world, "run") == [b"three"]


def test_nobody_jumps_the_line(world: World) -> None:
    submit(world, ONE)
    come(world, TWO, "enqueue")
    with unchanged(world):
        assert come(world, THREE) == Submitted("busy", other="one")
    end(world, ONE, "interrupted")
    with unchanged(world):
        assert come(world, THREE) == Submitted("busy", other="one")
    assert come(world, THREE, "enqueue") == Submitted("waits", 3, "one")


def test_a_question_keeps_the_line_waiting(world: World) -> None:
    """Until it is answered and its run has ended."""
    submit(world, ONE)
    come(world, TWO, "enqueue")
    end(world, ONE, "interrupted")
    assert line(world, "run", "asks") == [None, b"one"]
    assert claim(world, B, TWO) == Claimed("waits", "")
    assert world.runs.control("requeue", ONE, "n1").kind == "ok"
    assert line(world, "run", "asks") == [b"one", None]
    end(world, ONE)
    assert line(world, "run") == [b"two"]


def test_a_question_that_is_withdrawn_lets_the_line_go_on(world: World) -> None:
    submit(world, ONE)
    end(world, ONE, "interrupted")
    assert come(world, TWO, "enqueue").kind == "waits"
    assert world.runs.control("cancel", ONE, "n1").kind == "ok"
    assert line(world, "run", "asks") == [b"two", None]


def test_an_item_of_a_batch_shares_its_thread_with_nobody(world: World) -> None:
    _, item = promoted(world)
    for policy in ("reject", "enqueue", "interrupt", "rollback"):
        with unchanged(world):
            answer = world.runs.submit(
                Address("other", item.thread_id), "d", {}, due_ms=0, policy=policy, ends=item.run_id
            )
            assert answer == Submitted("busy", other=item.run_id)


# ---------------------------------------------------------------- in place of another


def test_a_question_is_passed_over(world: World) -> None:
    """New input begins anew; who answers later is told what became of the thread."""
    submit(world, ONE)
    end(world, ONE, "interrupted")
    assert come(world, TWO).kind == "new"
    end(world, TWO)
    with unchanged(world):
        assert world.runs.control("requeue", ONE, "n1") == Answer("passed", "two")


@pytest.mark.parametrize("policy", ["interrupt", "rollback"])
@pytest.mark.parametrize("status", ["queued", "running", "interrupted"])
def test_the_run_in_the_way_is_ended(world: World, policy: Policy, status: str) -> None:
    submit(world, ONE)
    if status == "running":
        claim(world, A, ONE)
    if status == "interrupted":
        end(world, ONE, "interrupted")
    with unchanged(world):
        assert come(world, TWO, policy) == Submitted("busy", other="one")
        assert come(world, TWO, policy, "three") == Submitted("busy", other="one")
    assert come(world, TWO, policy, "one", b"ended") == Submitted("new", 3)
    record = world.runs.record(ONE)
    assert (record["status"], record["by"], record["epoch"]) == (b"cancelled", b"two", b"2")
    assert [entry for _, entry in world.runs.log(ONE, "0")] == [b"ended"]
    assert line(world, "run", "asks") == [b"two", None]
    with unchanged(world):
        assert world.runs.commit(step(C1, address=ONE)) == stale("epoch")
        assert claim(world, B, ONE) == Claimed("gone", "cancelled")
        assert come(world, TWO, policy, "one", b"ended") == Submitted("same", 3)
    world.pass_ms(LOOK_MS)
    assert due(world, TWO) == [("run", "two", "")]


def test_who_interrupts_goes_on_from_there(world: World) -> None:
    driven(world, A, ONE)
    advanced(world, C1, address=ONE)
    come(world, THREE, "enqueue")
    assert come(world, TWO, "interrupt", "one").kind == "new"
    assert claim(world, B, TWO).head == C1
    end(world, TWO)
    assert line(world, "run") == [b"three"]


def test_a_thread_is_taken_back_to_before_the_run(world: World) -> None:
    driven(world, A, ONE)
    sets = [(f"c:{C1}", b"record"), ("v:x@5", b"old")]
    world.runs.commit(step(C1, status="done", address=ONE, sets=sets, index_history=True))
    assert driven(world, A, TWO) == 2
    first = step(
        C2,
        C1,
        address=TWO,
        epoch=2,
        sets=[(f"c:{C2}", b"record"), ("v:x@6", b"new")],
        fields=[("base", f"{C1} 5")],
        kept=[(C1, b"0"), (C2, b"1"), (f"{C2}|1", b"T1|w|path"), (f"{C2}|T1|w", b"wrote")],
        index_history=True,
    )
    assert world.runs.commit(first) == OK
    assert world.runs.commit(step(C3, C2, address=TWO, epoch=2, index_history=True)) == OK
    assert come(world, THREE, "rollback", "two").kind == "new"
    assert line(world, "head", f"c:{C1}", "v:x@5") == [C1.encode(), b"record", b"old"]
    assert line(world, f"c:{C2}", f"c:{C3}", "v:x@6") == [None, None, None]
    dump = world.dump()
    assert dump[world.keys.of("t", "hist", "t", "")] == {C1.encode(): 0.0}
    assert dump[world.keys.of("t", "pend", "t", "")] == {C1.encode(): b"0"}
    assert claim(world, B, THREE).head == C1


def test_a_new_thread_is_taken_back_to_nothing(world: World) -> None:
    driven(world, A, ONE)
    world.runs.commit(step(C1, address=ONE, sets=[(f"c:{C1}", b"r"), ("v:x@1", b"v")], fields=[("base", " ")]))
    assert come(world, TWO, "rollback", "one").kind == "new"
    assert line(world, "head", f"c:{C1}", "v:x@1") == [None, None, None]
    assert claim(world, B, TWO).head == ""


def test_there_is_no_going_back_to_what_is_not_kept(world: World) -> None:
    driven(world, A, ONE)
    world.runs.commit(step(C2, address=ONE, fields=[("base", f"{C1} 5")]))
    with unchanged(world):
        assert come(world, TWO, "rollback", "one") == Submitted("lost", other=C1)


def test_a_run_may_ask_for_the_head_its_caller_saw(world: World) -> None:
    """Somebody who answered the same question was first, and the thread has gone on."""
    driven(world, A, ONE)
    advanced(world, C1, address=ONE)
    end(world, ONE)
    with unchanged(world):
        assert world.runs.submit(TWO, "d", {}, due_ms=0, head=C2) == Submitted("moved", other=C1)
    assert world.runs.submit(TWO, "d", {}, due_ms=0, head=C1).kind == "new"


# ---------------------------------------------------------------- ids


def test_a_refused_run_does_not_use_up_its_id(world: World) -> None:
    submit(world, ONE)
    assert world.runs.reserve(TWO) == "t"
    assert come(world, TWO).kind == "busy"
    assert world.runs.reserve(TWO, "drop") == ""
    elsewhere = Address("two", "u")
    assert world.runs.reserve(elsewhere) == "u"
    assert come(world, elsewhere).kind == "new"
    assert world.runs.reserve(elsewhere, "keep") == "u"


def test_what_is_kept_is_not_dropped(world: World) -> None:
    """Somebody else made the same call, and was not refused."""
    for how in ("hold", "keep"):
        world.runs.reserve(TWO, how)
    with unchanged(world):
        assert world.runs.reserve(TWO, "drop") == "t"
        assert world.runs.reserve(Address("two", "u")) == "t"
        assert world.runs.reserve(Address("two", "u"), "drop") == "t"


def test_a_hold_ends_by_itself(world: World) -> None:
    """Its submitter died before the run was there."""
    assert world.runs.reserve(TWO) == "t"
    world.pass_ms(2 * 3_600_000)
    assert world.runs.reserve(Address("two", "u")) == "u"
