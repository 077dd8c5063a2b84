"""What a run tells while it runs: entries of its log, and the stream chunks derived from them.

One entry per superstep, appended by the very commit that applies it, so the log's order is the run's order:

    ["step", step, checkpoint id, source, [[node, task id, path, hidden, writes], ...], {channel: bytes}, [removed],
     {channel: where the bytes' items begin in a list that grew}]
    ["end", status, error record or None, [interrupts of a task, ...]]
    ["custom", task namespace, payload]            at once, in no order with commits
    ["input", ...] is a "step" entry with source "input"

``values``, ``updates`` and ``tasks`` chunks are derived from them by whoever attaches.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from distgraph.checkpoint.lines import Delta
from distgraph.cluster.registry import Served
from distgraph.cluster.shelves import of_ledger
from distgraph.constants import CACHED, ERROR_SOURCE, INTERRUPT, METADATA
from distgraph.ledger.replies import Address
from distgraph.ledger.runs import RunLedger
from distgraph.runtime import EffectLog
from distgraph.superstep.model import Task
from distgraph.superstep.views import update_of
from distgraph.types import MISSING
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.run import Run
    from distgraph.cluster.workplace import Workplace


def step_entry(run: Run, tasks: Sequence[Task], change: Delta) -> bytes:
    """The entry of one superstep. The first one of a run, or after it was resumed, has all of the state."""
    program, at = run.served.program, run.lane.at
    shown = {program.streamed} if isinstance(program.streamed, str) else set(program.streamed)
    settled = [
        [
            task.name,
            task.id,
            list(task.path),
            # Where an error handler took over, its update is shown, not that of the node that failed.
            task.node.hidden or task.control(ERROR_SOURCE) is not None,
            [[c, v] for c, v in task.writes if c in shown or c == CACHED],
        ]
        for task in tasks
    ]
    kept = {c: data for c, data in change.changed.items() if c in shown}
    starts = {c: start for c, start in change.starts.items() if c in shown}
    if run.first:
        whole = {c: run.lane.at.values[c] for c, pieces in change.raw.items() if c in shown and len(pieces) > 1}
        kept = {c: pieces[0].data for c, pieces in change.raw.items() if c in shown}
        kept, starts = {**kept, **{c: run.served.codec.encode(value) for c, value in whole.items()}}, {}
    gone = []
    for channel in shown.difference(change.raw):
        # A reducer's key that is empty shows its empty value, as a node sees it.
        value = program.channels[channel].initial() if channel in program.channels else MISSING
        if value is MISSING:
            gone.append(channel)
        else:
            kept[channel] = run.served.codec.encode(value)
    return run.served.codec.encode(["step", at.step, at.id, at.source, settled, kept, gone, starts])


def end_entry(run: Run, status: str, *, error: Any = None, waiting: Sequence[Task] = ()) -> bytes:
    """The entry of a run that comes to rest."""
    asked = [list(task.control(INTERRUPT)) for task in waiting]
    return run.served.codec.encode(["end", status, error, asked])


def emitter(place: Workplace, served: Served, address: Address) -> Any:
    """Sends what nodes write to their stream writer into the run's log, at once."""

    def emit(ns: tuple[str, ...], mode: str, payload: Any) -> None:
        if mode == "custom":
            entry = served.codec.encode(["custom", list(ns), payload])
            with of_ledger():
                place.runs.append_log(address, [entry])

    return emit


class LedgerEffects(EffectLog):
    """Results of effects, kept in the ledger: a re-run in another process finds them."""

    __slots__ = ("_address", "_codec", "_runs", "used")

    def __init__(self, runs: RunLedger, codec: Any, address: Address) -> None:
        super().__init__()
        self._runs, self._codec, self._address = runs, codec, address
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
        self.used = True
        data = self._codec.encode(value)
        with of_ledger():
            stands = self._runs.effect(self._address, key, data)
        return self._codec.decode(stands) if stands is not None else value


class Replay:
    """Turns a run's log back into stream chunks."""

    def __init__(self, codec: Codec, modes: Collection[str], keys: Sequence[str] | str) -> None:
        self.codec, self.modes, self.keys = codec, modes, keys
        self.values: dict[str, Any] = {}
        self.ended: tuple[str, Any, list[Any]] | None = None

    def chunks(self, entry: bytes) -> Iterator[tuple[str, Any]]:
        """(mode, payload) of one entry, in the order the engine emits them."""
        kind, *rest = self.codec.decode(entry)
        if kind == "custom":
            if "custom" in self.modes:
                yield "custom", rest[1]
        elif kind == "step":
            yield from self._step(rest)
        elif kind == "end":
            self.ended = (rest[0], rest[1], [interrupt for task in rest[2] for interrupt in task])
            yield from self._end()

    def _step(self, rest: list[Any]) -> Iterator[tuple[str, Any]]:
        step, _, source, settled, kept, gone = rest[:6]
        starts = rest[6] if len(rest) > 6 else {}
        if "updates" in self.modes:
            for name, _, _, hidden, writes in settled:
                if not hidden:
                    chunk = {name: update_of([(c, v) for c, v in writes], self.keys)}
                    cached = any(channel == CACHED for channel, _ in writes)
                    yield "updates", {**chunk, METADATA: {"cached": True}} if cached else chunk
        for channel, data in kept.items():
            value, start = self.codec.decode(data), starts.get(channel)
            self.values[channel] = value if start is None else [*self.values[channel][:start], *value]
        for channel in gone:
            self.values.pop(channel, None)
        wanted = {self.keys} if isinstance(self.keys, str) else set(self.keys)
        wrote = any(c in wanted for task in settled for c, _ in task[4])
        if "values" in self.modes and source != "input" and (wrote or step == 0):
            yield "values", self.state()

    def _end(self) -> Iterator[tuple[str, Any]]:
        assert self.ended is not None
        status, _, asked = self.ended
        if status != "interrupted":
            return
        if "updates" in self.modes:
            yield "updates", {INTERRUPT: tuple(asked)}
        if "values" in self.modes and asked:
            yield "values", {**self.state(), INTERRUPT: tuple(asked)}

    def state(self) -> Any:
        """The state as the stream shows it so far."""
        if isinstance(self.keys, str):
            return self.values.get(self.keys)
        return {key: self.values[key] for key in self.keys if key in self.values}
