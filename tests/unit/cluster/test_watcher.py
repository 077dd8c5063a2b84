"""The watcher: beats for its slots, notices deaths and tells who did it, and is not stopped by an outage."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from distgraph.cluster import watcher as module
from distgraph.cluster.liveness import BESIDE, Called, SlotTable, slot_name
from distgraph.cluster.watcher import Watcher
from distgraph.errors import ServerUnreachableError
from tests.waiting import wait_until

pytestmark = pytest.mark.unit


class Fleet:
    """Remembers beats; ``down``: nobody answers."""

    def __init__(self) -> None:
        self.beats: list[Any] = []
        self.left: list[str] = []
        self.down = False

    def beat(self, boot: str, record: Any, *, ttl_ms: int) -> None:
        if self.down:
            raise ServerUnreachableError("no server")
        self.beats.append(record)

    def leave(self, boot: str) -> None:
        self.left.append(boot)


class Sweeps:
    """Stands where the sweep stands: what it is told to bury is what is asked about here."""

    def __init__(self) -> None:
        self.buried: list[tuple[str, str]] = []
        self.blamed: list[tuple[bool, str]] = []
        self.late: list[str] = []
        self.unwanted: set[str] = set()
        self.swept = self.distrusted = 0
        self.down = False
        self.idle, self.slots, self.full = 1, 2, False
        self.served = {("graph", "f" * 32)}

    def sweep(self) -> float:
        self.swept += 1
        return 0.05

    def distrust(self) -> None:
        self.distrusted += 1

    def bury(self, slot: str, what: str, *, crashed: bool = True, why: str = "") -> None:
        if self.down:
            raise ServerUnreachableError("no server")
        self.buried.append((slot, what))
        self.blamed.append((crashed, why))

    def note_late(self, what: str) -> bool:
        self.late.append(what)
        return not what.startswith(BESIDE)

    def wanted(self, what: str) -> bool:
        return what not in self.unwanted


class Watched:
    def __init__(self, *, beats: bool = True) -> None:
        self.fleet, self.sweeps, self.table = Fleet(), Sweeps(), SlotTable(8)
        self.known: list[tuple[int, int, bool, set[tuple[str, str]]]] = []
        fleet: Any = self.fleet
        sweeps: Any = self.sweeps
        self.watcher = Watcher(
            fleet,
            sweeps,
            self.table,
            "boot",
            {"name": "w", "concurrency": 2},
            beats=beats,
            know=lambda idle, slots, full, served: self.known.append((idle, slots, full, served)),
        )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(module, "WANTED_SECONDS", 0.01)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    made.watcher.start()
    yield made
    made.watcher.stop()


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_it_is_seen_before_it_works(watched: Watched) -> None:
    assert watched.fleet.beats
    wait_until(lambda: len(watched.fleet.beats) > 2)
    wait_until(lambda: watched.sweeps.swept > 1)
    own, swept, *_ = watched.known
    assert own == (1, 2, False, set()), "of the fleet it knows itself, before anybody sees it"
    assert swept == (1, 2, False, {("graph", "f" * 32)})


def test_it_says_goodbye() -> None:
    made = Watched()
    made.watcher.start()
    made.watcher.stop()
    assert made.fleet.left == ["boot"]


def test_a_dead_process_is_named_with_its_culprit(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, 0.0, "n:run\nthread\nnode")
    child.kill()
    slot = slot_name("boot", child.pid, row)
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.buried == [(slot, "n:run\nthread\nnode")]
    wait_until(lambda: watched.fleet.beats[-1]["dead"] == [slot])
    assert watched.table.occupied() == [], "its row is free again"


def test_a_process_that_died_between_tasks_has_no_culprit(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    watched.table.take_free(child.pid)
    child.kill()
    wait_until(lambda: not watched.table.occupied())
    assert watched.sweeps.buried == []


#: What a row says while a node runs.
CALLED = Called("n", "run", "thread", "1/", "key", 2, "run", "slow")


def test_a_process_whose_node_overruns_its_time_is_killed(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    """Nothing inside of it can stop it. Its limit is noted first, and the death is no crash."""
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, time.monotonic() + 0.05, CALLED.text)
    assert child.wait(10) == -signal.SIGKILL
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.late[0] == CALLED.text
    assert watched.sweeps.blamed == [(False, "it is over its time limit")]


def test_of_several_nodes_that_overrun_their_time_none_is_named(
    watched: Watched, child: subprocess.Popen[bytes]
) -> None:
    """Any of them may be the one that lets no other go on: it is a death whose culprit is not known."""
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, time.monotonic() + 0.05, BESIDE + CALLED.text)
    assert child.wait(10) == -signal.SIGKILL
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.blamed == [(True, "it is over its time limit")]


@pytest.mark.parametrize("left", [0.0, 60.0])
def test_what_ends_or_makes_progress_while_its_end_is_noted_is_not_stopped(
    watched: Watched, child: subprocess.Popen[bytes], left: float
) -> None:
    """The server may take its time; the slot's row shows the next one, or none."""
    row, sweeps = watched.table.take_free(child.pid), watched.sweeps

    def note_late(what: str) -> bool:
        sweeps.late.append(what)
        watched.table.write(row, child.pid, True, left and time.monotonic() + left, CALLED.text)
        return True

    sweeps.note_late = note_late  # type: ignore[method-assign]
    watched.table.write(row, child.pid, True, time.monotonic() + 0.05, CALLED.text)
    wait_until(lambda: sweeps.late)
    swept = sweeps.swept
    wait_until(lambda: sweeps.swept > swept + 2)
    assert child.poll() is None


