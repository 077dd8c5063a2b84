"""The twin's lines as savers use them. The promises: :class:`distgraph.ledger.contract.lines.NestedLines`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from distgraph.ledger.memory.base import OK, RunState, stale
from distgraph.ledger.memory.tables import Table, atomic, stored
from distgraph.ledger.places import Change, Found, Place, Stamp, Writes, folded
from distgraph.ledger.replies import Address, Aged, Answer


class MemoryLines(RunState):
    """Lines of checkpoints, and those of graphs nested in them."""

    # ------------------------------------------------------------- storing

    @atomic
    def put(self, changes: Sequence[Change]) -> list[tuple[Place, Answer]]:
        return [(change.place, self._put(change)) for change in folded(changes)]

    def _put(self, change: Change) -> Answer:
        place, state = (change.place.thread_id, change.place.ns), self.state
        line = state.lines.look(place)
        if change.holder and line.get("holder") != change.holder.encode():
            return Answer("held", line.get("holder", b"").decode())
        root = state.lines.look((change.place.thread_id, ""))
        holds = line.get("run") or (root.get("run") if change.place.ns and not change.holder else None)
        if holds:
            known = change.new and f"c:{change.new}" in line
            return OK if known else Answer("busy", holds.decode())
        if change.shares and f"c:{change.shares}" not in line and f"c:{change.new}" not in line:
            return Answer("lost", change.shares)
        if change.place.ns:
            state.nested.at(change.place.thread_id)[change.place.ns] = None
        for entry in change.entries:
            self._log(state.key(Address(change.run_id, change.place.thread_id)), entry)
        if change.sets:
            state.lines.at(place).write(change.sets)
        for writes in change.writes:
            self._put_writes(place, writes)
        if change.new:
            state.history.at(place)[change.new] = None
            line = state.lines.at(place)
            if change.new > line.get("head", b"").decode():
                line["head"] = change.new.encode()
                self._next_epoch(state.lines.at(place))
        return OK

    def _put_writes(self, place: tuple[str, str], writes: Writes) -> None:
        pending = self.state.kept.at(place)
        name = f"{writes.before}|{writes.task}|{writes.kind}"
        if name not in pending:
            number = int(pending.get(writes.before, b"0")) + 1
            pending[writes.before] = stored(number)
            pending[f"{writes.before}|{number}"] = f"{writes.task}|{writes.kind}|{writes.path}".encode()
        elif writes.mode == "first":
            return
        pending[name] = writes.data

    # ------------------------------------------------------------- reading

    @atomic
    def look(self, place: Place, checkpoint_id: str = "") -> Found | None:
        line = self.state.lines.look(place)
        wanted = checkpoint_id or line.get("head", b"").decode()
        record = line.get(f"c:{wanted}")
        if not wanted or (record is None and checkpoint_id):
            return None
        return self._found(place, wanted, record)

    def _found(self, place: Place, checkpoint_id: str, record: bytes | None) -> Found:
        line = self.state.lines.look(place)
        latest = line.get("run") or line.get("last") or b""
        writes = int(self.state.kept.look(place).get(checkpoint_id, b"0"))
        return Found(
            checkpoint_id, record, writes, latest.decode() if line.get("head") == checkpoint_id.encode() else ""
        )

    @atomic
    def history(self, place: Place, *, before: str = "", most: int) -> list[str]:
        ids = {*self.state.history.look(place)}
        head = self.state.lines.look(place).get("head", b"").decode()
        ids |= {head} if head else set()
        return sorted((one for one in ids if not before or one < before), reverse=True)[:most]

    @atomic
    def records(self, place: Place, ids: Sequence[str]) -> list[Found]:
        line = self.state.lines.look(place)
        return [self._found(place, one, line[f"c:{one}"]) for one in ids if f"c:{one}" in line]

    @atomic
    def read(
        self, place: Place, fields: Sequence[str], writes: Mapping[str, int]
    ) -> tuple[dict[str, bytes | None], dict[str, list[Writes]]]:
        line, pending = self.state.lines.look(place), self.state.kept.look(place)
        found: dict[str, list[Writes]] = {}
        for before, count in writes.items():
            for n in range(1, count + 1):
                task, kind, path = pending[f"{before}|{n}"].decode().split("|", 2)
                data = pending[f"{before}|{task}|{kind}"]
                found.setdefault(before, []).append(Writes("first", before, task, kind, path, data))
        return {field: line.get(field) for field in fields}, found

    @atomic
    def outcomes(self, thread_id: str, run_id: str, head: str) -> dict[str, bytes]:
        key = self.state.key(Address(run_id, thread_id))
        if self.state.records.look(key).get("at") != head.encode():
            return {}
        return {task: data[16:] for task, data in self.state.outcomes.look(key).items()}

    @atomic
    def nested(self, thread_id: str) -> list[str]:
        return sorted(self.state.nested.look(thread_id))

    def threads(self) -> Iterator[str]:
        yield from dict.fromkeys(thread for thread, _ in [*self.state.lines])

    # ------------------------------------------------------------- deleting

    @atomic
    def stamp(self, place: Place) -> Stamp | None:
        line = self.state.lines.look(place)
        if "head" not in line:
            return None
        holder = (line.get("run") or line.get("asks") or b"").decode()
        record = self.state.records.look(self.state.key(Address(holder, place.thread_id)))
        base = record.get("base", b"").decode().partition(" ")[0]
        return Stamp(line["head"].decode(), len(self.state.history.look(place)), len(line), base)

    @atomic
    def cut(
        self, place: Place, stamp: Stamp, ids: Sequence[str], fields: Sequence[str], *, head: str, run: str = ""
    ) -> Answer:
        line, history = self.state.lines.look(place), self.state.history.look(place)
        holder = line.get("run", b"").decode()
        if holder and holder != run:
            return Answer("busy", holder)
        if f"c:{ids[0]}" not in line and ids[0] not in history:
            return OK
        if (line.get("head", b"").decode(), len(history), len(line)) != stamp[:3]:
            return Answer("moved")
        if self._cut_writes(place, ids):
            return Answer("more")
        mine = self.state.lines.at(place)
        for name in ids:
            self.state.history.at(place).drop(name)
            mine.drop(f"c:{name}")
        for field in fields:
            mine.drop(field)
        if head != stamp.head:
            mine["head"] = head.encode()
            self._next_epoch(mine)
        return OK

    def _cut_writes(self, place: Place, ids: Sequence[str]) -> bool:
        """Whether there are more of them than go in one call."""
        pending, left = self.state.kept.at(place), 1000
        for name in ids:
            count = int(pending.get(name, b"0"))
            for n in range(count, max(0, count - left), -1):
                task, kind, _ = pending[f"{name}|{n}"].decode().split("|", 2)
                pending.drop(f"{name}|{n}")
                pending.drop(f"{name}|{task}|{kind}")
            if count > left:
                pending[name] = stored(count - left)
                return True
            left -= count
            pending.drop(name)
        return False

    @atomic
    def delete(self, thread_id: str) -> Answer:
        holder = self.state.lines.look((thread_id, "")).get("run", b"").decode()
        waiting = self.state.turns.get(thread_id, ())
        if holder or waiting:
            return Answer("busy", holder or waiting[0])
        self._drop(thread_id, "")
        self._ages(thread_id).drop(thread_id)
        self.drop_nested(thread_id, self.nested(thread_id))
        return OK

    def _drop(self, thread_id: str, ns: str) -> None:
        for table in (self.state.lines, self.state.kept, self.state.history):
            table.drop((thread_id, ns))

    # ------------------------------------------------------------- threads whose checkpoints grow too old

    def _ages(self, thread_id: str) -> Table[str, int]:
        return self.state.ages.at(self.state.partition(thread_id))

    @atomic
    def note_age(self, thread_id: str, at_ms: int) -> None:
        ages = self._ages(thread_id)
        ages[thread_id] = min(at_ms, ages.get(thread_id, at_ms))

    @atomic
    def aged(self, *, most: int, push_ms: int) -> Aged:
        now, found = self.state.now_ms(), []
        for _, ages in sorted(self.state.ages.items()):
            overdue = [thread for ms, thread in sorted((ms, thread) for thread, ms in ages.items()) if ms <= now][:most]
            ages.write((thread, now + push_ms) for thread in overdue)
            found += overdue
        return Aged(now, found)

    @atomic
    def looked_at(self, thread_id: str, head: str, next_ms: int | None) -> Answer:
        line = self.state.lines.look((thread_id, ""))
        if line.get("head", b"") != head.encode() or ("run" in line and next_ms is None):
            return Answer("moved")
        if next_ms is None:
            self._ages(thread_id).drop(thread_id)
        else:
            self._ages(thread_id)[thread_id] = next_ms
        return OK

    # ------------------------------------------------------------- graphs nested in the tasks of a run

    @atomic
    def hold(self, place: Place, holder: str, address: Address, head: str, epoch: str) -> Answer:
        if self._head(address) != head:
            return stale("head")
        record = self.state.records.look(self.state.key(address))
        if record.get("epoch", b"").decode() != epoch:
            return stale("epoch")
        if record and record["status"] != b"running":
            return stale(record["status"].decode())
        self.state.nested.at(place.thread_id)[place.ns] = None
        self.state.lines.at(place)["holder"] = holder.encode()
        return OK

    @atomic
    def drop_nested(self, thread_id: str, namespaces: Sequence[str]) -> None:
        for ns in namespaces:
            self._drop(thread_id, ns)
            self.state.nested.at(thread_id).drop(ns)
