"""Tasks that a node in another slot has called: found by their offer, claimed one by one, run, recorded."""

from __future__ import annotations

from functools import partial

from distgraph.cluster.calls import TaskCalls, ThreadCalls
from distgraph.cluster.drive import pass_on
from distgraph.cluster.events import at_work, saves_with
from distgraph.cluster.hints import CallHint
from distgraph.cluster.nested import Attempt
from distgraph.cluster.run import Left, Run, open_run
from distgraph.cluster.sharing import run_shared, task_from
from distgraph.cluster.workplace import Workplace
from distgraph.errors import DistgraphError, StoreError
from distgraph.ledger.replies import Address
from distgraph.superstep.model import Task
from distgraph.types import Write


def run_calls(place: Workplace, hint: CallHint) -> None:
    """Run what is left of an offer. Whatever keeps this slot from it, the caller does it."""
    served = place.registry.find(hint.graph, hint.fingerprint)
    if served is None:
        pass_on(place, hint)
        return
    address = Address(hint.run_id, hint.thread_id)
    record = place.runs.record(address)
    if record.get("status") != b"running" or int(record["epoch"]) != hint.epoch:
        return
    try:
        run = open_run(place, served, address, hint.head, record)
        run.lane.limit(int(record.get("stop", b"0")) or None)
    except StoreError:
        raise
    except (DistgraphError, Left):
        return
    known, offered = run.lane.ctx.runtime.effects.get(f"offer/{hint.offer}")
    for call in offered if known else ():
        task = task_from(call, run.lane.at)
        if task is None or place.draining():
            return
        calls = TaskCalls(run.lane, run.lane.ctx, task)
        place.watch(run.called(task.name, "", 1).text, None)
        try:
            run_shared(calls, task, hint.offer, partial(_run, place, run, task, calls))
        finally:
            place.watch("", None)
            place.tidy()


def _run(place: Workplace, run: Run, task: Task, calls: TaskCalls) -> list[Write]:
    ctx = run.lane.ctx
    called = ctx.children = ThreadCalls(run.lane, ctx, task, repeats=True)
    if ctx.saver is not None:
        ctx.saver.begin(Attempt(place.nonce, run.address, task.at.id, run.lane.epoch, lambda: True))
    done = False
    try:
        with at_work(task, 1, run.epoch):
            saves_with(ctx.saver)
            writes = called.run_here(task, calls)
        done = True
    finally:
        called.finish(give_up=not done)
        if ctx.saver is not None:
            ctx.saver.end()
    return writes
