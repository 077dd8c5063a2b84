"""Offered tasks: claim -> call -> settle -> drive on if that closed the barrier."""

from __future__ import annotations

from functools import partial

from distgraph.cluster.attempt import attempt_task, failures_of
from distgraph.cluster.drive import carry_on, pass_on
from distgraph.cluster.events import settled_entry
from distgraph.cluster.failures import describe
from distgraph.cluster.hints import NodeHint
from distgraph.cluster.lane import with_handlers
from distgraph.cluster.limits import ends_of, hold_to, queue_to_end
from distgraph.cluster.offer import put_off
from distgraph.cluster.reclaim import poison
from distgraph.cluster.registry import Served
from distgraph.cluster.run import Left, Run, hint_of, load_head, open_run, take_outside
from distgraph.cluster.stopwatch import ran_entry, tell_times
from distgraph.cluster.workplace import CRASHES_ALLOWED, LEASE_CHECK_MS, TREE_DIED, Workplace
from distgraph.constants import ERROR
from distgraph.errors import CheckpointCorruptError
from distgraph.ledger.replies import Address, ClaimedTask
from distgraph.superstep.model import Task
from distgraph.superstep.plan import task_at

#: A task that took less is told with its superstep, in the order of the graph: a log of a wide one shall not be filled by
#: it. Seconds.
WORTH_TELLING = 1.0


def run_tasks(place: Workplace, hint: NodeHint) -> None:
    """Run the tasks of one hint. Each is claimed by itself: a hint that comes twice finds nothing to do."""
    served = place.registry.find(hint.graph, hint.fingerprint)
    if served is None:
        pass_on(place, hint)
        return
    address = Address(hint.run_id, hint.thread_id)
    run: Run | None = None
    for done, (task_id, path) in enumerate(hint.tasks):
        if place.draining():
            place.dispatcher.publish([hint._replace(tasks=hint.tasks[done:])])
            return
        claimed = place.runs.claim_task(address, place.slot, hint.epoch, hint.head, task_id)
        if claimed.kind == "stale":
            return
        if claimed.kind != "ok":
            continue
        hold_to(place, ends_of(claimed.record, place.monotonic()))
        if run is None:
            try:
                run = _opened(place, served, address, hint, claimed)
            except CheckpointCorruptError as exc:
                _settle_unread(place, served, address, hint, task_id, exc)
                return
            except Left:
                return
        if claimed.crashes and claimed.why == TREE_DIED and not place.alone(True):
            # It may have killed a whole worker, and another such task runs in this one.
            place.runs.reclaim(address, place.slot, crashed=False)
            return
        # It has what was counted here so far.
        run.record, run.lane.retries = claimed.record, 0
        run.ends = ends_of(claimed.record, place.monotonic())
        if late := run.ends.over(place.monotonic()):
            if queue_to_end(place.runs, address, late):
                place.dispatcher.publish([hint_of(run)])
            return
        run.lane.got_on = partial(place.runs.got_on, address, place.slot, task_id) if claimed.crashes else None
        task = task_at(run.served.program, run.lane.at, tuple(path))
        if task is None or task.id != task_id:
            return
        began = place.monotonic()
        if not _attempt(place, run, task, claimed):
            tell_times(place, run)
            continue
        told = place.monotonic() - began >= WORTH_TELLING
        if _settle(place, run, task, told=told, last=done == len(hint.tasks) - 1) == "closed":
            tell_times(place, run)
            _go_on(place, served, address)
            return
    if run is not None:
        # The last of the hint may have been somebody else's.
        tell_times(place, run)


def _go_on(place: Workplace, served: Served, address: Address) -> None:
    """This slot has closed the barrier: it drives on."""
    again = place.runs.claim(address, place.slot, sweep_ms=LEASE_CHECK_MS)
    if again.kind == "ok":
        carry_on(place, served, address, again.head, again.record)


def _settle_unread(
    place: Workplace, served: Served, address: Address, hint: NodeHint, task_id: str, exc: CheckpointCorruptError
) -> None:
    """The head cannot be read, and the run fails with that. Or the run has left it meanwhile: then this is refused."""
    outcome = served.codec.encode([[ERROR, describe(exc)]])
    call = place.runs.settle_call(
        address, place.slot, hint.epoch, hint.head, task_id, place.nonce(), outcome, sweep_ms=LEASE_CHECK_MS
    )
    if place.runs.settle([call])[0].kind == "closed":
        _go_on(place, served, address)


def _opened(place: Workplace, served: Served, address: Address, hint: NodeHint, claimed: ClaimedTask) -> Run:
    """The run at the hint's head, from the ledger unless it is the one this slot had last."""
    key = (address.run_id, hint.head, hint.epoch)
    if place.recent is None or place.recent[0] != key:
        place.recent = (key, _open(place, served, address, hint.head, claimed))
    opened: Run = place.recent[1]
    return opened


def _open(place: Workplace, served: Served, address: Address, head: str, claimed: ClaimedTask) -> Run:
    run = open_run(place, served, address, "", claimed.record)
    load_head(place, run.lane, address, head)
    take_outside(run.lane, claimed.record, head)
    run.lane.limit(int(claimed.record.get("stop", b"0")) or None)
    return run


def _attempt(place: Workplace, run: Run, task: Task, claimed: ClaimedTask) -> bool:
    if claimed.crashes >= CRASHES_ALLOWED:
        what = f"Task {task.name!r} of run {run.address.run_id!r}"
        task.writes = run.lane.failure(task, poison(what, claimed.crashes, claimed.why, "the run"))
        return True
    delay = attempt_task(place, run, task, claimed.attempts + 1)
    if delay is None:
        return True
    put_off(place, run, task, claimed.attempts + 1, delay)
    return False


def _settle(place: Workplace, run: Run, task: Task, *, told: bool, last: bool) -> str:
    try:
        outcome = run.lane.outcome(task.writes)
    except Exception as exc:
        # What it returned cannot be stored; no other attempt would change that.
        task.writes = run.lane.failure(task, exc)
        outcome = run.lane.outcome(task.writes)
    entry = b""
    if told and run.options.log:
        errors = failures_of(run, [task])
        entry = settled_entry(run, with_handlers(run.served.program, [task]), errors)
    elif run.watch is not None and last:
        entry = ran_entry(run.served, run.watch)
    call = place.runs.settle_call(
        run.address,
        place.slot,
        run.epoch,
        run.lane.stored.id,
        task.id,
        place.nonce(),
        outcome,
        sweep_ms=LEASE_CHECK_MS,
        log=entry,
    )
    return place.runs.settle([call])[0].kind
