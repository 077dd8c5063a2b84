"""The coordinator: takes a run that is ready, advances it superstep by superstep, commits, hints.

There is no resident coordinator: whoever is handed a hint, or closes a barrier, drives on for a quantum. Each superstep
is one commit, compare-and-set on (epoch, parent checkpoint): a driver that lost its run finds out there and stops.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from distgraph.cluster.attempt import attempt_task, attempting
from distgraph.cluster.commit import close, fail, fail_unread, open_superstep, rest, store, tell_start
from distgraph.cluster.execution import in_this_thread
from distgraph.cluster.hints import RunHint
from distgraph.cluster.limits import ends_of, hold_to, too_late
from distgraph.cluster.offer import node_hints, offer, offer_again, put_off, travels, worth_offering
from distgraph.cluster.outside import stored_outside
from distgraph.cluster.overlap import Overlap
from distgraph.cluster.reclaim import poison
from distgraph.cluster.registry import Served
from distgraph.cluster.rows import naming
from distgraph.cluster.run import Left, Run, hint_of, open_run
from distgraph.cluster.stopwatch import tell_times
from distgraph.cluster.workplace import CRASHES_ALLOWED, HINT_GRACE_MS, LEASE_CHECK_MS, QUANTUM, Workplace
from distgraph.constants import START
from distgraph.errors import CheckpointCorruptError, DistgraphError, GraphSleep, LedgerCorruptError, StoreError
from distgraph.ledger.places import Place
from distgraph.ledger.replies import Address, Record
from distgraph.ledger.soundness import check_record
from distgraph.superstep.advance import Verdict
from distgraph.superstep.model import Task
from distgraph.types import Write

log = logging.getLogger(__name__)

#: A suspect that cannot run alone now is looked at again after this. Milliseconds.
ALONE_MS = 200
#: A run whose record is damaged is looked at again after this, should somebody have restored it. Milliseconds.
DAMAGED_MS = 60_000


def drive(place: Workplace, hint: RunHint) -> None:
    """Drive a run on, if it needs driving and this process can."""
    served = place.registry.find(hint.graph, hint.fingerprint)
    if served is None:
        pass_on(place, hint)
        return
    address = Address(hint.run_id, hint.thread_id)
    claimed = place.runs.claim(address, place.slot, sweep_ms=LEASE_CHECK_MS)
    if claimed.kind == "open" and hint.again:
        try:
            offer_again(place, served, address)
        except (CheckpointCorruptError, Left) as exc:
            # Mostly the run has left this checkpoint meanwhile.
            log.warning("run %s: its tasks cannot be offered again: %s", hint.run_id, exc)
    if claimed.kind != "ok":
        return
    try:
        check_record(hint.run_id, claimed.record)
    except LedgerCorruptError as exc:
        log.error("%s", exc)
        place.runs.release(address, place.slot, due_ms=DAMAGED_MS)
        return
    if claimed.record["fp"].decode() != served.fingerprint:
        # An old hint: another version has taken the run over.
        stamp = place.runs.release(address, place.slot, due_ms=HINT_GRACE_MS)
        if stamp.kind == "ok":
            place.dispatcher.publish([hint._replace(fingerprint=claimed.record["fp"].decode(), hops=0)])
        return
    carry_on(place, served, address, claimed.head, claimed.record)


def pass_on(place: Workplace, hint: Any) -> None:
    """Hand a hint for a graph this process does not serve to whoever comes next; after some hops a sweep takes over.

    Where nobody serves it, it would only go round: it is dropped, and a sweep hints when there is a worker for it.
    """
    if hint.hops < 20 and place.served(hint.graph, hint.fingerprint):
        place.dispatcher.publish([hint._replace(hops=hint.hops + 1)])


def carry_on(
    place: Workplace,
    served: Served,
    address: Address,
    head: str,
    record: Record,
    settled: Mapping[str, list[Write]] | None = None,
    waiting: Mapping[str, float | GraphSleep] | None = None,
) -> None:
    """Drive a run whose lease this slot holds, for a quantum.

    Args:
        place: where it is driven.
        served: its graph.
        address: the run's.
        head: its checkpoint, as it was claimed.
        record: its record, likewise.
        settled: tasks of its superstep that were run here before, by id.
        waiting: tasks of it that are to be tried again, after how many seconds; or that sleep. The others are hinted.
    """
    run: Run | None = None
    hold_to(place, ends_of(record, place.monotonic()))
    try:
        run = open_run(place, served, address, head, record)
        run.lane.pending.update(settled or {})
        run.until = place.monotonic() + QUANTUM
        late = record.get("late", b"").decode() or run.ends.over(place.monotonic())
        if late:
            fail(place, run, too_late(run, late))
            return
        if run.lane.wrong is not None:
            fail(place, run, run.lane.wrong)
            return
        if int(record.get("x", b"0")) >= CRASHES_ALLOWED:
            why = record.get("why", b"").decode()
            fail(place, run, poison(f"Run {address.run_id!r}", int(record["x"]), why))
            return
        if int(record.get("x", b"0")):
            run.lane.got_on = partial(place.runs.got_on, address, place.slot)
        if run.suspect and not place.alone(True):
            place.runs.release(address, place.slot, due_ms=ALONE_MS)
            return
        if waiting:
            run.lane.limit(int(record["stop"]))
            tasks = run.lane.look().tasks
            _put_off(place, run, tasks, {task: waiting[task.id] for task in tasks if task.id in waiting})
        else:
            _drive_until_rest(place, run)
    except StoreError:
        raise
    except Left as left:
        log.debug("run %s has left checkpoint %s meanwhile", address.run_id, left)
    except DistgraphError as exc:
        # The checkpoint cannot be read or the state cannot be stored: trying again would end the same way.
        log.warning("run %s cannot go on: %s", address.run_id, exc)
        fail_unread(place, address, head, record, exc)
    finally:
        # What this slot does next is not the run's.
        place.watch("", None)
    if run is not None:
        tell_times(place, run)


def _drive_until_rest(place: Workplace, run: Run) -> None:
    lane = run.lane
    if not _begin(place, run):
        return
    while lane.next is not None and lane.next.verdict is Verdict.RUN:
        tasks = lane.next.tasks
        late = run.ends.over(place.monotonic())
        if late:
            # A node that could not be stopped, say.
            fail(place, run, too_late(run, late))
            return
        hold_to(place, run.ends)
        if not any(not task.writes for task in tasks):
            if not close(place, run, tasks):
                return
            continue
        # With the broker away nobody else would go on.
        if place.draining() or (place.monotonic() > run.until and place.dispatcher.reachable()):
            stamp = place.runs.release(run.address, place.slot, due_ms=HINT_GRACE_MS)
            if stamp.kind == "ok":
                place.dispatcher.publish([hint_of(run)])
            return
        left = travels(run, tasks) or _run_in_place(place, run, tasks)
        if left == "gone" or (left and not offer(place, run, tasks)):
            return
    if lane.next is not None:
        rest(place, run, lane.next.verdict)


def _begin(place: Workplace, run: Run) -> bool:
    """Apply the input if that is still to be done, and plan. False: the run ended here."""
    lane, record = run.lane, run.record
    if "stop" in record:
        lane.go_on_here()
        found, _, version = record.get("base", b"").decode().partition(" ")
        lane.base = (found, version)
        lane.limit(int(record["stop"]))
        goes_on = record.get("go", b"") == lane.at.id.encode()
        if goes_on:
            lane.begin(None)
        lane.look()
        if goes_on:
            tell_start(place, run)
        return True
    lane.limit()
    lane.base = (lane.stored.id, lane.stored.clock or "")
    try:
        with naming(f"Input of run {run.address.run_id!r}"):
            given = run.served.codec.decode(record["input"])
        if given is not None and lane.stored.id and not run.batch_epoch:
            # A Command that came to nothing but itself: what it brought is part of the thread.
            at_rest = place.lines.look(Place(run.address.thread_id), lane.stored.id)
            lane.take_outside(stored_outside(place.lines, run.served.codec, run.address.thread_id, at_rest))
        lane.begin(given)
        for field, data in record.items():
            if field.startswith("o:"):
                # Of the superstep that another program left half done.
                lane.pending[field[2:]] = [(channel, value) for channel, value in run.served.codec.decode(data)]
    except StoreError:
        raise
    except Exception as exc:
        fail(place, run, exc)
        return False
    tasks = lane.look().tasks
    if given is None:
        tell_start(place, run)
    unstored = lane.at.source == "input" and lane.at.id != lane.stored.id
    if unstored and (run.options.keep == "all" or any(task.name != START for task in tasks)):
        # The history shows the input by itself; where only the latest is kept it folds into the first superstep, unless
        # nodes run in that: graphs nested in them need to know where they are.
        return store(place, run, [])
    return True


def _run_in_place(place: Workplace, run: Run, tasks: Sequence[Task]) -> str:
    """Run tasks here: '' if all settled, 'wide' if others should have the rest, 'gone' if nothing is left for this slot."""
    if _wait_beside_each_other(place, run, tasks):
        return "gone"
    started, ran = place.monotonic(), 0
    for task in tasks:
        if task.writes:
            continue
        if worth_offering(place, run, tasks, place.monotonic() - started, ran):
            return "wide"
        ran += 1
        delay = attempt_task(place, run, task, _attempts(run, task) + 1)
        if delay is not None:
            _put_off(place, run, tasks, {task: delay})
            return "gone"
    return ""


def _wait_beside_each_other(place: Workplace, run: Run, tasks: Sequence[Task]) -> bool:
    """Run the async nodes of a superstep together, if there are several.

    Returns:
        Whether this slot has done what it can: one waits for a retry, or sleeps; or the run is not wanted any more.
    """
    waiting = [task for task in tasks if not task.writes and not in_this_thread(task.node)]
    if len(waiting) < 2 or run.suspect:
        # A suspect's nodes run one by one: should one end the process, it is known which.
        return False
    overlap: Overlap[Task] = Overlap(place)
    for task in waiting:
        overlap.begin(task, partial(attempting, run=run, task=task, attempt=_attempts(run, task) + 1))
    delays: dict[Task, Any] = {}
    while overlap:
        delays.update(landed for landed in overlap.landed() if landed.result is not None)
    if overlap.unwanted:
        return True
    if delays:
        _put_off(place, run, tasks, delays)
    return bool(delays)


def _put_off(place: Workplace, run: Run, tasks: Sequence[Task], delays: Mapping[Task, Any]) -> None:
    """Give tasks back that are to be tried again, and offer the others."""
    if not open_superstep(place, run, tasks, held=delays):
        return
    for task, delay in delays.items():
        put_off(place, run, task, _attempts(run, task) + 1, delay)
    others = [other for other in tasks if not other.writes and other not in delays]
    place.dispatcher.publish(node_hints(run, others))


def _attempts(run: Run, task: Task) -> int:
    """How often a task was tried."""
    return int(run.record.get(f"a:{task.id}", b"0"))
