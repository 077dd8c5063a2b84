"""One run while this process advances it: its head, its values in bytes, and what its tasks came to.

A lane decides nothing by itself and stores nothing: it calls the algebra and hands back what to commit. The driver of a
single run and the driver of a slice of batch items differ in how they commit; this is what they share.

Node inputs are decoded anew from the stored bytes for every task, wherever it runs, so that a node that changes its
input in place cannot make placement matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from distgraph.checkpoint.lines import (
    SHARED,
    Delta,
    Piece,
    Raw,
    decode_record,
    decode_value,
    delta,
    encode_value,
    fresh,
    stored_values,
)
from distgraph.checkpoint.parts import Growth
from distgraph.cluster.aging import RULE, Rule
from distgraph.cluster.context import with_context
from distgraph.cluster.failures import describe
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import Served
from distgraph.cluster.rows import naming
from distgraph.cluster.sizes import WRITES, check_state, writes_too_large
from distgraph.cluster.versions import SHORT, check_reachable, migrated
from distgraph.cluster.workplace import Workplace
from distgraph.constants import ERROR, ERROR_SOURCE, INPUT
from distgraph.engine.context import RunContext
from distgraph.engine.opening import apply_outside, command_writes, input_writes
from distgraph.errors import CheckpointCorruptError, CodecError, EmptyInputError
from distgraph.ledger import seam
from distgraph.superstep.advance import Next, Rules, advance, look, resumed
from distgraph.superstep.apply import apply_writes
from distgraph.superstep.joins import with_input
from distgraph.superstep.model import EMPTY, Checkpoint, Program, Task
from distgraph.superstep.plan import handler_task, plan
from distgraph.superstep.views import output_values
from distgraph.types import Command, Write

#: The field of a line that says which version of its graph wrote the head: its first characters.
WRITER = "g"


class Lane:
    """One run being advanced.

    Attributes:
        at: the head, values as objects that no node ever sees.
        raw: the stored head's values, as stored.
        stored: the head as the ledger has it; ``EMPTY`` before the first commit.
        base: id and version of the checkpoint that the run found on its thread.
        next: the tasks after the head, and the verdict.
        writer: which version of the graph wrote the line; '' before the first commit.
        rule: what the line says of how old its checkpoints may grow, see ``aging``; likewise.
        epoch: of the run; '' for a batch item in a slice.
        keep_head: stores this lane's head in the middle of a superstep; False: the run is somebody else's.
        nested: its tasks have run graphs here since somebody dropped their lines.
        retries: how often tasks that its nodes call were tried again here, since the run's record was read.
        got_on: called when a task that a node calls has ended, after crashes: they count no more. None: there were none.
    """

    __slots__ = (
        *("_growth", "_raw_next", "at", "base", "ctx", "epoch", "got_on", "keep_head", "nested", "next", "options"),
        *("pending", "place", "raw", "retries", "rule", "rules", "served", "stored", "writer", "wrong"),
    )

    def __init__(self, place: Workplace, served: Served, options: RunOptions, ctx: RunContext) -> None:
        self.place, self.served, self.options, self.ctx = place, served, options, ctx
        self.at: Checkpoint = EMPTY
        self.stored: Checkpoint = EMPTY
        self.raw: Raw = {}
        #: The same of a head that is being committed.
        self._raw_next: Raw | None = None
        self._growth = Growth()
        self.pending: dict[str, list[Write]] = {}
        self.rules = Rules(0)
        self.base = ("", "")
        self.next: Next | None = None
        self.writer = self.rule = self.epoch = ""
        self.keep_head: Callable[[Lane], bool] = lambda lane: False
        self.got_on: Callable[[], object] | None = None
        self.nested = False
        self.retries = 0
        #: Why it cannot go on: the graph does not take its context, or what came from outside.
        self.wrong: Exception | None = None
        if isinstance(options.context, dict):
            ctx.runtime, self.wrong = with_context(ctx.runtime, served, options.context)

    # ------------------------------------------------------------- to a start

    def bare(self, head: str, record: bytes | None) -> Checkpoint:
        """The stored checkpoint ``head`` without its values.

        Raises:
            CheckpointCorruptError: its record is missing or damaged.
        """
        if record is None:
            raise CheckpointCorruptError(f"Checkpoint {head} has no record in the ledger.")
        with naming(f"Record of checkpoint {head}"):
            return decode_record(self.served.codec, head, record)[0]

    def load(self, at: Checkpoint, values: Mapping[str, bytes | None]) -> None:
        """Stand at a stored checkpoint; ``values`` are the fields that its record, ``at``, names.

        Raises:
            CheckpointCorruptError: a field is missing or damaged.
        """
        with naming(f"Value of a key in checkpoint {at.id}"):
            found, self.raw = stored_values(self.served.codec, at, values)
        self.at = self.stored = at._replace(values=found)
        self.writer = (values.get(WRITER) or b"").decode()
        self.rule = (values.get(RULE) or b"").decode()
        hook = getattr(self.served.graph, "migrate", None)
        if hook is not None and self._foreign():
            self.at = migrated(self.served.program, self.at, hook, self.served.name, self.place.bump)
            self._growth.rewrote(c for c, v in self.at.versions.items() if v != self.stored.versions.get(c))

    def _foreign(self) -> bool:
        """Whether another version of the graph wrote the head."""
        return self.writer not in ("", self.served.fingerprint[:SHORT])

    def go_on_here(self) -> None:
        """Refuse to go on in mid-run where another version wrote the head and this one lacks what comes next.

        Raises:
            GraphMismatchError: so it is.
        """
        if self._foreign():
            check_reachable(self.served.program, self.at, self.served.name)

    def limit(self, stop: int | None = None) -> int:
        """Fix the last superstep allowed: ``stop``, or the recursion limit counted from here.

        Raises:
            Exception: the run cannot go on, for the graph does not take its context, or what came from outside.
        """
        if self.wrong is not None:
            raise self.wrong
        stop = self.at.step + 2 + self.options.recursion_limit if stop is None else stop
        before = self.options.before or self.served.program.interrupt_before
        after = self.options.after or self.served.program.interrupt_after
        self.rules = Rules(stop, before, after)
        self.ctx.stop = stop
        return stop

    def take_outside(self, writes: Sequence[Write]) -> None:
        """Apply what came to the thread from outside; the head stays the same checkpoint. See ``outside.py``.

        Raises:
            Exception: what a reducer raised, or updates that cannot be reconciled.
        """
        if writes:
            self.at = apply_outside(self.served.program, self.at, writes, self.place.bump)
            self._growth.rewrote(channel for channel, _ in writes)

    def begin(self, given: Any) -> None:
        """Apply the run's input; the checkpoint it makes is not stored yet.

        Raises:
            EmptyInputError: no input, and nothing to go on with.
        """
        program = self.served.program
        if given is None:
            if self.at is EMPTY:
                raise EmptyInputError("Received no input for __start__: this thread has no checkpoint to go on from.")
            self.at = resumed(self.at)
            return
        if isinstance(given, Command):
            self.take_outside(command_writes(program, given))
        writes = input_writes(program, given)
        discarded = plan(program, self.at) if self.at is not EMPTY else []
        taken = Task(None, (), (), self.at, name=INPUT)
        taken.writes = list(writes)
        new_id = self.place.new_checkpoint_id(self.at.id)
        self.at = with_input(program, self.at, taken, discarded, self.place.bump, new_id=new_id, ts=self._now())
        self._growth.note(self.at)

    def look(self) -> Next:
        """Plan the superstep after the head."""
        self.next = look(self.served.program, self.at, self.rules, pending=self.pending or None)
        self._mark_settled(self.next)
        return self.next

    # ------------------------------------------------------------- a superstep

    def refresh(self, task: Task) -> None:
        """Give the task values nobody else holds: of what it reads, all that could be changed in place."""
        values = self.at.values
        mutable = [name for name in self.served.reads(task.node) if type(values.get(name)) not in SHARED]
        if mutable:
            task.at = self.at._replace(values=fresh(self.served.codec, self.at, self.raw_now(mutable), mutable))

    def raw_now(self, names: Iterable[str]) -> Raw:
        """The head's values in bytes, those among ``names`` too that are not stored yet: of START, or from outside."""
        codec, values = self.served.codec, self.at.values
        unsaved = {name: (Piece("", encode_value(codec, name, values[name])),) for name in names if self._unsaved(name)}
        return {**self.raw, **unsaved}

    def _unsaved(self, channel: str) -> bool:
        version = self.at.versions.get(channel)
        return version is not None and version != self.stored.versions.get(channel)

    def advance(self) -> Sequence[Task]:
        """Apply the finished tasks of ``next``; the new head is not stored yet.

        Returns:
            The tasks that were applied; where an error handler took over, its task and the failed one.

        Raises:
            Exception: what a reducer raised, or updates that cannot be reconciled.
        """
        assert self.next is not None
        tasks = with_handlers(self.served.program, self.next.tasks)
        for task in tasks:
            task.at = self.at
        seam.reach("reduce", "before")
        self.next = advance(
            self.served.program,
            self.at,
            tasks,
            self.place.bump,
            self.rules,
            new_id=self.place.new_checkpoint_id(self.at.id),
            ts=self._now(),
        )
        self.at = self.next.at
        self._growth.note(self.at)
        self.pending = {}
        seam.reach("reduce", "after")
        return tasks

    def changes(self, metadata: Mapping[str, Any] | None = None) -> Delta:
        """What takes the ledger from the stored head to this one; from here on the values come from those bytes.

        Raises:
            CodecError: a value cannot be stored.
            StateTooLargeError: a value, or the state, is larger than is stored.
        """
        found, version = self.base
        seam.reach("encode", "before")
        change = delta(
            self.served.program,
            self.served.codec,
            self.stored,
            self.at,
            self.raw,
            # What the run found on its thread is not its own to delete.
            keep=self.options.keep == "all" or self.stored.id == found,
            since=version,
            metadata=metadata,
            grown=self._growth.channels(),
        )
        check_state(change.changed, change.raw)
        if any(type(self.at.values[channel]) not in SHARED for channel in change.changed):
            values = dict(self.at.values)
            for channel, data in change.changed.items():
                if type(values[channel]) not in SHARED:
                    # A node may still hold parts of what it returned; what it does to them must not reach the state.
                    own, start = decode_value(self.served.codec, channel, data), change.starts.get(channel)
                    values[channel] = own if start is None else [*values[channel][:start], *own]
            self.at = self.at._replace(values=values)
            if self.next is not None:
                self.next = self.next._replace(at=self.at)
                for task in self.next.tasks:
                    task.at = self.at
        self._raw_next = change.raw
        if self.writer != self.served.fingerprint[:SHORT]:
            self.writer = self.served.fingerprint[:SHORT]
            change.sets.append((WRITER, self.writer.encode()))
        rule = Rule.of(self.options, self.served.name)
        if self.rule != (text := rule.text if rule is not None else ""):
            self.rule = text
            # The last run's word counts: one that keeps all is not to lose them by what another said.
            change.sets.append((RULE, text.encode()))
        seam.reach("encode", "after")
        return change

    def committed(self) -> None:
        """The ledger has the head now."""
        self.stored = self.at
        if self._raw_next is not None:
            self.raw, self._raw_next = self._raw_next, None
        self._growth.stored()

    def settle(self, outcomes: Mapping[str, bytes]) -> None:
        """Take the settled tasks' outcomes from the ledger into the next look."""
        with naming(f"Outcome of a task after checkpoint {self.at.id}"):
            self.pending = {tid: [(c, v) for c, v in self.served.codec.decode(data)] for tid, data in outcomes.items()}
        if self.next is not None:
            self._mark_settled(self.next)

    def _mark_settled(self, planned: Next) -> None:
        """Give tasks that have settled what they came to, a failure or a question included: they do not run again."""
        for task in planned.tasks:
            if not task.writes and task.id in self.pending:
                task.writes = list(self.pending[task.id])

    def outcome(self, writes: Sequence[Write]) -> bytes:
        """What a task came to, as stored.

        Raises:
            CodecError: a write cannot be stored.
            StateTooLargeError: they are larger than is stored.
        """
        codec = self.served.codec
        try:
            data = codec.encode([[channel, value] for channel, value in writes])
        except CodecError:
            # Again one by one, so that the error names the key and the place in its value.
            for channel, value in writes:
                encode_value(codec, channel, value)
            raise
        if len(data) > WRITES:
            raise writes_too_large(data, [(channel, len(codec.encode(value))) for channel, value in writes])
        return data

    def failure(self, task: Task, exc: BaseException) -> list[Write]:
        """The writes of a task that failed for good."""
        return [(ERROR, describe(exc, node=task.name))]

    def ahead(self, tasks: Sequence[Task]) -> Checkpoint | None:
        """The state with what has finished beside tasks that ask, as callers see it; None where nothing has."""
        done = [task for task in tasks if task.finished]
        if not done:
            return None
        try:
            return apply_writes(self.served.program, self.at, done, self.place.bump, new_id=self.at.id)
        except Exception:
            # It fails the run when all have finished.
            return None

    def output(self, after: Checkpoint | None = None) -> bytes:
        """The run's result, as stored; of the head unless told otherwise."""
        program = self.served.program
        return self.served.codec.encode(output_values(program, after or self.at, program.outputs))

    def _now(self) -> str:
        return datetime.fromtimestamp(self.place.now(), UTC).isoformat()


def with_handlers(program: Program, tasks: Sequence[Task]) -> list[Task]:
    """Finished tasks, each that an error handler took over split in two, as the algebra knows them."""
    split: list[Task] = []
    for task in tasks:
        split.append(task)
        handler = handler_task(program, task) if task.control(ERROR_SOURCE) is not None else None
        if handler is not None:
            of_failed = (ERROR, ERROR_SOURCE)
            handler.writes = [write for write in task.writes if write[0] not in of_failed]
            task.writes = [write for write in task.writes if write[0] in of_failed]
            split.append(handler)
    return split
