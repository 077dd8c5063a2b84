"""What savers need of whatever keeps lines of checkpoints: the ledger on a server, a database file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from distgraph.ledger.places import Change, Found, Place, Stamp, Writes
from distgraph.ledger.replies import Address, Aged, Answer


class Lines(Protocol):
    """Lines of checkpoints: fields (records and values), writes of tasks, a head."""

    def put(self, changes: Sequence[Change]) -> list[tuple[Place, Answer]]:
        """Store changes in order; each is atomic, their sequence is not.

        A checkpoint becomes the head of its line if it is above it. A repeat changes nothing.

        Returns:
            The answers: ok; busy with the id of the run that holds the line, or the thread where a nested graph's line is
            written from outside of it; or lost with the id of the checkpoint that the new one shares values with, if it is
            not there any more. Then nothing of that change is stored.
        """
        ...

    def look(self, place: Place, checkpoint_id: str = "") -> Found | None:
        """One checkpoint, or the head; None if there is no such."""
        ...

    def history(self, place: Place, *, before: str = "", most: int) -> list[str]:
        """Ids of a line's checkpoints below ``before``, newest first, at most so many."""
        ...

    def records(self, place: Place, ids: Sequence[str]) -> list[Found]:
        """These checkpoints, without those whose record is gone."""
        ...

    def read(
        self, place: Place, fields: Sequence[str], writes: Mapping[str, int]
    ) -> tuple[dict[str, bytes | None], dict[str, list[Writes]]]:
        """Values by field, None where it is not there; and writes by checkpoint, in the order they came in.

        ``writes`` says how many there are of each checkpoint, as it was found.
        """
        ...

    def outcomes(self, thread_id: str, run_id: str, head: str) -> dict[str, bytes]:
        """Task id -> outcome, of the superstep after ``head`` as far as the run has settled it."""
        ...

    def nested(self, thread_id: str) -> list[str]:
        """Namespaces of the graphs nested in a thread that have a line, sorted."""
        ...

    def threads(self) -> Iterator[str]:
        """Every thread that has a line, in no order."""
        ...

    def stamp(self, place: Place) -> Stamp | None:
        """How the line is now; None if there is none."""
        ...

    def cut(
        self, place: Place, stamp: Stamp, ids: Sequence[str], fields: Sequence[str], *, head: str, run: str = ""
    ) -> Answer:
        """Delete checkpoints of a line, with what tasks after them wrote, and ``fields`` of it: values that no other needs.

        Args:
            place: the line.
            stamp: of the line when the caller looked at it, before he read what it has.
            ids: at least one.
            fields: names of values.
            head: the head from now on.
            run: the run that may hold the thread.

        Returns:
            ok (a repeat too); more: there are too many writes for one call, and nothing but writes went; moved: the line is
            not as it was seen; busy with the id of another run that holds the thread. In these two nothing has changed.
        """
        ...

    def drop_nested(self, thread_id: str, namespaces: Sequence[str]) -> None:
        """Delete these lines, their writes and histories. Those that are not there are passed over."""
        ...

    def delete(self, thread_id: str) -> Answer:
        """Delete a thread's lines, with those of nested graphs: ok, or busy with the run that holds the thread."""
        ...


class NestedLines(Lines, Protocol):
    """Lines of graphs that are nested in the tasks of runs: attempts of one task may be at work at the same time.

    A change that names its ``holder`` is refused (held) unless that attempt is the last that was given the line; also
    when the line was dropped since, so that a late attempt brings nothing back. Entries of the log of the run around it are
    appended with the change that has them, or not at all; a repeat appends none.
    """

    def hold(self, place: Place, holder: str, address: Address, head: str, epoch: str) -> Answer:
        """Give a line to one attempt.

        Returns:
            ok; or stale, and nothing changes: ``head`` is not the head of the thread's own line, or ``epoch`` is not that
            of the run, or the run does not run. A run without a record has the epoch ''.
        """
        ...

    # ---- threads whose checkpoints grow too old

    def note_age(self, thread_id: str, at_ms: int) -> None:
        """Have a thread looked at, at ``at_ms`` or before: a checkpoint of it is too old then. An earlier look stands."""
        ...

    def aged(self, *, most: int, push_ms: int) -> Aged:
        """Threads whose look is overdue, of each partition the longest first and at most ``most``; put off by ``push_ms``.

        A repeat finds others: those of a lost reply come again after that time.
        """
        ...

    def looked_at(self, thread_id: str, head: str, next_ms: int | None) -> Answer:
        """When a thread that was looked at, while it stood at ``head``, is to be looked at again; None: never.

        Returns:
            ok; or moved: it has gone on, or it is to be forgotten while a run has it. Nothing changes then.
        """
        ...
