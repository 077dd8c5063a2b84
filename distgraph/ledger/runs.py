"""Runs on the ledger: one typed method per script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import CHUNK, encoded, split_item
from distgraph.ledger.reads import LOG_LENGTH, RunReads, answer_of, record_of, text
from distgraph.ledger.replies import Address, Answer, Claimed, ClaimedTask, Commit, Due, Submitted, Swept
from distgraph.ledger.scripts import Call


class RunLedger(RunReads):
    """The part of the ledger that holds runs, their tasks and their lines of checkpoints.

    What each operation promises is written in :class:`distgraph.ledger.contract.Runs`.
    """

    # ------------------------------------------------------------- a run's life

    def submit(
        self,
        address: Address,
        digest: str,
        fields: Mapping[str, bytes | str | int],
        *,
        due_ms: int,
        policy: str = "reject",
        ends: str = "",
        log: bytes = b"",
        head: str = "",
    ) -> Submitted:
        """Put the run on the ledger. The same id with the same digest again is the same run."""
        flat = [part for pair in fields.items() for part in pair]
        thread = address.thread_id
        keys = [
            self._run(address, "run"),
            self.keys.line(thread),
            self._due(address),
            self.keys.of(thread, "runs"),
            self._turns(address),
            self.keys.directory(address.run_id) if address.own_thread else self._run(address, "run"),
        ]
        if ends:
            other = Address(ends, thread)
            keys += [self._run(other, kind) for kind in ("run", "open", "claims", "tries", "log")]
            keys += [self.keys.of(thread, kind, thread, "") for kind in ("hist", "pend")]
            keys.append(self._run(other, "naps"))
        args = (address.run_id, digest, due_ms, policy, ends, log, LOG_LENGTH, head, *flat)
        kind, *more = (text(part) for part in self.scripts.run(Call("submit", keys, args)))
        if kind in ("busy", "moved", "lost"):
            return Submitted(kind, other=more[0])  # type: ignore[arg-type]
        epoch, before = (*more, "", "")[:2]
        return Submitted(kind, int(epoch or 0), before)  # type: ignore[arg-type]

    def _turns(self, address: Address) -> str:
        return self.keys.of(address.thread_id, "turns", address.thread_id)

    def claim(self, address: Address, slot: str, *, sweep_ms: int) -> Claimed:
        """Take the right to drive the run on."""
        reply = self.scripts.run(
            Call(
                "claim_run",
                (
                    self._run(address, "run"),
                    self.keys.line(address.thread_id),
                    self._due(address),
                    self._run(address, "open"),
                ),
                (address.run_id, slot, sweep_ms),
            )
        )
        kind, info = text(reply[0]), text(reply[1])
        if kind == "ok":
            return Claimed("ok", "", info, record_of(reply[2]))
        return Claimed(kind, info)  # type: ignore[arg-type]

    def commit_call(self, commit: Commit) -> Call:
        """The call that applies one superstep."""
        address = commit.address
        item = split_item(address.run_id) if commit.batch_epoch else None
        partition = self.keys.partition(address.thread_id)
        batch_keys: tuple[str, ...] = ()
        if item:
            chunk = item[1] // CHUNK
            batch_keys = (
                self.keys.batch(partition, "batch", item[0]),
                self.keys.batch(partition, "out", item[0], chunk),
                self.keys.batch(partition, "in", item[0], chunk),
                self.keys.batch(partition, "asks", item[0]),
            )
        return Call(
            "commit",
            (
                self._run(address, "run"),
                self.keys.line(address.thread_id),
                self._due(address),
                self._run(address, "open"),
                self._run(address, "claims"),
                self._run(address, "tries"),
                self._run(address, "naps"),
                self._run(address, "log"),
                self.keys.of(address.thread_id, "hist", address.thread_id, ""),
                self.keys.of(address.thread_id, "pend", address.thread_id, ""),
                self._turns(address),
                self._run(address, "once"),
                *batch_keys,
            ),
            (
                address.run_id,
                commit.slot,
                commit.epoch,
                commit.parent,
                commit.head,
                commit.status,
                commit.sweep_ms,
                "kept" if commit.kept_open else "offered" if commit.offered else "private",
                ("", "parent", "new", "both")[2 * commit.index_history + commit.index_parent],
                commit.row,
                LOG_LENGTH,
                item[1] if item else "",
                commit.batch_epoch,
                commit.effects_ms if commit.compact or not item else "",
                item[1] // CHUNK if item else "",
                len(commit.sets),
                len(commit.drops),
                len(commit.fields),
                len(commit.log),
                len(commit.kept),
                *(part for pair in commit.sets for part in pair),
                *commit.drops,
                *(part for pair in commit.fields for part in pair),
                *commit.log,
                *(part for pair in commit.kept for part in pair),
            ),
        )

    def commit(self, commit: Commit) -> Answer:
        """Apply one superstep: ok, stale (somebody else moved the run), offered or open (tasks are not settled)."""
        return answer_of(self.scripts.run(self.commit_call(commit)))

    def offer(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        planned: int,
        settled: Mapping[str, bytes],
        *,
        held: Sequence[str] = (),
        sweep_ms: int,
    ) -> Answer:
        """Open the superstep after ``head`` to all workers; ``settled`` are outcomes this driver has already."""
        flat = [*held, *(part for pair in settled.items() for part in pair)]
        return answer_of(
            self.scripts.run(
                Call(
                    "offer",
                    (
                        self._run(address, "run"),
                        self.keys.line(address.thread_id),
                        self._due(address),
                        self._run(address, "open"),
                        self._run(address, "claims"),
                    ),
                    (address.run_id, slot, epoch, head, planned, sweep_ms, len(held), *flat),
                )
            )
        )

    def release(self, address: Address, slot: str, *, due_ms: int) -> Answer:
        """Hand the run back; ``info`` is the ms stamp for the hint that follows."""
        keys = (self._run(address, "run"), self._due(address))
        return answer_of(self.scripts.run(Call("release_run", keys, (address.run_id, slot, due_ms))))

    def tell_start(self, address: Address, epoch: int, head: str, entry: bytes) -> Answer:
        """Tell the run's readers once that it goes on in this epoch, at the checkpoint ``head``."""
        keys = (self._run(address, "run"), self.keys.line(address.thread_id), self._run(address, "log"))
        return answer_of(self.scripts.run(Call("tell_start", keys, (epoch, head, LOG_LENGTH, entry))))

    # ------------------------------------------------------------- its tasks

    def claim_task(self, address: Address, slot: str, epoch: int, head: str, task_id: str) -> ClaimedTask:
        """Take one offered task."""
        reply = self.scripts.run(
            Call(
                "claim_task",
                (
                    self._run(address, "run"),
                    self.keys.line(address.thread_id),
                    self._run(address, "open"),
                    self._run(address, "claims"),
                    self._run(address, "tries"),
                    self._due(address),
                    self._run(address, "naps"),
                ),
                (address.run_id, slot, epoch, head, task_id),
            )
        )
        kind = text(reply[0])
        if kind == "ok":
            return ClaimedTask(
                "ok", "", int(reply[1]), int(reply[2]), int(reply[3]), record_of(reply[4]), text(reply[5])
            )
        return ClaimedTask(kind, text(reply[1]) if len(reply) > 1 else "")  # type: ignore[arg-type]

    def settle_call(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        nonce: bytes,
        outcome: bytes,
        *,
        sweep_ms: int,
        log: bytes = b"",
    ) -> Call:
        """The call that settles one task. ``nonce`` is 16 bytes, one per attempt; ``log``: an entry, if it is the first."""
        return Call(
            "settle",
            (
                self._run(address, "run"),
                self.keys.line(address.thread_id),
                self._due(address),
                self._run(address, "open"),
                self._run(address, "claims"),
                self._run(address, "naps"),
                self._run(address, "log"),
            ),
            (address.run_id, slot, epoch, head, task_id, nonce, outcome, sweep_ms, log, LOG_LENGTH),
        )

    def settle(self, calls: Sequence[Call]) -> list[Answer]:
        """Settle tasks: ok, closed (the caller drives on), dup (another attempt was first), stale."""
        return [answer_of(reply) for reply in self.scripts.run_all(calls)]

    def retry_task(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        *,
        wait_ms: int,
        attempts: int,
        path: str,
    ) -> Answer:
        """Give a failed task back, due again after ``wait_ms``: ok, done (settled by another attempt), held, stale."""
        keys = (
            self._run(address, "run"),
            self.keys.line(address.thread_id),
            self._due(address),
            self._run(address, "open"),
            self._run(address, "claims"),
            self._run(address, "tries"),
        )
        args = (address.run_id, slot, epoch, head, task_id, wait_ms, attempts, path)
        return answer_of(self.scripts.run(Call("retry_task", keys, args)))

    def sleep_task(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        key: str,
        *,
        ms: int,
        until: bool = False,
    ) -> Answer:
        """Give a task back that sleeps: ok (``info`` the ms of its wake-up), done, held, stale."""
        keys = (
            self._run(address, "run"),
            self.keys.line(address.thread_id),
            self._due(address),
            self._run(address, "open"),
            self._run(address, "claims"),
            self._run(address, "naps"),
            self._run(address, "once"),
        )
        args = (address.run_id, slot, epoch, head, task_id, key, "until" if until else "for", ms)
        return answer_of(self.scripts.run(Call("sleep_task", keys, args)))

    def slept(self, address: Address, key: str, *, ms: int | None = None, until: bool = False) -> bool:
        """Whether a sleep is over; with ``ms`` it begins now, unless it has begun."""
        how = "" if ms is None else "until" if until else "for"
        return bool(
            self.scripts.run(Call("slept", (self._run(address, "once"), *self._owners(address)), (key, how, ms or 0)))
        )

    def asleep(self, address: Address) -> set[str]:
        """Tasks of the current superstep whose time to wake has not come."""
        return {text(task) for task in self.scripts.run(Call("asleep", (self._run(address, "naps"),), ()))}

    # ------------------------------------------------------------- control

    def control(
        self,
        what: str,
        address: Address,
        nonce: str,
        *,
        fields: Mapping[str, bytes | str | int] | None = None,
        drop: Sequence[str] = (),
        log: bytes = b"",
        row: bytes = b"",
        due_ms: int = 0,
    ) -> Answer:
        """``cancel``, ``requeue`` a resting run, ``repin``: ok (``info`` the new epoch), gone (its status), busy, passed."""
        item = split_item(address.run_id)
        partition = self.keys.partition(address.thread_id)
        batch_keys: tuple[str, ...] = ()
        if item:
            batch_keys = (
                self.keys.batch(partition, "batch", item[0]),
                self.keys.batch(partition, "out", item[0], item[1] // CHUNK),
                self.keys.batch(partition, "asks", item[0]),
            )
        flat = [part for pair in (fields or {}).items() for part in pair]
        return answer_of(
            self.scripts.run(
                Call(
                    "control",
                    (
                        self._run(address, "run"),
                        self.keys.line(address.thread_id),
                        self._due(address),
                        self._run(address, "open"),
                        self._run(address, "claims"),
                        self._run(address, "tries"),
                        self._run(address, "naps"),
                        self._run(address, "log"),
                        self._turns(address),
                        *batch_keys,
                    ),
                    (
                        what,
                        address.run_id,
                        nonce,
                        due_ms,
                        log,
                        LOG_LENGTH,
                        item[1] if item else "",
                        row,
                        len(fields or {}),
                        *flat,
                        *drop,
                    ),
                )
            )
        )

    def reclaim(
        self, address: Address, slot: str, *, crashed: bool, task_id: str = "", why: str = ""
    ) -> tuple[int, int]:
        """Take a dead slot's rights to this run away; (rights taken, crashes counted so far)."""
        keys = (
            self._run(address, "run"),
            self._due(address),
            self._run(address, "claims"),
            self._run(address, "tries"),
        )
        reply = self.scripts.run(Call("reclaim", keys, (address.run_id, slot, "1" if crashed else "0", task_id, why)))
        return int(reply[0]), int(reply[1])

    def got_on(self, address: Address, slot: str, task_id: str = "") -> bool:
        """Forget the crashes of a task that a slot has claimed, or of the run that it drives."""
        keys = (self._run(address, "run"), self._run(address, "claims"), self._run(address, "tries"))
        return bool(self.scripts.run(Call("got_on", keys, (slot, task_id))))

    def sweep(self, partition: int, *, most: int, push_ms: int) -> Swept:
        """What is overdue in a partition; each entry is pushed forward by ``push_ms``."""
        reply = self.scripts.run(Call("sweep", (self.keys.due(partition),), (most, push_ms)))
        return Swept(int(reply[0]), int(reply[1]), Due.of(reply[2:]))

    def coming(self, partition: int, *, most: int) -> list[Due]:
        """The first entries of a partition, whenever they are due."""
        with guard():
            found: Any = self.client.zrange(self.keys.due(partition), 0, most - 1)
        return [Due.parse(text(entry)) for entry in found]

    def forget_due(self, partition: int, entry: str) -> None:
        """Drop an entry of the due index, unless what it stands for is owed a look again."""
        due = Due.parse(entry)
        tag, name = self.keys.tag(partition), encoded(due.name)
        field = f"p:{due.part}" if due.kind == "task" else due.part
        about = {"run": f"run:{name}", "task": f"run:{name}", "slice": f"slices:{name}", "batch": f"ready:{name}"}
        self.scripts.run(Call("forget", (self.keys.due(partition), tag + about[due.kind]), (entry, field)))

    def hinted(self, address: Address, now_ms: int) -> None:
        """Note that the run was hinted again, if it still is there."""
        self.scripts.run(Call("hinted", (self._run(address, "run"),), (now_ms,)))
