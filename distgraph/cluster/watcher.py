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
from typing import Any

from distgraph.cluster.liveness import BEAT_SECONDS, TTL_MS, SlotTable, alive, beat_record, slot_name
from distgraph.cluster.recover import Sweeper
from distgraph.errors import StoreError
from distgraph.ledger.fleet import FleetLedger

log = logging.getLogger(__name__)

#: How often rows are looked at. Seconds.
LOOK_SECONDS = 0.1
#: A node may overrun its time limit by this before its process is killed: async nodes stop by themselves. Seconds.
OVERDUE_SECONDS = 2.0
#: How long a dead slot is named in beats, so that every sweep can free what it held. Seconds.
DEAD_SECONDS = 60.0


class Watcher:
    """Beats, notices, sweeps, until told to stop.

    Args:
        about: what beats say of the worker: name, host, pid, pool, concurrency, graphs, queues.
        beats: whether to beat; False where a companion does.
        know: called with (idle slots, slots) of the fleet after each sweep.
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
        know: Callable[[int, int], None],
    ) -> None:
        self.fleet, self.sweeper, self.table, self.boot, self.about = fleet, sweeper, table, boot, about
        self.beats, self.know = beats, know
        #: A process of the pool died since whoever refills the pool took this back.
        self.lost = False
        self._stop = threading.Event()
        self._dead: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="distgraph-watcher", daemon=True)

    def start(self) -> None:
        """Beat once, so that the worker is seen before it works, then go on in an OS thread."""
        if self.beats:
            self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End in an orderly way: the fleet need not wait for the last beat to be forgotten."""
        self._stop.set()
        self._thread.join(5)
        try:
            self.fleet.leave(self.boot)
        except StoreError as exc:
            log.debug("could not say goodbye: %s", exc)

    def _run(self) -> None:
        beat_at = sweep_at = 0.0
        while not self._stop.wait(LOOK_SECONDS * random.uniform(0.8, 1.2)):
            now = time.monotonic()
            try:
                if self._look():
                    beat_at = sweep_at = 0.0
                if self.beats and now >= beat_at:
                    self._beat()
                    beat_at = now + BEAT_SECONDS
                if now >= sweep_at:
                    soonest = self.sweeper.sweep()
                    self.know(self.sweeper.idle, self.sweeper.slots)
                    sweep_at = now + min(0.5, max(0.05, soonest)) * random.uniform(0.9, 1.1)
            except StoreError as exc:
                # Without the server nothing can be told of anybody: neither of us by others, nor of others by us.
                self.sweeper.distrust()
                log.warning("the watcher cannot reach the server and tries again: %s", exc)
                self._stop.wait(0.3)
            except Exception:
                log.exception("the watcher stumbled and goes on")
                self._stop.wait(0.5)

    def _beat(self) -> None:
        now = time.monotonic()
        self._dead = {slot: since for slot, since in self._dead.items() if now - since < DEAD_SECONDS}
        self.fleet.beat(self.boot, beat_record(self.table, self.boot, self.about, sorted(self._dead)), ttl_ms=TTL_MS)

    # -------------------------------------------------------------- deaths

    def _stop_overdue(self) -> None:
        """Kill processes whose node holds them beyond its time limit: nothing inside them can."""
        now = time.monotonic()
        for _, said in self.table.occupied():
            if said.deadline and now > said.deadline + OVERDUE_SECONDS and said.pid != os.getpid():
                log.warning("killed pid %s: %s is over its time limit and does not stop", said.pid, said.what)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(said.pid, signal.SIGKILL)

    def _look(self) -> bool:
        """Look for slots whose process is gone; whether there are any."""
        self._stop_overdue()
        fallen = [(row, said) for row, said in self.table.occupied() if not alive(said.pid)]
        self.lost = self.lost or bool(fallen)
        for row, said in fallen:
            slot = slot_name(self.boot, said.pid, row)
            self._dead[slot] = time.monotonic()
            if said.what:
                log.warning("a process of this worker died (pid %s) while at %s", said.pid, " ".join(said.what.split()))
                self.sweeper.bury(slot, said.what)
            # Only now may another process take the row: what it said is the only trace of the culprit.
            self.table.clear(row)
        return bool(fallen)

    def abandon(self) -> None:
        """The time to drain is over: give back what still runs here, without counting a crash, and end its processes."""
        for row, said in self.table.occupied():
            if said.busy:
                log.warning("gave back %s: it did not end within the time to drain", " ".join(said.what.split()))
                self.sweeper.bury(slot_name(self.boot, said.pid, row), said.what, crashed=False)
                self.table.clear(row)
                if said.pid != os.getpid():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(said.pid, signal.SIGKILL)
        if not self.beats:
            # The pool's OS threads cannot be ended one by one.
            self.stop()
            os._exit(0)
