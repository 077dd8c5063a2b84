"""A run, as whoever submitted it or knows its id sees it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from distgraph.checkpoint.lines import decode_record
from distgraph.cluster.attaching import RunStreams
from distgraph.cluster.failures import rebuild
from distgraph.cluster.following import BLOCK_MS
from distgraph.cluster.hints import RunHint
from distgraph.cluster.nested import known_answers
from distgraph.cluster.options import RunOptions
from distgraph.cluster.outside import FIELD, recorded, stored_outside
from distgraph.cluster.pump import patience, still_wanted
from distgraph.cluster.replay import outline
from distgraph.cluster.rows import naming, result_row
from distgraph.cluster.turns import CANCELLED, DUE_MS, hint_next
from distgraph.constants import INTERRUPT
from distgraph.engine.opening import command_writes
from distgraph.errors import (
    AlreadyResumedError,
    InputError,
    InvalidAnswerError,
    LedgerCorruptError,
    RunActiveError,
    RunCancelledError,
    ThreadBusyError,
    UnknownInterruptError,
    WaitTimeoutError,
)
from distgraph.ledger.keys import split_item
from distgraph.ledger.places import Place
from distgraph.ledger.replies import Address, Record
from distgraph.ledger.soundness import check_record
from distgraph.superstep.lifecycle import AT_REST, RunStatus
from distgraph.superstep.model import Program, is_finished
from distgraph.superstep.resume import answers_of, is_answer_map, pending_interrupts
from distgraph.types import Command, Interrupt, Write
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.batch import ItemResult
    from distgraph.cluster.client import Cluster

#: The options that a run had -> those it has from now on.
Change = Callable[[RunOptions], RunOptions]
#: How often a run without a log is looked at. Seconds.
POLL = 0.05
#: Fields of a run's record that tell its status.
TOLD = ("status", "graph", "fp", "wake")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run at one moment.

    Attributes:
        graph: its graph's name.
        submitted: when it was, in UTC; of an item of a batch, when its batch was, or when it became a run of its own.
    """

    run_id: str
    thread_id: str
    graph: str
    status: RunStatus
    submitted: datetime


