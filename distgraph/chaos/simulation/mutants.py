"""The protocol, broken on purpose: each mutant leaves out one thing it needs, and the simulation must notice.

A mutant replaces one or two methods of the ledger's twin, or of the drivers, while its ``with`` block lasts. They show
that the simulation looks where it should: one that is not caught means an invariant, or a fault, is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from distgraph.chaos.simulation.outer_mutants import OUTER, Mutant
from distgraph.cluster import drive, node_task, reclaim, recover
from distgraph.cluster.batch import Batch
from distgraph.cluster.lane import Lane
from distgraph.cluster.recover import Sweeper
from distgraph.cluster.registry import Registry
from distgraph.cluster.workplace import Workplace
from distgraph.ledger.memory.base import OK
from distgraph.ledger.memory.batches import MemoryBatches
from distgraph.ledger.memory.runs import MemoryRuns
from distgraph.ledger.memory.slices import MemorySlices
from distgraph.ledger.replies import Answer, Submitted
from distgraph.superstep import apply
from distgraph.superstep.identity import checkpoint_id, ticks_of


@contextmanager
def mutant(name: str) -> Iterator[None]:
    """Break the protocol in this way for the length of a ``with`` block.

    Raises:
        KeyError: there is no such mutant.
    """
    with ExitStack() as undo:
        for owner, attribute, made in MUTANTS[name].patches:
            own = vars(owner).get(attribute)
            original = getattr(owner, attribute, None)
            setattr(owner, attribute, made(original))
            if own is not None:
                undo.callback(setattr, owner, attribute, own)
            else:
                undo.callback(delattr, owner, attribute)
        yield


# ----------------------------------------------------------------- the barrier and the head


def _any_parent(judge: Any) -> Any:
    def judged(self: Any, key: Any, commit: Any, item: Any) -> Any:
        record = self.state.records.get(key)
        if record is not None and record["status"] == b"done" and commit.head and int(record["epoch"]) == commit.epoch:
            self._set(key, {"status": "running"})
        answer = judge(self, key, replace(commit, parent=self._head(commit.address)), item)
        # Ids that grow would refuse most of them all the same.
        return None if answer == Answer("stale", "order") else answer

    return judged


def _any_epoch(judge: Any) -> Any:
    def judged(self: Any, key: Any, commit: Any, item: Any) -> Any:
        record = self.state.records.get(key)
        if record is None or record["status"] not in (b"running", b"cancelled"):
            return judge(self, key, commit, item)
        running = record["status"] == b"running"
        if not running:
            self._set(key, {"status": "running"})
        return judge(self, key, replace(commit, epoch=int(record["epoch"])), item)

    return judged


def _keep_epoch(control: Any) -> Any:
    def controlled(self: Any, what: str, address: Any, nonce: str, **more: Any) -> Any:
        key = self.state.key(address)
        before = self.state.records.look(key).get("epoch")
        answer = control(self, what, address, nonce, **more)
        if what == "cancel" and answer.kind == "ok" and before is not None:
            self._set(key, {"epoch": before, "status": "running"})
        return answer

    return controlled


def _any_head(not_at: Any) -> Any:
    def judged(self: Any, address: Any, key: Any, epoch: int, head: str) -> Any:
        return not_at(self, address, key, epoch, self._head(address))

    return judged


def _leased_only(commit: Any) -> Any:
    def committed(self: Any, given: Any) -> Any:
        lease = self.state.records.look(self.state.key(given.address)).get("lease", b"").decode()
        return commit(self, given) if lease == given.slot else Answer("stale", "lease")

    return committed


def _one_is_enough(all_settled: Any) -> Any:
    def settled(self: Any, key: Any) -> bool:
        plan = int(self.state.records[key]["plan"])
        return len(self.state.outcomes.look(key)) >= max(plan - 1, min(plan, 1))

    return settled


def _counter_ids(new_id: Any) -> Any:
    return lambda self, parent: checkpoint_id(ticks_of(parent) + 1 if parent else 1, 0)


def _unlike(sort: Any) -> Any:
    """The order of arrival in place of that of the plan."""
    return lambda tasks, key: list(tasks)


def _as_they_came(look: Any) -> Any:
    def looked(self: Any) -> Any:
        order = {task: place for place, task in enumerate(self.pending)}
        found = look(self)
        self.next = found._replace(tasks=sorted(found.tasks, key=lambda task: order.get(task.id, -1)))
        return self.next

    return looked


def _drop_all(control: Any) -> Any:
    def controlled(self: Any, what: str, address: Any, nonce: str, **more: Any) -> Any:
        answer = control(self, what, address, nonce, **more)
        if what == "requeue" and answer.kind == "ok":
            self.state.outcomes.drop(self.state.key(address))
        return answer

    return controlled


def _last_wins(settle: Any) -> Any:
    """What a task came to replaces what it came to before."""

    def settled(self: Any, address: Any, slot: str, epoch: int, head: str, task_id: str, *more: Any) -> Any:
        key = self.state.key(address)
        if not self._not_open(address, key, epoch, head):
            self.state.outcomes.at(key).drop(task_id)
        return settle(self, address, slot, epoch, head, task_id, *more)

    return settled


def _acts_again(judge: Any) -> Any:
    """A commit that was carried out is carried out once more."""

    def judged(self: Any, key: Any, commit: Any, item: Any) -> Any:
        answer = judge(self, key, commit, item)
        repeated = answer == OK and commit.head and key in self.state.records
        return None if repeated else answer

    return judged


def _arrived(record: Any) -> int:
    """How many outcomes have arrived in the superstep that is open."""
    count, _, of = record.get("arrived", b"0").decode().partition(" ")
    return int(count) if of == f"{record['epoch']!r} {record.get('at')!r}" else 0


def _count_arrivals(settle: Any) -> Any:
    """Each outcome that arrives counts in the run's record, also one that says again what is known."""

    def settled(self: Any, address: Any, *more: Any) -> Any:
        key = self.state.key(address)
        record = self.state.records.look(key)
        if record.get("plan", b"0") != b"0":
            before = max(_arrived(record), len(self.state.outcomes.look(key)))
            self._set(key, {"arrived": f"{before + 1} {record['epoch']!r} {record['at']!r}"})
        return settle(self, address, *more)

    return settled


