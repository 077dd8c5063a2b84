"""What a run tells while it runs: the entries of its log. ``replay.py`` makes stream chunks of them.

One entry per superstep, appended by the very commit that applies it, so the log's order is the run's order:

    ["step", step, checkpoint id, source, [[node, task id, path, hidden, writes], ...], {channel: bytes}, [removed],
     {channel: where the bytes' items begin in a list that grew}, more]
    ["settled", [[node, task id, path, hidden, writes], ...], {task id: failure that was handled}, times]
                                                   a task that travelled and took long, and its error handler's, told at
                                                   once and by the settlement that stands; its superstep's entry has it too
    ["go", the same]                               the run begins at a checkpoint that was there, or goes on; with all of
                                                   the state, and what is known of the tasks that follow. Told once in an
                                                   epoch; logs of a release before have it again and again
    ["end", status, error record or None, [interrupts of a task, ...], more]
    ["nested", [run's epoch, task's attempts], [[namespace, mode, name, payload], ...]]
                                                   of graphs nested in a task that keep checkpoints: appended with the
                                                   checkpoint, or the writes, that they tell of
    ["live", mode, namespace, payload, task id, attempt, name]
                                                   at once, in no order with commits: what nodes write, tokens of models;
                                                   and what nested graphs tell that keep no checkpoints, and tasks that
                                                   nodes call: with a name, by which readers know what comes again

``more`` is a dict, and what it lacks is not known. Entries with all of the state come every ``FRAME`` supersteps. A run that is
profiled has ``times`` in its entries, and entries of its own for them: see ``stopwatch.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from distgraph.checkpoint.lines import Delta, Raw, decode_record
from distgraph.cluster.failures import describe
from distgraph.cluster.registry import Served
from distgraph.cluster.shelves import of_ledger
from distgraph.cluster.stopwatch import sizes_of
from distgraph.constants import CACHED, ERROR, ERROR_SOURCE, INTERRUPT, NO_WRITES, PULL, RETURN, TASKS
from distgraph.ledger.replies import Address
from distgraph.runtime import EffectLog
from distgraph.superstep.advance import Verdict
from distgraph.superstep.model import Checkpoint, Task, is_finished
from distgraph.superstep.views import read_channel
from distgraph.types import MISSING, Write

if TYPE_CHECKING:
    from distgraph.cluster.lane import Lane
    from distgraph.cluster.run import Run
    from distgraph.cluster.workplace import Workplace

LIVE, NESTED = "live", "nested"
#: So often, in supersteps, an entry has all of the state.
FRAME = 100
#: Modes that graphs nested in nodes tell of; ``tasks`` and ``checkpoints`` are parts of ``debug``.
NESTED_MODES = frozenset({"values", "updates", "debug", "messages", "tools", "custom"})
#: Control writes that readers need besides what a task changed.
_TOLD = frozenset({CACHED, RETURN, INTERRUPT, NO_WRITES})


class Frame(NamedTuple):
    """A ``step`` or ``go`` entry."""

    step: int
    id: str
    source: str
    rows: Sequence[Any]
    kept: Mapping[str, bytes]
    gone: Sequence[str]
    starts: Mapping[str, int]
    more: Mapping[str, Any]

    @staticmethod
    def of(fields: Sequence[Any]) -> Frame:
        """Of a release that knew fewer fields too."""
        return Frame(*fields[:6], *[*fields[6:8], {}, {}][:2])


def has_all(kind: str, rest: Sequence[Any]) -> bool:
    """Whether an entry has all of the state."""
    return kind in ("step", "go") and bool(Frame.of(rest).more.get("whole"))


def step_entry(run: Run, tasks: Sequence[Task], change: Delta, errors: Mapping[str, Any]) -> bytes:
    """The entry of one superstep. The first one of a run, or after it was resumed, has all of the state.

    Args:
        run: the run, at the head that is committed.
        tasks: that made it so.
        change: what it changed.
        errors: task id -> failure as stored, of those that an error handler took over from.
    """
    at, codec, shown = run.lane.at, run.served.codec, run.served.shown
    whole = run.first or at.step % FRAME == 0
    # Where an error handler took over, its update is shown, not that of the node that failed.
    rows = [_row(task, shown, task.node.hidden or task.control(ERROR_SOURCE) is not None) for task in tasks]
    if whole:
        kept, gone = _state(run, change.raw)
        starts: Mapping[str, int] = {}
    else:
        kept = {c: data for c, data in change.changed.items() if c in shown}
        starts = {c: start for c, start in change.starts.items() if c in shown}
        gone = _without(run, change.raw, kept)
    if TASKS in change.raw:
        kept[TASKS] = change.raw[TASKS][0].data
    more = _following(run.lane, {"whole": True, "first": run.first} if whole else {})
    if at.updated is not None:
        more["updated"] = sorted(shown.intersection(at.updated))
    if errors:
        more["errors"] = errors
    if run.watch is not None:
        told = change.raw if whole else {channel: change.raw[channel] for channel in change.changed}
        more["times"] = run.watch.take(sizes_of({c: pieces for c, pieces in told.items() if c in shown}))
    return codec.encode_around(["step", at.step, at.id, at.source, rows], kept, [gone, starts, more])


def go_entry(run: Run, record: bytes | None, asked: Mapping[str, Any]) -> bytes:
    """The entry of a run that begins at the checkpoint it found, or goes on.

    Args:
        run: the run.
        record: the checkpoint's.
        asked: task id -> what was asked, and may have its answers now.
    """
    lane, codec = run.lane, run.served.codec
    at = lane.at
    meta = decode_record(codec, at.id, record)[1] if record is not None else {}
    raw = lane.raw_now(at.values)
    kept, gone = _state(run, raw)
    if TASKS in raw:
        kept[TASKS] = raw[TASKS][0].data
    rows = []
    for task in lane.next.tasks if lane.next is not None else ():
        writes: Sequence[Write] = lane.pending.get(task.id, ())
        if not writes and task.id in asked:
            writes = [(INTERRUPT, asked[task.id])]
        if writes:
            rows.append([task.name, task.id, list(task.path), task.node.hidden, [[c, v] for c, v in writes]])
    more = _following(lane, {"whole": True, "first": True, "meta": meta, "epoch": run.epoch})
    return codec.encode_around(["go", at.step, at.id, at.source, rows], kept, [gone, {}, more])


def _row(task: Task, shown: frozenset[str], hidden: bool = False) -> list[Any]:
    writes = [[c, v] for c, v in task.writes if c in shown or c in _TOLD]
    if task.finished and not is_finished([(c, v) for c, v in writes]):
        writes.append([NO_WRITES, None])
    return [task.name, task.id, list(task.path), hidden, writes]


def _following(lane: Lane, more: dict[str, Any]) -> dict[str, Any]:
    """What comes after the head; tasks of Sends follow from the Sends."""
    at, following = lane.at, lane.next
    more |= {"parent": at.parent, "ts": at.ts, "stop": lane.rules.stop}
    if following is not None:
        more["run"] = following.verdict is Verdict.RUN
        more["next"] = [task.name for task in following.tasks if task.path[0] == PULL]
    return more


def _state(run: Run, raw: Raw) -> tuple[dict[str, bytes], list[str]]:
    """All of what is shown of the head, in bytes, and the channels that are empty."""
    shown, codec = run.served.shown, run.served.codec
    kept = {
        c: pieces[0].data if len(pieces) == 1 else codec.encode(run.lane.at.values[c])
        for c, pieces in raw.items()
        if c in shown
    }
    return kept, _without(run, raw, kept)


def _without(run: Run, raw: Raw, kept: dict[str, bytes]) -> list[str]:
    """Fill ``kept`` with what is no part of the checkpoint and is shown all the same; the channels that are empty."""
    gone = []
    for channel in run.served.shown.difference(raw):
        # A value that is not stored; or a reducer's empty one, as a node sees it.
        value = read_channel(run.served.program, run.lane.at.values, channel)
        if value is MISSING:
            gone.append(channel)
        else:
            kept[channel] = run.served.codec.encode(value)
    return gone


def end_entry(
    run: Run,
    status: str,
    *,
    error: Any = None,
    tasks: Sequence[Task] = (),
    after: Checkpoint | None = None,
) -> bytes:
    """The entry of a run that comes to rest.

    Args:
        run: the run.
        status: its status now.
        error: what it failed with, as stored.
        tasks: of the superstep that it leaves unfinished.
        after: the state with what has finished of that.
    """
    program, codec, shown = run.served.program, run.served.codec, run.served.shown
    asked = [
        list(task.control(INTERRUPT)) for task in tasks if not task.finished and task.control(INTERRUPT) is not None
    ]
    rows = [_outcome(task, shown) for task in tasks if task.writes]
    values = {}
    if after is not None:
        for channel in shown.intersection(after.updated or ()):
            value = read_channel(program, after.values, channel)
            if value is not MISSING:
                values[channel] = codec.encode(value)
    more: dict[str, Any] = {"rows": rows, "after": values}
    if run.watch is not None:
        more["times"] = run.watch.take()
    return codec.encode(["end", status, error, asked, more])


def settled_entry(run: Run, tasks: Sequence[Task], errors: Mapping[str, Any]) -> bytes:
    """The entry of a task that has settled while others of its superstep run: it, and its error handler's.

    Args:
        run: the run.
        tasks: the task; the one that failed, and its handler's, where that took over.
        errors: task id -> failure as stored, of that.
    """
    shown = run.served.shown
    rows = [_row(t, shown, True) if t.control(ERROR_SOURCE) is not None else _outcome(t, shown) for t in tasks]
    times = [] if run.watch is None else [run.watch.take()]
    return run.served.codec.encode(["settled", rows, errors, *times])


def _outcome(task: Task, shown: frozenset[str]) -> list[Any]:
    """What a task came to, a failure for good among it."""
    row = _row(task, shown, task.node.hidden)
    if not task.finished and task.control(ERROR) is not None:
        row[4].append([ERROR, task.control(ERROR)])
    return row


# ------------------------------------------------------------- what nodes tell while they run


class _AtWork:
    """The attempt that runs in this context."""

    __slots__ = ("_label", "epoch", "number", "saver", "task")

    def __init__(self, task: str, number: int, epoch: int) -> None:
        self.task, self.number, self.epoch = task, number, epoch
        #: Of the graphs that it runs.
        self.saver: Any = None
        self._label = ""

    @property
    def label(self) -> str:
        """Its name: of two processes that make the same attempt, each has its own."""
        if not self._label:
            self._label = f"{self.number}.{uuid.uuid4().hex[:8]}"
        return self._label


_NOBODY = _AtWork("", 0, 0)
_at_work: ContextVar[_AtWork] = ContextVar("distgraph_at_work", default=_NOBODY)


@contextmanager
def at_work(task: Task, number: int, epoch: int) -> Iterator[None]:
    """What is told in this block is told by an attempt of ``task``."""
    token = _at_work.set(_AtWork(task.id, number, epoch))
    try:
        yield
    finally:
        _at_work.reset(token)


def saves_with(saver: Any) -> None:
    """The attempt that runs in this context has ``saver`` for the graphs it runs."""
    attempt = _at_work.get()
    if attempt is not _NOBODY:
        attempt.saver = saver


def emitter(place: Workplace, served: Served, address: Address) -> Any:
    """Sends what nodes tell into the run's log.

    What nodes write goes at once. What a nested graph has settled goes with the checkpoint that settles it, where it
    keeps any: whoever runs the rest of it after a death neither repeats nor leaves out.
    """
    codec = served.codec

    def emit(ns: tuple[str, ...], mode: str, payload: Any, key: str = "") -> None:
        attempt = _at_work.get()
        saver = attempt.saver
        if mode == "debug":
            payload = _without_error(payload)
        if key and saver is not None and saver.tells(ns):
            chunk = [list(ns), mode, key, payload]
            saver.tell(ns, chunk, lambda chunks: codec.encode([NESTED, [attempt.epoch, attempt.number], chunks]))
            return
        name = key and f"{attempt.epoch}/{attempt.number}/{key}"
        entry = codec.encode([LIVE, mode, list(ns), payload, attempt.task, attempt.label, name])
        with of_ledger():
            place.runs.append_log(address, [entry])

    return emit


def _without_error(payload: Any) -> Any:
    """A debug payload that can be stored: an exception as data."""
    inner = payload["payload"]
    if payload["type"] == "task_result" and isinstance(inner["error"], BaseException):
        return {**payload, "payload": {**inner, "error": describe(inner["error"])}}
    return payload


class LedgerEffects(EffectLog):
    """Results of effects, kept in the ledger: a re-run in another process finds them."""

    __slots__ = ("_address", "_codec", "_keep_ms", "_runs", "used")

    def __init__(self, place: Workplace, codec: Any, address: Address) -> None:
        super().__init__()
        self._runs, self._codec, self._address = place.runs, codec, address
        self._keep_ms = place.effects_ms
        #: Whether this process recorded any.
        self.used = False

    def get(self, key: str) -> tuple[bool, Any]:
        with of_ledger():
            found = self._runs.effect(self._address, key)
        return (False, None) if found is None else (True, self._codec.decode(found))

    def drop(self, key: str) -> None:
        """Forget what is recorded under ``key``."""
        with of_ledger():
            self._runs.forget_effect(self._address, key)

    def put(self, key: str, value: Any) -> Any:
        return self._codec.decode(self.record(key, self._codec.encode(value)))

    def record(self, key: str, data: bytes, *, retries: bool = False) -> bytes:
        """``put`` of a value that is encoded already; with ``retries`` it counts as a retry of the run."""
        self.used = True
        with of_ledger():
            stands = self._runs.effect(self._address, key, data, keep_ms=self._keep_ms, retries=retries)
        return stands if stands is not None else data
