"""Old checkpoints of lines deleted, whole lines copied: what savers do with threads, and workers with those of their runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from distgraph.checkpoint.lines import decode_record, value_fields
from distgraph.checkpoint.pending import OUTPUT
from distgraph.checkpoint.retention import CheckpointRetention, portions
from distgraph.errors import CheckpointCorruptError, DistgraphError, InputError, ThreadBusyError
from distgraph.ledger.contract.lines import Lines
from distgraph.ledger.places import Change, Found, Place, Stamp, Writes
from distgraph.superstep.model import Checkpoint
from distgraph.wire import Codec

#: Checkpoints that are read, or copied, at a time; deleted in one step; fields deleted with them.
PAGE = 200
MOST_IDS, MOST_FIELDS = 200, 500
#: Checkpoints whose values are named in one step.
MOST_LOOKED = 2000
#: How often a line may change under whoever prunes it before he leaves it for another time.
TRIES = 8

T = TypeVar("T")
#: What is done in steps, so that whoever has little time can go on with it later; then its result.
Steps = Generator[None, None, T]


class Kept(NamedTuple):
    """A checkpoint that was read, without its values, and what is stored of it."""

    found: Found
    at: Checkpoint
    metadata: dict[str, Any]


class Left(NamedTuple):
    """What a line has when some of it was deleted.

    Attributes:
        gone: checkpoints that went.
        ids: those that are left.
        newest: the newest that anybody looked at; what is above it came later.
    """

    gone: int = 0
    ids: frozenset[str] = frozenset()
    newest: str = ""


class Pruned(NamedTuple):
    """What became of a thread.

    Attributes:
        gone: checkpoints that went, those of nested graphs too.
        oldest: id of the oldest that is left and may go one day; '' if only the newest of each line are left.
    """

    gone: int
    oldest: str


#: Chooses, of the checkpoints of a line from its newest, those that go; told which of them a run needs.
Choice = Callable[[Sequence[Kept], Collection[str]], Collection[str]]


class LineKeeper:
    """Deletes and copies checkpoints.

    Args:
        lines: where they are.
        codec: reads their records.
    """

    def __init__(self, lines: Lines, codec: Codec) -> None:
        self._lines, self._codec = lines, codec

    def prune(
        self, thread_id: str, retention: CheckpointRetention, now: datetime | None = None, *, run: str = ""
    ) -> int:
        """Delete what need not be kept of a thread; how many checkpoints went. See ``pruning``.

        Raises:
            ThreadBusyError, CheckpointCorruptError: as ``pruning``.
        """
        return _all_of(self.pruning(thread_id, retention, now or datetime.now(UTC), run=run)).gone

    def pruning(self, thread_id: str, retention: CheckpointRetention, now: datetime, *, run: str = "") -> Steps[Pruned]:
        """``prune`` in steps, each of which reads or deletes a bounded number of checkpoints.

        Lines of graphs nested in tasks go with the checkpoint whose tasks they were; others are pruned likewise. The
        thread may go on meanwhile: what comes is not touched.

        Args:
            thread_id: the thread.
            retention: what stays.
            now: with a time zone.
            run: the run that may hold the thread: the caller drives it, or nobody does.

        Raises:
            ThreadBusyError: another run holds it. Some may be gone.
            CheckpointCorruptError: a checkpoint cannot be read, so that nobody knows which values it needs.
        """

        def choose(found: Sequence[Kept], needed: Collection[str]) -> Collection[str]:
            return retention.doomed([(one.at.id, one.at.ts) for one in found], now, needed)

        own = yield from self._cut(Place(thread_id), choose, run)
        gone, later = own.gone, [_second(own)]
        for ns in self._lines.nested(thread_id):
            place = Place(thread_id, ns)
            if gone and self._is_orphan(place, own):
                self._lines.drop_nested(thread_id, [ns])
                yield
                continue
            left = yield from self._cut(place, choose, run)
            gone += left.gone
            later.append(_second(left))
        return Pruned(gone, min((one for one in later if one), default=""))

    def delete_runs(self, thread_id: str, run_ids: Collection[str]) -> int:
        """Delete the checkpoints of a thread whose metadata name one of these runs; how many went."""

        def choose(found: Sequence[Kept], needed: Collection[str]) -> Collection[str]:
            return {one.at.id for one in found if one.metadata.get("run_id") in run_ids}

        places = [Place(thread_id, ns) for ns in ("", *self._lines.nested(thread_id))]
        return sum(_all_of(self._cut(place, choose, "")).gone for place in places)

    def copy(self, source: str, target: str) -> int:
        """Copy a thread with all that belongs to it to one that is not there yet; how many checkpoints it has.

        Raises:
            InputError: there is no such thread, or the target is there already.
            ThreadBusyError: a run has begun on the target.
        """
        if self._lines.look(Place(source)) is None:
            raise InputError(f"There is no thread {source!r} to copy.")
        if self._lines.look(Place(target)) is not None:
            raise InputError(f"There is a thread {target!r} already. Choose another name, or delete it first.")
        # the thread's own line last: until it is there, a copy that was cut off can be made again
        places = [*self._lines.nested(source), ""]
        return sum(self._copy(Place(source, ns), Place(target, ns)) for ns in places)

    # ------------------------------------------------------------- copying

    def _copy(self, source: Place, target: Place) -> int:
        found = _all_of(self._read(source))
        for first in range(0, len(found), PAGE):
            page = found[::-1][first : first + PAGE]
            fields = dict.fromkeys(field for one in page for field in value_fields(one.at))
            values, writes = self._lines.read(source, [*fields], {one.at.id: one.found.writes for one in page})
            changes = []
            for one in page:
                sets = [(field, data) for field in value_fields(one.at) if (data := values[field]) is not None]
                record = one.found.record or b""
                changes.append(Change(target, one.at.id, [*sets, (f"c:{one.at.id}", record)]))
                own = [*self._outcomes(source, one), *writes.get(one.at.id, ())]
                if own:
                    changes.append(Change(target, writes=own))
            for place, answer in self._lines.put(changes):
                if answer.kind == "busy":
                    raise busy(place.thread_id, answer.info, "nothing more was copied")
        return len(found)

    def _outcomes(self, place: Place, one: Kept) -> Iterator[Writes]:
        """What the tasks after the head came to in a run that stopped there: in the copy nobody else knows it."""
        if one.found.run and not place.ns:
            for task, data in self._lines.outcomes(place.thread_id, one.found.run, one.at.id).items():
                yield Writes("first", one.at.id, task, OUTPUT, "", data)

    # ------------------------------------------------------------- deleting

    def _cut(self, place: Place, choose: Choice, run: str) -> Steps[Left]:
        went, left = 0, Left()
        for _ in range(TRIES):
            stamp = self._lines.stamp(place)
            if stamp is None:
                return Left(went)
            found = yield from self._read(place)
            ids = frozenset(one.at.id for one in found)
            left = Left(went, ids, max(ids, default=""))
            doomed = set(choose(found, {stamp.base})) & ids
            if not doomed:
                return left
            if doomed == ids:
                self._delete(place)
                return left._replace(gone=went + len(ids), ids=frozenset())
            cut = yield from self._in_portions(place, stamp, found, doomed, run)
            went += cut
            left = left._replace(gone=went)
            if cut == len(doomed):
                return left._replace(ids=ids - doomed)
        return left

    def _delete(self, place: Place) -> None:
        """A line of which nothing stays; of a thread's own all others go too."""
        if place.ns:
            self._lines.drop_nested(place.thread_id, [place.ns])
            return
        answer = self._lines.delete(place.thread_id)
        if answer.kind == "busy":
            raise busy(place.thread_id, answer.info, "nothing was deleted")

    def _in_portions(self, place: Place, stamp: Stamp, found: Sequence[Kept], doomed: set[str], run: str) -> Steps[int]:
        """How many went before the line changed under us."""
        named: set[str] = set()
        going: list[tuple[str, list[str]]] = []
        for first in range(0, len(found), MOST_LOOKED):
            for one in found[first : first + MOST_LOOKED]:
                fields = value_fields(one.at)
                if one.at.id in doomed:
                    going.append((one.at.id, fields))
                else:
                    named.update(fields)
            yield
        # only where the newest goes there is another head
        head = stamp.head if stamp.head not in doomed else max(one.at.id for one in found if one.at.id not in doomed)
        went = 0
        for ids, fields in portions(going, named, most_ids=MOST_IDS, most_fields=MOST_FIELDS):
            while (answer := self._lines.cut(place, stamp, ids, fields, head=head, run=run)).kind == "more":
                yield
            if answer.kind == "busy":
                raise busy(place.thread_id, answer.info, "its old checkpoints stay")
            if answer.kind != "ok":
                break
            went += len(ids)
            stamp = stamp.after(head, len(ids), len(fields))
            yield
        return went

    def _is_orphan(self, place: Place, outer: Left) -> bool:
        """Whether the line belongs to a task of a checkpoint of the ``outer`` line that is gone."""
        newest = self._lines.look(place)
        if newest is None or newest.record is None or ":" not in place.ns.rpartition("|")[2]:
            return False
        parent = self._opened(place, newest).metadata.get("parents", {}).get("")
        # One that is above all that was seen has come since, and its tasks may just have begun.
        return parent is not None and parent not in outer.ids and parent <= outer.newest

    # ------------------------------------------------------------- reading

    def _read(self, place: Place) -> Steps[list[Kept]]:
        """All checkpoints of a line, newest first."""
        found: list[Kept] = []
        below = ""
        while ids := self._lines.history(place, before=below, most=PAGE):
            found += [self._opened(place, one) for one in self._lines.records(place, ids)]
            below = ids[-1]
            yield
        return found

    def _opened(self, place: Place, found: Found) -> Kept:
        try:
            if found.record is None:
                raise CheckpointCorruptError("It has no record.")
            return Kept(found, *decode_record(self._codec, found.checkpoint_id, found.record))
        except DistgraphError as exc:
            exc.add_note(f"In checkpoint {found.checkpoint_id} of thread {place.thread_id!r}, namespace {place.ns!r}.")
            raise


def _all_of(steps: Steps[T]) -> T:
    """The result of steps that are taken at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


def _second(left: Left) -> str:
    """The oldest that is left of a line, unless it is the newest."""
    return min(left.ids) if len(left.ids) > 1 else ""


def busy(thread_id: str, run_id: str, outcome: str) -> ThreadBusyError:
    """The error of a thread that a run of a cluster holds."""
    return ThreadBusyError(
        f"Thread {thread_id!r} is busy with run {run_id!r} of a cluster; {outcome}. Wait for it, or cancel it.",
        run_id=run_id,
    )
