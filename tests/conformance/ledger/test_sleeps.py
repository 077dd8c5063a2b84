"""Tasks that sleep: given back until a time the ledger keeps, and claimed by nobody before."""

from __future__ import annotations

import pytest

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
    claim,
    claim_task,
    due,
    offer,
    offered,
    retry,
    settle,
    stale,
    step,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance

DAY = 86_400_000


def sleep(
    world: World,
    task: str = "T1",
    slot: str = A,
    *,
    key: str = "k",
    ms: int = DAY,
    until: bool = False,
    epoch: int = 1,
    head: str = C1,
) -> Answer:
    return world.runs.sleep_task(RUN, slot, epoch, head, task, key, ms=ms, until=until)


def asleep(world: World, planned: int = 1) -> None:
    """A run of which T1 sleeps for a day."""
    offered(world, planned)
    assert claim_task(world, "T1").kind == "ok"
    assert sleep(world) == Answer("ok", str(world.now_ms + DAY))


def test_a_sleeper_gives_its_claim_up_and_says_when_it_wakes(world: World) -> None:
    asleep(world)
    assert world.runs.claims(RUN) == {}
    assert world.runs.asleep(RUN) == {"T1"}
    assert world.runs.record(RUN)["wake"] == str(world.now_ms + DAY).encode()


def test_nobody_looks_at_a_run_that_sleeps_as_a_whole(world: World) -> None:
    asleep(world)
    world.pass_ms(DAY - 1)
    assert due(world) == []
    world.pass_ms(1)
    assert due(world) == [("run", "r1", "")]


def test_siblings_go_on_and_are_looked_after(world: World) -> None:
    asleep(world, 2)
    assert "wake" not in world.runs.record(RUN)
    world.pass_ms(LOOK_MS)
    assert due(world) == [("run", "r1", "")]
    assert claim_task(world, "T2", B).kind == "ok"


def test_the_last_sibling_that_settles_leaves_the_run_asleep(world: World) -> None:
    asleep(world, 2)
    until = world.now_ms + DAY
    claim_task(world, "T2", B)
    assert settle(world, "T2", B) == OK
    assert world.runs.record(RUN)["wake"] == str(until).encode()
    world.pass_ms(DAY - 1)
    assert due(world) == []


def test_the_run_is_due_when_the_first_of_several_wakes(world: World) -> None:
    offered(world, 2)
    for task, ms in (("T1", 3 * DAY), ("T2", DAY)):
        claim_task(world, task)
        sleep(world, task, key=task, ms=ms)
    world.pass_ms(DAY)
    assert due(world) == [("run", "r1", "")]
    assert world.runs.asleep(RUN) == {"T1"}


def test_a_sleeper_is_not_claimed_before_its_time(world: World) -> None:
    asleep(world)
    until = world.now_ms + DAY
    world.pass_ms(DAY - 1)
    with unchanged(world):
        assert claim_task(world, "T1", B) == ClaimedTask("asleep", str(until))
    world.pass_ms(1)
    assert claim_task(world, "T1", B).kind == "ok"
    assert "wake" not in world.runs.record(RUN)
    assert world.runs.asleep(RUN) == set()


def test_a_run_whose_tasks_sleep_is_open_to_no_driver(world: World) -> None:
    asleep(world)
    assert claim(world, B).kind == "open"


def test_a_sleep_costs_no_attempt(world: World) -> None:
    asleep(world)
    world.pass_ms(DAY)
    assert claim_task(world, "T1").attempts == 0


def test_a_sleep_until_a_time(world: World) -> None:
    offered(world, 1)
    claim_task(world, "T1")
    assert sleep(world, ms=world.now_ms + 5, until=True) == Answer("ok", str(world.now_ms + 5))


