"""Batches bind late: a worker takes up to k ready items and advances them in lockstep, one commit per pass.

An item costs no record and no message of its own while it stays in its slice. One that cannot be finished here - its
tasks travel, it asks a person, it waits for a retry - goes on as a run of its own, from the checkpoint it has reached.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from threading import RLock
from typing import Any

from distgraph.cluster.attempt import attempt_task, attempting
from distgraph.cluster.context import context_for
from distgraph.cluster.drive import carry_on, pass_on
from distgraph.cluster.events import LedgerEffects
from distgraph.cluster.execution import in_this_thread
from distgraph.cluster.failures import describe
from distgraph.cluster.hints import BatchHint
from distgraph.cluster.lane import Lane
from distgraph.cluster.limits import limit_fields
from distgraph.cluster.naps import LedgerNaps
from distgraph.cluster.nested import drop_nested
from distgraph.cluster.offer import worth_offering
from distgraph.cluster.overlap import Overlap
from distgraph.cluster.rows import naming, result_row, split_item_data
from distgraph.cluster.sizes import VALUE
from distgraph.cluster.slice_items import BatchPlan, Item
from distgraph.cluster.workplace import HINTS_A_SLOT, LEASE_CHECK_MS, QUANTUM, TREE_DIED, Workplace
from distgraph.constants import ERROR, INTERRUPT, START
from distgraph.errors import DistgraphError, GraphRecursionError, JoinStalledError
from distgraph.ledger.keys import CHUNK, item_id
from distgraph.ledger.replies import Address, ItemStep, Taken
from distgraph.superstep.advance import Verdict
from distgraph.superstep.joins import stalled_text
from distgraph.superstep.model import Task

log = logging.getLogger(__name__)

#: What is not committed is flushed at least this often, so that a kill repeats little. Seconds.
FLUSH = 0.02
#: A slice is sized to about this much work. Seconds.
SLICE = 0.1
#: Items with nodes that wait are taken at least so many at a time.
WAITING = 8


def run_batch(place: Workplace, hint: BatchHint) -> None:
    """Take and advance items of a batch for a quantum, then go to the end of the queue if there are more."""
    served = place.registry.find(hint.graph, hint.fingerprint)
    if served is None:
        pass_on(place, hint)
        return
    manifest = place.batches.manifest(hint.batch_id)
    if manifest is None:
        return
    if manifest["pinned"] != served.fingerprint:
        # An old hint: another version has taken the batch over.
        place.dispatcher.publish([hint._replace(fingerprint=manifest["pinned"], hops=0)])
        return
    try:
        plan = BatchPlan(hint.batch_id, served, manifest)
    except DistgraphError as exc:
        # It was signed with another secret, say. Whoever submitted it sees it wait; the others go on.
        log.warning("batch %s cannot be read by this worker: %s", hint.batch_id, exc)
        return
    until = place.monotonic() + QUANTUM
    partitions = place.batches.ready_partitions(hint.batch_id)
    turn = 0
    while partitions and not place.draining() and not place.full():
        # With the broker away nobody else would go on; what travels has to wait for it in any case.
        if place.monotonic() >= until and (plan.travels or place.dispatcher.reachable()):
            break
        if plan.travels and place.promoted and place.dispatcher.waiting() >= 2 * HINTS_A_SLOT * place.slots():
            # What was taken has work for every slot in the queue; who ends an item takes the next ones.
            break
        partition = partitions[turn % len(partitions)]
        slice_id = place.nonce().decode()
        k = HINTS_A_SLOT if plan.travels else _size(place, plan)
        if place.batches.next_flag(hint.batch_id, partition) == "a" and not place.alone(True):
            partitions.remove(partition)
            continue
        taken = place.batches.take(hint.batch_id, partition, slice_id, place.slot, k, sweep_ms=LEASE_CHECK_MS)
        if taken is None:
            partitions.remove(partition)
            continue
        began = place.monotonic()
        made = Slice(place, plan, slice_id, taken)
        made.run()
        place.alone(False)
        if taken.flag == "n":
            # What was taken before goes first, to its end; from there on no partition is better than another.
            turn = place.noise(16)
        # Time in which all its nodes waited is not work: so many more can wait beside them.
        worked = place.monotonic() - began - made.overlap.idle
        _learn(place, hint.batch_id, worked / (taken.stop - taken.start))
    if partitions and place.dispatcher.waiting() < HINTS_A_SLOT * place.slots():
        place.dispatcher.publish([hint._replace(hops=0)])


def _size(place: Workplace, plan: BatchPlan) -> int:
    """How many items are taken at a time. Those that wait are waited for together, and stored as they come."""
    pace = place.pace.get(plan.batch_id)
    if plan.waits:
        # Not more than its share: what waits here, other slots cannot begin.
        slots = max(1, place.slots())
        if plan.total is None and pace is None:
            # Perhaps these are all: the batch is still sent, and nothing is known of its items.
            return max(1, WAITING // slots)
        most = place.overlap if plan.total is None else max(1, min(place.overlap, -(-plan.total // slots)))
        return most if pace is None else max(min(WAITING, most), min(most, int(SLICE / pace)))
    return 4 if pace is None else max(1, min(CHUNK, int(SLICE / pace)))


def _learn(place: Workplace, batch_id: str, seconds: float) -> None:
    known = place.pace.get(batch_id)
    place.pace[batch_id] = max(1e-6, seconds if known is None else 0.7 * known + 0.3 * seconds)


class Slice:
    """The items one driver advances together."""

    def __init__(self, place: Workplace, plan: BatchPlan, slice_id: str, taken: Taken) -> None:
        self.place, self.plan, self.slice_id, self.taken = place, plan, slice_id, taken
        self.live: list[Item] = []
        self.promoted: list[Item] = []
        #: Items whose commit was refused: whoever moved them may be gone by now.
        self.refused: list[int] = []
        self.flushed = place.monotonic()
        self.overlap: Overlap[tuple[Item, Task]] = Overlap(place)
        #: Nodes that wait may want to store their item's head, from their own OS threads.
        self._storing = RLock()

    def run(self) -> None:
        """Advance all items until each has its row or goes on as a run of its own."""
        try:
            if self._advance_all() and self._end():
                for item in self.promoted:
                    self._go_on(item)
        finally:
            self.overlap.give_up()
            # Their lanes refer to this slice: all they hold would wait for a garbage collection.
            self.live.clear()
            self.promoted.clear()

    def _advance_all(self) -> bool:
        """Advance all items to where they end or leave. False: not all of them got there, and nothing is left to do."""
        self._open()
        ready = self.live
        while ready or self.overlap:
            taken = [item for item in ready if not self._begin_waiting(item)]
            for item in taken:
                if self.place.draining():
                    break
                self._advance(item)
                if self.place.monotonic() - self.flushed > FLUSH and not self._flush():
                    return False
            if self.place.draining():
                self._hand_back()
                return False
            if not self._flush():
                return False
            self.live = [item for item in self.live if item.lane.next is not None]
            ready = [item for item in taken if item.lane.next is not None]
            ready += self._landed(wait=not ready)
        return True

    # --------------------------------------------------------------- nodes that wait

    def _begin_waiting(self, item: Item) -> bool:
        """Begin the async nodes of an item's superstep beside those of others. False: there are none to begin."""
        if not self.plan.waits or self.taken.flag == "a" or self.place.draining():
            # A suspect's nodes run one by one: should one end the process, it is known which.
            return False
        lane = item.lane
        if lane.next is not None and all(task.name == START for task in lane.next.tasks):
            # It comes for free with the first.
            self._superstep(item)
        if lane.next is None or lane.next.verdict is not Verdict.RUN or item.leaves(lane.next.tasks):
            return False
        waiting = [task for task in lane.next.tasks if not task.writes and not in_this_thread(task.node)]
        if item.retry or not waiting or len(waiting) == len(self.live) == 1:
            return False
        for task in waiting:
            self.overlap.begin((item, task), partial(attempting, run=item, task=task, attempt=1))
        item.waiting = len(waiting)
        return True

    def _landed(self, *, wait: bool) -> list[Item]:
        """Items whose nodes have ended that they waited for."""
        ready: list[Item] = []
        for (item, task), delay in self.overlap.landed(wait=wait) if self.overlap else ():
            item.waiting -= 1
            if delay is not None:
                item.retry[task.id] = delay
            if not item.waiting:
                ready.append(item)
        return ready

    # --------------------------------------------------------------- opening

    def _open(self) -> None:
        batch_id, taken = self.plan.batch_id, self.taken
        first = taken.chunk * CHUNK
        indexes = list(range(first + taken.start, first + taken.stop))
        inputs = self.place.batches.items(batch_id, taken)
        lines: Sequence[dict[bytes, bytes]] = [{}] * len(indexes)
        if taken.flag != "n":
            lines = self.place.batches.lines(batch_id, indexes)
            done = self.place.batches.settled_items(batch_id, taken)
        else:
            done = set()
        for index, data, line in zip(indexes, inputs, lines, strict=False):
            if index not in done:
                self._open_item(index, data, line)

    def _open_item(self, index: int, data: bytes, line: dict[bytes, bytes]) -> None:
        plan, place = self.plan, self.place
        name = item_id(plan.batch_id, index)
        effects = LedgerEffects(place, plan.served.codec, Address(name, name))
        ctx = context_for(
            plan.served,
            plan.options,
            run_id=name,
            thread_id=name,
            effects=effects,
            naps=LedgerNaps(place.runs, Address(name, name)),
            cancelled=place.cancelled,
            shelf=place.shelf(plan.served),
        )
        lane = Lane(place, plan.served, plan.options, ctx)
        item = Item(index, Address(name, name), plan, lane, self.taken, self.slice_id)
        lane.keep_head = self._keep_head
        if self.taken.flag in ("a", "c"):
            lane.got_on = self._got_on
        self.live.append(item)
        head = line.get(b"head", b"").decode()
        # Should something not be readable, the item ends here: as one that stands at this checkpoint.
        lane.stored = lane.stored._replace(id=head)
        try:
            with naming(f"Input of item {index} of batch {plan.batch_id!r}"):
                item.key, given = split_item_data(plan.served.codec, data)
            if head:
                fields = {key.decode(): value for key, value in line.items()}
                lane.load(lane.bare(head, fields.get(f"c:{head}")), fields)
                lane.go_on_here()
                lane.limit(plan.options.recursion_limit)
            else:
                lane.limit()
                lane.begin(given)
            lane.look()
        except Exception as exc:
            self._fail_item(item, describe(exc))

    # ------------------------------------------------------------- advancing

    def _advance(self, item: Item) -> None:
        """One superstep of one item; START comes for free with the first."""
        if item.lane.next is None:
            return
        for _ in range(2):
            if not self._superstep(item):
                return
            if item.lane.at.step > 0:
                break
        if item.lane.at.id != item.lane.stored.id:
            self._plan_step(item, "step")

    def _superstep(self, item: Item) -> bool:
        """Run and apply one superstep in place. False: the item ended, or leaves the slice."""
        lane = item.lane
        assert lane.next is not None
        if lane.next.verdict is not Verdict.RUN:
            self._finish(item, lane.next.verdict)
            return False
        tasks = lane.next.tasks
        if item.leaves(tasks):
            self._promote(item)
            return False
        if not self._run_tasks(item, tasks):
            self._promote(item)
            return False
        failed = next((task for task in tasks if not task.finished and task.control(ERROR) is not None), None)
        if failed is not None:
            self._fail_item(item, failed.control(ERROR))
            return False
        if any(not task.finished and task.control(INTERRUPT) is not None for task in tasks):
            self._promote(item)
            return False
        try:
            lane.advance()
        except Exception as exc:
            self._fail_item(item, describe(exc))
            return False
        verdict: Verdict = lane.next.verdict
        if verdict is not Verdict.RUN:
            self._finish(item, verdict)
        return verdict is Verdict.RUN

    def _run_tasks(self, item: Item, tasks: Sequence[Task]) -> bool:
        """Run all tasks of a superstep here. False: one waits for its next attempt, or others should have the rest."""
        started = self.place.monotonic()
        if item.retry:
            return False
        for ran, task in enumerate(tasks):
            if task.writes:
                continue
            if worth_offering(self.place, item, tasks, self.place.monotonic() - started, ran):
                return False
            delay = attempt_task(self.overlap.place, item, task, 1)
            if delay is not None:
                item.retry[task.id] = delay
                return False
        return True

    def _finish(self, item: Item, verdict: Verdict) -> None:
        if verdict is Verdict.DONE:
            try:
                output = item.lane.output()
                if len(output) > VALUE:
                    # No checkpoint of its end is stored, but what is too large for one is too large everywhere.
                    item.lane.changes()
                self._end_item(item, result_row("d", item.key, output))
            except Exception as exc:
                self._fail_item(item, describe(exc))
        elif verdict is Verdict.STALLED:
            told = f"In item {item.index}: {stalled_text(item.served.program, item.lane.at)}"
            self._fail_item(item, describe(JoinStalledError(told)))
        elif verdict is Verdict.OUT_OF_STEPS:
            limit = item.options.recursion_limit
            stuck = GraphRecursionError(
                f"Recursion limit of {limit} reached without hitting a stop condition, in item {item.index}. Raise "
                "config['recursion_limit'], or look for a loop that does not end."
            )
            self._fail_item(item, describe(stuck))
        else:
            self._promote(item)

    def _fail_item(self, item: Item, error: Any) -> None:
        self._end_item(item, result_row("f", item.key, item.served.codec.encode(error)))

    def _end_item(self, item: Item, row: bytes) -> None:
        item.step = ItemStep("end", item.index, item.lane.stored.id, row=row)
        item.lane.next = None

    def _promote(self, item: Item) -> None:
        if item.lane.next is not None:
            # One that failed for good does not run again because others of its superstep do.
            ended = [task for task in item.lane.next.tasks if task.finished or task.control(ERROR) is not None]
            item.settled = {task.id: task.writes for task in ended}
        self._plan_step(item, "promote")
        if item.step is not None and item.step.kind == "promote":
            self.promoted.append(item)
            self.place.promoted.append(item.address)
        item.lane.next = None

    def _plan_step(self, item: Item, kind: Any) -> None:
        lane = item.lane
        parent = lane.stored.id
        try:
            change = lane.changes()
        except Exception as exc:
            self._fail_item(item, describe(exc))
            return
        fields: list[tuple[str, bytes | str | int]] = []
        if kind == "promote":
            fields = [
                ("graph", item.served.name),
                ("fp", item.served.fingerprint),
                ("thread", item.address.thread_id),
                ("config", self.plan.config),
                ("stop", lane.rules.stop),
                ("batch_e", self.taken.epoch),
                ("digest", ""),
                ("key", item.key),
                *limit_fields(item.options).items(),
            ]
            if lane.retries:
                fields.append(("retries", lane.retries))
            if self.taken.flag == "a":
                fields += [("x", 1), ("why", TREE_DIED)]
        sets = change.sets if lane.at.id != parent else []
        drops = change.drops if lane.at.id != parent else []
        item.step = ItemStep(kind, item.index, parent, lane.at.id, sets, drops, fields=fields)

    # -------------------------------------------------------------- commits

    def _flush(self) -> bool:
        """Commit what is not committed. False: the batch was cancelled, nothing of it is wanted any more."""
        self.flushed = self.place.monotonic()
        with self._storing:
            steps = [item for item in self.live if item.step is not None]
            return self._commit(steps) if steps else True

    def _commit(self, items: Sequence[Item]) -> bool:
        answers = self.place.batches.commit(
            self.plan.batch_id,
            self.slice_id,
            self.place.slot,
            self.taken,
            [item.step for item in items if item.step is not None],
            last=False,
        )
        if answers is None:
            self._abandon()
            return False
        for item, applied in zip(items, answers, strict=True):
            ended, item.step = item.step, None
            if applied:
                item.lane.committed()
                if ended is not None and ended.kind == "step" and item.lane.got_on is not None:
                    item.lane.got_on()
                if ended is not None:
                    self._forget(item, ended)
            else:
                # Another driver has it: this one was taken for dead.
                item.lane.next = None
                self.refused.append(item.index)
                if item in self.promoted:
                    self.promoted.remove(item)
        return True

    def _got_on(self) -> None:
        """The slice's one item, which crashed before, has come further than it ever had."""
        self.place.batches.got_on(self.plan.batch_id, self.slice_id, self.place.slot, self.taken)

    def _keep_head(self, lane: Lane) -> bool:
        """Store an item's head before graphs nested in it store theirs. False: it is somebody else's, or not wanted."""
        with self._storing:
            item = next(item for item in self.live if item.lane is lane)
            if item.lane.at.id == item.lane.stored.id:
                return True
            self._plan_step(item, "step")
            stored = item.step is not None and item.step.kind == "step" and self._commit([item])
            return stored and item.lane.next is not None

    def _end(self) -> bool:
        """End the slice; items that have come to no end are ready again. False: the batch was cancelled."""
        batches, batch_id, taken = self.place.batches, self.plan.batch_id, self.taken
        if not self.refused:
            away = [ItemStep("own", item.index, "") for item in self.promoted]
            answers = batches.commit(batch_id, self.slice_id, self.place.slot, taken, away, last=True)
            if answers is None:
                self._abandon()
                return False
            if answers[-1]:
                return True
        self._give_back()
        return True

    def _give_back(self) -> None:
        """End the slice; what the ledger does not know as settled is ready again, whatever was taken for done here.

        What was refused, or done and forgotten, a server that was rolled back may have put back: nobody else has it.
        """
        self.place.batches.give_back(self.plan.batch_id, self.slice_id, self.place.slot, self.taken)

    def _abandon(self) -> None:
        """The batch was cancelled: nothing of it is wanted any more."""
        self._give_back()
        for item in self.promoted:
            self.place.runs.control("cancel", item.address, self.place.nonce().decode())

    def _forget(self, item: Item, step: ItemStep) -> None:
        """What a superstep leaves behind goes, and with an item that is done what it may have left elsewhere."""
        done, again = step.row[:1] == b"d", self.taken.flag != "n"
        effects: Any = item.lane.ctx.runtime.effects
        if done and (effects.used or again):
            self.place.runs.keep_effects(item.address, self.place.effects_ms)
        if (item.lane.nested and (done or step.kind == "step")) or (done and again):
            drop_nested(self.place.lines, item.address.thread_id, histories=done)

    def _hand_back(self) -> None:
        """Drain: commit what is done, and make the rest ready again. No crash is counted."""
        self.overlap.begin_no_more()
        while self.overlap:
            for item in self._landed(wait=True):
                self._advance(item)
        if not self._flush():
            return
        self._give_back()
        for item in self.promoted:
            self.place.runs.release(item.address, self.place.slot, due_ms=0)

    def _go_on(self, item: Item) -> None:
        """Drive a promoted item as the run it is now."""
        place = self.place
        claimed = place.runs.claim(item.address, place.slot, sweep_ms=LEASE_CHECK_MS)
        if claimed.kind != "ok":
            return
        carry_on(place, item.served, item.address, claimed.head, claimed.record, item.settled, item.retry)
