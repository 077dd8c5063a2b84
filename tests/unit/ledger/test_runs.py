"""What the run ledger sends, and how it reads what comes back. What the scripts do: tests/conformance/ledger."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.ledger.contract import Runs
from distgraph.ledger.keys import CHUNK, Keys
from distgraph.ledger.reads import HOLD_MS, LOG_LENGTH
from distgraph.ledger.replies import Address, Answer, Claimed, ClaimedTask, Commit, Due, Submitted, Swept
from distgraph.ledger.runs import RunLedger
from tests.unit.ledger.recorded import Recorded

pytestmark = pytest.mark.unit

RUN = Address("r1", "r1")
ITEM = Address(f"b:{CHUNK + 3}", f"b:{CHUNK + 3}")


def ledger(*replies: Any) -> tuple[RunLedger, Recorded]:
    scripts = Recorded(*replies)
    return RunLedger(scripts, Keys("ns")), scripts


def test_it_keeps_the_contract() -> None:
    runs: Runs = ledger()[0]
    assert runs.keys.namespace == "ns"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ([b"new", b"3"], Submitted("new", 3)),
        ([b"same", b"2"], Submitted("same", 2)),
        ([b"conflict"], Submitted("conflict")),
        ([b"busy", b"r9"], Submitted("busy", other="r9")),
        ([b"waits", b"4", b"r9"], Submitted("waits", 4, "r9")),
        ([b"lost", b"c1"], Submitted("lost", other="c1")),
        ([b"moved", b"c2"], Submitted("moved", other="c2")),
    ],
)
def test_answers_to_a_submission(reply: list[bytes], answer: Submitted) -> None:
    runs, scripts = ledger(reply)
    assert runs.submit(RUN, "digest", {"input": b"\x00", "n": 5}, due_ms=7) == answer
    assert scripts.calls[0].args == ("r1", "digest", 7, "reject", "", b"", LOG_LENGTH, "", "input", b"\x00", "n", 5)


def test_only_a_run_on_the_thread_of_its_own_id_watches_the_directory() -> None:
    """The directory entry of any other run is in the partition of its id, which its thread need not share."""
    runs, scripts = ledger([b"new", b"1"], [b"new", b"1"])
    runs.submit(RUN, "d", {}, due_ms=0)
    runs.submit(Address("r1", "t1"), "d", {}, due_ms=0)
    own, other = (call.keys for call in scripts.calls)
    assert own[5] == runs.keys.directory("r1")
    assert other[5] == other[0]


def test_the_run_to_end_gives_its_keys() -> None:
    runs, scripts = ledger([b"new", b"1"])
    runs.submit(Address("r1", "t1"), "d", {}, due_ms=0, policy="rollback", ends="r0", log=b"entry")
    call = scripts.calls[0]
    assert tuple(call.keys[6:]) == (
        *(runs.keys.of("t1", kind, "r0") for kind in ("run", "open", "claims", "tries", "log")),
        *(runs.keys.of("t1", kind, "t1", "") for kind in ("hist", "pend")),
        runs.keys.of("t1", "naps", "r0"),
    )
    assert call.args[3:6] == ("rollback", "r0", b"entry")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (
            [b"ok", b"c1", [b"status", b"running", b"x", b"\xff"]],
            Claimed("ok", "", "c1", {"status": b"running", "x": b"\xff"}),
        ),
        ([b"held", b"slot"], Claimed("held", "slot")),
        ([b"open", b"123"], Claimed("open", "123")),
        ([b"gone", b""], Claimed("gone")),
    ],
)
def test_answers_to_a_claim(reply: list[Any], answer: Claimed) -> None:
    assert ledger(reply)[0].claim(RUN, "slot", sweep_ms=5) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ([b"ok", b"2", b"1", b"99", [b"epoch", b"1"], b""], ClaimedTask("ok", "", 2, 1, 99, {"epoch": b"1"})),
        ([b"ok", b"2", b"1", b"99", [], b"fell"], ClaimedTask("ok", "", 2, 1, 99, {}, "fell")),
        ([b"done"], ClaimedTask("done")),
        ([b"held", b"slot"], ClaimedTask("held", "slot")),
        ([b"stale", b"head"], ClaimedTask("stale", "head")),
    ],
)
def test_answers_to_the_claim_of_a_task(reply: list[Any], answer: ClaimedTask) -> None:
    assert ledger(reply)[0].claim_task(RUN, "slot", 1, "c1", "T") == answer


def test_a_commit_counts_its_data_before_it_sends_them() -> None:
    call = ledger()[0].commit_call(
        Commit(
            RUN,
            "slot",
            4,
            "c1",
            "c2",
            "running",
            sets=[("c:c2", b"r"), ("v:x@1", b"x")],
            drops=["c:c1"],
            fields=[("stop", 25)],
            log=[b"1", b"2", b"3"],
            kept=[("k", b"w")],
            index_history=True,
        )
    )
    assert call.args[15:20] == (2, 1, 1, 3, 1)
    assert call.args[20:] == ("c:c2", b"r", "v:x@1", b"x", "c:c1", "stop", 25, b"1", b"2", b"3", "k", b"w")
    assert len(call.keys) == 12


def test_the_commit_of_an_item_names_its_chunk() -> None:
    runs, _ = ledger()
    commit = Commit(ITEM, "slot", 1, "c1", "c2", "done", batch_epoch="0", row=b"d", compact=True, effects_ms=7)
    call = runs.commit_call(commit)
    keys, partition = runs.keys, runs.keys.partition(ITEM.thread_id)
    assert call.keys[12:] == (
        keys.batch(partition, "batch", "b"),
        keys.batch(partition, "out", "b", 1),
        keys.batch(partition, "in", "b", 1),
        keys.batch(partition, "asks", "b"),
    )
    assert (call.args[11], call.args[12], call.args[13], call.args[14]) == (CHUNK + 3, "0", 7, 1)


def test_a_numbered_run_is_an_item_only_where_a_batch_says_so() -> None:
    """Somebody may well name his runs `order:17`."""
    call = ledger()[0].commit_call(Commit(ITEM, "slot", 1, "", "c1", "done"))
    assert len(call.keys) == 12
    assert (call.args[11], call.args[14]) == ("", "")


def test_settlements_and_commits_go_in_one_round_trip() -> None:
    runs, scripts = ledger([b"ok"], [b"stale", b"head"])
    first = runs.settle_call(RUN, "slot", 1, "c1", "T", b"n" * 16, b"w", sweep_ms=5)
    assert runs.settle([first, runs.commit_call(Commit(RUN, "slot", 1, "", "c1", "done"))]) == [
        Answer("ok"),
        Answer("stale", "head"),
    ]
    assert [call.name for call in scripts.calls] == ["settle", "commit"]


def test_a_control_sends_fields_before_what_to_drop() -> None:
    runs, scripts = ledger([b"ok", b"2"])
    answer = runs.control("requeue", RUN, "nonce", fields={"n:T": b"a"}, drop=["T", "U"], due_ms=9)
    assert answer == Answer("ok", "2")
    assert scripts.calls[0].args[:4] == ("requeue", "r1", "nonce", 9)
    assert scripts.calls[0].args[8:] == (1, "n:T", b"a", "T", "U")


def test_what_a_sweep_found() -> None:
    runs, scripts = ledger([b"1000", b"-1", b"r:r1", b"t:r1\nT"])
    assert runs.sweep(3, most=10, push_ms=500) == Swept(1000, -1, [Due("run", "r1"), Due("task", "r1", "T")])
    assert scripts.calls[0].keys == ("dg:{ns/3}:due",)


@pytest.mark.parametrize(
    ("entry", "key", "field"),
    [
        ("r:a b", "run:a%20b", ""),
        ("t:r1\nT", "run:r1", "p:T"),
        ("s:b\ns1", "slices:b", "s1"),
        ("b:b", "ready:b", ""),
    ],
)
def test_forgetting_asks_what_the_entry_stands_for(entry: str, key: str, field: str) -> None:
    runs, scripts = ledger([b"ok"])
    runs.forget_due(3, entry)
    assert scripts.calls[0].keys == ("dg:{ns/3}:due", f"dg:{{ns/3}}:{key}")
    assert scripts.calls[0].args == (entry, field)


def test_a_reservation_of_a_thread_of_another_name() -> None:
    """It is held for the run to come, then kept."""
    runs, scripts = ledger(b"t1")
    assert runs.reserve(Address("r1", "t9")) == "t1"
    assert scripts.calls[0].keys == (runs.keys.directory("r1"), runs.keys.of("r1", "run", "r1"))
    assert scripts.calls[0].args == ("r1", "t9", "hold", HOLD_MS)