def test_the_first_sleep_under_a_key_decides(world: World) -> None:
    asleep(world)
    until = world.now_ms + DAY
    world.pass_ms(DAY // 2)
    assert sleep(world) == Answer("ok", str(until))
    world.pass_ms(DAY // 2)
    claim_task(world, "T1")
    assert sleep(world, ms=DAY) == Answer("ok", str(until)), "it was slept already"
    assert due(world) == [("run", "r1", "")]


def test_a_sleep_may_be_repeated(world: World) -> None:
    asleep(world)
    with unchanged(world):
        assert sleep(world) == Answer("ok", str(world.now_ms + DAY))


def test_slept_is_what_was_begun_and_is_over(world: World) -> None:
    asleep(world)
    assert not world.runs.slept(RUN, "k")
    assert not world.runs.slept(RUN, "other")
    world.pass_ms(DAY)
    assert world.runs.slept(RUN, "k")
    assert not world.runs.slept(RUN, "other")


@pytest.mark.parametrize("until", [False, True])
def test_a_sleep_can_begin_before_its_task_is_given_back(world: World, until: bool) -> None:
    offered(world, 1)
    claim_task(world, "T1")
    wakes, ms = world.now_ms + DAY, DAY + (world.now_ms if until else 0)
    assert not world.runs.slept(RUN, "k", ms=ms, until=until)
    world.pass_ms(DAY // 2)
    assert sleep(world) == Answer("ok", str(wakes))
    world.pass_ms(DAY // 2)
    assert world.runs.slept(RUN, "k", ms=ms, until=until)


@pytest.mark.parametrize(
    ("late", "why"),
    [({"epoch": 2}, "epoch"), ({"head": C2}, "head")],
)
def test_a_sleep_that_comes_too_late_is_refused(world: World, late: dict[str, str], why: str) -> None:
    offered(world, 1)
    claim_task(world, "T1")
    with unchanged(world):
        assert sleep(world, **late) == stale(why)  # type: ignore[arg-type]


def test_what_another_attempt_settled_or_runs_does_not_sleep(world: World) -> None:
    offered(world, 2)
    claim_task(world, "T1", B)
    with unchanged(world):
        assert sleep(world) == Answer("held", B)
    settle(world, "T1", B)
    with unchanged(world):
        assert sleep(world) == Answer("done")


def test_an_attempt_that_was_given_up_for_dead_settles_a_sleeper(world: World) -> None:
    asleep(world)
    assert settle(world, "T1", B, SECOND).kind == "closed"
    assert "wake" not in world.runs.record(RUN)
    assert world.runs.commit(step(C2, C1, slot=B, offered=True)) == OK
    assert world.runs.asleep(RUN) == set()


def test_a_sleeper_that_woke_and_died_is_found(world: World) -> None:
    asleep(world)
    world.pass_ms(DAY)
    claim_task(world, "T1", B)
    assert world.runs.reclaim(RUN, B, crashed=True) == (1, 1)
    assert due(world) == [("run", "r1", "")]
    assert claim_task(world, "T1").kind == "ok"


def test_a_task_that_waits_for_its_next_attempt_keeps_the_run_awake(world: World) -> None:
    asleep(world, 2)
    claim_task(world, "T2", B)
    retry(world, "T2", B, wait_ms=10)
    assert "wake" not in world.runs.record(RUN)
    world.pass_ms(LOOK_MS)
    assert ("run", "r1", "") in due(world)


def test_cancelling_leaves_nothing_of_a_sleep_but_its_time(world: World) -> None:
    asleep(world)
    assert world.runs.control("cancel", RUN, "n1").kind == "ok"
    assert world.runs.asleep(RUN) == set()
    assert "wake" not in world.runs.record(RUN)
    world.pass_ms(2 * DAY)
    assert due(world) == []
    assert sleep(world) == stale("epoch")


def test_a_failed_sibling_is_retried_without_sleeping_again(world: World) -> None:
    asleep(world, 2)
    offer(world, 2, {"T2": FIRST + b"failed"})
    world.pass_ms(DAY)
    claim_task(world, "T1")
    assert settle(world, "T1").kind == "closed"
    assert world.runs.commit(step("", C1, "failed", offered=True)) == OK
    assert world.runs.control("requeue", RUN, "n1", drop=["T2"]).kind == "ok"
    assert world.runs.slept(RUN, "k")


def test_deleting_a_run_forgets_its_sleeps(world: World) -> None:
    asleep(world)
    world.runs.control("cancel", RUN, "n1")
    world.runs.delete(RUN)
    assert not world.runs.slept(RUN, "k")
