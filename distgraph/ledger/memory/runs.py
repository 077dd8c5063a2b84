"""The twin's runs. What they promise is written in :class:`distgraph.ledger.contract.Runs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.memory.arrivals import MemoryArrivals
from distgraph.ledger.memory.base import OK, stale
from distgraph.ledger.memory.tables import RunKey, Table, atomic, stored
from distgraph.ledger.memory.tasks import MemoryTasks
from distgraph.ledger.replies import Address, Answer, Claimed, Commit, Due, Swept

#: From which statuses a run may be cancelled, queued again, pinned to another version.
ALLOWED = {
    "cancel": ("queued", "running", "interrupted"),
    "requeue": ("interrupted", "failed"),
    "repin": ("queued", "running"),
}


class MemoryRuns(MemoryTasks, MemoryArrivals):
    """Runs, their tasks, their logs, and their threads' lines of checkpoints."""

    # ------------------------------------------------------------- driving

    @atomic
    def claim(self, address: Address, slot: str, *, sweep_ms: int) -> Claimed:
        key, now = self.state.key(address), self.state.now_ms()
        record = self.state.records.look(key)
        status, lease = record.get("status", b"").decode(), record.get("lease", b"").decode()
        if status not in ("queued", "running"):
            return Claimed("gone", status)
        if lease not in ("", slot):
            return Claimed("held", lease)
        holder = self.state.lines.look((address.thread_id, "")).get("run", b"").decode()
        if holder != key.run_id:
            return Claimed("waits", holder)
        if not self._all_settled(key):
            return Claimed("open", record["hinted"].decode())
        self._set(key, {"lease": slot, "status": "running", "started": record.get("started", now)})
        for limit, ends in (("limit", "ends"), ("step_limit", "step_ends")):
            if limit in record and ends not in record:
                self._set(key, {ends: now + int(record[limit])})
        self._owe(key, now + sweep_ms)
        return Claimed("ok", "", self._head(address), {**self.state.records[key], **self._time_left(key)})

    def commit_call(self, commit: Commit) -> Callable[[], Answer]:
        return partial(self.commit, commit)

    @atomic
    def commit(self, commit: Commit) -> Answer:
        address = commit.address
        key = self.state.key(address)
        item = split_item(address.run_id) if commit.batch_epoch else None
        row = self._rows(item).get(item[1]) if item else None
        if row is not None:
            return OK if row == commit.row else stale("row")
        known = self._judge(key, commit, item)
        if known is not None:
            return known
        line = self.state.lines.at((address.thread_id, ""))
        now = self.state.now_ms()
        self._set(key, {"status": commit.status, "updated": now, **dict(commit.fields)})
        line.write(commit.sets)
        for field in commit.drops:
            line.drop(field)
        for entry in commit.log:
            self._log(key, entry)
        self.state.kept.at((address.thread_id, "")).write(commit.kept)
        if commit.head:
            self._move(key, line, commit)
        if commit.status == "running":
            self._owe(key, now + commit.sweep_ms)
        else:
            self._rest(key, line, commit, item)
        return OK

    def _judge(self, key: RunKey, commit: Commit, item: tuple[str, int] | None) -> Answer | None:
        """The answer to a commit that changes nothing; None: it may."""
        record = self.state.records.get(key)
        if record is None:
            return stale("gone")
        head, status = self._head(commit.address), record["status"].decode()
        if commit.head and head == commit.head and status == commit.status:
            return OK
        if int(record["epoch"]) != commit.epoch:
            return stale("epoch")
        if head != commit.parent:
            return stale("head")
        if status != "running":
            return OK if not commit.head and status == commit.status else stale(status)
        if commit.head and commit.head <= head:
            return stale("order")
        if item and not self._batch_goes_on(item, commit):
            return stale("batch")
        if int(record["plan"]) and not (commit.offered or commit.kept_open):
            return Answer("offered")
        if not int(record["plan"]) and commit.kept_open:
            return stale("plan")
        return None if self._all_settled(key) else Answer("open")

    def _batch_goes_on(self, item: tuple[str, int], commit: Commit) -> bool:
        part = self.state.parts.get((item[0], self.state.partition(commit.address.thread_id)))
        return part is not None and str(part.epoch) == commit.batch_epoch

    def _move(self, key: RunKey, line: Table[str, bytes], commit: Commit) -> None:
        line["head"] = commit.head.encode()
        for table in (self.state.outcomes, self.state.claims, self.state.tries, self.state.naps):
            table.drop(key)
        self._set(key, {"plan": 0, "x": 0})
        limit = self.state.records[key].get("step_limit")
        if limit is not None:
            self._set(key, {"step_ends": self.state.now_ms() + int(limit)})
        told = ((commit.index_history, commit.head), (commit.index_parent, commit.parent))
        for name in [name for kept, name in told if kept]:
            self.state.history.at((commit.address.thread_id, ""))[name] = None

    def _rest(self, key: RunKey, line: Table[str, bytes], commit: Commit, item: tuple[str, int] | None) -> None:
        now = self.state.now_ms()
        self._set(key, {"lease": "", "ended": now})
        self._settle_debt(key)
        if line.get("run") == key.run_id.encode() and commit.status == "interrupted":
            line.drop("run")
            line["asks"] = key.run_id.encode()
        elif line.get("run") == key.run_id.encode():
            self._pass_on(commit.address, now + commit.sweep_ms)
        if item is not None and commit.status == "interrupted":
            self.state.asking.at((item[0], key.partition))[item[1]] = None
        if item is None and commit.status == "done":
            self.state.keep_effects(key, commit.effects_ms)
        if item is None or not commit.row:
            return
        self._add_row(key.partition, item, commit.row, commit.status)
        if commit.status == "done":
            self._finish_items(item[0], item[1] // CHUNK, 1)
        if commit.compact:
            self._compact(key, line, commit)

    def _compact(self, key: RunKey, line: Table[str, bytes], commit: Commit) -> None:
        state, thread = self.state, (commit.address.thread_id, "")
        for table in (state.records, state.outcomes, state.claims, state.tries, state.naps):
            table.drop(key)
        state.kept.drop(thread)
        state.history.drop(thread)
        if commit.status == "done":
            state.keep_effects(key, commit.effects_ms)
            state.lines.drop(thread)
        else:
            line.drop("own")

    @atomic
    def release(self, address: Address, slot: str, *, due_ms: int) -> Answer:
        key, now = self.state.key(address), self.state.now_ms()
        record = self.state.records.look(key)
        if record.get("lease") == b"" and record.get("left") == slot.encode():
            return Answer("ok", record["hinted"].decode())
        if record.get("lease") != slot.encode():
            return Answer("stale")
        self.state.records[key].drop("step_ends")
        self._set(key, {"lease": "", "left": slot, "hinted": now})
        self._owe(key, now + due_ms)
        return Answer("ok", str(now))

    @atomic
    def tell_start(self, address: Address, epoch: int, head: str, entry: bytes) -> Answer:
        key = self.state.key(address)
        record = self.state.records.look(key)
        if record.get("told") == stored(epoch):
            return OK
        if not record:
            return stale("gone")
        if record["epoch"] != stored(epoch):
            return stale("epoch")
        if record["status"] != b"running":
            return stale(record["status"].decode())
        if self._head(address) != head:
            return stale("head")
        self._set(key, {"told": epoch})
        self._log(key, entry)
        return OK

    # ------------------------------------------------------------- control and recovery

    @atomic
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
        key, now = self.state.key(address), self.state.now_ms()
        record = self.state.records.look(key)
        status = record.get("status", b"").decode()
        if record.get("op") == nonce.encode():
            return Answer("ok", record["epoch"].decode())
        line = self.state.lines.at((address.thread_id, ""))
        active = line.get("run", b"").decode()
        if status not in ALLOWED[what]:
            return Answer("gone", status)
        if what == "repin" and (active != key.run_id or self._has_first(record, fields or {})):
            return Answer("gone", status)
        if what == "requeue" and active not in ("", key.run_id):
            return Answer("busy", active)
        last = line.get("last", b"").decode()
        if what == "requeue" and last not in ("", key.run_id):
            return Answer("passed", last)
        if what == "requeue" and drop and record.get("at") != line.get("head"):
            return Answer("gone", status)
        if what == "requeue" and not set(drop) <= set(self.state.outcomes.look(key)):
            return Answer("gone", status)
        epoch = self._next_epoch(line)
        begun: dict[str, bytes | str | int] = {
            "epoch": epoch,
            "op": nonce,
            "lease": "",
            "plan": 0,
            "updated": now,
            "x": 0,
        }
        for name in ("ends", "step_ends", "late", "retries") if what == "requeue" else ():
            self.state.records[key].drop(name)
        self._set(key, {**begun, **(fields or {})})
        self.state.claims.drop(key)
        self.state.tries.drop(key)
        self.state.naps.drop(key)
        if item := split_item(key.run_id):
            self.state.asking.at((item[0], key.partition)).drop(item[1])
        self.state.records[key].drop("wake")
        for field in sorted(record):
            if field.startswith("p:"):
                self._stop_waiting(key, field[2:])
        if log:
            self._log(key, log)
        if what == "cancel":
            self._cancel(address, line, row, now + due_ms)
        else:
            for task in drop:
                self.state.outcomes.at(key).drop(task)
            self._set(key, {"status": "queued", "hinted": now})
            line["run"] = key.run_id.encode()
            line.drop("asks")
            self._owe(key, now + due_ms)
        return Answer("ok", str(epoch))

    @staticmethod
    def _has_first(record: Mapping[str, bytes], fields: Mapping[str, bytes | str | int]) -> bool:
        name, value = next(iter(fields.items()))
        return record.get(name) == stored(value)

    def _cancel(self, address: Address, line: Table[str, bytes], row: bytes, due_ms: int) -> None:
        key = self.state.key(address)
        self._set(key, {"status": "cancelled", "ended": self.state.now_ms()})
        self._settle_debt(key)
        self.state.outcomes.drop(key)
        if key.run_id.encode() == line.get("run", line.get("asks")):
            self._pass_on(address, due_ms)
        else:
            waiting = self.state.turns.get(address.thread_id, ())
            self._wait_in_line(address.thread_id, [run for run in waiting if run != key.run_id])
        item = split_item(key.run_id) if row else None
        if item and item[1] not in self._rows(item):
            self._add_row(key.partition, item, row, "cancelled")

    @atomic
    def sweep(self, partition: int, *, most: int, push_ms: int) -> Swept:
        now = self.state.now_ms()
        due = self.state.due.at(partition)
        overdue = sorted((ms, entry) for entry, ms in due.items() if ms <= now)[:most]
        due.write((entry, now + push_ms) for _, entry in overdue)
        next_ms = max(0, min(due.values()) - now) if due else -1
        return Swept(now, next_ms, Due.of(entry.encode() for _, entry in overdue))

    @atomic
    def coming(self, partition: int, *, most: int) -> list[Due]:
        first = sorted((ms, entry) for entry, ms in self.state.due.at(partition).items())[:most]
        return [Due.parse(entry) for _, entry in first]

    @atomic
    def forget_due(self, partition: int, entry: str) -> None:
        due, state = Due.parse(entry), self.state
        if due.kind == "batch":
            owed = (due.name, partition) in state.ready
        elif due.kind == "slice":
            owed = due.part in state.slices.look((due.name, partition))
        else:
            record = state.records.look(RunKey(partition, due.name))
            status = record.get("status")
            waits = due.kind == "run" or f"p:{due.part}" in record
            owed = (status == b"running" and waits) or (status == b"queued" and due.kind == "run")
        if not owed:
            state.due.at(partition).drop(entry)

    @atomic
    def hinted(self, address: Address, now_ms: int) -> None:
        key = self.state.key(address)
        if key in self.state.records:
            self._set(key, {"hinted": now_ms})