def _enough_arrivals(all_settled: Any) -> Any:
    def settled(self: Any, key: Any) -> bool:
        record = self.state.records[key]
        return 0 < int(record["plan"]) <= _arrived(record) or bool(all_settled(self, key))

    return settled


# ----------------------------------------------------------------- claims, debts, deaths


def _believed(claim: Any) -> Any:
    def claimed(self: Any, address: Any, slot: str, epoch: int, head: str, task_id: str) -> Any:
        kept = self.state.outcomes.look(self.state.key(address)).get(task_id)
        outcomes = self.state.outcomes.at(self.state.key(address))
        outcomes.drop(task_id)
        answer = claim(self, address, slot, epoch, head, task_id)
        if kept is not None:
            outcomes[task_id] = kept
        return answer

    return claimed


def _nothing(_: Any) -> Any:
    return lambda *args, **kwargs: None


def _yes(_: Any) -> Any:
    return lambda *args, **kwargs: True


def _no_sweep(_: Any) -> Any:
    return lambda self: 1.0


def _sweep_and_drop(sweep: Any) -> Any:
    def swept(self: Any, partition: int, *, most: int, push_ms: int) -> Any:
        found = sweep(self, partition, most=most, push_ms=push_ms)
        due = self.state.due.at(partition)
        for entry in [entry for entry, ms in due.items() if ms == found.now_ms + push_ms]:
            due.drop(entry)
        return found

    return swept


def _forget_anyway(forget: Any) -> Any:
    return lambda self, partition, entry: self.state.due.at(partition).drop(entry)


def _no_doubt(_: Any) -> float:
    return 0.0


def _no_wait(retry: Any) -> Any:
    def retried(self: Any, address: Any, *args: Any, **more: Any) -> Any:
        answer = retry(self, address, *args, **more)
        key = self.state.key(address)
        self.state.due.at(key.partition).drop(f"t:{key.run_id}\n{args[3]}")
        return answer

    return retried


def _twice(retry: Any) -> Any:
    def retried(self: Any, *args: Any, attempts: int, **more: Any) -> Any:
        return retry(self, *args, attempts=attempts + 1, **more)

    return retried


def _uncounted_crash(taken: Any) -> Any:
    def reclaimed(self: Any, *args: Any, crashed: bool, **more: Any) -> Any:
        return taken(self, *args, **{**more, "crashed": False})

    return reclaimed


def _uncounted_item(give_back: Any) -> Any:
    return lambda self, *args, **more: give_back(self, *args, **{**more, "crashed": None})


def _forgiven_run(claim: Any) -> Any:
    """Whoever begins has got on already."""

    def claimed(self: Any, address: Any, slot: str, *args: Any, **more: Any) -> Any:
        self.got_on(address, slot)
        answer = claim(self, address, slot, *args, **more)
        if answer.kind == "ok":
            self.got_on(address, slot, *args[2:])
        return answer

    return claimed


def _forgiven_item(take: Any) -> Any:
    def taken(self: Any, batch_id: str, partition: int, slice_id: str, slot: str, *args: Any, **more: Any) -> Any:
        found = take(self, batch_id, partition, slice_id, slot, *args, **more)
        if found is not None and found.flag in ("a", "c"):
            self.got_on(batch_id, slice_id, slot, found)
        return found

    return taken


