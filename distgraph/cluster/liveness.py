"""Slots and beats: who works, on what, and whether it still lives.

A *slot* is one place where a task can run: a child of a prefork pool, an OS thread of a threads pool, the one of a solo
pool. Its name is the worker's boot nonce, its process id and its row. Slots share a table in memory with the process
that watches them, in which each writes what it is about to run: when a process dies, its row names the culprit.

The watcher beats for all its slots. It must not be stopped by what runs in them, so it lives in the parent of a prefork
pool and in a small companion process of the other pools, which share their interpreter with user code.
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from distgraph.ledger.keys import split_item

#: Beats are this far apart, and forgotten after ``TTL_MS``.
BEAT_SECONDS = 0.5
TTL_MS = 2000

#: Rows at the end of a table that are no slots: what the worker's processes tell one another.
RESERVED = 3
#: How long others wait for a task that is to run alone in its worker, and it for them. Seconds.
ALONE_SECONDS = 10.0

#: Long enough for two ids of the greatest length, a key and a node's name.
_ROW = 2048
_HEAD = struct.Struct("<IBddIH")
_TOLD = struct.Struct("<I")
_TEXT = _ROW - _HEAD.size - _TOLD.size


#: What a row says of a node that runs opens with this where others run beside it in the same slot.
BESIDE = "+"
#: Behind this it says then which of them has run the longest, and since when.
LONGEST = "\0"
#: A task that has run for so long is told of in beats, with so many others at most that have run longer. Seconds.
LONG, MOST_TOLD = 1.0, 20


class Row(NamedTuple):
    """What a slot wrote about itself.

    Attributes:
        deadline: monotonic seconds by which what runs must have ended; 0 without one.
        what: what runs, see ``Called``; '' between tasks.
        call: counts what the slot ran: tells one call of a node from the next.
        since: monotonic seconds at which that began; 0: not known.
    """

    pid: int
    busy: bool
    deadline: float
    what: str
    call: int = 0
    since: float = 0.0


class Called(NamedTuple):
    """What a row says of a node that runs: ``text`` and ``of`` are each other's inverse.

    Attributes:
        kind: "n", a task of a run; "s", one of an item in a slice. Other kinds of rows name no node.
        run_id: the run, or the item.
        other: the run's thread, or the item's slice.
        epoch: of the run; of a slice, the batch's.
        key: the task's idempotency key where it has a time limit, else ''.
        attempt: counts from 1.
        limit: which limit the row's deadline stands for: "run" or "idle" of the attempt, or "outer", that of its run or
            superstep; '' without one.
        node: the node's name.
    """

    kind: str
    run_id: str
    other: str
    epoch: str
    key: str
    attempt: int
    limit: str
    node: str

    @property
    def text(self) -> str:
        """As a row says it."""
        return f"{self.kind}:" + "\n".join(str(part) for part in self[1:])

    @staticmethod
    def of(what: str) -> Called | None:
        """What a row says, whether others run beside it or not; None where that is no call of a node."""
        kind, _, rest = what.removeprefix(BESIDE).partition(LONGEST)[0].partition(":")
        parts = rest.split("\n")
        if kind not in ("n", "s") or len(parts) != 7:
            return None
        run_id, other, epoch, key, attempt, limit, node = parts
        return Called(kind, run_id, other, epoch, key, int(attempt), limit, node)


def _shared_memory(size: int) -> int:
    """A file of so many bytes that other processes can be handed: in memory, where there is such a thing.

    A worker that maps a file on a disk is killed without a word where that disk fills up.
    """
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("distgraph-slots")
        os.ftruncate(fd, size)
        return fd
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())


class SlotTable:
    """Rows in memory shared by the processes of one worker."""

    def __init__(self, rows: int, fd: int | None = None) -> None:
        """A new table, or the one behind ``fd`` that another process of this worker made."""
        self.rows = rows
        if fd is None:
            fd = _shared_memory(rows * _ROW)
        self.fd = fd
        self._map = mmap.mmap(fd, rows * _ROW)

    def take(self, row: int, pid: int) -> None:
        """Write that ``pid`` works in ``row``."""
        self._map[row * _ROW : row * _ROW + _HEAD.size] = _HEAD.pack(pid, 0, 0.0, 0.0, 0, 0)

    def take_free(self, pid: int) -> int:
        """A row nobody works in, now ``pid``'s (a dead process keeps its row until the watcher has looked into it).

        Call it under a lock that all processes of the worker share.
        """
        for row in range(self.rows - RESERVED):
            if self.read(row).pid == 0:
                self.take(row, pid)
                return row
        raise RuntimeError(f"All {self.rows} slots of this worker are taken.")

    def write(
        self, row: int, pid: int, busy: bool, deadline: float, what: str, call: int = 0, since: float = 0.0
    ) -> None:
        """Write what ``row`` is about to run."""
        text = what.encode()[:_TEXT]
        at = row * _ROW
        # Length last: a reader that comes in between sees an empty text, never half of two.
        self._map[at : at + _HEAD.size] = _HEAD.pack(pid, busy, deadline, since, call, 0)
        self._map[at + _HEAD.size : at + _HEAD.size + len(text)] = text
        self._map[at : at + _HEAD.size] = _HEAD.pack(pid, busy, deadline, since, call, len(text))

    def tell(self, row: int, call: int) -> None:
        """Tell what runs in ``row`` that nobody wants it any more, if it still is call number ``call``."""
        at = (row + 1) * _ROW - _TOLD.size
        self._map[at : at + _TOLD.size] = _TOLD.pack(call)

    def told(self, row: int) -> int:
        """The call that was told last in ``row``."""
        told: int = _TOLD.unpack_from(self._map, (row + 1) * _ROW - _TOLD.size)[0]
        return told

    def lone(self) -> int:
        """The number of the row (from 1) whose task is to run alone in this worker; 0: there is none."""
        lone: int = _TOLD.unpack_from(self._map, (self.rows - RESERVED) * _ROW)[0]
        return lone

    def set_lone(self, number: int) -> None:
        """Let the task of that row run alone; 0: of none."""
        at = (self.rows - RESERVED) * _ROW
        self._map[at : at + _TOLD.size] = _TOLD.pack(number)

    def read(self, row: int) -> Row:
        """What ``row`` says."""
        at = row * _ROW
        while True:
            head = self._map[at : at + _HEAD.size]
            pid, busy, deadline, since, call, size = _HEAD.unpack(head)
            text = self._map[at + _HEAD.size : at + _HEAD.size + size].decode(errors="replace")
            # The next call's text would come with this one's deadline where it was written between the two looks.
            if self._map[at : at + _HEAD.size] == head:
                return Row(pid, bool(busy), deadline, text, call, since)

    def clear(self, row: int) -> None:
        """Nobody works in ``row``."""
        self.take(row, 0)

    def occupied(self) -> list[tuple[int, Row]]:
        """(row, what it says) of all rows somebody took."""
        # Most rows are free, and this is asked many times a second beside a loop that is not to be held up.
        with memoryview(self._map) as whole, whole.cast("I") as numbers:
            pids = numbers[: (self.rows - RESERVED) * _ROW // 4 : _ROW // 4].tolist()
        return [(row, said) for row, pid in enumerate(pids) if pid and (said := self.read(row)).pid]


def slot_name(boot: str, pid: int, row: int) -> str:
    """The name of the slot in ``row``."""
    return f"{boot}:{pid}.{row}"


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return state_of(pid) not in ("Z", "X")


def state_of(pid: int) -> str:
    """The kernel's letter for a process's state, where /proc tells; else ''."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1].decode()
    except OSError:
        return ""


