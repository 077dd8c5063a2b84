"""How long work lay still: from a strike to the next superstep of what its victim held, by somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.chaos.history import Event
from distgraph.chaos.recovery import EVERY, TOGETHER, Recovery, median, percentile, recoveries

HELD, NEXT = "boot:7.0", "boot:8.0"


def event(t: float, op: str, f: str = "ok", **about: Any) -> Event:
    return {"t": t, "done": t, "pid": 1, "op": op, "f": f, **about}


def take(t: float, slot: str = HELD, name: str = "s1", stop: int = 2) -> Event:
    return event(t, "take", batch="b", slice=name, slot=slot, chunk=0, start=0, stop=stop)


def step(t: float, run: str, slot: str, kind: str = "step", name: str = "s1", f: str = "ok") -> Event:
    return event(t, "step", f, run=run, slot=slot, kind=kind, slice=name)


def kill(t: float, kind: str = "child", pids: tuple[int, ...] = (7,), **about: Any) -> Event:
    return event(t, "kill", "invoke", **{"kind": kind, "pids": list(pids), "worker": 0, **about})


def test_of_a_slice_the_first_and_the_last_item_count() -> None:
    (found,) = recoveries([take(1), kill(2), take(2.5, NEXT, "s2"), step(3, "b:0", NEXT), step(4, "b:1", NEXT)])
    assert (found.kind, found.strikes, found.first, found.last) == ("child", 1, [1.0], [2.0])


def test_what_was_done_before_was_not_held() -> None:
    events = [take(1), step(1.5, "b:0", HELD, "end"), kill(2), step(3, "b:0", NEXT), step(4, "b:1", NEXT)]
    assert recoveries(events)[0].first == [2.0]


def test_what_the_victim_itself_still_committed_does_not_count() -> None:
    """A stopped worker that wakes up, or an answer that was on its way."""
    stop = {**kill(2, "zombie"), "op": "stop"}
    assert recoveries([take(1), stop, step(2.1, "b:0", HELD), step(3, "b:0", NEXT)])[0].first == [1.0]


def test_a_refused_step_is_none() -> None:
    assert recoveries([take(1), kill(2), step(3, "b:0", NEXT, f="fail"), step(4, "b:0", NEXT)])[0].first == [2.0]


def test_what_was_quarantined_waited_for_a_person() -> None:
    retry = event(90, "retry", batch="b", runs=["b:0"])
    (found,) = recoveries([take(1), kill(2), step(3, "b:1", NEXT), retry, step(91, "b:0", NEXT)])
    assert found.last == [1.0]


def test_nothing_held_is_nothing_to_recover() -> None:
    (found,) = recoveries([take(1), event(1.5, "leave", slice="s1", slot=HELD), kill(2), step(3, "b:0", NEXT)])
    assert (found.strikes, found.first) == (1, [])
    assert found.kept


@pytest.mark.parametrize(
    ("before", "held"),
    [
        ([event(1, "claim", run="r", slot=HELD)], True),
        ([event(1, "claim", run="r", slot=HELD), event(1.5, "commit", run="r", slot=HELD, status="running")], True),
        ([event(1, "claim", run="r", slot=HELD), event(1.5, "commit", run="r", slot=HELD, status="done")], False),
        ([event(1, "claim", run="r", slot=HELD), event(1.5, "offer", run="r", slot=HELD, answer="ok")], False),
        ([event(1, "claim_task", run="r", task="t", slot=HELD)], True),
        (
            [event(1, "claim_task", run="r", task="t", slot=HELD), event(1.5, "settle", run="r", task="t", slot=HELD)],
            False,
        ),
        ([event(1, "settle", run="r", task="t", slot=HELD, answer="closed")], True),
        ([take(1), step(1.5, "b:0", HELD, "promote")], True),
    ],
)
def test_leases_and_claims_are_held_too(before: list[Event], held: bool) -> None:
    run = "b:0" if before[0]["op"] == "take" else "r"
    events = [*before, kill(2), event(3, "settle", run=run, task="t", slot=NEXT)]
    assert recoveries(events)[0].first == ([1.0] if held else [])


def test_faults_that_come_together_are_told_apart() -> None:
    """An outage of the server in between, and before; and a second strike at the same worker."""
    work = [take(1), step(6, "b:0", NEXT), step(6, "b:1", NEXT)]
    for other in (kill(3, "server"), kill(0.5, "server"), event(3, "blackhole"), kill(3, "tree", (9,), worker=6)):
        events = sorted([*work, kill(2, "tree", worker=6), other], key=lambda e: float(e["t"]))
        found = {recovery.kind: recovery for recovery in recoveries(events)}
        assert found["tree" + TOGETHER].first == [4.0]
        assert found["tree"].first == []
    for other in (kill(3, "tree", (9,), worker=5), kill(7, "server"), event(3, "reset")):
        events = sorted([*work, kill(2, "tree", worker=6), other], key=lambda e: float(e["t"]))
        assert {recovery.kind: recovery.first for recovery in recoveries(events)}["tree"] == [4.0]


def test_all_workers_at_once_are_an_outage_of_their_own() -> None:
    work = [take(1), step(6, "b:0", NEXT), step(6, "b:1", NEXT)]
    every = [kill(3, "tree", (9,), worker=6, every=True), kill(3.1, "tree", (7,), worker=7, every=True)]
    found = {recovery.kind: recovery for recovery in recoveries([work[0], kill(2, "server"), *every, *work[1:]])}
    assert {kind: recovery.first for kind, recovery in found.items()} == {
        "server": [],
        "server" + TOGETHER: [4.0],
        "tree" + EVERY: [pytest.approx(2.9)],
    }
    assert found["tree" + EVERY].strikes == 2


def test_a_server_is_back_with_the_first_commit_of_anybody() -> None:
    assert recoveries([kill(2, "server"), step(2.5, "b:9", HELD)])[0].first == [0.5]


def test_a_submitter_is_back_when_its_batch_is_there() -> None:
    events = [kill(2, "submitter", batch="b"), event(3, "submit", batch="a"), event(5, "submit", batch="b")]
    assert recoveries(events)[0].first == [3.0]


def test_the_goal_is_for_ninety_nine_of_a_hundred() -> None:
    assert percentile(list(range(100)), 0.99) == 99
    assert percentile([1.0], 0.99) == median([1.0]) == 1.0
    assert Recovery("child", 1, [1.4], [9.0]).kept
    assert not Recovery("child", 1, [1.6], [1.6]).kept
    assert Recovery("zombie", 1, [60.0], [60.0]).kept, "it has no goal"