class RunHandle(RunStreams):
    """One run. Cheap to make; every method asks the ledger.

    Attributes:
        run_id: the run's id.
        thread_id: the line of checkpoints it runs on.
    """

    def __init__(self, cluster: Cluster, address: Address, codec: Codec, program: Program | None = None) -> None:
        self._cluster, self._address, self._codec, self._program = cluster, address, codec, program
        self._runs = cluster.ledger.runs
        self.run_id, self.thread_id = address

    def __repr__(self) -> str:
        return f"RunHandle({self.run_id!r})"

    # ------------------------------------------------------------- looking

    def _record(self) -> Record:
        record = self._runs.record(self._address)
        if not record:
            raise self._cluster.no_run(self.run_id)
        return record

    def status(self) -> RunStatus:
        """Where the run is in its life.

        Raises:
            RunNotFoundError: there is no such run.
        """
        return self._where(*self._look())

    def info(self) -> RunInfo:
        """The run at this moment: what lists of runs tell.

        Raises:
            RunNotFoundError: there is no such run.
        """
        record, row = self._look()
        item = split_item(self.run_id)
        if record or item is None:
            graph, created = record.get("graph", b"").decode(), int(record.get("created", b"0"))
            submitted = datetime.fromtimestamp(created / 1000, UTC)
        else:
            batch = self._cluster.batch(item[0])
            graph, submitted = batch.graph, batch.submitted
        return RunInfo(self.run_id, self.thread_id, graph, self._where(record, row), submitted)

    def _where(self, record: Record, row: ItemResult | None) -> RunStatus:
        if row is not None:
            return RunStatus(row.status)
        return self.status_of(record) if record else RunStatus.QUEUED

    def status_of(self, record: Record) -> RunStatus:
        """The status of a run that has a record, by those of its fields that ``TOLD`` names."""
        try:
            status = RunStatus(record["status"].decode())
        except (KeyError, ValueError):
            raise LedgerCorruptError(
                f"The record of run {self.run_id!r} has no status that is known: {record.get('status')!r}. Cancel the run, "
                "or restore the ledger from a backup."
            ) from None
        if status in AT_REST:
            return status
        served = self._cluster.serves(record["graph"].decode(), record["fp"].decode())
        if "wake" in record and (served or int(record["wake"]) > self._cluster.now_ms()):
            return RunStatus.SLEEPING
        if served:
            return status
        holder = self._runs.read_line(self.thread_id, ["run"])[0]
        return RunStatus.WAITING_FOR_WORKER if holder == self.run_id.encode() else status

    def waits_for(self) -> str:
        """What a run waits for whose status is ``waiting_for_worker``: its version, and how those that live differ."""
        if self.status() is not RunStatus.WAITING_FOR_WORKER:
            return ""
        record = self._record()
        return self._cluster.missing(record["graph"].decode(), record["fp"].decode())

    def wakes_at(self) -> datetime | None:
        """When a sleeping run wakes; None if it does not sleep.

        Raises:
            RunNotFoundError: there is no such run.
        """
        wake = self._look()[0].get("wake")
        return datetime.fromtimestamp(int(wake) / 1000, UTC) if wake else None

    def time_limit(self) -> tuple[timedelta, datetime | None] | None:
        """How long the run may take, and when that is over: None until a worker has taken it. None: it has no limit.

        Raises:
            RunNotFoundError: there is no such run.
        """
        record = self._look()[0]
        if "limit" not in record:
            return None
        ends = record.get("ends")
        over = datetime.fromtimestamp(int(ends) / 1000, UTC) if ends else None
        return timedelta(milliseconds=int(record["limit"])), over

    def _look(self) -> tuple[Record, ItemResult | None]:
        """The run's record; or of a batch item at rest its row; neither while the item waits in its batch.

        Raises:
            RunNotFoundError: there is no such run.
            LedgerCorruptError: its record is damaged.
        """
        item = split_item(self.run_id)
        record = self._runs.record(self._address) if item else self._record()
        check_record(self.run_id, record)
        batch = None if record or item is None else self._cluster.find_batch(item[0])
        if batch is None or item is None:
            return record or self._record(), None
        row = batch.item(item[1])
        # Between the two looks it may have become a run of its own.
        record = {} if row else self._runs.record(self._address)
        if not row and not record and item[1] >= batch.status().total:
            return self._record(), None
        return record, row

    def interrupts(self) -> tuple[Interrupt, ...]:
        """The questions that wait for an answer."""
        pending = self._outcomes()
        return tuple(asked for writes in pending.values() for asked in pending_interrupts(writes))

    def _outcomes(self) -> dict[str, list[Write]]:
        raw = self._runs.outcomes(self._address)
        with naming(f"Outcome of a task of run {self.run_id!r}"):
            return {tid: [(channel, value) for channel, value in self._codec.decode(data)] for tid, data in raw.items()}

    # ------------------------------------------------------------- waiting

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the run to come to rest and return its output.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            The output keys' values; of an interrupted run with its questions under ``"__interrupt__"``.

        Raises:
            WaitTimeoutError: not at rest yet; the run goes on.
            RunCancelledError: it was cancelled.
            InvalidAnswerError: the last answer did not fit what was asked; the run waits for another one.
            Exception: what failed it: a node's own exception where its class is loaded here, else RemoteNodeError.
        """
        record, row = self._at_rest(timeout)
        status = row.status.encode() if row is not None else record["status"]
        if status == b"cancelled":
            by = f": run {record['by'].decode()!r} took its thread" if "by" in record else ""
            raise RunCancelledError(f"Run {self.run_id!r} was cancelled{by}.")
        if row is not None:
            if row.error is not None:
                raise rebuild(row.error)
            return row.value
        if status == b"failed":
            with naming(f"Error of run {self.run_id!r}"):
                error = self._codec.decode(record["error"])
            raise rebuild(error)
        with naming(f"Output of run {self.run_id!r}"):
            output = self._codec.decode(record["output"]) if "output" in record else None
        if status == b"interrupted" and record.get("refused"):
            raise self._refusal(record)
        if status == b"interrupted" and isinstance(output, dict | None):
            # Of the record that says so: what its tasks have come to may be of a later moment, when somebody has answered.
            asked = [question for task in self._codec.decode(record["asked"]) for question in task]
            return {**(output or {}), INTERRUPT: asked} if asked else output
        return output

    def _refusal(self, record: Record) -> InvalidAnswerError:
        """Why the last answer was refused."""
        with naming(f"Refused answer of run {self.run_id!r}"):
            iid, error = self._codec.decode(record["refused"])
        return InvalidAnswerError(
            f"The answer to question {iid} of run {self.run_id!r} was refused, for it does not fit the question's schema. The "
            f"question still waits: answer it again. {error['message']}",
            interrupt_id=iid,
        )

    def _at_rest(self, timeout: float | None) -> tuple[Record, ItemResult | None]:
        """Wait until the run is at rest; its record then, or its row."""
        deadline = None if timeout is None else time.monotonic() + timeout
        # In this order: an end that comes between the two is then an entry to read, not one to wait for in vain.
        after = self._runs.log_end(self._address)
        record, row = self._look()
        logged = "config" in record and RunOptions.of(self._codec.decode(record["config"])).log
        while row is None and (not record or record["status"].decode() not in AT_REST):
            left = None if deadline is None else deadline - time.monotonic()
            still_wanted()
            if left is not None and left <= 0:
                raise WaitTimeoutError(
                    f"Run {self.run_id!r} is {self.status()} after {timeout:g} s; it goes on. Wait longer, or cancel() it."
                )
            if logged:
                block = patience(BLOCK_MS if left is None else max(1, min(BLOCK_MS, int(left * 1000))))
                entries = self._runs.log(self._address, after, block_ms=block)
                after = entries[-1][0] if entries else after
            else:
                self._cluster.pause(POLL if left is None else min(POLL, left))
            record, row = self._look()
        return record, row

    # ------------------------------------------------------------- steering

    def cancel(self) -> bool:
        """Stop the run. Once this returns, no later superstep of it is applied.

        Returns:
            Whether it was stopped; False if it had come to its end before.

        Raises:
            RunNotFoundError: there is no such run.
            InputError: it is an item of a batch that is not a run of its own, as short ones never are.
        """
        entry = self._codec.encode(CANCELLED)
        # An item's end is known to its batch by its row.
        of_batch = split_item(self.run_id) is not None and "batch_e" in self._runs.record(self._address)
        row = result_row("c", b"", b"") if of_batch else b""
        answer = self._runs.control("cancel", self._address, uuid.uuid4().hex, log=entry, row=row, due_ms=DUE_MS)
        if answer.kind == "gone" and not answer.info and self.status() not in AT_REST:
            raise InputError(f"Run {self.run_id!r} is an item that its batch still has in hand: cancel the batch.")
        hint_next(self._runs, self._cluster.dispatcher, self._address)
        return answer.kind == "ok"

    def delete(self) -> None:
        """Delete the run, its result, events and effects; and the checkpoints of a thread of its own.

        The checkpoints of a thread that was named stay. What its tasks still send is refused.

        Raises:
            RunActiveError: it has not come to its end, or waits for an answer: cancel it first.
            RunNotFoundError: there is no such run.
            InputError: it is an item of a batch, and goes with that.
        """
        item = split_item(self.run_id)
        if item is not None and self._cluster.find_batch(item[0]) is not None:
            raise InputError(f"Run {self.run_id!r} is an item of batch {item[0]!r}, and is deleted with it.")
        self._record()
        answer = self._runs.delete(self._address)
        if answer.kind == "live":
            raise RunActiveError(f"Run {self.run_id!r} is {answer.info}; nothing was deleted. Cancel it first.")

    def resume(self, value: Any) -> RunHandle:
        """Answer what the run asked, and let it go on.

        Args:
            value: the answer, if one question waits; or ``{interrupt_id: answer}`` for some or all of several. A run
                that stopped at a breakpoint goes on with ``None``. A ``Command`` may change the state too, and choose
                nodes to go to: ``Command(resume=answer, update={...}, goto="node")``.

        Raises:
            UnknownInterruptError: nobody asked that; or the thread has gone on with another run; or it is an item of a
                batch that is at rest.
            AlreadyResumedError: it was answered already; that answer stands.
            RunNotFoundError: there is no such run.
            RuntimeError: one answer, but several questions wait.
            ThreadBusyError: another run is active on the thread.
            EmptyInputError, InvalidUpdateError: a Command without anything in it; one to a node that is not there.
        """
        if not isinstance(value, Command):
            return self.go_on(value)
        return self.go_on(value.resume, writes=command_writes(self._known_program(), value))

    def _known_program(self) -> Program:
        """The run's graph; or what is known of it where its code is not."""
        record = self._record_of_its_own()
        program = self._program or self._cluster.program_of(record)
        return program or outline(record["graph"].decode(), self._cluster.about(record))

    def go_on(self, value: Any, change: Change | None = None, writes: Sequence[Write] = ()) -> RunHandle:
        """``resume``, with options of the run that ``change`` makes of those it had, and ``writes`` from outside."""
        pending = self._outcomes()
        try:
            given = answers_for(pending, value) if value is not None else {}
        except UnknownInterruptError as exc:
            if self._once_asked(value, exc):
                raise AlreadyResumedError(
                    f"What run {self.run_id!r} asked was answered already; it is {self.status()}."
                ) from None
            raise
        # Where a graph nested in a node stopped at a breakpoint, its task asks nothing and yet waits.
        # Who asked and is not answered asks anew, of the state as it is now.
        drop = [
            tid
            for tid, wrote in pending.items()
            if tid in given or _stopped_inside(wrote) or (writes and not is_finished(wrote))
        ]
        answered: dict[str, bytes | str | int] = {
            f"n:{tid}": self._codec.encode(answers) for tid, answers in given.items()
        }
        return self._requeue(answered, drop, change, writes)

    def retry(self, change: Change | None = None, writes: Sequence[Write] = ()) -> RunHandle:
        """Let a failed run go on where it failed: only what did not finish runs again.

        Args:
            change: makes of the options that the run had those it has from now on.
            writes: from outside, applied before it goes on.

        Raises:
            UnknownInterruptError: it has not failed, or is an item of a batch, which retries it (``Batch.retry_item``).
            AlreadyResumedError: somebody else was first.
            ThreadBusyError: another run is active on the thread.
            RunNotFoundError: there is no such run.
        """
        drop = [tid for tid, writes in self._outcomes().items() if not is_finished(writes)]
        return self._requeue({}, drop if self.stands() else [], change, writes)

    def stands(self) -> bool:
        """Whether the thread still is where this run left it; else its tasks' outcomes, questions too, are void."""
        record = self._record_of_its_own()
        head = self._runs.read_line(self.thread_id, ["head"])[0]
        return record.get("at", head) == head or not self._outcomes()

    def _record_of_its_own(self) -> Record:
        """The run's record, to go on with.

        Raises:
            UnknownInterruptError: it is an item of a batch, at rest or not taken yet, and has none: it waits for no answer.
            RunNotFoundError: there is no such run.
        """
        record, row = self._look()
        if record:
            return record
        status, item, again = ("queued" if row is None else row.status), split_item(self.run_id), ""
        if item is not None and status == "failed":
            again = f" cluster.batch({item[0]!r}).retry_item({item[1]}) runs it again."
        raise UnknownInterruptError(f"Run {self.run_id!r} does not wait for an answer: it is {status}.{again}")

    def _once_asked(self, value: Any, refused: UnknownInterruptError) -> bool:
        """Whether the run asked what ``value`` answers, when it came to rest last."""
        record = self._record_of_its_own()
        if refused.reason != "not_pending" or "asked" not in record or record["status"] == b"cancelled":
            return False
        asked = {question.id for task in self._codec.decode(record["asked"]) for question in task}
        return not (is_answer_map(value) and set(value) - asked - {question.id for question in self.interrupts()})

    def _requeue(
        self,
        fields: dict[str, bytes | str | int],
        drop: Sequence[str],
        change: Change | None = None,
        writes: Sequence[Write] = (),
    ) -> RunHandle:
        record = self._record_of_its_own()
        options = RunOptions.of(self._codec.decode(record["config"]))
        if change is not None:
            options = change(options)
            fields["config"] = self._codec.encode(options.plain())
        lines = self._cluster.ledger.lines
        found = lines.look(Place(self.thread_id))
        if found is not None and found.record is not None:
            at, _ = decode_record(self._codec, found.checkpoint_id, found.record)
            before: list[Write] = []
            if "stop" in record or self._codec.decode(record["input"]) is None:
                before = stored_outside(lines, self._codec, self.thread_id, found)
                fields = {**fields, "stop": at.step + 2 + options.recursion_limit, "go": at.id}
            # Else the head is that of a run before it: it has not come to its own input, and begins with that.
            told = recorded(self._codec, at.id, [*before, *writes])
            if told or FIELD in record:
                fields[FIELD] = told
        elif writes:
            raise InputError(
                f"Thread {self.thread_id!r} has no checkpoint that a Command could change: run {self.run_id!r} came to none. "
                "Begin again with an input."
            )
        answer = self._runs.control("requeue", self._address, uuid.uuid4().hex, fields=fields, drop=drop, due_ms=1000)
        if answer.kind == "busy":
            raise ThreadBusyError(f"Thread {self.thread_id!r} is busy with run {answer.info!r}.", run_id=answer.info)
        if answer.kind == "passed":
            raise UnknownInterruptError(
                f"Run {self.run_id!r} cannot go on: its thread has gone on with run {answer.info!r}. What it asked was "
                "passed over.",
                reason="passed",
            )
        went_on = answer.info in ("interrupted", "failed", "queued", "running")
        if answer.kind == "gone" and (went_on or (answer.info == "done" and "asked" in record)):
            raise AlreadyResumedError(
                f"Run {self.run_id!r} went on meanwhile: somebody else was first. It is {answer.info}."
            )
        if answer.kind != "ok":
            raise UnknownInterruptError(f"Run {self.run_id!r} does not wait. It is {answer.info or 'gone'}.")
        hint = RunHint(self.run_id, self.thread_id, record["graph"].decode(), record["fp"].decode())
        self._cluster.dispatcher.publish([hint])
        return self


