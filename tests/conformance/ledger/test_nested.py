"""Lines of graphs nested in tasks: who may write them, and until when."""

from __future__ import annotations

import pytest

from distgraph.ledger.places import Change, Place, Writes
from distgraph.ledger.replies import Answer
from tests.conformance.ledger.scenes import C1, C2, C3, RUN, advanced, driven, stale, step, taken, unchanged
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance

OK = Answer("ok")
PLACE, OTHER = Place("r1", "n:1"), Place("r1", "n:2")


def at_work(world: World) -> None:
    driven(world)
    advanced(world, C1)
    assert world.lines.hold(PLACE, "a1", RUN, C1, "1") == OK


def change(new: str = C2, holder: str = "a1", place: Place = PLACE) -> Change:
    wrote = Writes("first", C1, "T", "w", "path", b"wrote")
    return Change(place, new, [(f"c:{new}", b"record")] if new else [], [wrote], holder)


def put(world: World, made: Change) -> Answer:
    ((_, answer),) = world.lines.put([made])
    return answer


def test_who_holds_a_line_writes_it(world: World) -> None:
    at_work(world)
    assert put(world, change()) == OK
    found = world.lines.look(PLACE)
    assert found is not None
    assert (found.checkpoint_id, found.record) == (C2, b"record")
    values, writes = world.lines.read(PLACE, [f"c:{C2}", "v:x"], {C1: 1})
    assert values == {f"c:{C2}": b"record", "v:x": None}
    assert [one.data for one in writes[C1]] == [b"wrote"]
    assert (world.lines.nested("r1"), world.lines.history(PLACE, most=9)) == (["n:1"], [C2])
    assert [one.checkpoint_id for one in world.lines.records(PLACE, [C1, C2])] == [C2]
    assert world.lines.look(Place("r1")).checkpoint_id == C1  # type: ignore[union-attr]


def test_a_repeat_changes_nothing(world: World) -> None:
    at_work(world)
    put(world, change())
    with unchanged(world):
        assert world.lines.hold(PLACE, "a1", RUN, C1, "1") == OK


def test_events_come_with_what_is_stored_or_not_at_all(world: World) -> None:
    at_work(world)
    told = change()
    told.run_id, told.entries = "r1", [b"one", b"two"]
    assert put(world, told) == OK
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"one", b"two"]
    late = change(C3, "a2")
    late.run_id, late.entries = "r1", [b"three"]
    with unchanged(world):
        assert put(world, late) == Answer("held", "a1")


def test_events_of_writes_go_with_the_checkpoint_that_follows(world: World) -> None:
    at_work(world)
    wrote, stored = change(""), change()
    wrote.run_id = stored.run_id = "r1"
    wrote.entries, stored.entries = [b"wrote"], [b"stored"]
    world.lines.put([wrote, stored])
    assert [entry for _, entry in world.runs.log(RUN, "0")] == [b"wrote", b"stored"]


def test_the_last_attempt_has_the_line(world: World) -> None:
    at_work(world)
    put(world, change())
    assert world.lines.hold(PLACE, "a2", RUN, C1, "1") == OK
    with unchanged(world):
        assert put(world, change(C3)) == Answer("held", "a2")
        assert put(world, change("")) == Answer("held", "a2")
    assert put(world, change(C3, "a2")) == OK


def test_a_line_that_was_dropped_does_not_come_back(world: World) -> None:
    at_work(world)
    put(world, change())
    world.lines.hold(OTHER, "a1", RUN, C1, "1")
    world.lines.drop_nested("r1", ["n:1", "n:1", "n:9"])
    with unchanged(world):
        assert put(world, change(C3)) == Answer("held", "")
    assert (world.lines.nested("r1"), world.lines.look(PLACE)) == (["n:2"], None)


def test_who_comes_too_late_gets_no_line(world: World) -> None:
    at_work(world)
    with unchanged(world):
        assert world.lines.hold(OTHER, "a2", RUN, C2, "1") == stale("head")
        assert world.lines.hold(OTHER, "a2", RUN, C1, "2") == stale("epoch")
        assert world.lines.hold(OTHER, "a2", RUN, C1, "") == stale("epoch")
    world.runs.commit(step("", C1, "failed", offered=True))
    with unchanged(world):
        assert world.lines.hold(OTHER, "a2", RUN, C1, "1") == stale("failed")


def test_nobody_outside_writes_while_a_run_has_the_thread(world: World) -> None:
    """An update of the state: it would change what the run's task goes on from. What is stored already is a repeat."""
    at_work(world)
    put(world, change())
    with unchanged(world):
        assert put(world, change(C3, "")) == Answer("busy", "r1")
        assert put(world, change("", "")) == Answer("busy", "r1")
        assert put(world, change(C2, "")) == OK
        assert put(world, change(C3, "", OTHER)) == Answer("busy", "r1")
    world.runs.commit(step("", C1, "interrupted", offered=True))
    assert put(world, change(C3, "")) == OK


def test_deleting_a_thread_takes_its_nested_lines(world: World) -> None:
    at_work(world)
    put(world, change())
    assert world.lines.delete("r1") == Answer("busy", "r1")
    world.runs.commit(step("", C1, "done", offered=True))
    assert world.lines.delete("r1") == OK
    assert (world.lines.nested("r1"), world.lines.look(PLACE)) == ([], None)
    assert put(world, change(C3)) == Answer("held", "")


def test_deleting_a_batch_takes_those_of_its_items(world: World) -> None:
    from distgraph.ledger.keys import item_id
    from distgraph.ledger.replies import Address
    from tests.conformance.ledger.scenes import BATCH

    taken(world)
    item = item_id(BATCH, 0)
    assert world.lines.hold(Place(item, "n:1"), "a1", Address(item, item), "", "") == OK
    assert put(world, change(place=Place(item, "n:1"))) == OK
    world.batches.delete(BATCH, 1)
    assert world.lines.nested(item) == []
    assert not [key for key in world.dump() if item.replace(":", "%3a") in key]


def test_from_outside_anybody_writes(world: World) -> None:
    """``update_state`` of a graph that waits."""
    at_work(world)
    put(world, change())
    world.runs.commit(step("", C1, "interrupted", offered=True))
    assert put(world, change(C3, "")) == OK
    found = world.lines.look(PLACE)
    assert found is not None
    assert found.checkpoint_id == C3
