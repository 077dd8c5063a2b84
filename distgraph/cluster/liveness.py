"""Slots and beats: who works, on what, and whether it still lives.

A *slot* is one place where a task can run: a child of a prefork pool, an OS thread of a threads pool, the one of a solo
pool. Its name is the worker's boot nonce, its process id and its row. Slots share a table in memory with the process
that watches them, in which each writes what it is about to run: when a process dies, its row names the culprit.

The watcher beats for all its slots. It must not be stopped by what runs in them, so it lives in the parent of a prefork
pool and in a small companion process of the other pools, which share their interpreter with user code.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

#: Beats are this far apart, and forgotten after ``TTL_MS``.
BEAT_SECONDS = 0.5
TTL_MS = 2000

#: Rows at the end of a table that are no slots: what the worker's processes tell one another.
RESERVED = 2

_ROW = 512
_HEAD = struct.Struct("<IBdH")
_TEXT = _ROW - _HEAD.size


class Row(NamedTuple):
    """What a slot wrote about itself. ``deadline`` is monotonic seconds, 0 without one; ``what`` '' between tasks."""

    pid: int
    busy: bool
    deadline: float
    what: str


class SlotTable:
    """Rows in memory shared by the processes of one worker."""

    def __init__(self, rows: int, fd: int | None = None) -> None:
        """A new table, or the one behind ``fd`` that another process of this worker made."""
        self.rows = rows
        if fd is None:
            with tempfile.TemporaryFile() as file:
                file.truncate(rows * _ROW)
                fd = os.dup(file.fileno())
        self.fd = fd
        self._map = mmap.mmap(fd, rows * _ROW)

    def take(self, row: int, pid: int) -> None:
        """Write that ``pid`` works in ``row``."""
        self._map[row * _ROW : row * _ROW + _HEAD.size] = _HEAD.pack(pid, 0, 0.0, 0)

    def take_free(self, pid: int) -> int:
        """A row nobody works in, now ``pid``'s (a dead process keeps its row until the watcher has looked into it).

        Call it under a lock that all processes of the worker share.
        """
        for row in range(self.rows - RESERVED):
            if self.read(row).pid == 0:
                self.take(row, pid)
                return row
        raise RuntimeError(f"All {self.rows} slots of this worker are taken.")

    def write(self, row: int, pid: int, busy: bool, deadline: float, what: str) -> None:
        """Write what ``row`` is about to run."""
        text = what.encode()[:_TEXT]
        at = row * _ROW
        # Length last: a reader that comes in between sees an empty text, never half of two.
        self._map[at : at + _HEAD.size] = _HEAD.pack(pid, busy, deadline, 0)
        self._map[at + _HEAD.size : at + _HEAD.size + len(text)] = text
        self._map[at : at + _HEAD.size] = _HEAD.pack(pid, busy, deadline, len(text))

    def read(self, row: int) -> Row:
        """What ``row`` says."""
        at = row * _ROW
        pid, busy, deadline, size = _HEAD.unpack_from(self._map, at)
        return Row(
            pid, bool(busy), deadline, self._map[at + _HEAD.size : at + _HEAD.size + size].decode(errors="replace")
        )

    def clear(self, row: int) -> None:
        """Nobody works in ``row``."""
        self.take(row, 0)

    def occupied(self) -> list[tuple[int, Row]]:
        """(row, what it says) of all rows somebody took."""
        return [(row, said) for row in range(self.rows - RESERVED) if (said := self.read(row)).pid]


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


class Mark:
    """One slot's hand on its row: what ``Workplace.watch`` calls."""

    def __init__(self, table: SlotTable, row: int) -> None:
        self.table, self.row, self.pid = table, row, os.getpid()
        self.busy = False
        self._kept = ""

    def hold(self, what: str) -> None:
        """What the slot works at between the nodes it calls: a slice, a run."""
        self._kept = what
        self.busy = bool(what)
        self.table.write(self.row, self.pid, self.busy, 0.0, what)

    def __call__(self, what: str, seconds: float | None) -> None:
        deadline = time.monotonic() + seconds if seconds is not None else 0.0
        self.table.write(self.row, self.pid, self.busy or bool(what), deadline, what or self._kept)


def beat_record(table: SlotTable, boot: str, about: dict[str, object], dead: list[str]) -> dict[str, object]:
    """What a beat says: who the worker is, its slots and those that died lately, and how many wait for work."""
    rows = [(row, said) for row, said in table.occupied() if slot_name(boot, said.pid, row) not in dead]
    busy = sum(said.busy for _, said in rows)
    return {
        **about,
        "boot": boot,
        "slots": [slot_name(boot, said.pid, row) for row, said in rows],
        "dead": dead,
        "busy": busy,
        "idle": max(0, int(str(about["concurrency"])) - busy),
    }
