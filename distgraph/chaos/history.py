"""Histories: what every process did and saw, in files that survive it.

A line is one JSON object: ``t`` (CLOCK_MONOTONIC, seconds: one clock for all processes of a machine), ``pid``, ``op``,
``f`` (invoke, ok, fail, or info: it may have happened or not) and what belongs to the op. Each process appends to a file
of its own with O_APPEND; what was written is in the page cache, so no SIGKILL takes it back.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class Journal:
    """One process's hand on the history in ``folder``; a fork opens a file of its own."""

    def __init__(self, folder: str | os.PathLike[str], role: str) -> None:
        self.folder, self.role = Path(folder), role
        self._fd = self._pid = -1

    def write(self, op: str, f: str, t: float | None = None, **about: Any) -> None:
        """Append one event that happened at ``t`` (monotonic seconds; default: now)."""
        pid = os.getpid()
        if pid != self._pid:
            path = self.folder / f"{self.role}-{pid}.jsonl"
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            self._pid = pid
        event = {"t": time.monotonic() if t is None else t, "pid": pid, "op": op, "f": f, **about}
        os.write(self._fd, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._pid == os.getpid():
            os.close(self._fd)
        self._fd = self._pid = -1


def read(folder: str | os.PathLike[str]) -> list[Event]:
    """All events of all files, in the order they happened.

    Raises:
        ValueError: a line is damaged that is not the last of its file (the last one may be cut off by a kill).
    """
    events = [event for path in sorted(Path(folder).glob("*.jsonl")) for event in _events(path)]
    return sorted(events, key=lambda event: float(event["t"]))


def _events(path: Path) -> Iterator[Event]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise ValueError(f"{path.name}, line {number}: no event: {line[:80]!r}") from None


def of(events: Iterable[Event], *ops: str) -> list[Event]:
    """The events of these ops, in their order."""
    return [event for event in events if event["op"] in ops]
