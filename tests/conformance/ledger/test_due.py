"""The due index: the outbox of everything that somebody must look at."""

from __future__ import annotations

import pytest

from distgraph.ledger.replies import Address, Due
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    LOOK_MS,
    OK,
    RUN,
    A,
    B,
    added,
    claim_task,
    driven,
    due,
    end,
    item_commit,
    offered,
    part_of,
    promoted,
    retry,
    step,
    submit,
    take,
    taken,
    unchanged,
)
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance


def same_partition(world: World, count: int) -> list[Address]:
    """Runs whose threads share a partition."""
    names = (f"run-{n:03d}x" for n in range(10_000))
    wanted = world.keys.partition(RUN.thread_id)
    found = [name for name in names if world.keys.partition(name) == wanted][:count]
    return [Address(name, name) for name in found]


def test_the_longest_overdue_comes_first_and_is_pushed_forward(world: World) -> None:
    runs = same_partition(world, 3)
    for address in runs:
        submit(world, address)
        world.pass_ms(10)
    world.pass_ms(LOOK_MS)
    partition = world.keys.partition(RUN.thread_id)
    first = world.runs.sweep(partition, most=2, push_ms=500)
    assert first.due == [Due("run", run.run_id) for run in runs[:2]]
    assert (first.now_ms, first.next_ms) == (world.now_ms, 0)  # one more is overdue
    second = world.runs.sweep(partition, most=2, push_ms=500)
    assert second.due == [Due("run", runs[2].run_id)]
    assert second.next_ms == 500
    assert world.runs.sweep(partition, most=2, push_ms=500).due == []
    world.pass_ms(500)
    assert len(world.runs.sweep(partition, most=10, push_ms=500).due) == 3


def test_an_empty_index_says_so(world: World) -> None:
    swept = world.runs.sweep(0, most=10, push_ms=500)
    assert (swept.next_ms, swept.due) == (-1, [])


def test_what_is_not_due_yet_is_told_in_ms(world: World) -> None:
    submit(world)
    world.pass_ms(LOOK_MS - 1)
    swept = world.runs.sweep(world.keys.partition("r1"), most=10, push_ms=500)
    assert (swept.due, swept.next_ms) == ([], 1)


def test_what_comes_first_can_be_seen_before_it_is_due(world: World) -> None:
    runs = same_partition(world, 3)
    for address in runs:
        submit(world, address)
        world.pass_ms(10)
    partition = world.keys.partition(RUN.thread_id)
    assert world.runs.coming(partition, most=2) == [Due("run", run.run_id) for run in runs[:2]]
    assert len(world.runs.coming(partition, most=9)) == 3
    assert world.runs.sweep(partition, most=9, push_ms=0).due == [], "to look changes nothing"
    assert world.runs.coming((partition + 1) % world.keys.partitions, most=9) == []


def test_entries_name_what_they_are_about(world: World) -> None:
    offered(world)
    claim_task(world, "T1")
    retry(world, "T1")
    added(world)
    take(world, "s1")
    added(world, chunk=8)  # in the partition of chunk 0 again
    world.pass_ms(10 * LOOK_MS)
    assert set(due(world)) == {("run", "r1", ""), ("task", "r1", "T1")}
    found = world.runs.sweep(part_of(world), most=10, push_ms=0).due
    assert set(found) == {Due("slice", BATCH, "s1"), Due("batch", BATCH)}


@pytest.mark.parametrize("status", ["queued", "running", "waiting"])
def test_what_is_owed_a_look_is_not_forgotten(world: World, status: str) -> None:
    """A sweep saw the run at rest; before it dropped the entry, somebody queued the run again."""
    if status == "queued":
        submit(world)
    else:
        offered(world)
        claim_task(world, "T1")
        retry(world, "T1")
    entry = "t:r1\nT1" if status == "waiting" else "r:r1"
    with unchanged(world):
        world.runs.forget_due(world.keys.partition("r1"), entry)


def test_what_is_gone_is_forgotten(world: World) -> None:
    """An item went on as a run of its own; then somebody deleted its batch."""
    _, address = promoted(world)
    world.batches.delete(BATCH, 1)
    world.pass_ms(10 * LOOK_MS)
    assert due(world, address) == [("run", address.run_id, "")]
    world.runs.forget_due(part_of(world), f"r:{address.run_id}")
    assert due(world, address) == []


def test_forgetting_what_is_not_there_does_nothing(world: World) -> None:
    driven(world)
    world.runs.commit(step(C1, status="done"))
    with unchanged(world):
        for entry in ("r:r1", "t:r1\nT1", "r:nobody", "s:b9\ns1", "b:b9"):
            world.runs.forget_due(world.keys.partition("r1"), entry)


def test_a_batch_with_ready_items_and_a_slice_that_goes_on_are_not_forgotten(world: World) -> None:
    added(world)
    partition = part_of(world)
    with unchanged(world):
        world.runs.forget_due(partition, f"b:{BATCH}")
    take(world)
    with unchanged(world):
        world.runs.forget_due(partition, f"s:{BATCH}\ns1")


def test_a_slice_entry_ends_with_the_slice(world: World) -> None:
    of = taken(world, 1)
    item_commit(world, of, end(0), last=True)
    world.pass_ms(10 * LOOK_MS)
    assert world.runs.sweep(part_of(world), most=10, push_ms=0).due == []


def test_a_hint_is_noted_while_the_run_is_there(world: World) -> None:
    driven(world)
    world.runs.hinted(RUN, 12345)
    assert world.runs.record(RUN)["hinted"] == b"12345"
    world.runs.control("cancel", RUN, "n")
    assert world.runs.delete(RUN) == OK
    with unchanged(world):
        world.runs.hinted(RUN, 99999)
    assert world.runs.address("r1") is None


def test_slots_of_others_keep_their_entries(world: World) -> None:
    """Two slices of a batch in one partition: each has an entry of its own."""
    added(world, 4)
    take(world, "s1", A, 2)
    take(world, "s2", B, 2)
    world.pass_ms(LOOK_MS)
    assert set(world.runs.sweep(part_of(world), most=10, push_ms=0).due) == {
        Due("slice", BATCH, "s1"),
        Due("slice", BATCH, "s2"),
    }


def test_a_retry_repeated_late_takes_no_attempt_back(world: World) -> None:
    """The server was away when the reply was to come, and somebody else has made the next attempt before the repeat."""
    offered(world)
    claim_task(world, "T1")
    retry(world, "T1", attempts=1)
    claim_task(world, "T1", B)
    retry(world, "T1", B, attempts=2)
    with unchanged(world):
        assert retry(world, "T1", attempts=1) == OK
    assert claim_task(world, "T1", B).attempts == 2
    assert world.runs.record(RUN)["retries"] == b"2"