def _stopped_inside(writes: Sequence[Write]) -> bool:
    return not is_finished(writes) and any(channel == INTERRUPT and not asked for channel, asked in writes)


def answers_for(pending: dict[str, list[Write]], value: Any) -> dict[str, Any]:
    """Task id -> all its answers, those given before included, as a run's record keeps them.

    Raises:
        UnknownInterruptError: no question waits, or none with such an id.
        RuntimeError: one answer, but several questions wait.
    """
    waiting = {asked.id: tid for tid, writes in pending.items() for asked in pending_interrupts(writes)}
    if not waiting:
        raise UnknownInterruptError("The run asks nothing: there is no question to answer.", reason="not_pending")
    if not is_answer_map(value):
        if len(waiting) > 1:
            raise RuntimeError(
                "When there are multiple pending interrupts, you must specify the interrupt id when resuming: "
                f"resume({{id: answer}}) with ids out of {sorted(waiting)}."
            )
        value = dict.fromkeys(waiting, value)
    unknown = sorted(set(value) - set(waiting))
    if unknown:
        raise UnknownInterruptError(
            f"No interrupt with id {unknown[0]} waits. Waiting: {sorted(waiting)}.", reason="not_pending"
        )
    given: dict[str, dict[str, Any]] = {}
    for iid, answer in value.items():
        given.setdefault(waiting[iid], {})[iid] = answer
    return {tid: known_answers(answers_of(pending[tid]), own) for tid, own in given.items()}
