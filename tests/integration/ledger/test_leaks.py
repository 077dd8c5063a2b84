"""Keys without an owner are found; a ledger at work, or at rest, has none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from distgraph.ledger.leaks import leaks
from distgraph.ledger.ledger import Ledger
from distgraph.ledger.replies import Address, Commit

pytestmark = pytest.mark.integration

RUN = Address("r1", "t1")


@pytest.fixture
def ledger(redis_url: str) -> Iterator[Ledger]:
    opened = Ledger(redis_url, f"test-{uuid.uuid4().hex[:12]}")
    yield opened
    for key in opened.client.scan_iter(match=f"dg:{{{opened.namespace}/*", count=1000):
        opened.client.delete(key)
    opened.close()


def busy(ledger: Ledger) -> None:
    """A run at work with a log, an effect, a sleeping task; a batch with an item in a slice."""
    runs = ledger.runs
    runs.reserve(RUN)
    runs.submit(RUN, "d", {}, due_ms=1000)
    runs.claim(RUN, "a:1", sweep_ms=1000)
    runs.commit(Commit(RUN, "a:1", 1, "", "c1", "running", sets=[("c:c1", b"x")], log=[b"x"], index_history=True))
    runs.effect(RUN, "k", b"v")
    runs.offer(RUN, "a:1", 1, "c1", 2, {"T2": b"1" * 16 + b"x"}, sweep_ms=1000)
    runs.claim_task(RUN, "a:1", 1, "c1", "T1")
    runs.sleep_task(RUN, "a:1", 1, "c1", "T1", "s", ms=60_000)
    ledger.batches.open("b1", {"graph": "g"}, 1)
    ledger.batches.add("b1", 0, "d", [b"x", b"y"], due_ms=1000)
    part = ledger.keys.chunk_partition("b1", 0)
    assert ledger.batches.take("b1", part, "s1", "a:1", 1, sweep_ms=1000) is not None


def test_a_ledger_at_work_has_none(ledger: Ledger) -> None:
    busy(ledger)
    assert leaks(ledger.client, ledger.keys) == []


def test_what_is_deleted_leaves_none(ledger: Ledger) -> None:
    busy(ledger)
    ledger.runs.control("cancel", RUN, "n")
    ledger.runs.delete(RUN)
    ledger.batches.delete("b1", 1)
    assert leaks(ledger.client, ledger.keys) == []


def test_records_of_effects_may_outlive_what_they_belong_to_for_a_time(ledger: Ledger) -> None:
    item = Address("b7:1", "b7:1")
    ledger.runs.effect(item, "k", b"v", keep_ms=60_000)
    assert leaks(ledger.client, ledger.keys) == []
    ledger.client.persist(ledger.keys.of("b7:1", "once", "b7:1"))
    assert len(leaks(ledger.client, ledger.keys)) == 1


@pytest.mark.parametrize("kind", ["log", "once", "open", "naps"])
def test_what_a_run_left_behind_is_found(ledger: Ledger, kind: str) -> None:
    busy(ledger)
    ledger.client.delete(ledger.keys.of("t1", "run", "r1"))
    found = leaks(ledger.client, ledger.keys)
    assert any(line.startswith(ledger.keys.of("t1", kind, "r1") + " ") for line in found)
    assert any("owes a look at 'r:r1'" in line for line in found)
    assert any("lists run 'r1'" in line for line in found)


def test_what_a_batch_left_behind_is_found(ledger: Ledger) -> None:
    busy(ledger)
    ledger.client.delete(ledger.keys.shared("manifest", "b1"))
    part = ledger.keys.chunk_partition("b1", 0)
    found = "\n".join(leaks(ledger.client, ledger.keys))
    for kind in ("batch", "slices", "ready"):
        assert ledger.keys.batch(part, kind, "b1") + " has no owner" in found


def test_a_slice_that_has_ended_owes_nothing(ledger: Ledger) -> None:
    busy(ledger)
    part = ledger.keys.chunk_partition("b1", 0)
    ledger.client.delete(ledger.keys.batch(part, "slices", "b1"))
    assert any("owes a look at 's:b1\\ns1'" in line for line in leaks(ledger.client, ledger.keys))


def test_a_history_needs_its_line(ledger: Ledger) -> None:
    busy(ledger)
    ledger.client.delete(ledger.keys.line("t1"))
    assert any(":hist:t1:" in line for line in leaks(ledger.client, ledger.keys))


def test_a_thread_on_the_list_that_is_not_there_is_found(ledger: Ledger) -> None:
    busy(ledger)
    for thread in ("t1", "nobody"):
        ledger.lines.note_age(thread, 1)
    (found,) = leaks(ledger.client, ledger.keys)
    assert "owes a look at thread 'nobody', which is not there" in found