@functools.cache
def kin() -> str:
    """Names the processes that see one another: of one machine since it was started, in one namespace of process ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def died_here(record: Mapping[str, Any]) -> bool:
    """Whether the worker of a beat ran where this process would see it, and is gone: nobody need wait for its beats to end.

    A worker that stands still is not gone; nor is one whose process id another process has now: its beats will end.
    """
    own = kin()
    return bool(own) and record.get("kin") == own and not alive(int(record["pid"]))


class Mark:
    """One slot's hand on its row: what ``Workplace.watch`` calls."""

    def __init__(self, table: SlotTable, row: int) -> None:
        self.table, self.row, self.pid = table, row, os.getpid()
        self.busy = False
        #: A node runs, since it said so.
        self._runs = False
        #: Whose task this slot has let run alone, and since when. Monotonic seconds.
        self._passing = (0, 0.0)
        self._kept = ""
        #: When what it holds, and what it calls, began. Monotonic seconds.
        self._held_since = self._since = 0.0
        self._call = table.told(row)
        if table.lone() == row + 1:
            # Whoever had this row before died while it was alone.
            table.set_lone(0)

    def hold(self, what: str) -> None:
        """What the slot works at between the nodes it calls: a slice, a run."""
        self._kept, self._held_since = what, time.monotonic()
        self.busy, self._runs = bool(what), False
        self.table.write(self.row, self.pid, self.busy, 0.0, what, since=self._held_since)

    def __call__(self, what: str, seconds: float | None) -> None:
        now = time.monotonic()
        deadline = now + seconds if seconds is not None else 0.0
        # What runs already waits for nobody, and its row must go on to say by when it has to have ended.
        begins, self._runs = bool(what) and not self._runs, bool(what)
        if what:
            self._call = self._call % 0xFFFFFFFF + 1
        self._since = now if what else self._held_since
        said = what or self._kept
        self.table.write(self.row, self.pid, self.busy or bool(what), deadline, said, self._call, self._since)
        if begins and self.table.lone() not in (0, self.row + 1):
            self._let_pass()
            self(what, seconds)

    def renew(self, what: str, seconds: float) -> None:
        """The node that runs makes progress: it has ``seconds`` from now."""
        deadline = time.monotonic() + seconds if seconds != inf else 0.0
        self.table.write(self.row, self.pid, True, deadline, what, self._call, self._since)

    def cancelled(self) -> bool:
        """Whether what runs was told that nobody wants it any more."""
        return self.table.told(self.row) == self._call

    # ------------------------------------------------------------- alone

    def alone(self, wanted: bool) -> bool:
        """Run what comes next while no other slot of this worker runs a node, or stop doing so.

        Who may have killed a whole worker is tried like this: should the worker die again, it is known by what. Hence
        nothing that may have done so is taken before this slot is the one; it waits then until others have ended theirs.

        Returns:
            Whether this slot is the one; False: another one is.
        """
        if not wanted:
            if self.table.lone() == self.row + 1:
                self.table.set_lone(0)
            return False
        if not self._free():
            return False
        self.table.set_lone(self.row + 1)
        time.sleep(0.005)
        if self.table.lone() != self.row + 1:
            return False  # two came at once
        patience = time.monotonic() + ALONE_SECONDS
        while self._others() and time.monotonic() < patience:
            time.sleep(0.01)
        return True

    def steps_aside(self) -> bool:
        """Whether another slot of this worker is to run alone, and may still be waited for."""
        if self._free():
            self._passing = (0, 0.0)
            return False
        holder, now = self.table.lone(), time.monotonic()
        if self._passing[0] != holder:
            self._passing = (holder, now)
        if now - self._passing[1] <= ALONE_SECONDS:
            return True
        # It takes its time, and is not to hold up everybody else: alone was only a wish.
        self.table.set_lone(0)
        self._passing = (0, 0.0)
        return False

    def _let_pass(self) -> None:
        self._runs = False
        self.table.write(self.row, self.pid, self.busy, 0.0, self._kept, self._call, self._held_since)
        while self.steps_aside():
            time.sleep(0.01)

    def _free(self) -> bool:
        holder = self.table.lone()
        if holder in (0, self.row + 1):
            return True
        pid = self.table.read(holder - 1).pid
        if pid and alive(pid):
            return False
        # It died while it was alone, and can end that no more: nobody is to wait for it again.
        self.table.set_lone(0)
        return True

    def _others(self) -> bool:
        return any(row != self.row and Called.of(said.what) for row, said in self.table.occupied())


