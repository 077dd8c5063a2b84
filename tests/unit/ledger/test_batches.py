"""What the batch ledger sends, and how it reads what comes back. What the scripts do: tests/conformance/ledger."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.contract import Batches
from distgraph.ledger.keys import CHUNK, Keys
from distgraph.ledger.replies import Answer, ItemStep, Taken
from tests.unit.ledger.recorded import Recorded

pytestmark = pytest.mark.unit

TAKEN = Taken(1, 0, 3, "n", "0")


def ledger(*replies: Any) -> tuple[BatchLedger, Recorded]:
    scripts = Recorded(*replies)
    return BatchLedger(scripts, Keys("ns")), scripts


def test_it_keeps_the_contract() -> None:
    batches: Batches = ledger()[0]
    assert batches.keys.namespace == "ns"


def test_what_was_taken() -> None:
    assert ledger([b"ok", b"1:0:3:n", b"0"])[0].take("b", 2, "s1", "slot", 5, sweep_ms=9) == TAKEN
    assert ledger([b"none", b"paused"])[0].take("b", 2, "s1", "slot", 5, sweep_ms=9) is None


def test_each_step_goes_with_its_keys_and_its_length() -> None:
    batches, scripts = ledger([b"1", b"0", b"1", b"0"])
    index = CHUNK
    steps = [
        ItemStep("step", index, "c1", "c2", [("c:c2", b"r")], ["c:c1", "v:x@1"]),
        ItemStep("end", index + 1, "c1", row=b"d-row"),
        ItemStep("promote", index + 2, "", "c1", [("c:c1", b"r")], fields=[("thread", "t"), ("stop", 5)]),
    ]
    assert batches.commit("b", "s1", "slot", TAKEN, steps, last=True) == [True, False, True, False]
    (call,) = scripts.calls
    assert call.args[:7] == ["b", "s1", "0", "slot", 1, CHUNK, 3]
    assert call.args[7:] == [
        *("step", index, "c1", "c2", 5, "c:c2", b"r", "", "c:c1", "v:x@1"),
        *("end", index + 1, "c1", "", 1, b"d-row"),
        *("promote", index + 2, "", "c1", 8, "c:c1", b"r", "", "", "thread", "t", "stop", 5),
    ]
    names = [f"b:{index + offset}" for offset in (0, 1, 2)]
    lines = [batches.keys.line(name) for name in names]
    assert call.keys[5:] == [*lines, batches.keys.of(names[2], "run", names[2])]
    assert len({key.partition("}")[0] for key in call.keys}) == 1


def test_a_cancelled_batch_answers_no_item() -> None:
    batches, _ = ledger([b"stale"], [b"1"])
    assert batches.commit("b", "s1", "slot", TAKEN, [ItemStep("end", 0, "", row=b"d")], last=False) is None
    assert batches.commit("b", "s1", "slot", TAKEN, [], last=True) == [True]


def test_giving_back_without_a_culprit_counts_no_crash() -> None:
    batches, scripts = ledger([b"ok", 0], [b"quarantined", 3], [b"stale"])
    assert batches.give_back("b", "s1", "slot", TAKEN) == Answer("ok", "0")
    assert scripts.calls[0].args == ("b", "s1", "slot", "r", "", 3, b"", "1:0:3", 256)
    assert batches.give_back("b", "s1", "slot", TAKEN, "a", crashed=256, row=b"f") == Answer("quarantined", "3")
    assert scripts.calls[1].args == ("b", "s1", "slot", "a", 256, 3, b"f", "1:0:3", 256)
    assert batches.give_back("b", "s1", "slot", TAKEN) == Answer("stale")


def test_a_batch_is_controlled_in_every_partition() -> None:
    batches, scripts = ledger(*[[b"ok", b""]] * 8)
    batches.control("b", "pause")
    assert [call.keys[0] for call in scripts.calls] == [f"dg:{{ns/{part}}}:batch:b" for part in range(8)]


def test_chunks_are_retried_where_they_are() -> None:
    batches, scripts = ledger(2, 0, 1)
    assert batches.retry_failed("b", 3) == 3
    parts = [batches.keys.chunk_partition("b", chunk) for chunk in range(3)]
    assert [call.keys[3] for call in scripts.calls] == [batches.keys.due(part) for part in parts]
    assert [call.args for call in scripts.calls] == [("b", 0, 0), ("b", 1, CHUNK), ("b", 2, 2 * CHUNK)]
