"""What happened in a schedule, as nobody inside it can see it: every call of the ledger, every execution of a node.

What can be judged at once is judged here; the rest at the end (``invariants``). Facts that the server lost in a
roll-back are taken back; what was executed stays executed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from distgraph.chaos.simulation.deadlines import Deadlines
from distgraph.chaos.simulation.facts import Execution, Facts, Violation
from distgraph.cluster.liveness import work_of, works_at
from distgraph.cluster.workplace import CRASHES_ALLOWED
from distgraph.ledger.keys import CHUNK, item_id, split_item
from distgraph.ledger.memory.tables import RunKey
from distgraph.ledger.replies import Address, Answer, Commit, Due, Taken
from distgraph.testing.slots import working

if TYPE_CHECKING:
    from distgraph.chaos.simulation.fleet import Process
    from distgraph.chaos.simulation.world import World
    from distgraph.runtime import Runtime


#: How long nodes sleep that do; and where there is a time limit that may end before. Milliseconds.
NAP_MS, LONG_NAP_MS = 2_700, 9_000


#: (who called, arguments, keywords, answer).
Judge = Callable[["Process", Any, Any, Any], None]


class History:
    """The history of one schedule.

    Attributes:
        violations: promises that were broken.
        faults: what struck, by kind.
        oks: what came to its end, by kind.
        executions: every execution of a node, in order; number ``n`` is at ``n - 1``.
        deeds: effects in the outside world -> how often they were done.
        events: calls of the ledger so far.
        deaths: processes that died.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[Violation] = []
        self.faults: Counter[str] = Counter()
        self.oks: Counter[str] = Counter()
        self.executions: list[Execution] = []
        self.deeds: Counter[str] = Counter()
        #: Nodes that sleep -> when they began to, in ms.
        self.naps: dict[str, int] = {}
        self.deadlines = Deadlines(self)
        #: How long nodes sleep that do. Milliseconds.
        self.nap_ms = LONG_NAP_MS if self.deadlines.any else NAP_MS
        self.events = self.crashes = 0
        #: Checkpoint id -> digest of what it holds; what the server has lost included.
        self._ids: dict[str, int] = {}
        #: Runs whose trouble somebody has repaired.
        self.repaired: set[str] = set()
        self.facts = Facts()
        #: What facts are made of, in order; cut off where the server lost it.
        self._told: list[tuple[Any, ...]] = []
        self._judges: dict[str, Judge] = {
            "runs.claim": self._claim,
            "runs.release": self._release,
            "runs.retry_task": self._retry,
            "runs.claim_task": self._took,
            "runs.commit": self._commit,
            "runs.settle": self._settle,
            "runs.offer": self._offer,
            "runs.control": self._control,
            "runs.effect": self._effect,
            "runs.submit": self._submit,
            "runs.reclaim": self._reclaim,
            "runs.forget_due": self._forgotten,
            "batches.take": self._take,
            "batches.commit": self._commit_items,
            "batches.give_back": self._give_back,
            "batches.retry_failed": self._retry_failed,
        }

    def violate(self, invariant: str, text: str, cause: BaseException | None = None) -> None:
        """A promise is broken."""
        self.violations.append(Violation(invariant, text))
        if cause is not None:
            self.cause = cause

    def mark(self) -> int:
        """The present, to come back to."""
        return len(self._told)

    def roll_back(self, mark: int) -> None:
        """The server lost what it was told since ``mark``."""
        told, lost, self._told, self.facts = self._told[:mark], self._told[mark:], [], Facts()
        for event, what, *rest in told:
            self._tell(event, what, *rest)
        for _, what, *rest in lost:
            if what == "unsettled" and rest[0] in self.facts.settled:
                # It has settled again, and only now: whoever claimed it in the time that is lost was right to.
                self._tell(self.events, what, *rest)
                self._tell(self.events, "settled", *rest)

    # ------------------------------------------------------------- calls of the ledger

    def judge(self, label: str) -> Judge | None:
        """What is told of every answer to this call of the ledger, once it is counted in ``events``; None: nobody is."""
        return self._judges.get(label)

    def _tell(self, event: int, what: str, *rest: Any) -> None:
        """A fact; told once more it changes nothing."""
        self._told.append((event, what, *rest))
        facts = self.facts
        match what:
            case "head":
                thread, parent, head = rest
                stands = facts.heads.setdefault((thread, parent), head)
                facts.moved.setdefault((thread, parent), event)
                if stands != head:
                    self.violate("I4", f"two checkpoints of thread {thread!r} follow {parent!r}")
            case "settled":
                facts.settled.setdefault(rest[0], event)
            case "outcome":
                if facts.outcomes.setdefault(rest[0], rest[1]) != rest[1]:
                    self.violate("I2", f"two attempts settled task {rest[0][2]} of run {rest[0][0]!r}")
            case "unsettled":
                facts.settled.pop(rest[0], None)
            case "cancelled":
                facts.cancelled.setdefault(rest[0], event)
            case "rest":
                key, status = rest
                stands = facts.rested.setdefault(key, status)
                if stands != status:
                    self.violate("I1", f"run {key[0]!r} came to rest as {stands} and as {status} in one epoch")
            case "row":
                key, row = rest
                stands_row = facts.rows.setdefault(key, row)
                if stands_row != row:
                    self.violate("I1", f"item {key} has got two different rows")
            case "no row":
                facts.rows.pop(rest[0], None)
            case "recorded":
                facts.recorded.setdefault(rest[0], event)
            case "begun":
                facts.begun.setdefault(rest[0], rest[1])
            case "step begun":
                facts.step_begun.pop(rest[0], None)
                if rest[1]:
                    facts.step_begun[rest[0]] = rest[1]
            case "goes on":
                facts.begun.pop(rest[0], None)
                facts.step_begun.pop(rest[0], None)
            case "changed":
                facts.changes.setdefault(rest[0], set()).add(rest[1])
            case "retry":
                facts.retries.setdefault(rest[0], set()).add(rest[1])
            case "submitted":
                facts.submitted[rest[0]] = rest[1]
            case "rolled back":
                # The thread stands where its active run began: what follows that is told anew.
                for table in (facts.heads, facts.moved):
                    for key in [key for key in table if key[0] == rest[0]]:
                        table.pop(key)

    def tell(self, what: str, *rest: Any) -> None:
        """A fact of now."""
        self._tell(self.events, what, *rest)

    def _claim(self, process: Process, args: Any, kwargs: Any, answer: Any) -> None:
        self._took(process, args, kwargs, answer)
        if answer.kind == "ok" and self.deadlines.any:
            self.deadlines.taken(args[0].run_id)

    def _release(self, process: Process, args: Any, kwargs: Any, answer: Any) -> None:
        if answer.kind == "ok" and self.deadlines.any:
            self.deadlines.left(args[0])

    def _retry(self, process: Process, args: Any, kwargs: Any, answer: Answer) -> None:
        if answer.kind == "ok":
            self.tell("retry", args[0].run_id, (args[4], kwargs["attempts"]))

    def _took(self, process: Process, args: Any, kwargs: Any, answer: Any) -> None:
        if answer.kind == "ok":
            process.claimed = self.events

    def _take(self, process: Process, args: Any, kwargs: Any, answer: Any) -> None:
        if answer is not None:
            process.claimed = self.events

    def _submit(self, process: Process, args: Any, kwargs: Any, answer: Any) -> None:
        if answer.kind != "new":
            return
        run_id, thread = args[0]
        before = self.facts.submitted.get(thread)
        if before is not None and self.world.active(before, thread):
            self.violate("I17", f"run {run_id!r} was accepted on thread {thread!r} while {before!r} was active")
        if ends := kwargs.get("ends"):
            self._tell(self.events, "cancelled", ends)
            if kwargs["policy"] == "rollback":
                self._tell(self.events, "rolled back", thread)
        self._tell(self.events, "submitted", thread, run_id)

    def _commit(self, process: Process, args: Any, kwargs: Any, answer: Answer) -> None:
        commit: Commit = args[0]
        run_id, thread = commit.address
        if answer.kind != "ok":
            if answer.info == "batch":
                return
            if answer.kind == "stale" and commit.head and self._fits(commit.address, commit.epoch, commit.parent):
                self.violate("I14", f"a superstep of run {run_id!r} was refused ({answer.info}) although it fits")
            return
        item = split_item(run_id) if commit.row else None
        if item is not None:
            if self.facts.rows.get(item) == commit.row:
                # The row stands already: this is a repeat, or another driver came to just the same. Nothing moves.
                return
            self._tell(self.events, "row", item, commit.row)
        if commit.head:
            self._is_new(commit.head, commit.sets)
            if self.facts.heads.get((thread, commit.parent)) != commit.head:
                self._not_cancelled(run_id)
                if self.deadlines.any:
                    self.deadlines.moved(run_id)
            self._tell(self.events, "head", thread, commit.parent, commit.head)
        if commit.status != "running":
            if self.deadlines.any and (run_id, commit.epoch) not in self.facts.rested:
                self.deadlines.rests(commit)
            self._tell(self.events, "rest", (run_id, commit.epoch), commit.status)

    def _fits(self, address: Address, epoch: int, head: str) -> bool:
        """Whether what somebody found out after ``head`` may still be used: then it must not be thrown away."""
        state = self.world.memory.state
        record = state.records.look(state.key(address))
        stands = state.lines.look((address.thread_id, "")).get("head", b"").decode()
        return record.get("epoch") == b"%d" % epoch and record.get("status") == b"running" and stands == head

    def _is_new(self, head: str, sets: Sequence[tuple[str, bytes]]) -> None:
        """An id names one checkpoint for ever, whatever the server has forgotten."""
        digest = hash(tuple(sets))
        if self._ids.setdefault(head, digest) != digest:
            self.violate("I4", f"two different checkpoints have the id {head}")

    def _not_cancelled(self, run_id: str) -> None:
        cancelled = self.facts.cancelled.get(run_id)
        if cancelled is not None:
            self.violate("I6", f"run {run_id!r} moved on after it was cancelled")

    def _settle(self, process: Process, args: Any, kwargs: Any, answers: Sequence[Answer]) -> None:
        for call, answer in zip(args[0], answers, strict=True):
            address, _, epoch, head, task_id, *_ = call.args
            if answer.kind == "stale" and self._fits(address, epoch, head) and self._is_open(address):
                self.violate("I14", f"what a task of run {address.run_id!r} came to was refused although it fits")
            if answer.kind in ("ok", "closed"):
                self._tell(self.events, "outcome", (address.run_id, epoch, task_id), call.args[5])
                self._tell(self.events, "settled", (address.run_id, task_id))

    def _is_open(self, address: Address) -> bool:
        state = self.world.memory.state
        return state.records.look(state.key(address)).get("plan", b"0") != b"0"

    def _effect(self, process: Process, args: Any, kwargs: Any, answer: bytes | None) -> None:
        if len(args) > 2 and args[2] is not None:
            self._tell(self.events, "recorded", args[1])
        elif answer is None:
            process.looked = self.events

    def _offer(self, process: Process, args: Any, kwargs: Any, answer: Answer) -> None:
        if answer.kind in ("ok", "closed"):
            for task_id in args[5]:
                self._tell(self.events, "settled", (args[0].run_id, task_id))

    def _control(self, process: Process, args: Any, kwargs: Any, answer: Answer) -> None:
        if answer.kind != "ok":
            return
        what, address = args[0], args[1]
        if what == "cancel":
            self._tell(self.events, "cancelled", address.run_id)
        if what == "requeue":
            self.tell("goes on", address.run_id)
            if process.telling:
                self.tell("changed", address.run_id, args[2])
        for task_id in kwargs.get("drop", ()):
            self._tell(self.events, "unsettled", (address.run_id, task_id))

    def _forgotten(self, process: Process, args: Any, kwargs: Any, answer: None) -> None:
        """Whoever looks sees an entry as it was a moment ago; meanwhile it may have come to be owed again."""
        partition, due = args[0], Due.parse(args[1])
        state = self.world.memory.state
        record = state.records.look(RunKey(partition, due.name))
        if due.kind == "run":
            line = state.lines.look((record.get("thread", b"").decode(), ""))
            owed = record.get("status") in (b"queued", b"running") and line.get("run") == due.name.encode()
        elif due.kind == "task":
            owed = record.get("status") == b"running" and f"p:{due.part}" in record
        else:
            owed = due.kind == "batch" and bool(state.ready.get((due.name, partition)))
        if owed and args[1] not in state.due.look(partition):
            self.violate("I11", f"nobody will look at {args[1]!r} any more, though something is to happen there")

    def _commit_items(self, process: Process, args: Any, kwargs: Any, answers: Sequence[bool] | None) -> None:
        batch_id, _, _, _, steps = args
        for step, applied in zip(steps, answers or (), strict=False):
            if not applied:
                continue
            if step.kind == "end":
                self._tell(self.events, "row", (batch_id, step.index), step.row)
            elif step.head != step.parent:
                self._tell(self.events, "head", item_id(batch_id, step.index), step.parent, step.head)

    def _retry_failed(self, process: Process, args: Any, kwargs: Any, answer: int) -> None:
        batch_id = args[0]
        for key in [key for key, row in self.facts.rows.items() if key[0] == batch_id and row.startswith(b"f")]:
            self._tell(self.events, "no row", key)
            self.tell("goes on", item_id(*key))
        # A failed item begins its last superstep anew: of its run, nothing was kept but the line.
        for task in [task for task in self.facts.settled if task[0].startswith(batch_id + ":")]:
            self._tell(self.events, "unsettled", task)

    # ------------------------------------------------------------- deaths

    def _reclaim(self, process: Process, args: Any, kwargs: Any, answer: tuple[int, int]) -> None:
        if answer[0] and kwargs.get("crashed"):
            self._is_dead(process, args[1], f"run {args[0].run_id!r}", args[0].run_id)
            self._counted(f"run {args[0].run_id!r}", answer[1])

    def _give_back(self, process: Process, args: Any, kwargs: Any, answer: Answer) -> None:
        taken: Taken = args[3]
        if answer.kind == "stale":
            return
        first = item_id(args[0], taken.chunk * CHUNK + taken.start)
        self._is_dead(process, args[2], f"items {taken.start} to {taken.stop} of batch {args[0]!r}", first, args[1])
        self._counted(f"item {kwargs.get('crashed')} of batch {args[0]!r}", int(answer.info))
        if answer.kind == "quarantined":
            self.quarantined(f"item {kwargs.get('crashed')} of batch {args[0]!r}")

    def _is_dead(self, process: Process, slot: str, what: str, run_id: str, slice_id: str = "") -> None:
        """Rights were taken from a slot: it gave them back itself, is dead, or stood still for long.

        Or it is at something else: what a server remembers after a roll-back may have been given back since.
        """
        if slot == process.name:
            return
        boot = slot.partition(":")[0]
        for worker in self.world.workers:
            if worker.boot == boot and worker.up and not worker.froze:
                holders = [child for child in worker.children if child.name == slot and not child.dead]
                if any(child.busy and works_at(work_of(child.what), run_id, slice_id) for child in holders):
                    self.violate("I10", f"{what} was taken from slot {slot}, which lives")
                return

    def _counted(self, what: str, crashes: int) -> None:
        if crashes > self.deaths:
            self.violate("I10", f"{crashes} crashes were counted for {what}, but {self.deaths} processes died")

    def quarantined(self, what: str) -> None:
        """Somebody says that something was quarantined."""
        if self.deaths < CRASHES_ALLOWED:
            self.violate("I10", f"{what} was quarantined after {self.deaths} deaths")

    @property
    def deaths(self) -> int:
        """How many processes died, of those that can be held against what they ran."""
        faults = self.faults
        # A worker that is to end while it cannot reach the server does not wait until it can: it is found dead.
        ended = faults["drain"] + faults["deploy"] if self._unheard else 0
        return faults["kill"] + faults["kill tree"] + faults["poison"] + self.frozen + ended

    @property
    def _unheard(self) -> int:
        """Faults that keep somebody from the server."""
        return sum(self.faults[kind] for kind in ("cut", "restart", "roll back", "ledger away"))

    @property
    def frozen(self) -> int:
        """Processes that may have been taken for dead."""
        return self.faults["freeze tree"] + self.faults["freeze"]

    # ------------------------------------------------------------- what nodes tell

    def execute(self, node: str, runtime: Runtime[Any], version: int) -> int:
        """A node runs."""
        info = runtime.execution_info
        run_id, task, at, attempt = "", "", "", 1
        if info is not None:
            run_id, task, at, attempt = info.run_id or "", info.task_id, info.checkpoint_id, info.node_attempt
        number = len(self.executions) + 1
        self.executions.append(Execution(number, node, run_id, runtime.idempotency_key, attempt))
        if version != 1:
            self.violate("I2", f"node {node!r} of run {run_id!r} ran in a version that the run is not pinned to")
        process: Any = working()
        if process is not None and run_id:
            self._still_wanted(process, run_id, str(info.thread_id if info else ""), task, at, node)
            if self.deadlines.any and not process.dead:
                # Of one that was ended in its last node nothing reaches anybody.
                self.deadlines.begins(node, run_id)
        return number

    def _still_wanted(self, process: Process, run_id: str, thread: str, task: str, at: str, node: str) -> None:
        """What was settled, left or cancelled before it was claimed must not run."""
        facts, claimed = self.facts, process.claimed
        for invariant, since, why in (
            ("I7", facts.settled.get((run_id, task)), "had settled"),
            ("I7", facts.moved.get((thread, at)), "belongs to a checkpoint that was left"),
            ("I6", facts.cancelled.get(run_id), "belongs to a cancelled run"),
        ):
            if since is not None and since < claimed:
                self.violate(
                    invariant, f"node {node!r} of run {run_id!r} ran although its task {why} before it was claimed"
                )

    def healed(self, run_id: str) -> bool:
        """Whether somebody has repaired what this run needs."""
        return run_id in self.repaired

    def die(self) -> None:
        """A node kills its process."""
        process: Any = working()
        self.faults["poison"] += 1
        process.die()

    def nap(self, key: str) -> float:
        """A node is about to sleep, not for the first time perhaps."""
        self.naps.setdefault(key, self.world.now_ms)
        return self.nap_ms / 1000

    def awake(self, key: str) -> None:
        """A node has slept: never less than it was to. How long it took is seen at the end."""
        slept = self.world.now_ms - self.naps[key]
        if slept < self.nap_ms:
            self.violate("I7", f"a node that sleeps for {self.nap_ms} ms went on after {slept} ms")
        self.oks["slept"] += 1

    def effect(self, key: str) -> int:
        """A deed in the outside world.

        Who looked before somebody else's record, and stood still from there to the deed, cannot know of it.
        """
        process: Any = working()
        if process is not None and self.facts.recorded.get(key, process.looked) < process.looked:
            self.violate("I14", f"the effect {key!r} was applied again after it was recorded")
        self.deeds[key] += 1
        return len(self.executions)
