"""What every script promises: keys of one tag, a repeat that changes nothing, no refusal that writes, no half-done work.

One case a script. Who adds a script adds a case, or the first test fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

import distgraph.ledger
from distgraph.errors import LedgerCorruptError, ServerOutOfMemoryError, StoreError
from distgraph.ledger.contract.items import StoredItem
from distgraph.ledger.lines import LineLedger
from distgraph.ledger.places import Change, Place, Stamp, Writes
from distgraph.ledger.replies import Address, Taken
from distgraph.ledger.scripts import Call, sources
from tests.conformance.ledger.scenes import (
    BATCH,
    C1,
    C2,
    FIRST,
    LOOK_MS,
    RUN,
    A,
    B,
    added,
    asked,
    claim,
    claim_task,
    driven,
    end,
    give_back,
    go_on,
    item_commit,
    offer,
    offered,
    promote,
    promoted,
    retry,
    settle,
    step,
    submit,
    take,
    taken,
    unchanged,
)
from tests.conformance.ledger.worlds import ServerWorld

pytestmark = pytest.mark.conformance

LUA = Path(distgraph.ledger.__file__).parent / "lua"


def lines(world: ServerWorld) -> LineLedger:
    return LineLedger(world.scripts, world.keys)


def nothing(world: ServerWorld) -> None:
    pass


def in_place(world: ServerWorld) -> None:
    driven(world)
    world.runs.commit(step(C1))


def at_work(world: ServerWorld) -> None:
    offered(world, 1)
    claim_task(world, "T1")


def ended(world: ServerWorld) -> None:
    """A run with all that a run can have, and whose time is over."""
    driven(world, retain=10)
    lines(world).put([Change(Place("r1", "nested:1"), C1, [("c:" + C1, b"1")])])
    world.runs.effect(RUN, "k", b"v")
    world.runs.commit(step(C1, log=[b"x"], kept=[("k", b"w")], index_history=True, status="done"))
    world.pass_ms(10)


def crashed_task(world: ServerWorld) -> None:
    at_work(world)
    world.runs.reclaim(RUN, A, crashed=True, why="it fell")
    claim_task(world, "T1")


def crashed_run(world: ServerWorld) -> None:
    driven(world)
    world.runs.reclaim(RUN, A, crashed=True)
    claim(world, B)


def crashed_item(world: ServerWorld) -> Taken:
    give_back(world, taken(world, 1), crashed=0)
    of = take(world, "s2", B)
    assert of is not None
    return of


def overdue(world: ServerWorld) -> None:
    submit(world)
    world.pass_ms(LOOK_MS)


def ghost(world: ServerWorld) -> None:
    submit(world)
    world.client.delete(world.keys.of("r1", "run", "r1"))


def failed_items(world: ServerWorld) -> None:
    item_commit(world, taken(world), end(0, row=b"f"), end(1, row=b"f"), end(2), last=True)


def stored(world: ServerWorld) -> None:
    lines(world).put([Change(Place("t1"), C1, [("c:" + C1, b"1")])])


def noted(world: ServerWorld) -> None:
    stored(world)
    lines(world).note_age("t1", world.now_ms)


def history(world: ServerWorld) -> None:
    """Two checkpoints that share a value, and what a task after the first wrote."""
    sets = [("v:a@1", b"v"), ("v:b@1", b"v"), ("c:" + C1, b"1")]
    write = Writes("first", C1, "task", "w", "", b"w")
    lines(world).put([Change(Place("t1"), C1, sets, [write]), Change(Place("t1"), C2, [("c:" + C2, b"2")])])


def cut(world: ServerWorld) -> Any:
    stamp = lines(world).stamp(Place("t1")) or Stamp("", 0, 0)
    return lines(world).cut(Place("t1"), stamp, [C1], ["v:a@1"], head=C2)


def an_item_of_a_store(world: ServerWorld) -> None:
    world.items.put([StoredItem(("a", "b"), "k", b"v", b"x", 60_000)])


def a_result(world: ServerWorld) -> None:
    world.kept.put({(("a", "b"), "k"): (b"v", 60_000)})


def an_item(world: ServerWorld) -> Address:
    return promoted(world)[1]


def item_end(world: ServerWorld, address: Address) -> Any:
    return world.runs.commit(step(C2, C1, "done", address=address, batch_epoch="0", row=b"d", compact=True))


def four_items(world: ServerWorld) -> Taken:
    return taken(world, 4)


def opened(world: ServerWorld) -> None:
    world.batches.open(BATCH, {"graph": "g"}, 1000, retain_ms=10)


def over(world: ServerWorld) -> None:
    opened(world)
    world.batches.finish(BATCH)
    world.pass_ms(10)


ITEM_STEPS = (go_on(0), end(1), promote(2), end(3, row=b"f"))
#: Script, and what of it -> (what comes before, the call that changes something, given what came of that).
CASES: dict[str, tuple[Callable[[ServerWorld], Any], Callable[[ServerWorld, Any], Any]]] = {
    "reserve": (nothing, lambda w, _: w.runs.reserve(Address("r2", "t1"))),
    "submit": (nothing, lambda w, _: w.runs.submit(RUN, "d", {"input": b"x"}, due_ms=5)),
    "claim_run": (submit, lambda w, _: claim(w)),
    "tell_start": (driven, lambda w, _: w.runs.tell_start(RUN, 1, "", b"x")),
    "release_run": (driven, lambda w, _: w.runs.release(RUN, A, due_ms=5)),
    "commit": (driven, lambda w, _: w.runs.commit(step(C1, log=[b"x"], kept=[("k", b"w")], index_history=True))),
    "commit: item": (an_item, item_end),
    "offer": (in_place, lambda w, _: offer(w, 3, {"T1": FIRST + b"x"}, held=["T2"])),
    "claim_task": (offered, lambda w, _: claim_task(w, "T1")),
    "retry_task": (at_work, lambda w, _: retry(w, "T1")),
    "sleep_task": (at_work, lambda w, _: w.runs.sleep_task(RUN, A, 1, C1, "T1", "k", ms=5)),
    "slept": (at_work, lambda w, _: w.runs.slept(RUN, "k", ms=5)),
    "effect": (at_work, lambda w, _: w.runs.effect(RUN, "k", b"v", keep_ms=5)),
    "effect: retry": (at_work, lambda w, _: w.runs.effect(RUN, "k", b"v", keep_ms=5, retries=True)),
    "asleep": (at_work, lambda w, _: w.runs.asleep(RUN)),
    "drop_run": (ended, lambda w, _: w.runs.delete(RUN)),
    "drop_run: expired": (ended, lambda w, _: w.runs.delete(RUN, expired=True)),
    "settle": (at_work, lambda w, _: settle(w, "T1")),
    "control": (asked, lambda w, _: w.runs.control("requeue", RUN, "n", fields={"n:T2": 5}, drop=["T2"], log=b"x")),
    "control: item": (an_item, lambda w, address: w.runs.control("cancel", address, "n", row=b"c")),
    "reclaim": (at_work, lambda w, _: w.runs.reclaim(RUN, A, crashed=True)),
    "got_on": (crashed_task, lambda w, _: w.runs.got_on(RUN, A, "T1")),
    "got_on: run": (crashed_run, lambda w, _: w.runs.got_on(RUN, B)),
    "batch_got_on": (crashed_item, lambda w, of: w.batches.got_on(BATCH, "s2", B, of)),
    "sweep": (overdue, lambda w, _: w.runs.sweep(w.keys.partition("r1"), most=9, push_ms=500)),
    "forget": (ghost, lambda w, _: w.runs.forget_due(w.keys.partition("r1"), "r:r1")),
    "looked_at": (noted, lambda w, _: lines(w).looked_at("t1", C1, w.now_ms + 5)),
    "looked_at: never": (noted, lambda w, _: lines(w).looked_at("t1", C1, None)),
    "hinted": (submit, lambda w, _: w.runs.hinted(RUN, 5)),
    "batch_add": (nothing, lambda w, _: w.batches.add(BATCH, 0, "d", [b"x", b"y"], due_ms=5)),
    "batch_take": (added, lambda w, _: take(w)),
    "batch_commit": (four_items, lambda w, of: item_commit(w, of, *ITEM_STEPS, last=True)),
    "batch_return": (four_items, lambda w, of: give_back(w, of, crashed=0, allowed=1)),
    "batch_control": (added, lambda w, _: w.batches.control(BATCH, "cancel")),
    "batch_life: rest": (opened, lambda w, _: w.batches.finish(BATCH)),
    "batch_life: again": (over, lambda w, _: w.batches.reopen(BATCH)),
    "batch_life: expire": (over, lambda w, _: w.batches.drop(BATCH, "w1", expired=True)),
    "batch_life: drop": (opened, lambda w, _: w.batches.drop(BATCH, "w1")),
    "batch_retry": (failed_items, lambda w, _: w.batches.retry_failed(BATCH, 1)),
    "put": (nothing, lambda w, _: lines(w).put([Change(Place("t1", "nested:1"), C1, [("c:" + C1, b"1")])])),
    "hold": (driven, lambda w, _: lines(w).hold(Place("r1", "nested:1"), "a1", RUN, "", "1")),
    "look": (stored, lambda w, _: lines(w).look(Place("t1"))),
    "item_put": (nothing, lambda w, _: w.items.put([StoredItem(("a", "b"), "k", b"v", b"x", 60_000)])),
    "item_drop": (an_item_of_a_store, lambda w, _: w.items.drop([(("a", "b"), "k")])),
    "item_touch": (an_item_of_a_store, lambda w, _: w.items.touch([(("a", "b"), "k")])),
    "kept_put": (nothing, lambda w, _: w.kept.put({(("a", "b"), "k"): (b"v", 60_000)})),
    "kept_drop": (a_result, lambda w, _: w.kept.clear([("a", "b")])),
    "cut": (history, lambda w, _: cut(w)),
    "drop_thread": (stored, lambda w, _: lines(w).delete("t1")),
}
#: They change nothing that is seen; touching an item lets it live longer.
READS = {"look", "asleep", "item_touch"}
#: A repeat is answered otherwise, as the contract says: it is not new any more, or finds nothing left.
ANSWERS_ANEW = ("submit", "batch_add", "reclaim", "batch_retry", "sweep")
#: What frees memory goes on when there is none.
FREES = (
    *("cut", "forget", "drop_run", "drop_thread", "reclaim", "release_run", "batch_return", "batch_control"),
    *("got_on", "got_on: run", "batch_got_on", "looked_at: never"),
    *(
        "batch_life: rest",
        "batch_life: expire",
        "batch_life: drop",
        "control",
        "control: item",
        "item_drop",
        "kept_drop",
    ),
)

SCRIPTS = {path.stem for path in LUA.glob("*.lua")}
WRITERS = sorted(CASES.keys() - READS)


def performed(world: ServerWorld, name: str) -> tuple[Call, Any]:
    """The last call of this script and its reply, after what comes before it."""
    before, act = CASES[name]
    act(world, before(world))
    return [done for done in world.scripts.called if done[0].name == script_of(name)][-1]


def script_of(name: str) -> str:
    return name.partition(":")[0]


def test_every_script_has_a_case() -> None:
    assert {script_of(name) for name in CASES} == SCRIPTS == set(sources())


@pytest.mark.parametrize("name", sorted(CASES))
def test_keys_of_one_call_share_a_tag(server_world: ServerWorld, name: str) -> None:
    """One day a partition may live on a server of its own: a script touches one partition only, by keys it declares."""
    call, _ = performed(server_world, name)
    tags = [re.fullmatch(r"dg:\{([^{}]+)\}:[^{}]+", key) for key in call.keys]
    assert len({found and found[1] for found in tags}) == 1
    assert None not in tags


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_call_changes_the_keys_it_declares_and_no_other(server_world: ServerWorld, name: str) -> None:
    before, act = CASES[name]
    scene = before(server_world)
    old = server_world.dump()
    server_world.scripts.called.clear()
    act(server_world, scene)
    new = server_world.dump()
    changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    assert changed <= {key for call, _ in server_world.scripts.called for key in call.keys}
    assert (changed == set()) == (name in READS)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_call_repeated_answers_as_at_first_and_changes_nothing(server_world: ServerWorld, name: str) -> None:
    """The client library repeats a call whose reply it lost: same words, a moment later."""
    call, first = performed(server_world, name)
    once = server_world.dump()
    again = server_world.scripts.run(call)
    assert server_world.dump() == once
    assert (again == first) == (name not in ANSWERS_ANEW)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_server_refuses_a_call_whole(server_world: ServerWorld, name: str) -> None:
    """The first write of a script is one that a full server refuses, or the script needs no memory and is done whole."""
    before, act = CASES[name]
    scene = before(server_world)
    with full(server_world):
        if name in FREES:
            act(server_world, scene)
        else:
            with unchanged(server_world), pytest.raises(ServerOutOfMemoryError):
                act(server_world, scene)
    act(server_world, scene)
    done = server_world.dump()
    server_world.wipe()
    act(server_world, before(server_world))
    assert server_world.dump() == done


@contextmanager
def full(world: ServerWorld) -> Iterator[None]:
    """The server has no memory left."""
    world.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        world.client.config_set("maxmemory", 0)


@pytest.mark.parametrize("name", WRITERS)
def test_a_key_of_a_wrong_type_leaves_nothing_half_done(server_world: ServerWorld, name: str) -> None:
    """Lua does not roll back: every key that is written to is looked at before the first write.

    Something else wrote below the namespace. The one key is damaged, and the call fails; no other key goes with it.
    """
    before, act = CASES[name]
    call, _ = performed(server_world, name)
    failed = 0
    for key in call.keys:
        server_world.wipe()
        scene = before(server_world)
        damage(server_world.client, key)
        damaged = server_world.dump()
        try:
            act(server_world, scene)
        except LedgerCorruptError:
            failed += 1
            # cancelling a batch is a call for each partition
            assert name == "batch_control" or server_world.dump() == damaged, key
    assert failed > 0


def damage(client: redis.Redis, key: str) -> None:
    """Something of another type than distgraph wrote or would write."""
    kind: Any = client.type(key)
    client.delete(key)
    if kind == b"set" or ":nested:" in key:
        client.hset(key, "not", "ours")
    else:
        client.sadd(key, "not ours")


def asleep_beside_another(world: ServerWorld) -> None:
    offered(world, 2)
    for task in ("T1", "T2"):
        claim_task(world, task)
    world.runs.sleep_task(RUN, A, 1, C1, "T2", "k", ms=1000)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("claim_run", field) for field in ("limit", "step_limit")),
        ("commit", "step_limit"),
        *((name, field) for name in ("claim_task", "sleep_task", "settle") for field in ("ends", "step_ends")),
    ],
)
def test_a_time_limit_that_is_damaged_leaves_nothing_half_done(
    server_world: ServerWorld, name: str, field: str
) -> None:
    """A script counts with it before its first write."""
    before, act = CASES[name]
    scene = (asleep_beside_another if name == "settle" else before)(server_world)
    server_world.client.hset(server_world.keys.of("r1", "run", "r1"), field, "damaged")
    old = server_world.dump()
    with pytest.raises(StoreError):
        act(server_world, scene)
    assert server_world.dump() == old
