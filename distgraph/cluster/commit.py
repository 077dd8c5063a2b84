"""What a driver commits: a superstep, a run's rest, and the opening of a superstep to other workers.

Each is one script, compare-and-set on (epoch, parent checkpoint). Refused means: somebody else moved the run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from distgraph.checkpoint.base import get_checkpoint_metadata
from distgraph.cluster import aging, events
from distgraph.cluster.attempt import failures_of
from distgraph.cluster.context import context_for
from distgraph.cluster.failures import describe
from distgraph.cluster.hints import BatchHint
from distgraph.cluster.lane import Lane
from distgraph.cluster.nested import drop_nested
from distgraph.cluster.options import RunOptions
from distgraph.cluster.outside import FIELD, beside, outside_of
from distgraph.cluster.pruning import prune
from distgraph.cluster.run import Run
from distgraph.cluster.turns import hint_next
from distgraph.cluster.workplace import HINTS_A_SLOT, LEASE_CHECK_MS, Workplace
from distgraph.constants import ERROR, INTERRUPT
from distgraph.errors import DistgraphError, GraphRecursionError, JoinStalledError, PoisonTaskError
from distgraph.ledger.keys import split_item
from distgraph.ledger.places import numbered
from distgraph.ledger.replies import Address, Answer, Commit, Record
from distgraph.superstep.advance import Verdict
from distgraph.superstep.identity import path_key
from distgraph.superstep.joins import stalled_text
from distgraph.superstep.model import Task

log = logging.getLogger(__name__)


def open_superstep(place: Workplace, run: Run, tasks: Sequence[Task], held: Iterable[Task] = ()) -> str:
    """Open the superstep to all workers. '' if the run was lost, 'closed' if nothing is left to do in it.

    ``held`` are tasks that this slot is to put off: nobody else takes them before.
    """
    lane = run.lane
    if lane.at.id != lane.stored.id and not _store_unstored(place, run):
        return ""
    settled = {task.id: place.nonce() + lane.outcome(task.writes) for task in tasks if task.writes}
    run.elsewhere = True
    kept = [task.id for task in held]
    answer = place.runs.offer(
        run.address, place.slot, run.epoch, lane.stored.id, len(tasks), settled, held=kept, sweep_ms=LEASE_CHECK_MS
    )
    return answer.kind if answer.kind != "stale" else ""


def _store_unstored(place: Workplace, run: Run) -> bool:
    """Tasks are known by their checkpoint: a head that only this process has must be stored before they travel."""
    tasks = run.lane.next.tasks if run.lane.next else []
    return store(place, run, [], replan=tasks)


def tell_start(place: Workplace, run: Run) -> None:
    """Tell the run's readers that it goes on, or begins, from a checkpoint that was there."""
    if not run.options.log:
        return
    asked: dict[str, Any] = {}
    if "askers" in run.record:
        # What they asked is no outcome any more, once it was answered.
        ids = run.record["askers"].decode().split()
        asked = dict(zip(ids, run.served.codec.decode(run.record["asked"]), strict=True))
    record = place.runs.read_line(run.address.thread_id, [f"c:{run.lane.at.id}"])[0]
    entry = events.go_entry(run, record, asked)
    # Refused: somebody else drives it, or has brought it to its end, and tells that.
    place.runs.tell_start(run.address, run.epoch, run.lane.stored.id, entry)


def close(place: Workplace, run: Run, tasks: Sequence[Task]) -> bool:
    """All tasks have settled: advance, or stop where one failed or asks. False: the run is not ours any more."""
    lane = run.lane
    asking = [task for task in tasks if not task.finished and task.control(INTERRUPT) is not None]
    # One that was given an answer which does not fit has an error, and asks again.
    failed = [t for t in tasks if not t.finished and t.control(ERROR) is not None and t not in asking]
    if failed or asking:
        # Whoever resumes finds what the others did: their outcomes stay, under this checkpoint.
        if int(run.record.get("plan", b"0")) == 0 and open_superstep(place, run, tasks) != "closed":
            return False
        if failed:
            error = failed[0].control(ERROR)
            if error.get("kind") == "poison":
                place.runs.note_dead(run.address, int(place.now() * 1000))
            _end(place, run, "failed", error=error, tasks=tasks, kept_open=True)
        else:
            _end(place, run, "interrupted", tasks=tasks, kept_open=True)
        return False
    try:
        tasks = lane.advance()
    except Exception as exc:
        fail(place, run, exc, tasks)
        return False
    run.record = {**run.record, "plan": b"0"} if "plan" in run.record else run.record
    return store(place, run, tasks)