def _one_crash(_: Any) -> int:
    return 1


def _unrecorded(effect: Any) -> Any:
    return lambda self, address, key, value=None, *, keep_ms=0, retries=False: value


def _forgotten_effects(keep: Any) -> Any:
    return lambda self, address, ms: keep(self, address, 0)


def _short_sleep(sleep: Any) -> Any:
    return lambda self, *args, ms, **more: sleep(self, *args, ms=ms // 4, **more)


def _no_waking(doze: Any) -> Any:
    def dozed(self: Any, key: Any) -> None:
        doze(self, key)
        if self.state.naps.look(key):
            self.state.due.at(key.partition).drop(f"r:{key.run_id}")

    return dozed


def _always_a_crash(bury: Any) -> Any:
    return lambda self, slot, what, **more: bury(self, slot, what, **{**more, "crashed": True})


def _kept_writes(end: Any) -> Any:
    return lambda self, *args, back: end(self, *args, back=False)


def _taken_over(take: Any) -> Any:
    return lambda self, name, fingerprint: self.find(name)


def _any_version(find: Any) -> Any:
    return lambda self, name, fingerprint="": find(self, name)


# ----------------------------------------------------------------- submissions and batches


def _crowded(submit: Any) -> Any:
    def submitted(self: Any, address: Any, *args: Any, **more: Any) -> Submitted:
        line = self.state.lines.at((address.thread_id, ""))
        if line.get("run") not in (None, address.run_id.encode()):
            line.drop("run")
        made: Submitted = submit(self, address, *args, **more)
        return made

    return submitted


def _added_again(add: Any) -> Any:
    def added(self: Any, batch_id: str, chunk: int, *args: Any, **more: Any) -> Any:
        at = (batch_id, self.keys.chunk_partition(batch_id, chunk))
        self.state.digests.at(at).drop(chunk)
        return add(self, batch_id, chunk, *args, **more)

    return added


def _miscounted(seal: Any) -> Any:
    return lambda self, batch_id, total, content: seal(self, batch_id, total + 1, content)


def _end_twice(apply_: Any) -> Any:
    def applied(self: Any, at: Any, slot: str, chunk: int, step: Any) -> bool:
        if step.kind == "end" and step.index in self.state.rows.look((at[0], chunk)):
            part = self.state.parts[at]
            self.state.parts[at] = part._replace(done=part.done + 1)
        return bool(apply_(self, at, slot, chunk, step))

    return applied


def _any_item(apply_: Any) -> Any:
    def applied(self: Any, at: Any, slot: str, chunk: int, step: Any) -> bool:
        line = self.state.lines.look((f"{at[0]}:{step.index}", ""))
        if step.kind == "end" and self.state.rows.look((at[0], chunk)).get(step.index) != step.row:
            self.state.rows.at((at[0], chunk)).drop(step.index)
        return bool(apply_(self, at, slot, chunk, replace(step, parent=line.get("head", b"").decode())))

    return applied


def _no_loss(_: Any) -> Any:
    return lambda self, manifest, counts: ""


def _told_anyway(_: Any) -> Any:
    def told(self: Any, address: Any, epoch: int, head: str, entry: bytes) -> Answer:
        self.append_log(address, [entry])
        return OK

    return told


def _slice_forgotten(_: Any) -> Any:
    return lambda self, at, of: []


MUTANTS: dict[str, Mutant] = {
    "no-compare-and-set": Mutant("a commit is not compared with its parent", ((MemoryRuns, "_judge", _any_parent),)),
    "no-compare-and-set-of-items": Mutant("nor is a step of an item", ((MemorySlices, "_apply", _any_item),)),
    "epoch-unchecked": Mutant("a commit of an older epoch passes", ((MemoryRuns, "_judge", _any_epoch),)),
    "cancel-without-epoch": Mutant("a cancelled run keeps its epoch", ((MemoryRuns, "control", _keep_epoch),)),
    "early-barrier": Mutant("the barrier closes one task early", ((MemoryRuns, "_all_settled", _one_is_enough),)),
    "settle-at-any-head": Mutant("outcomes of older checkpoints count", ((MemoryRuns, "_not_at", _any_head),)),
    "lease-decides": Mutant("who lost the lease may not commit", ((MemoryRuns, "commit", _leased_only),)),
    "counter-ids": Mutant(
        "checkpoint ids are counters, the same after a roll-back", ((Workplace, "new_checkpoint_id", _counter_ids),)
    ),
    "last-outcome-wins": Mutant(
        "the last outcome of a task stands, not its first", ((MemoryRuns, "_settle_one", _last_wins),)
    ),
    "commit-acts-again": Mutant("a commit that is sent again acts again", ((MemoryRuns, "_judge", _acts_again),)),
    "arrivals-counted": Mutant(
        "the barrier counts arrivals, not tasks",
        ((MemoryRuns, "_settle_one", _count_arrivals), (MemoryRuns, "_all_settled", _enough_arrivals)),
    ),
    "arrival-order": Mutant(
        "writes are applied as they come", ((apply, "sorted", _unlike), (Lane, "look", _as_they_came))
    ),
    "resume-runs-siblings": Mutant("a resume forgets what had finished", ((MemoryRuns, "control", _drop_all),)),
    "hint-believed": Mutant(
        "a hint is believed, though its task has settled", ((MemoryRuns, "claim_task", _believed),)
    ),
    "no-sweep": Mutant("nobody sweeps", ((Sweeper, "sweep", _no_sweep),)),
    "no-due-entry": Mutant("a run owes no look", ((MemoryRuns, "_owe", _nothing),)),
    "due-entry-dropped": Mutant("a swept entry does not come back", ((MemoryRuns, "sweep", _sweep_and_drop),)),
    "forgotten-anyway": Mutant(
        "an entry is forgotten, whatever is owed", ((MemoryRuns, "forget_due", _forget_anyway),)
    ),
    "outage-believed": Mutant(
        "an outage of the server is taken for the death of workers", ((recover, "DISTRUST", _no_doubt),)
    ),
    "retry-forgotten": Mutant(
        "a task that waits for its next attempt waits for ever", ((MemoryRuns, "retry_task", _no_wait),)
    ),
    "retry-counted-twice": Mutant("each failure counts as two", ((MemoryRuns, "retry_task", _twice),)),
    "crash-not-counted": Mutant(
        "crashes are not counted",
        ((MemoryRuns, "reclaim", _uncounted_crash), (MemoryBatches, "give_back", _uncounted_item)),
    ),
    "crash-forgiven": Mutant(
        "a crash is forgotten though nothing came of it",
        (
            (MemoryRuns, "claim", _forgiven_run),
            (MemoryRuns, "claim_task", _forgiven_run),
            (MemoryBatches, "take", _forgiven_item),
        ),
    ),
    "quarantine-too-early": Mutant(
        "one crash makes poison",
        tuple((module, "CRASHES_ALLOWED", _one_crash) for module in (drive, node_task, reclaim)),
    ),
    "living-slot-reclaimed": Mutant("every slot is taken for dead", ((Sweeper, "dead", _yes),)),
    "effect-not-recorded": Mutant("effects are not recorded", ((MemoryRuns, "effect", _unrecorded),)),
    "effects-forgotten": Mutant(
        "records of effects go with their item", ((MemoryRuns, "keep_effects", _forgotten_effects),)
    ),
    "sleep-cut-short": Mutant("a sleep is shorter than it was asked for", ((MemoryRuns, "sleep_task", _short_sleep),)),
    "sleep-without-end": Mutant("who sleeps is owed no look", ((MemoryRuns, "_doze", _no_waking),)),
    "timeout-is-a-crash": Mutant("who is stopped at a time limit has crashed", ((Sweeper, "bury", _always_a_crash),)),
    "line-forgotten": Mutant("who waits in line is not let in", ((MemoryRuns, "_pass_on", _nothing),)),
    "interrupted-not-ended": Mutant("who is interrupted goes on", ((MemoryRuns, "_end_other", _nothing),)),
    "rollback-keeps": Mutant("who is rolled back leaves what it wrote", ((MemoryRuns, "_end_other", _kept_writes),)),
    "version-taken-over": Mutant(
        "a worker takes over what another version began", ((Registry, "taking_over", _taken_over),)
    ),
    "any-version": Mutant("a worker runs what another version began", ((Registry, "find", _any_version),)),
    "thread-shared": Mutant("two runs are active on one thread", ((MemoryRuns, "submit", _crowded),)),
    "told-late": Mutant(
        "a run is said to go on by whoever comes too late", ((MemoryRuns, "tell_start", _told_anyway),)
    ),
    "loss-unnoticed": Mutant("nobody notices what the server has lost of a batch", ((Batch, "_lost", _no_loss),)),
    "chunk-not-idempotent": Mutant("a chunk sent again is added again", ((MemoryBatches, "add", _added_again),)),
    "seal-miscounted": Mutant("a batch waits for an item too many", ((MemoryBatches, "seal", _miscounted),)),
    "row-counted-twice": Mutant("an item that ends again counts again", ((MemorySlices, "_apply", _end_twice),)),
    "slice-forgotten": Mutant(
        "items of a dead slice do not come back", ((MemorySlices, "_unsettled", _slice_forgotten),)
    ),
    **OUTER,
}