def beside(first: str, longest: str, since: float) -> str:
    """What a row says of several nodes that run beside each other.

    Args:
        first: the one whose limit the row's deadline is.
        longest: the one that has run the longest.
        since: when that began. Monotonic seconds.
    """
    return f"{BESIDE}{first}{LONGEST}{since:.3f}{LONGEST}{longest}"


def longest_call(said: Row) -> tuple[Called, float] | None:
    """The call of a node that has run the longest in a row, and when it began; None: no node runs there."""
    _, told, longest = said.what.partition(LONGEST)
    since, _, text = longest.partition(LONGEST)
    called = Called.of(text if told else said.what)
    return None if called is None else (called, float(since) if told else said.since)


def work_of(what: str) -> str:
    """What a row says, as a beat tells it to others: without threads and names of nodes."""
    kind, _, rest = what.removeprefix(BESIDE).partition(LONGEST)[0].partition(":")
    return f"{kind}:{rest}" if kind == "b" else f"{kind}:" + "\n".join(rest.split("\n")[: 2 if kind == "s" else 1])


def works_at(work: str, run_id: str, slice_id: str = "") -> bool:
    """Whether a slot that says ``work`` (see ``work_of``; '' between deliveries) may be at a run or item, or at a slice.

    Of a batch a slot may have several items in hand, one slice at a time; only one that says which is not at another.
    """
    kind, _, rest = work.partition(":")
    name, _, at = rest.partition("\n")
    if slice_id and at:
        return at == slice_id
    item, own = split_item(run_id), split_item(name)
    if kind == "b":
        return item is not None and item[0] == name
    return name == run_id or (item is not None and own is not None and item[0] == own[0])