def store(
    place: Workplace,
    run: Run,
    tasks: Sequence[Task],
    *,
    replan: Sequence[Task] = (),
) -> bool:
    """Commit the head. False: refused, or the run ended with it."""
    lane = run.lane
    try:
        metadata = {"source": lane.at.source, "step": lane.at.step, "parents": {}}
        change = lane.changes(get_checkpoint_metadata(lane.ctx.config, metadata))
    except Exception as exc:
        fail(place, run, exc)
        return False
    verdict = lane.look().verdict if lane.next is None or replan or not tasks else lane.next.verdict
    for old, new in zip(replan, lane.next.tasks if lane.next else (), strict=False):
        new.writes = old.writes
    more: list[tuple[str, bytes | str | int]] = []
    if "stop" not in run.record:
        more += [("stop", lane.rules.stop), ("base", " ".join(lane.base))]
        run.record = {**run.record, "stop": str(lane.rules.stop).encode()}
    if run.record.get(FIELD):
        more.append((FIELD, b""))
        run.record = {**run.record, FIELD: b""}
    logged = [events.step_entry(run, tasks, change, failures_of(run, tasks))] if run.options.log else []
    run.first = False
    done = verdict is Verdict.DONE
    row = b""
    if done:
        output = lane.output()
        more.append(("output", output))
        row = run.row("d", output)
        if run.options.log:
            logged.append(events.end_entry(run, "done"))
    kept: list[tuple[str, bytes]] = []
    if run.options.keep == "all" and lane.stored.id:
        wrote = [(task.id, path_key(task.path), lane.outcome(task.writes)) for task in tasks]
        kept = numbered(lane.stored.id, wrote)
    if run.unpruned is None:
        aging.note(place, run)
    answer = place.runs.commit(
        Commit(
            run.address,
            place.slot,
            run.epoch,
            lane.stored.id,
            lane.at.id,
            "done" if done else "running",
            LEASE_CHECK_MS,
            offered=True,
            sets=change.sets,
            drops=change.drops,
            fields=more,
            log=logged,
            kept=kept,
            index_history=run.options.keep == "all",
            # what the run found on its thread stays: it must not be forgotten there
            index_parent=bool(lane.stored.id) and lane.stored.id == lane.base[0],
            batch_epoch=run.batch_epoch,
            row=row,
            compact=bool(row),
            effects_ms=place.effects_ms,
        )
    )
    if answer.kind != "ok":
        log.debug("run %s: superstep %s refused: %s", run.address.run_id, lane.at.step, answer)
        _stop_unwanted(place, run, answer)
        return False
    lane.committed()
    if run.options.step_timeout is not None:
        run.ends = run.ends._replace(step=place.monotonic() + run.options.step_timeout)
    if run.options.keep != "all":
        _drop_nested(place, run, ended=bool(row))
    prune(place, run, ended=done)
    if done:
        lane.next = None
        _others_turn(place, run)
    return not done


def _drop_nested(place: Workplace, run: Run, *, ended: bool) -> None:
    """No task comes back to the graphs that those of this superstep ran, nor to any where a batch item has ended."""
    if run.lane.nested or run.elsewhere:
        drop_nested(place.lines, run.address.thread_id, histories=ended)
        # What an item leaves goes with it: it is looked for to the end.
        run.lane.nested = run.elsewhere = bool(run.batch_epoch)


def rest(place: Workplace, run: Run, verdict: Verdict) -> None:
    """The run stops without another superstep."""
    if verdict is Verdict.DONE:
        _end(place, run, "done")
    elif verdict is Verdict.STALLED:
        lane = run.lane
        told = f"In run {run.address.run_id!r} at step {lane.at.step}: {stalled_text(run.served.program, lane.at)}"
        fail(place, run, JoinStalledError(told))
    elif verdict is Verdict.OUT_OF_STEPS:
        limit = run.options.recursion_limit
        fail(
            place,
            run,
            GraphRecursionError(
                f"Recursion limit of {limit} reached without hitting a stop condition, at step {run.lane.at.step} of run "
                f"{run.address.run_id!r}. The state is saved. Raise config['recursion_limit'], or look for a loop that "
                "does not end."
            ),
        )
    else:
        _end(place, run, "interrupted", stop=verdict.value)


