"""Whoever attaches to a run: reads its log from the start, from now on, or on from a cursor, and follows it.

A cursor names an entry of the log and how many of its chunks were had. To go on from there the entries before it are
read again, silently, from the last one that has all of the state: a reader needs nothing but its cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from distgraph.cluster.events import has_all
from distgraph.cluster.pump import patience, still_wanted
from distgraph.cluster.replay import OF_STATE, Replay
from distgraph.errors import ConfigError, EventsTrimmedError
from distgraph.ledger.contract import Runs
from distgraph.ledger.reads import LOG_LENGTH
from distgraph.ledger.replies import Address

#: How long one look at a run's log waits at the server. Milliseconds; below the client's socket timeout.
BLOCK_MS = 2000
#: Entries of one look, at most, and bytes of one look, about.
MOST, BYTES = 500, 4 << 20
#: Entries of the first look: nothing is known of their size.
FIRST = 20


class RunEvent(NamedTuple):
    """One thing that a run told.

    Attributes:
        mode: the stream mode it belongs to.
        data: what ``stream`` yields for it.
        ns: the way to the nested graph it comes from; () for the run's own.
        cursor: where to go on after it; text, for ``events(cursor=...)`` with the same modes.
        attempt: of what a node told while it ran (``custom``, tokens): names that very execution. A node that is
            executed again, after a failure or a death, tells it again under another name. '' of what is settled, which
            comes once.
        task: the id of the task that ran, of those.
    """

    mode: str
    data: Any
    ns: tuple[str, ...] = ()
    cursor: str = ""
    attempt: str = ""
    task: str = ""


class Follower:
    """Reads one run's log.

    Args:
        runs: the ledger.
        address: the run's.
        replay: makes chunks of its entries.
        at_rest: whether the run is at rest now.
    """

    def __init__(self, runs: Runs, address: Address, replay: Replay, at_rest: Callable[[], bool]) -> None:
        self._runs, self._address, self._replay, self._at_rest = runs, address, replay, at_rest
        self._shape = ",".join(sorted(replay.modes)) + ("+" if replay.nested else "")
        self._after, self._silent, self._had = "0", "", 0
        self._size = FIRST

    def start(self) -> None:
        """Begin with the run's first event.

        Raises:
            EventsTrimmedError: that is not kept any more.
        """
        first = self._runs.log(self._address, "0", most=1)
        if first and not self._begins(first[0][1]) and self._runs.log_length(self._address) >= LOG_LENGTH:
            raise self._trimmed("its first events are")

    def _begins(self, data: bytes) -> bool:
        kind, *rest = self._replay.codec.decode(data)
        return kind == "end" or (kind in ("step", "go") and (len(rest) < 8 or bool(rest[7].get("first"))))

    def now(self) -> None:
        """Begin with what comes from now on."""
        self.behind(self._runs.log_end(self._address))

    def behind(self, entry: str) -> None:
        """Begin after an entry of the log; '0' is before the first."""
        if entry != "0":
            self._go_on(entry, -1)

    def cursor(self, cursor: str) -> None:
        """Begin after the event that had this cursor.

        Raises:
            ConfigError: it is no cursor, or of other modes.
            EventsTrimmedError: events after it are not kept any more.
        """
        entry, had = self._read(cursor)
        self._go_on(entry, had)

    def _read(self, cursor: str) -> tuple[str, int]:
        entry, _, rest = cursor.partition("/") if isinstance(cursor, str) else ("", "", "")
        had, _, shape = rest.partition("/")
        if not had.isdigit() or not entry.replace("-", "").isdigit():
            raise ConfigError(f"{cursor!r} is no cursor: give the `cursor` of an event of this run, unchanged.")
        if shape != self._shape:
            raise ConfigError(
                f"Cursor {cursor!r} is of a stream of {shape or 'nothing'}, this one is of {self._shape} ('+': with nested "
                "graphs). Go on with the same modes, or read from the start."
            )
        return entry, int(had)

    def _go_on(self, entry: str, had: int) -> None:
        found = self._runs.log_back(self._address, entry, most=1)
        if not found or found[0][0] != entry:
            raise self._trimmed(f"entry {entry} is")
        self._after, self._silent, self._had = self._frame(entry), entry, had

    def _frame(self, entry: str) -> str:
        """The id before that of the last entry, up to ``entry``, which has all of the state."""
        at, frame = entry, ""
        while True:
            page = self._runs.log_back(self._address, at, most=self._size)
            for at, data in page:
                if frame and at != frame:
                    return at
                kind, *rest = self._replay.codec.decode(data)
                frame = at if has_all(kind, rest) else ""
            self._fit(page)
            if len(page) < 2:
                break
        lost = not frame and self._runs.log_length(self._address) >= LOG_LENGTH
        if lost and not self._replay.modes.isdisjoint(OF_STATE):
            raise self._trimmed("the state before these events is")
        return "0"

    # ------------------------------------------------------------- reading on

    def events(self) -> Iterator[RunEvent]:
        """What the run tells, until it is at rest and all of it was read.

        Raises:
            EventsTrimmedError: the run has told more than is kept since the last look.
        """
        while True:
            entries = self._runs.log(self._address, self._after, most=self._size, block_ms=patience(BLOCK_MS))
            still_wanted()
            if entries and self._after != "0" and not self._still_there():
                raise self._trimmed(f"what came after {self._after} is")
            for entry_id, data in entries:
                told = self._replay.chunks(entry_id, data)
                self._after = entry_id
                for number in range(self._skipped(entry_id, len(told)), len(told)):
                    chunk = told[number]
                    cursor = f"{entry_id}/{number + 1}/{self._shape}"
                    yield RunEvent(chunk.mode, chunk.data, chunk.ns, cursor, chunk.attempt, chunk.task)
            self._fit(entries)
            # A run that was resumed goes on after its end.
            may_end = not entries or self._replay.ended is not None
            if may_end and self._at_rest() and not self._runs.log(self._address, self._after, most=1):
                return

    def _skipped(self, entry_id: str, told: int) -> int:
        """How many chunks of an entry the reader had before."""
        if not self._silent:
            return 0
        if entry_id != self._silent:
            return told
        self._silent = ""
        return told if self._had < 0 else min(self._had, told)

    def _still_there(self) -> bool:
        found = self._runs.log_back(self._address, self._after, most=1)
        return bool(found) and found[0][0] == self._after

    def _fit(self, entries: list[tuple[str, bytes]]) -> None:
        """So many entries the next time that they stay small together."""
        if entries:
            mean = sum(len(data) for _, data in entries) // len(entries)
            self._size = max(2, min(MOST, BYTES // max(1, mean)))

    def _trimmed(self, what: str) -> EventsTrimmedError:
        return EventsTrimmedError(
            f"Events of run {self._address.run_id!r} are lost to this reader: {what} not in its log any more. A log keeps "
            f"the newest {LOG_LENGTH:,} entries, about. Read its state instead, or follow it from now on."
        )