def beat_record(table: SlotTable, boot: str, about: dict[str, object], dead: list[str]) -> dict[str, object]:
    """What a beat says: who the worker is, its slots and those that died lately, what they work at, how many wait.

    ``running`` tells of nodes that take long, see ``_long_ones``; ``beat`` is another one with every beat, and
    tells nobody else anything.
    """
    rows = [(row, said) for row, said in table.occupied() if slot_name(boot, said.pid, row) not in dead]
    busy, now = sum(said.busy for _, said in rows), time.monotonic()
    return {
        **about,
        "boot": boot,
        "beat": now,
        "running": _long_ones((said for _, said in rows if said.busy), now),
        "slots": [slot_name(boot, said.pid, row) for row, said in rows],
        "works": {slot_name(boot, said.pid, row): work_of(said.what) for row, said in rows if said.busy},
        "dead": dead,
        "busy": busy,
        "idle": max(0, int(str(about["concurrency"])) - busy),
    }


def _long_ones(rows: Iterable[Row], now: float) -> list[list[object]]:
    """[node, run, seconds it has run, process, seconds until its limit or None] of calls that take long, longest first."""
    found = [(said, *call) for said in rows if (call := longest_call(said)) is not None and now - call[1] >= LONG]
    return [
        [
            called.node,
            called.run_id,
            round(now - since, 1),
            said.pid,
            round(said.deadline - now, 1) if limited else None,
        ]
        for said, called, since in sorted(found, key=lambda one: one[2])[:MOST_TOLD]
        for limited in [bool(said.deadline) and LONGEST not in said.what]
    ]