def fail(place: Workplace, run: Run, exc: BaseException, tasks: Sequence[Task] = ()) -> None:
    """End the run as failed with ``exc``; its state stays at the head. ``tasks`` had settled."""
    if isinstance(exc, PoisonTaskError):
        place.runs.note_dead(run.address, int(place.now() * 1000))
    _end(place, run, "failed", error=describe(exc), tasks=tasks)


def _end(
    place: Workplace,
    run: Run,
    status: str,
    *,
    error: Any = None,
    tasks: Sequence[Task] = (),
    stop: str = "",
    kept_open: bool = False,
) -> None:
    """Bring the run to rest without moving its head.

    ``tasks`` are those of the superstep that it leaves; ``kept_open``: what they came to is needed by whoever goes on.
    """
    lane, codec = run.lane, run.served.codec
    fields: list[tuple[str, bytes | str | int]] = []
    row = b""
    if error is not None:
        data = codec.encode(error)
        fields.append(("error", data))
        row = run.row("f", data)
    if status == "done":
        output = lane.output()
        fields.append(("output", output))
        row = run.row("d", output)
    if stop:
        fields.append(("stopped", stop))
    after = None
    if status == "interrupted":
        asking = [task for task in tasks if not task.finished and task.control(INTERRUPT) is not None]
        refused = [[task.control(INTERRUPT)[0].id, task.control(ERROR)] for task in asking if task.control(ERROR)]
        if refused or run.record.get("refused"):
            fields.append(("refused", codec.encode(refused[0]) if refused else b""))
        after = lane.ahead(tasks)
        fields.append(("output", lane.output(after)))
        fields.append(("asked", codec.encode([task.control(INTERRUPT) for task in asking])))
        fields.append(("askers", " ".join(task.id for task in asking)))
    logged = [events.end_entry(run, status, error=error, tasks=tasks, after=after)] if run.options.log else []
    kept: list[tuple[str, bytes]] = []
    meant, outside = outside_of(codec, run.record)
    if outside and meant == lane.stored.id and lane.wrong is None:
        kept = beside(place.lines, codec, run.address.thread_id, meant, outside)
    answer = place.runs.commit(
        Commit(
            run.address,
            place.slot,
            run.epoch,
            lane.stored.id,
            "",
            status,
            offered=True,
            kept_open=kept_open,
            fields=fields,
            log=logged,
            kept=kept,
            batch_epoch=run.batch_epoch,
            row=row,
            compact=bool(row),
            effects_ms=place.effects_ms,
        )
    )
    _stop_unwanted(place, run, answer)
    if row and status == "done":
        _drop_nested(place, run, ended=True)
    if answer.kind == "ok":
        prune(place, run, ended=True)
    if status != "interrupted":
        _others_turn(place, run)


def _stop_unwanted(place: Workplace, run: Run, answer: Answer) -> None:
    """Where a commit was refused because the batch was cancelled: its item is at rest too, and owes nothing."""
    if answer == Answer("stale", "batch"):
        place.runs.control("cancel", run.address, place.nonce().decode())


def _others_turn(place: Workplace, run: Run) -> None:
    """The run has ended: whoever waits for its thread, or for its slot, may go on."""
    if run.batch_epoch:
        _more_items(place, run)
    else:
        hint_next(place.runs, place.dispatcher, run.address)


def _more_items(place: Workplace, run: Run) -> None:
    """An item of a batch has ended that was a run of its own: where the queue runs low, the next ones may be taken."""
    item = split_item(run.address.run_id)
    if item and place.dispatcher.waiting() < HINTS_A_SLOT * place.slots() and place.batches.ready_partitions(item[0]):
        place.dispatcher.publish([BatchHint(item[0], run.served.name, run.served.fingerprint)])


def fail_unread(place: Workplace, address: Address, head: str, record: Record, exc: BaseException) -> None:
    """``fail`` for a run that cannot even be read."""
    served = place.registry.find(record["graph"].decode(), record["fp"].decode())
    if served is None:
        return
    try:
        options = served.options(record["config"])
    except DistgraphError:
        # Not even how it is to be run can be read: it was signed with another secret, say.
        options = RunOptions(log=False)
    try:
        outside_of(served.codec, record)
    except DistgraphError:
        record = {name: data for name, data in record.items() if name != FIELD}
    run = Run(
        address,
        served,
        options,
        record,
        Lane(place, served, options, context_for(served, options, run_id="", thread_id="")),
    )
    run.lane.stored = run.lane.stored._replace(id=head)
    fail(place, run, exc)
