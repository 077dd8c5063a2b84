"""What lines of checkpoints are made of, as savers hand it to whatever keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

#: Writes of one call, fields of one read, names of one deletion: scripts and commands stay short for everybody else.
MOST = 500


class Place(NamedTuple):
    """A line: a thread's own (``ns`` is empty), or that of a graph nested in it."""

    thread_id: str
    ns: str = ""


class Writes(NamedTuple):
    """What one task wrote, or one part of it, under a name.

    Attributes:
        mode: "first": what is stored under this name already stands; "last": this replaces it.
        before: id of the checkpoint before the task.
        kind: the name, unique for the task.
        path: where the task stands in the order of its superstep.
    """

    mode: Literal["first", "last"]
    before: str
    task: str
    kind: str
    path: str
    data: bytes


@dataclass(slots=True)
class Change:
    """What a saver stores in one step: writes, then a checkpoint.

    Attributes:
        new: the checkpoint's id; '' where there are writes alone.
        sets: fields of the line: the record, and values.
        holder: on a nested graph's line, the attempt that stores it; '' from outside of runs.
        run_id: of the run whose log gets ``entries``, on the same thread.
        entries: of that log, appended where the change is stored, and not otherwise.
        shares: the checkpoint with which the new one shares values; '' if it brings all its own.
    """

    place: Place
    new: str = ""
    sets: Sequence[tuple[str, bytes]] = ()
    writes: list[Writes] = field(default_factory=list)
    holder: str = ""
    run_id: str = ""
    entries: list[bytes] = field(default_factory=list)
    shares: str = ""


class Found(NamedTuple):
    """A checkpoint as stored.

    Attributes:
        record: None: it is the head, and its record is gone.
        writes: how many writes savers stored for it.
        run: of the head: the thread's latest run, or ''.
    """

    checkpoint_id: str
    record: bytes | None
    writes: int
    run: str = ""


class Stamp(NamedTuple):
    """How a line was when somebody looked at it: whoever deletes some of it has seen all that stays.

    Attributes:
        checkpoints: how many its history has.
        fields: how many records, values and the like it has.
        base: id of the checkpoint from which the run began that has the thread, or that waits for an answer there; or ''.
    """

    head: str
    checkpoints: int
    fields: int
    base: str = ""

    def after(self, head: str, checkpoints: int, fields: int) -> Stamp:
        """The stamp when so many checkpoints, and values besides, have gone."""
        return Stamp(head, self.checkpoints - checkpoints, self.fields - checkpoints - fields, self.base)


def numbered(before: str, writes: Sequence[tuple[str, str, bytes]]) -> list[tuple[str, bytes]]:
    """Fields that keep the writes of a whole superstep for the history, as savers read them.

    Args:
        before: id of the checkpoint before it.
        writes: (task id, path, writes) of each task.
    """
    fields = [(before, str(len(writes)).encode())]
    for n, (task, path, data) in enumerate(writes, 1):
        fields += ((f"{before}|{task}|w", data), (f"{before}|{n}", f"{task}|w|{path}".encode()))
    return fields


def folded(changes: Sequence[Change]) -> list[Change]:
    """The same in fewer changes: writes go with what follows them on their line, as far as a script stays short."""
    made: list[Change] = []
    for change in changes:
        last = made[-1] if made else None
        if (
            last is not None
            and (last.place, last.holder) == (change.place, change.holder)
            and (not last.entries or last.run_id == change.run_id)
            and not last.new
            and len(last.writes) + len(change.writes) <= MOST
        ):
            writes, entries = [*last.writes, *change.writes], [*last.entries, *change.entries]
            made[-1] = Change(
                change.place,
                change.new,
                change.sets,
                writes,
                change.holder,
                change.run_id or last.run_id,
                entries,
                change.shares,
            )
        else:
            made.append(change)
    return made
