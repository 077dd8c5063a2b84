"""What the ledger's operations answer, and what they take."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

log = logging.getLogger(__name__)

#: A run's record as stored: text fields decoded, values as bytes.
Record = Mapping[str, bytes]
NO_RECORD: Record = MappingProxyType({})


class Address(NamedTuple):
    """Where a run lives: its id and the thread (line of checkpoints) it runs on."""

    run_id: str
    thread_id: str

    @property
    def own_thread(self) -> bool:
        """The run's thread has the run's id."""
        return self.run_id == self.thread_id


class Submitted(NamedTuple):
    """What became of a submission.

    Attributes:
        kind: new; waits (in line, behind ``other``); same (this very run is there already); conflict (another input);
            busy (``other`` has the thread); moved (``other`` is its head, not the one that the caller saw); lost (``other`` is
            a checkpoint to go back to, and is not kept any more).
    """

    kind: Literal["new", "waits", "same", "conflict", "busy", "moved", "lost"]
    epoch: int = 0
    other: str = ""


class Claimed(NamedTuple):
    """``kind`` ok, gone (``info`` its status), held (``info`` the slot), open (``info`` ms of the last hint).

    ``waits``: it is not its turn on the thread; ``info`` is the run that has it.
    """

    kind: Literal["ok", "gone", "held", "open", "waits"]
    info: str = ""
    head: str = ""
    record: Record = NO_RECORD


#: Fields of the run's record that an attempt of a task needs, besides ``n:<task>``: the answers it was given.
OF_ATTEMPT = ("epoch", "config", "batch_e", "key", "stop", "go", "outside", "x", "why", "retries")


class ClaimedTask(NamedTuple):
    """``kind`` ok, done, held (``info`` the slot), asleep (``info`` ms of the wake-up), stale (``info`` why).

    ``record`` holds what an attempt needs of the run's record; not its input.
    """

    kind: Literal["ok", "done", "held", "asleep", "stale"]
    info: str = ""
    crashes: int = 0
    attempts: int = 0
    first_ms: int = 0
    record: Record = NO_RECORD
    #: Why it crashed last.
    why: str = ""


class Answer(NamedTuple):
    """``kind`` is the script's word; ``info`` its reason, if it gives one."""

    kind: str
    info: str = ""


@dataclass(slots=True)
class Commit:
    """One superstep of a run, to be applied whole or not at all."""

    address: Address
    slot: str
    epoch: int
    parent: str
    #: The new checkpoint's id; '' leaves the head where it is (the run only changes its status).
    head: str
    status: str
    sweep_ms: int = 1000
    #: Some of the superstep's tasks were offered to other workers.
    offered: bool = False
    #: The superstep was opened, and what its tasks came to stays: who answers or retries the run needs it.
    kept_open: bool = False
    #: Fields to set and to delete in the line.
    sets: Sequence[tuple[str, bytes]] = ()
    drops: Sequence[str] = ()
    #: Fields of the run's record.
    fields: Sequence[tuple[str, bytes | str | int]] = ()
    log: Sequence[bytes] = ()
    #: Writes kept for the history, by ``<checkpoint>|<task>|w``.
    kept: Sequence[tuple[str, bytes]] = ()
    index_history: bool = False
    #: The parent, which the run found, stays: whoever made it may not have told the history.
    index_parent: bool = False
    #: Of a batch item: the batch's epoch, and, when it ends here, its row.
    batch_epoch: str = ""
    row: bytes = b""
    #: Delete the run and its line when this ends it (a batch item, whose row is all that is kept).
    compact: bool = False
    #: So long the records of its effects are kept when it is done: of a run, or of an item that is deleted so. Milliseconds.
    effects_ms: int = 0


@dataclass(slots=True)
class ItemStep:
    """One superstep of one item of a slice.

    Attributes:
        kind: step (go on), end (``row`` is the result), promote (go on as a run of its own with ``fields``), own (nothing:
            ask whether it did, or has its row).
    """

    kind: Literal["step", "end", "promote", "own"]
    index: int
    parent: str
    head: str = ""
    sets: Sequence[tuple[str, bytes]] = ()
    drops: Sequence[str] = ()
    row: bytes = b""
    fields: Sequence[tuple[str, bytes | str | int]] = ()


class Taken(NamedTuple):
    """The items bound to a slice: ``[start, stop)`` within ``chunk``.

    ``flag``: n new, r taken before, a suspect of the death of a worker, c crashed before.
    """

    chunk: int
    start: int
    stop: int
    flag: str
    epoch: str

    def span(self) -> str:
        """As the scripts write it."""
        return f"{self.chunk}:{self.start}:{self.stop}:{self.flag}"

    @staticmethod
    def parse(span: str, epoch: str = "") -> Taken:
        """From what the scripts write."""
        chunk, start, stop, flag = span.split(":")
        return Taken(int(chunk), int(start), int(stop), flag, epoch)


@dataclass(slots=True)
class BatchCounts:
    """Counters of a batch, summed over its partitions."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    #: Items that go on as runs of their own.
    promoted: int = 0
    #: Of these, items whose runs wait for an answer.
    asking: int = 0
    #: Ready items nobody has taken.
    ready: int = 0
    #: Items in slices, by span.
    in_slices: int = 0
    states: set[str] = field(default_factory=set)
    #: Names of the pauses that stand.
    pauses: set[str] = field(default_factory=set)

    def at_rest(self, total: int | None) -> bool:
        """Whether every item of a batch of ``total`` items (None: more may come) has come to its end."""
        if "cancelled" in self.states:
            return True
        return total is not None and self.done + self.failed + self.cancelled >= total


class Due(NamedTuple):
    """An overdue entry: ``kind`` run, task, slice or batch; ``name`` the run or batch, ``part`` the task or slice."""

    kind: Literal["run", "task", "slice", "batch"]
    name: str
    part: str = ""

    @staticmethod
    def parse(entry: str) -> Due:
        """From what the due index holds."""
        name, _, part = entry[2:].rpartition("\n") if entry[0] in "ts" else (entry[2:], "", "")
        kinds: dict[str, Literal["run", "task", "slice", "batch"]] = {
            "r": "run",
            "t": "task",
            "s": "slice",
            "b": "batch",
        }
        return Due(kinds[entry[0]], name, part)

    @staticmethod
    def of(entries: Iterable[bytes]) -> list[Due]:
        """From what was found in the due index; what is damaged there, or of somebody else, must not hold up the rest."""
        found = []
        for entry in entries:
            try:
                found.append(Due.parse(entry.decode()))
            except (LookupError, UnicodeDecodeError):
                log.warning("the due index has an entry that nobody understands: %r", entry)
        return found


class Swept(NamedTuple):
    """What was overdue in a partition at ``now_ms``, and ms until the next entry is due (-1: none)."""

    now_ms: int
    next_ms: int
    due: list[Due]


class Aged(NamedTuple):
    """Threads of which a checkpoint was too old at ``now_ms``."""

    now_ms: int
    threads: list[str]

    @staticmethod
    def of(now_ms: int, entries: Iterable[bytes]) -> Aged:
        """From what was found; what is damaged there, or of somebody else, must not hold up the rest."""
        found = []
        for entry in entries:
            try:
                found.append(entry.decode())
            except UnicodeDecodeError:
                log.warning("the list of threads with old checkpoints has one that nobody understands: %r", entry)
        return Aged(now_ms, found)
