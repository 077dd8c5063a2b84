"""The wiretap understands what the ledger's own calls send: where their arguments stand is pinned here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distgraph.chaos.history import Event, Journal, read
from distgraph.chaos.proxy import Fate, Request
from distgraph.chaos.wiretap import Wiretap, events
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.connection import connect
from distgraph.ledger.keys import Keys
from distgraph.ledger.replies import Address, Commit, ItemStep, Taken
from distgraph.ledger.runs import RunLedger
from distgraph.ledger.scripts import Call, Scripts

RUN = Address("run-1", "thread-1")
SPAN = Taken(1, 44, 46, "n", "1")


class Wire(Scripts):
    """Keeps the last call, and answers what it is told to."""

    def __init__(self, reply: Any) -> None:
        super().__init__(connect("redis://127.0.0.1:1/0"))
        self.reply = reply
        self.calls: list[Call] = []

    def run(self, call: Call) -> Any:
        self.calls.append(call)
        return self.reply

    def run_all(self, calls: Any) -> list[Any]:
        return [self.run(call) for call in calls]

    def request(self) -> Request:
        words = self.calls[-1].command()
        return Request([word if isinstance(word, bytes) else str(word).encode() for word in words], 1.0)


Use = Callable[[RunLedger, BatchLedger], object]


def heard(use: Use, reply: Any, fate: Fate = "answered") -> list[Event]:
    wire = Wire(reply)
    keys = Keys("test")
    use(RunLedger(wire, keys), BatchLedger(wire, keys))
    return list(events(wire.request(), fate, reply))


def commit(**changes: Any) -> Commit:
    return Commit(RUN, "boot:7.0", 3, "parent", "head", "running", sets=[("a", b"b")], drops=["c"], **changes)


STEPS = [
    ItemStep("step", 300, "p1", "h1", sets=[("a", b"1"), ("b", b"2")], drops=["c"]),
    ItemStep("end", 301, "p2", row=b"drow"),
    ItemStep("promote", 302, "p3", "h3", sets=[("a", b"1")], fields=[("graph", "g"), ("stop", 3)]),
]

CASES: list[tuple[Use, Any, Event]] = [
    (
        lambda runs, batches: batches.take("b", 0, "s1", "boot:7.0", 4, sweep_ms=1),
        [b"ok", b"1:44:46:n", b"1"],
        {"op": "take", "f": "ok", "batch": "b", "slice": "s1", "slot": "boot:7.0", "chunk": 1, "start": 44, "stop": 46},
    ),
    (
        lambda runs, batches: batches.give_back("b", "s1", "boot:7.0", SPAN),
        [b"ok", 0],
        {"op": "leave", "f": "ok", "slice": "s1", "slot": "boot:7.0"},
    ),
    (
        lambda runs, batches: runs.claim(RUN, "boot:7.0", sweep_ms=1),
        [b"ok", b"head", [b"epoch", b"1"]],
        {"op": "claim", "f": "ok", "run": "run-1", "slot": "boot:7.0"},
    ),
    (
        lambda runs, batches: runs.claim_task(RUN, "boot:7.0", 3, "head", "task-1"),
        [b"held", b"other"],
        {"op": "claim_task", "f": "fail", "run": "run-1", "slot": "boot:7.0", "head": "head", "task": "task-1"},
    ),
    (
        lambda runs, batches: runs.offer(RUN, "boot:7.0", 3, "head", 4, {"t": b"o"}, sweep_ms=1),
        [b"closed", b"5"],
        {"op": "offer", "f": "ok", "answer": "closed", "run": "run-1", "slot": "boot:7.0", "head": "head"},
    ),
    (
        lambda runs, batches: runs.settle(
            [runs.settle_call(RUN, "boot:7.0", 3, "head", "task-1", b"n" * 16, b"outcome", sweep_ms=1)]
        ),
        [b"dup"],
        {"op": "settle", "f": "fail", "answer": "dup", "run": "run-1", "head": "head", "task": "task-1"},
    ),
    (
        lambda runs, batches: runs.commit(commit()),
        [b"ok"],
        {
            "op": "commit",
            "f": "ok",
            "run": "run-1",
            "slot": "boot:7.0",
            "parent": "parent",
            "head": "head",
            "epoch": "3",
        },
    ),
    (
        lambda runs, batches: runs.commit(commit()),
        [b"stale", b"head"],
        {"op": "commit", "f": "fail", "status": "running"},
    ),
    (
        lambda runs, batches: runs.control("cancel", RUN, "nonce"),
        [b"ok", b"4"],
        {"op": "cancel", "f": "ok", "run": "run-1"},
    ),
]


@pytest.mark.parametrize(("use", "reply", "wanted"), CASES)
def test_a_call_of_the_ledger_is_understood(use: Use, reply: Any, wanted: Event) -> None:
    (event,) = heard(use, reply)
    assert wanted.items() <= event.items()


def test_every_item_of_a_commit_is_a_step_of_its_own() -> None:
    found = heard(lambda _, batches: batches.commit("b", "s1", "boot:7.0", SPAN, STEPS, last=False), [b"1", b"0", b"1"])
    assert [(e["run"], e["kind"], e["parent"], e["head"], e["f"]) for e in found] == [
        ("b:300", "step", "p1", "h1", "ok"),
        ("b:301", "end", "p2", "", "fail"),
        ("b:302", "promote", "p3", "h3", "ok"),
    ]
    assert {(e["slice"], e["slot"]) for e in found} == {("s1", "boot:7.0")}


@pytest.mark.parametrize(("reply", "left"), [([b"1", b"1"], True), ([b"0", b"0"], False), ([b"1", b"0"], False)])
def test_the_last_commit_says_whether_it_ends_the_slice(reply: list[bytes], left: bool) -> None:
    found = heard(lambda _, batches: batches.commit("b", "s1", "boot:7.0", SPAN, STEPS[1:2], last=True), reply)
    assert [event["op"] for event in found] == ["step", "leave"] if left else ["step"]


def test_a_commit_of_a_cancelled_batch_applies_nothing() -> None:
    found = heard(lambda _, batches: batches.commit("b", "s1", "boot:7.0", SPAN, STEPS, last=False), [b"stale"])
    assert [event["f"] for event in found] == ["fail"] * 3


@pytest.mark.parametrize(
    ("fate", "reply", "f"), [("unheard", [b"ok"], "ok"), ("lost", None, "fail"), ("unknown", None, "info")]
)
def test_what_its_sender_cannot_know(fate: Fate, reply: Any, f: str) -> None:
    wire = Wire([b"ok"])
    RunLedger(wire, Keys("test")).commit(commit())
    (event,) = events(wire.request(), fate, reply)
    assert event["f"] == f


def test_hints_are_counted_and_the_rest_is_of_no_interest() -> None:
    (event,) = events(Request([b"LPUSH", b"dg.default", b"{}"], 1.0), "answered", 1)
    assert event["op"] == "hint"
    assert list(events(Request([b"LPUSH", b"other", b"{}"], 1.0), "answered", 1)) == []
    assert list(events(Request([b"PING"], 1.0), "answered", b"PONG")) == []


def test_it_writes_a_journal_and_counts_what_ended(tmp_path: Path) -> None:
    wire = Wire([b"1"])
    tap = Wiretap(Journal(tmp_path, "wire"))
    BatchLedger(wire, Keys("test")).commit("b", "s1", "boot:7.0", SPAN, STEPS[1:2], last=False)
    tap(wire.request(), "answered", [b"1"], 2.0)
    wire.reply = [b"ok"]
    RunLedger(wire, Keys("test")).commit(commit(row=b"drow"))
    tap(wire.request(), "answered", [b"ok"], 3.0)
    assert tap.ended == 2
    assert [(event["t"], event["done"]) for event in read(tmp_path)] == [(1.0, 2.0), (1.0, 3.0)]
