"""Checkpoints cut from a line: with what they alone have, and never from a line that is not as it was seen."""

from __future__ import annotations

import pytest

from distgraph.ledger.places import MOST, Change, Place, Stamp, Writes
from distgraph.ledger.replies import Address
from tests.conformance.ledger.scenes import C1, C2, C3, OK, RUN, driven, step, unchanged
from tests.conformance.ledger.worlds import World

pytestmark = pytest.mark.conformance

T = Place("t1")


def put(world: World, head: str, *values: str, shares: str = "", place: Place = T) -> str:
    sets = [*((f"v:{value}", b"v") for value in values), (f"c:{head}", head.encode())]
    ((_, answer),) = world.lines.put([Change(place, head, sets, shares=shares)])
    return answer.kind


def seen(world: World, place: Place = T) -> Stamp:
    stamp = world.lines.stamp(place)
    assert stamp is not None
    return stamp


def test_a_stamp_says_how_a_line_is(world: World) -> None:
    assert world.lines.stamp(T) is None
    put(world, C1, "a@1")
    put(world, C2, "a@2", "b@2")
    assert seen(world)[:2] == (C2, 2)
    before = seen(world)
    put(world, C3)
    assert seen(world).fields == before.fields + 1


def test_a_checkpoint_goes_with_what_it_alone_has(world: World) -> None:
    put(world, C1, "a@1", "b@1")
    put(world, C2, "a@2")
    world.lines.put(
        [Change(T, writes=[Writes("first", C1, "t", "w", "p", b"1"), Writes("first", C2, "t", "w", "p", b"2")])]
    )
    stamp = seen(world)
    assert world.lines.cut(T, stamp, [C1], ["v:a@1"], head=C2) == OK
    assert seen(world) == stamp.after(C2, 1, 1)
    assert world.lines.history(T, most=9) == [C2]
    assert world.lines.look(T, C1) is None
    values, writes = world.lines.read(T, ["v:a@1", "v:b@1", "v:a@2"], {C2: 1})
    assert values == {"v:a@1": None, "v:b@1": b"v", "v:a@2": b"v"}
    assert [one.data for one in writes[C2]] == [b"2"]
    with unchanged(world):
        assert world.lines.cut(T, stamp, [C1], ["v:a@1"], head=C2) == OK


def test_a_line_that_was_written_to_is_not_cut(world: World) -> None:
    put(world, C1, "a@1")
    put(world, C2, "a@2")
    stamp = seen(world)
    put(world, C3, "b@3", shares=C1)
    with unchanged(world):
        assert world.lines.cut(T, stamp, [C1], ["v:a@1"], head=C2).kind == "moved"


def test_the_newest_may_go_too(world: World) -> None:
    put(world, C1)
    put(world, C2, "a@2")
    assert world.lines.cut(T, seen(world), [C2], ["v:a@2"], head=C1) == OK
    found = world.lines.look(T)
    assert found is not None
    assert found.checkpoint_id == C1
    put(world, C2, "a@2")
    assert seen(world)[:2] == (C2, 2)


def test_who_shares_with_what_was_cut_is_refused(world: World) -> None:
    put(world, C1)
    put(world, C2)
    world.lines.cut(T, seen(world), [C1], [], head=C2)
    with unchanged(world):
        assert put(world, C3, shares=C1) == "lost"
    assert put(world, C3, shares=C2) == "ok"
    world.lines.cut(T, seen(world), [C2], [], head=C3)
    with unchanged(world):
        assert put(world, C3, shares=C2) == "ok"  # a repeat


def test_a_thread_that_a_run_holds_is_cut_by_that_run(world: World) -> None:
    epoch = driven(world, address=RUN)
    world.runs.commit(step(C1, index_history=True, epoch=epoch, fields=[("base", " 0")]))
    world.runs.commit(step(C2, C1, index_history=True, epoch=epoch))
    place = Place(RUN.thread_id)
    with unchanged(world):
        answer = world.lines.cut(place, seen(world, place), [C1], [], head=C2)
    assert (answer.kind, answer.info) == ("busy", RUN.run_id)
    assert world.lines.cut(place, seen(world, place), [C1], [], head=C2, run=RUN.run_id) == OK
    assert world.runs.commit(step(C3, C2, index_history=True, epoch=epoch)) == OK


def test_where_a_run_began_is_told_while_it_goes_on_or_asks(world: World) -> None:
    address = Address("r1", "t1")
    put(world, C1)
    epoch = driven(world, address=address)
    world.runs.commit(step(C2, C1, address=address, index_history=True, epoch=epoch, fields=[("base", f"{C1} 7")]))
    assert seen(world).base == C1
    world.runs.commit(step("", C2, "interrupted", address=address, epoch=epoch))
    assert seen(world).base == C1
    world.runs.control("cancel", address, "n")
    assert seen(world).base == ""


def test_many_writes_go_in_portions(world: World) -> None:
    put(world, C1)
    put(world, C2)
    for first in range(0, 2500, MOST):
        many = [Writes("first", C1, f"t{n}", "w", "p", b"1") for n in range(first, first + MOST)]
        world.lines.put([Change(T, writes=many)])
    stamp = seen(world)
    answers: list[str] = []
    while not answers or answers[-1] == "more":
        answers.append(world.lines.cut(T, stamp, [C1], [], head=C2).kind)
    assert answers == ["more", "more", "ok"]
    world.lines.cut(T, seen(world), [C2], [], head="")
    assert [key for key in world.dump() if ":pend:" in key] == []


def test_what_a_run_found_and_leaves_is_in_the_history(world: World) -> None:
    epoch = driven(world, address=RUN)
    world.runs.commit(step(C1, epoch=epoch))
    world.runs.commit(step(C2, C1, epoch=epoch, index_parent=True))
    world.runs.commit(step(C3, C2, epoch=epoch))
    assert world.lines.history(Place(RUN.thread_id), most=9) == [C3, C1]
