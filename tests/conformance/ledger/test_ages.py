"""The list of threads of which a checkpoint will be too old, and who looks when."""

from __future__ import annotations

import pytest

from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Answer
from tests.conformance.ledger.scenes import C1, C2, OK, RUN, driven, step, unchanged
from tests.conformance.ledger.worlds import ServerWorld, World

pytestmark = pytest.mark.conformance
MOVED = Answer("moved")


def stored(world: World, thread: str = "t", head: str = C1) -> None:
    """A thread that stands at a checkpoint."""
    world.lines.put([Change(Place(thread), head, [(f"c:{head}", b"record")])])


def due(world: World, *, most: int = 10, push_ms: int = 500) -> list[str]:
    return sorted(world.lines.aged(most=most, push_ms=push_ms).threads)


def test_a_thread_is_looked_at_when_its_time_has_come_and_put_off(world: World) -> None:
    world.lines.note_age("t", world.now_ms + 100)
    assert due(world) == []
    world.pass_ms(100)
    found = world.lines.aged(most=10, push_ms=500)
    assert (found.now_ms, found.threads) == (world.now_ms, ["t"])
    assert due(world) == []
    world.pass_ms(500)
    assert due(world) == ["t"], "whoever took it may have died"


def test_the_earliest_of_several_notes_stands(world: World) -> None:
    for at in (300, 100, 200):
        world.lines.note_age("t", world.now_ms + at)
    world.pass_ms(100)
    assert due(world) == ["t"]


def test_all_partitions_are_looked_at_the_longest_overdue_first(world: World) -> None:
    threads = [f"thread-{n}x" for n in range(60)]
    for place, thread in enumerate(threads):
        world.lines.note_age(thread, world.now_ms + place)
    world.pass_ms(100)
    first = due(world, most=2)
    parts = [[t for t in threads if world.keys.partition(t) == part] for part in range(world.keys.partitions)]
    assert first == sorted(thread for part in parts for thread in part[:2])
    assert sorted([*first, *due(world, most=60)]) == sorted(threads)


def test_what_nobody_understands_holds_up_no_other(server_world: ServerWorld, caplog: pytest.LogCaptureFixture) -> None:
    key = server_world.keys.ages(server_world.keys.partition("t"))
    server_world.client.zadd(key, {b"\xff\xfe": 0})
    server_world.lines.note_age("t", server_world.now_ms)
    assert due(server_world) == ["t"]
    assert "one that nobody understands" in caplog.text


def test_the_next_look_may_be_later(world: World) -> None:
    stored(world)
    world.lines.note_age("t", world.now_ms)
    assert world.lines.looked_at("t", C1, world.now_ms + 1000) == OK
    assert due(world) == []
    world.pass_ms(1000)
    assert due(world) == ["t"]


def test_a_thread_is_forgotten_while_it_stands_where_it_was_seen(world: World) -> None:
    stored(world)
    world.lines.note_age("t", world.now_ms)
    stored(world, head=C2)
    with unchanged(world):
        assert world.lines.looked_at("t", C1, None) == MOVED
        assert world.lines.looked_at("t", C1, world.now_ms + 1) == MOVED
    assert world.lines.looked_at("t", C2, None) == OK
    assert world.lines.looked_at("t", C2, None) == OK
    world.pass_ms(10)
    assert due(world) == []


def test_a_thread_that_a_run_has_is_not_forgotten(world: World) -> None:
    """The run has noted it before its first commit, and may be about to commit."""
    driven(world)
    world.lines.note_age(RUN.thread_id, world.now_ms + 50)
    with unchanged(world):
        assert world.lines.looked_at(RUN.thread_id, "", None) == MOVED
    assert world.lines.looked_at(RUN.thread_id, "", world.now_ms + 70) == OK
    world.runs.commit(step(C1, status="done"))
    assert world.lines.looked_at(RUN.thread_id, "", None) == MOVED
    assert world.lines.looked_at(RUN.thread_id, C1, None) == OK


def test_a_thread_that_is_not_there_is_forgotten(world: World) -> None:
    world.lines.note_age("nobody", world.now_ms)
    assert world.lines.looked_at("nobody", "", None) == OK
    assert due(world) == []


@pytest.mark.parametrize("how", ["thread", "run", "expired"])
def test_what_is_deleted_is_not_looked_at(world: World, how: str) -> None:
    driven(world, retain=1)
    world.runs.commit(step(C1, status="done"))
    world.lines.note_age(RUN.thread_id, world.now_ms)
    world.lines.note_age("other", world.now_ms)
    world.pass_ms(10)
    if how == "thread":
        assert world.lines.delete(RUN.thread_id) == OK
    else:
        assert world.runs.delete(RUN, expired=how == "expired") == OK
    assert due(world) == ["other"]


def test_a_thread_with_a_name_of_its_own_outlives_its_run(world: World) -> None:
    address = RUN._replace(thread_id="t")
    world.runs.reserve(address)
    driven(world, address=address)
    world.runs.commit(step(C1, status="done", address=address))
    world.lines.note_age("t", world.now_ms)
    assert world.runs.delete(address) == OK
    assert due(world) == ["t"]