def test_a_process_that_holds_too_much_is_killed_and_blamed(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    watched.watcher.max_memory = 1 << 20
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, 0.0, CALLED.text)
    assert child.wait(10) == -signal.SIGKILL
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.blamed == [(True, "it held more memory than the 1 MiB a process may hold")]


def test_a_process_that_waits_for_work_may_hold_what_it_likes(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    watched.watcher.max_memory = 1 << 20
    watched.table.take_free(child.pid)
    swept = watched.sweeps.swept
    wait_until(lambda: watched.sweeps.swept > swept + 2)
    assert child.poll() is None


def test_what_is_not_wanted_any_more_is_told_and_then_stopped(
    watched: Watched, child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a crash: nobody is to blame. What was called before or after it in the same row is not meant."""
    watched.watcher.cancel_seconds = 0.05
    watched.sweeps.unwanted.add(CALLED.text)
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, 0.0, CALLED.text, 7)
    wait_until(lambda: watched.table.told(row) == 7)
    assert child.wait(10) == -signal.SIGKILL
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.blamed == [(False, "it was cancelled and went on")]


def test_a_node_that_ends_when_told_keeps_its_process(watched: Watched, child: subprocess.Popen[bytes]) -> None:
    watched.watcher.cancel_seconds = 60
    watched.sweeps.unwanted.add(CALLED.text)
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, 0.0, CALLED.text, 7)
    wait_until(lambda: watched.table.told(row) == 7)
    watched.table.write(row, child.pid, True, 0.0, CALLED._replace(run_id="next").text, 8)
    watched.watcher.cancel_seconds = 0.0
    swept = watched.sweeps.swept
    wait_until(lambda: watched.sweeps.swept > swept + 5)
    assert child.poll() is None


def test_what_a_process_died_of() -> None:
    assert module.death(3) == "it ended its process with exit code 3"
    assert module.death(module.BROKEN).startswith("its driver failed, and its worker's log says how")
    assert module.death(-signal.SIGABRT) == "its process was killed by SIGABRT"
    assert module.death(-signal.SIGKILL) == "its process was killed by SIGKILL (out of memory?)"
    assert module.death(None) == "its process died"


def test_an_outage_proves_nobodys_death_and_ends_nothing(watched: Watched) -> None:
    watched.fleet.down = True
    wait_until(lambda: watched.sweeps.distrusted)
    watched.fleet.down = False
    before = len(watched.fleet.beats)
    wait_until(lambda: len(watched.fleet.beats) > before)


def test_when_the_time_to_drain_is_over_nobody_outlives_the_worker(
    watched: Watched, child: subprocess.Popen[bytes]
) -> None:
    """The server is away, and the process may wait for it with its result: longer than its worker lives."""
    watched.sweeps.down = True
    row = watched.table.take_free(child.pid)
    watched.table.write(row, child.pid, True, 0.0, CALLED.text)
    watched.watcher.abandon()
    assert child.wait(10) == -signal.SIGKILL
    watched.sweeps.down = False
    wait_until(lambda: watched.sweeps.buried)
    assert watched.sweeps.buried == [(slot_name("boot", child.pid, row), CALLED.text)]
    assert watched.sweeps.blamed == [(False, "its worker ended")]


def test_where_a_companion_beats_it_does_not() -> None:
    made = Watched(beats=False)
    made.watcher.start()
    wait_until(lambda: made.sweeps.swept > 1)
    made.watcher.stop()
    assert made.fleet.beats == []


def test_it_rests_while_its_process_forks(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds would be held for ever in the new process."""
    sweeping, over = threading.Event(), threading.Event()

    def sweep() -> float:
        sweeping.set()
        over.wait(20)
        return 0.05

    monkeypatch.setattr(watched.sweeps, "sweep", sweep)
    assert sweeping.wait(20)
    assert not watched.watcher.hold(0.02), "it is in the middle of something"
    over.set()
    assert watched.watcher.hold(20)
    beats = len(watched.fleet.beats)
    time.sleep(0.1)  # five beats
    assert len(watched.fleet.beats) == beats
    watched.watcher.let_go()
    wait_until(lambda: len(watched.fleet.beats) > beats)
