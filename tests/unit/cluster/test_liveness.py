"""Slots, what they say of themselves, and what a worker's beat says of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from math import inf
from typing import Any

import pytest

from distgraph.cluster import liveness as module
from distgraph.cluster.liveness import (
    BESIDE,
    LONG,
    MOST_TOLD,
    RESERVED,
    Called,
    Mark,
    SlotTable,
    alive,
    beat_record,
    beside,
    died_here,
    kin,
    longest_call,
    slot_name,
    state_of,
    work_of,
    works_at,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.unit

CALL = Called("n", "run", "thread", "1/", "key", 1, "", "node")


class TestSlotTable:
    def test_a_row_says_what_was_written(self) -> None:
        table = SlotTable(8)
        table.write(3, 77, True, 12.5, "n:run\nthread\nnode")
        assert table.read(3) == (77, True, 12.5, "n:run\nthread\nnode", 0, 0.0)
        assert table.read(2) == (0, False, 0.0, "", 0, 0.0)

    def test_nobody_reads_a_call_with_the_time_limit_of_the_one_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The row is written between two looks of its reader."""
        table, told = SlotTable(8), iter([1, 2])
        rows = table._map

        class Between:
            """The row's bytes; its process goes on after the first look at each call."""

            def __getitem__(self, part: slice) -> bytes:
                found = rows[part]
                call = next(told, 0)
                if call:
                    monkeypatch.setattr(table, "_map", rows)
                    table.write(1, 7, True, float(call + 1), f"call {call + 1}", call + 1)
                    monkeypatch.setattr(table, "_map", self)
                return found

        table.write(1, 7, True, 1.0, "call 1", 1)
        monkeypatch.setattr(table, "_map", Between())
        assert table.read(1) == (7, True, 3.0, "call 3", 3, 0.0)

    def test_another_process_of_the_worker_reads_the_same_rows(self) -> None:
        table = SlotTable(8)
        table.write(1, 5, True, 0.0, "ähm")
        code = (
            "import sys; from distgraph.cluster.liveness import SlotTable; t = SlotTable(8, int(sys.argv[1])); "
            "print(t.read(1).what); t.write(2, 9, False, 0.0, 'child')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(table.fd)], pass_fds=[table.fd], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "ähm"
        assert table.read(2).what == "child"

    def test_rows_are_taken_one_by_one_until_there_are_none(self) -> None:
        table = SlotTable(RESERVED + 2)
        assert [table.take_free(11), table.take_free(12)] == [0, 1]
        with pytest.raises(RuntimeError, match="slots of this worker are taken"):
            table.take_free(13)
        table.clear(0)
        assert table.take_free(14) == 0
        assert [(row, said.pid) for row, said in table.occupied()] == [(0, 14), (1, 12)]

    def test_reserved_rows_are_no_slots(self) -> None:
        table = SlotTable(RESERVED + 1)
        table.write(RESERVED, 5, True, 0.0, "drain")
        assert table.occupied() == []

    def test_a_text_too_long_is_cut_within_its_row(self) -> None:
        table = SlotTable(8)
        table.write(0, 1, True, 0.0, "é" * 2000)
        table.write(1, 2, False, 0.0, "next")
        assert table.read(0).what.startswith("ééé")
        assert table.read(1) == (2, False, 0.0, "next", 0, 0.0)


class TestMark:
    @pytest.mark.parametrize("looked", [False, True])
    def test_nobody_waits_for_one_that_died_while_it_was_alone(self, looked: bool) -> None:
        """Its row is what is left of it, until the watcher has looked into it."""
        table = SlotTable(8)
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            table.take(0, gone.pid)
        table.set_lone(1)
        if looked:
            table.clear(0)
        mark = Mark(table, 1)
        began = time.monotonic()
        mark("n:run\nthread\nnode", None)
        assert time.monotonic() - began < 5
        assert (table.lone(), table.read(1).what) == (0, "n:run\nthread\nnode")

    def test_what_runs_already_does_not_take_its_row_back_for_one_that_is_to_run_alone(self) -> None:
        """Its row would not say any more by when it must have ended."""
        table = SlotTable(8)
        mark = Mark(table, 1)
        mark.hold("b:batch")
        mark("s:one", 60.0)
        table.take(0, os.getpid())
        table.set_lone(1)
        assert mark.steps_aside()
        mark("s:two", 60.0)
        assert (table.lone(), table.read(1).what) == (1, "s:two")
        mark.hold("")
        ended = threading.Timer(0.2, table.set_lone, [0])
        ended.start()
        mark("s:three", 60.0)
        assert table.lone() == 0, "what begins has waited"
        assert not mark.steps_aside()
        ended.join()

    def test_what_is_to_run_alone_is_waited_for_with_patience_that_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """By nodes that would begin beside others, too: one that takes an hour is not to hold up a slot for so long."""
        monkeypatch.setattr(module, "ALONE_SECONDS", 0.05)
        table = SlotTable(8)
        mark = Mark(table, 1)
        table.take(0, os.getpid())
        table.set_lone(1)
        assert mark.steps_aside()
        wait_until(lambda: not mark.steps_aside())
        assert table.lone() == 0
        table.set_lone(1)
        assert mark.steps_aside(), "the next one is waited for as long"

    def test_a_wish_to_be_alone_does_not_pass_to_the_next_one_in_its_row(self) -> None:
        table = SlotTable(8)
        table.set_lone(1)
        Mark(table, 0)
        assert table.lone() == 0

    def test_a_slot_says_what_it_runs_and_what_it_holds_between(self) -> None:
        table = SlotTable(8)
        mark = Mark(table, 0)
        mark.hold("b:batch")
        assert table.read(0)[1:4] == (True, 0.0, "b:batch")
        mark("s:batch:7\nslice\nnode", 60.0)
        pid, busy, deadline, what, call, _ = table.read(0)
        assert (pid, busy, what, call) == (os.getpid(), True, "s:batch:7\nslice\nnode", 1)
        assert 0 < deadline - time.monotonic() <= 60
        mark("", None)
        assert table.read(0)[1:4] == (True, 0.0, "b:batch")
        mark.hold("")
        assert table.read(0)[1:4] == (False, 0.0, "")

    def test_a_slot_says_since_when_it_runs_what_it_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [100.0]
        monkeypatch.setattr("distgraph.cluster.liveness.time.monotonic", lambda: now[0])
        table = SlotTable(8)
        mark = Mark(table, 0)
        steps: list[Callable[[], None]] = [
            lambda: mark.hold("b:batch"),
            lambda: mark(CALL.text, 60.0),
            lambda: mark.renew(CALL.text, 60.0),
            lambda: mark("", None),
            lambda: mark(CALL._replace(node="next").text, None),
        ]
        since = []
        for step in steps:
            step()
            since.append(table.read(0).since)
            now[0] += 1
        assert since == [100.0, 101.0, 101.0, 100.0, 104.0], "progress is no beginning; between two it is at its slice"

    def test_a_call_without_a_limit_has_none_when_it_makes_progress(self) -> None:
        table = SlotTable(8)
        mark = Mark(table, 0)
        mark(CALL.text, None)
        mark.renew(CALL.text, inf)
        assert table.read(0).deadline == 0.0


class TestProcesses:
    def test_a_process_is_alive_until_it_ends_even_if_nobody_waits_for_it(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        assert alive(child.pid)
        assert child.stdin is not None
        child.stdin.close()
        wait_until(lambda: not alive(child.pid))
        assert state_of(child.pid) == "Z", "a zombie is dead"
        child.wait()
        assert state_of(child.pid) == ""

    def test_this_one_is_alive(self) -> None:
        assert alive(os.getpid())
        assert state_of(os.getpid()) in ("R", "S")


def test_a_beat_tells_of_slots_the_dead_and_the_idle() -> None:
    table = SlotTable(8)
    for row, (pid, busy) in enumerate([(11, True), (12, False), (13, True)]):
        table.write(row, pid, busy, 0.0, "n:run\nthread\nnode" if busy else "")
    record = beat_record(table, "boot", {"name": "w", "concurrency": 4}, ["boot:13.2"])
    assert record["beat"] != beat_record(table, "boot", {"concurrency": 4}, [])["beat"]
    assert record == {
        "beat": record["beat"],
        "name": "w",
        "concurrency": 4,
        "boot": "boot",
        "running": [],
        "slots": ["boot:11.0", "boot:12.1"],
        "works": {"boot:11.0": "n:run"},
        "dead": ["boot:13.2"],
        "busy": 1,
        "idle": 3,
    }


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time, which stands still: what runs for long is not a matter of how busy the machine is."""
    monkeypatch.setattr("distgraph.cluster.liveness.time.monotonic", lambda: 1000.0)
    return 1000.0


def running(table: SlotTable) -> Any:
    return beat_record(table, "boot", {"concurrency": 4}, [])["running"]


def test_a_beat_tells_what_runs_for_long_the_longest_first(now: float) -> None:
    table = SlotTable(64)
    for row, (seconds, limit) in enumerate([(5.0, 0.0), (0.0, 0.0), (90.0, 30.0), (LONG + 0.1, 0.0)]):
        called = CALL._replace(node=f"n{row}", run_id=f"r{row}")
        table.write(row, 11 + row, True, now + limit if limit else 0.0, called.text, 1, now - seconds)
    table.write(5, 16, True, 0.0, "b:batch", 1, now - 500)
    table.write(6, 17, False, 0.0, "", 1, now - 500)
    found = running(table)
    assert [(node, run, pid) for node, run, _, pid, _ in found] == [
        ("n2", "r2", 13),
        ("n0", "r0", 11),
        ("n3", "r3", 14),
    ]
    assert found[0][2] == pytest.approx(90)
    assert found[0][4] == pytest.approx(30)
    assert found[1][4] is None
    json.dumps(found)


def test_a_beat_tells_of_so_many_at_most(now: float) -> None:
    table = SlotTable(64)
    for row in range(MOST_TOLD + 5):
        table.write(row, 11 + row, True, 0.0, CALL.text, 1, now - 60 - row)
    found = running(table)
    assert len(found) == MOST_TOLD
    assert found[0][3] == 11 + MOST_TOLD + 4


def test_of_several_beside_each_other_the_one_that_runs_longest_is_told(now: float) -> None:
    table = SlotTable(8)
    first, longest = CALL._replace(node="limited"), CALL._replace(node="hangs", run_id="other")
    said = beside(first.text, longest.text, now - 100)
    table.write(0, 11, True, now + 5, said, 1, now)
    assert said.startswith(BESIDE)
    assert Called.of(said) == first, "whose limit it is, for whoever stops it"
    found = longest_call(table.read(0))
    assert found is not None
    assert (found[0], round(now - found[1])) == (longest, 100)
    assert work_of(said) == work_of(BESIDE + first.text)
    (told,) = running(table)
    assert (told[0], told[1], told[4]) == ("hangs", "other", None)


def test_a_slot_is_named_by_worker_process_and_row() -> None:
    assert slot_name("boot", 11, 0) == "boot:11.0"


@pytest.mark.parametrize(
    ("what", "at", "not_at"),
    [
        ("", [], ["run", "b:1"]),
        ("h:run\nthread", ["run"], ["other", "b:1"]),
        ("n:run\nthread\nnode", ["run"], ["thread", "b:1"]),
        ("n:b:1\nb:1\nnode", ["b:1", "b:2"], ["run", "c:1"]),
        ("b:b", ["b:1"], ["b", "c:1"]),
        ("s:b:1\nslice\nnode", ["b:1", "b:2"], ["c:1", "run"]),
    ],
)
def test_what_a_slot_says_it_is_at(what: str, at: list[str], not_at: list[str]) -> None:
    work = work_of(what)
    assert [name for name in [*at, *not_at] if works_at(work, name)] == at


def test_a_slot_is_at_one_slice_at_a_time() -> None:
    work = work_of("s:b:1\nslice\nnode")
    assert works_at(work, "b:9", "slice")
    assert not works_at(work, "b:1", "other")
    assert works_at(work_of("b:b"), "b:1", "other"), "between two nodes it does not say which"


def test_a_worker_beside_this_process_is_seen_to_be_gone() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = {"kin": kin(), "pid": process.pid}
    assert kin()
    assert not died_here(record)
    process.send_signal(signal.SIGSTOP)
    assert not died_here(record), "it stands still"
    process.kill()
    process.communicate()
    assert died_here(record)
    assert not died_here({**record, "kin": "another machine"})
    assert not died_here({"pid": process.pid}), "an earlier release does not say where it runs"
