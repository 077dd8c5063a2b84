"""The watcher of one worker: beats for its slots, notices their deaths, and sweeps.

It runs in an OS thread of the worker's parent process. Where the parent runs user code itself (threads and solo pools) a
companion process beats instead, because user code can hold up every thread of its interpreter for seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distgraph.cluster.liveness import BEAT_SECONDS, TTL_MS, Called, Row, SlotTable, alive, beat_record, slot_name
from distgraph.cluster.recover import Sweeper
from distgraph.errors import StoreError
from distgraph.ledger.fleet import FleetLedger

log = logging.getLogger(__name__)

#: How often rows are looked at. Seconds.
LOOK_SECONDS = 0.1
#: How often it is asked whether what runs is still wanted. Seconds.
WANTED_SECONDS = 0.5
#: How often it is said that the server is out of reach. Seconds.
COMPLAIN_SECONDS = 10.0
PAGE = os.sysconf("SC_PAGE_SIZE")
#: How long a dead slot is named in beats, so that every sweep can free what it held. Seconds.
DEAD_SECONDS = 60.0
#: The exit code of a process that ends itself because its driver failed (EX_SOFTWARE).
BROKEN = 70


class Watcher:
    """Beats, notices, sweeps, until told to stop.

    Args:
        about: what beats say of the worker: name, host, pid, pool, concurrency, graphs, queues.
        beats: whether to beat; False where a companion does.
        know: called with (idle slots, slots, is the server full, what the fleet serves) after each sweep.
        exit_of: the exit code of a process of the pool that has ended, as far as it is known.
        cancel_seconds: how long a node may go on after it was told that its run was cancelled.
        max_memory: bytes that a process of the pool may hold; 0: no limit.
    """

    def __init__(
        self,
        fleet: FleetLedger,
        sweeper: Sweeper,
        table: SlotTable,
        boot: str,
        about: dict[str, Any],
        *,
        beats: bool,
        know: Callable[[int, int, bool, set[tuple[str, str]]], None],
        exit_of: Callable[[int], int | None] = lambda pid: None,
        cancel_seconds: float = 5.0,
        max_memory: int = 0,
    ) -> None:
        self.exit_of, self.cancel_seconds, self.max_memory = exit_of, cancel_seconds, max_memory
        self.fleet, self.sweeper, self.table, self.boot, self.about = fleet, sweeper, table, boot, about
        self.beats, self.know = beats, know
        #: A process of the pool died since whoever refills the pool took this back.
        self.lost = False
        self._stop, self._nudge = threading.Event(), threading.Event()
        #: Held while the watcher does anything.
        self._busy = threading.Lock()
        #: When each of these is due.
        self._beat_at = self._sweep_at = self._ask_at = self._complain_at = 0.0
        self._dead: dict[str, float] = {}
        #: Processes that were killed from here: whether what they ran is to blame, and why.
        self._killed: dict[int, tuple[bool, str]] = {}
        #: Calls that were told that nobody wants them: row -> (call, since when).
        self._told: dict[int, tuple[int, float]] = {}
        self._seen: dict[int, int] = {}
        self._thread = threading.Thread(target=self._run, name="distgraph-watcher", daemon=True)

    def start(self) -> None:
        """Beat once, so that the worker is seen before it works, then go on in an OS thread."""
        # Before the first sweep: who thinks that it is the only slot takes all items of a batch for its share.
        self.know(1, int(self.about["concurrency"]), False, set())
        if self.beats:
            self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End in an orderly way: the fleet need not wait for the last beat to be forgotten."""
        self._stop.set()
        self._nudge.set()
        self._thread.join(5)
        try:
            self.fleet.leave(self.boot)
        except StoreError as exc:
            log.debug("could not say goodbye: %s", exc)

    def look_now(self) -> None:
        """A process of the pool has just ended: its slot works again the sooner, the sooner that is looked into."""
        self._nudge.set()

    def hold(self, seconds: float) -> bool:
        """Before this process forks: wait until the watcher rests, and keep it there until :meth:`let_go`.

        A fork copies locks as they are. One that the watcher happens to hold - of the C library, say, while it looks up a
        host's name - is never released in the new process, which waits for it for ever.

        Returns:
            False if that takes longer than ``seconds``; then there is nothing to let go of.
        """
        return self._busy.acquire(timeout=seconds)

    def let_go(self) -> None:
        """The watcher may go on."""
        self._busy.release()

    def _run(self) -> None:
        while True:
            self._nudge.wait(LOOK_SECONDS * random.uniform(0.8, 1.2))
            if self._stop.is_set():
                return
            self._nudge.clear()
            with self._busy:
                rest = self._turn()
            self._stop.wait(rest)

    def _turn(self) -> float:
        """Do what is due; the seconds to rest afterwards."""
        now = time.monotonic()
        try:
            if self._look():
                self._beat_at = self._sweep_at = 0.0
            if self.beats and now >= self._beat_at:
                self._beat()
                self._beat_at = now + BEAT_SECONDS
            if now >= self._ask_at:
                self._tell_unwanted(now)
                self._ask_at = now + WANTED_SECONDS
            if now >= self._sweep_at:
                soonest = self.sweeper.sweep()
                self.know(self.sweeper.idle, self.sweeper.slots, self.sweeper.full, self.sweeper.served)
                self._sweep_at = now + min(0.5, max(0.05, soonest)) * random.uniform(0.9, 1.1)
        except StoreError as exc:
            # Without the server nothing can be told of anybody: neither of us by others, nor of others by us.
            self.sweeper.distrust()
            if now >= self._complain_at:
                log.warning("the watcher cannot reach the server and tries again and again: %s", exc)
                self._complain_at = now + COMPLAIN_SECONDS
            return 0.1
        except Exception:
            log.exception("the watcher stumbled and goes on")
            return 0.5
        return 0.0

    def _beat(self) -> None:
        now = time.monotonic()
        self._dead = {slot: since for slot, since in self._dead.items() if now - since < DEAD_SECONDS}
        self.fleet.beat(self.boot, beat_record(self.table, self.boot, self.about, sorted(self._dead)), ttl_ms=TTL_MS)

    # -------------------------------------------------------------- deaths

    def _kill(self, row: int, said: Row, *, blamed: bool, why: str) -> None:
        """Kill the process in a row if it still runs what it said: nothing inside of it can be relied on to stop it."""
        if said.pid == os.getpid() or self.table.read(row).call != said.call or said.pid in self._killed:
            return
        log.warning("killed pid %s, %s: %s", said.pid, " ".join(said.what.split()), why)
        self._killed[said.pid] = (blamed, why)
        with contextlib.suppress(ProcessLookupError):
            os.kill(said.pid, signal.SIGKILL)

    def _stop_overdue(self) -> None:
        """Stop what is over its time limit, and what holds too much memory."""
        now = time.monotonic()
        for row, said in self.table.occupied():
            if said.pid == os.getpid():
                continue
            if said.deadline and now > said.deadline:
                named = self.sweeper.note_late(said.what)
                # The note took its time: what has ended meanwhile, or shown progress, is not to be stopped.
                if 0 < self.table.read(row).deadline < time.monotonic():
                    self._kill(row, said, blamed=not named, why="it is over its time limit")
            elif self.max_memory and said.busy and memory_of(said.pid) > self.max_memory:
                limit = self.max_memory >> 20
                self._kill(row, said, blamed=True, why=f"it held more memory than the {limit} MiB a process may hold")

    def _tell_unwanted(self, now: float) -> None:
        """Tell nodes whose runs were cancelled, and stop those that were told a while ago."""
        rows = {row: said for row, said in self.table.occupied() if said.busy and Called.of(said.what)}
        self._told = {row: told for row, told in self._told.items() if row in rows and rows[row].call == told[0]}
        for row, said in rows.items():
            if row in self._told:
                if now - self._told[row][1] > self.cancel_seconds and Called.of(self.table.read(row).what):
                    self._kill(row, said, blamed=False, why="it was cancelled and went on")
            elif self._seen.get(row) == said.call and not self.sweeper.wanted(said.what):
                self.table.tell(row, said.call)
                self._told[row] = (said.call, now)
        # What ends between two looks is not worth a question.
        self._seen = {row: said.call for row, said in rows.items()}

    def _look(self) -> bool:
        """Look for slots whose process is gone; whether there are any."""
        self._stop_overdue()
        fallen = [(row, said) for row, said in self.table.occupied() if not alive(said.pid)]
        try:
            for row, said in fallen:
                self._look_into(row, said)
        finally:
            self.lost = self.lost or bool(fallen)
        return bool(fallen)

    def _look_into(self, row: int, said: Row) -> None:
        slot = slot_name(self.boot, said.pid, row)
        self._dead[slot] = time.monotonic()
        if said.what:
            blamed, why = self._killed.get(said.pid) or (True, death(self.exit_of(said.pid)))
            log.warning("a process of this worker died (pid %s) while at %s", said.pid, " ".join(said.what.split()))
            self.sweeper.bury(slot, said.what, crashed=blamed, why=why)
        # Only now may another process take the row: what it said is the only trace of the culprit.
        self.table.clear(row)
        self._killed.pop(said.pid, None)

    def abandon(self) -> None:
        """The time to drain is over: give back what still runs here, without counting a crash, and end its processes."""
        busy = [(row, said) for row, said in self.table.occupied() if said.busy]
        # Whoever finds them dead, before all of it is given back, blames nobody.
        self._killed |= {said.pid: (False, "its worker ended") for _, said in busy}
        try:
            for row, said in busy:
                log.warning("gave back %s: it did not end within the time to drain", " ".join(said.what.split()))
                self.sweeper.bury(slot_name(self.boot, said.pid, row), said.what, crashed=False)
                self.table.clear(row)
        except StoreError as exc:
            # They may wait for the same server, to store what they came to: not longer than their worker lives.
            log.warning("the server is away, and what is left is found by other workers: %s", exc)
        finally:
            for _, said in busy:
                if said.pid != os.getpid():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(said.pid, signal.SIGKILL)


def death(code: int | None) -> str:
    """What a process died of, by its exit code; negative: the signal."""
    if code is None:
        return "its process died"
    if code == BROKEN:
        return "its driver failed, and its worker's log says how (exit code 70)"
    if code >= 0:
        return f"it ended its process with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"its process was killed by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")


def memory_of(pid: int) -> int:
    """Bytes of memory that a process holds, where /proc tells; else 0."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0
