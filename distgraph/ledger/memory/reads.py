"""The twin's reads of runs, their logs and effects. The promises: :class:`distgraph.ledger.contract.Runs`."""

from __future__ import annotations

from collections.abc import Sequence

from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.memory.base import RunState
from distgraph.ledger.memory.tables import RunKey, Tries, atomic
from distgraph.ledger.replies import Address, Answer, Record

#: How long it is remembered that a run has expired. Milliseconds.
TOMB_MS = 30 * 86_400_000


class MemoryRunReads(RunState):
    """What is read, or written without a decision."""

    @atomic
    def address(self, run_id: str) -> Address | None:
        found = Address(run_id, self.state.thread_of(run_id) or run_id)
        return found if self.state.key(found) in self.state.records else None

    @atomic
    def outcomes(self, address: Address) -> dict[str, bytes]:
        return {task: data[16:] for task, data in self.state.outcomes.look(self.state.key(address)).items()}

    @atomic
    def claims(self, address: Address) -> dict[str, str]:
        return dict(self.state.claims.look(self.state.key(address)))

    @atomic
    def tried(self, address: Address) -> set[str]:
        tries = self.state.tries.look(self.state.key(address))
        return {task for task, known in tries.items() if known.first_ms}

    @atomic
    def attempts(self, address: Address, task_id: str) -> int:
        return self.state.tries.look(self.state.key(address)).get(task_id, Tries()).attempts

    @atomic
    def record(self, address: Address) -> Record:
        return dict(self.state.records.look(self.state.key(address)))

    @atomic
    def peek(self, partition: int, run_id: str, fields: Sequence[str]) -> list[str]:
        record = self.state.records.look(RunKey(partition, run_id))
        return [record.get(field, b"").decode() for field in fields]

    @atomic
    def read_line(self, thread_id: str, fields: Sequence[str], ns: str = "") -> list[bytes | None]:
        line = self.state.lines.look((thread_id, ns))
        return [line.get(field) for field in fields]

    @atomic
    def runs(self, *, most: int = 100) -> list[Address]:
        newest = sorted(((ms, key.run_id) for key, ms in self.state.submitted.items()), reverse=True)[:most]
        return [found for _, run_id in newest if (found := self.address(run_id)) is not None]

    @atomic
    def records(self, addresses: Sequence[Address], fields: Sequence[str]) -> list[Record]:
        found = [self.state.records.look(self.state.key(address)) for address in addresses]
        return [{field: record[field] for field in fields if field in record} for record in found]

    @atomic
    def log(
        self, address: Address, after: str, *, most: int = 500, block_ms: int | None = None
    ) -> list[tuple[str, bytes]]:
        """The twin has no time of its own to wait in: it answers at once."""
        entries = self.state.logs.look(self.state.key(address))
        seen = int(after.partition("-")[2] or 0)
        return [(f"{entries[n][0]}-{n}", entries[n][1]) for n in range(seen + 1, min(len(entries), seen + most) + 1)]

    @atomic
    def log_end(self, address: Address) -> str:
        entries = self.state.logs.look(self.state.key(address))
        return f"{entries[len(entries)][0]}-{len(entries)}" if entries else "0"

    @atomic
    def log_back(self, address: Address, upto: str = "", *, most: int = 500) -> list[tuple[str, bytes]]:
        entries = self.state.logs.look(self.state.key(address))
        first = min(int(upto.partition("-")[2] or 0) if upto else len(entries), len(entries))
        return [(f"{entries[n][0]}-{n}", entries[n][1]) for n in range(first, max(0, first - most), -1)]

    @atomic
    def log_length(self, address: Address) -> int:
        return len(self.state.logs.look(self.state.key(address)))

    @atomic
    def last_run(self, thread_id: str) -> str:
        return self.state.lines.look((thread_id, "")).get("last", b"").decode()

    @atomic
    def append_log(self, address: Address, entries: Sequence[bytes]) -> None:
        key = self.state.key(address)
        for entry in entries if key in self.state.logs or self._is_there(key) else ():
            self._log(key, entry)

    @atomic
    def effect(
        self,
        address: Address,
        key: str,
        value: bytes | None = None,
        *,
        keep_ms: int = 60_000,
        retries: bool = False,
    ) -> bytes | None:
        at = self.state.key(address)
        if value is None:
            return self.state.effects_of(at).get(key)
        if retries and at in self.state.records and key not in self.state.effects_of(at):
            record = self.state.records[at]
            record["retries"] = str(int(record.get("retries", b"0")) + 1).encode()
        stands = self.state.effects_of(at).first(key, value)
        if self._may_do_it(at):
            self.state.effects_over.drop(at)
        else:
            self.state.effects_over.first(at, self.state.now_ms() + keep_ms)
        return stands

    def _may_do_it(self, key: RunKey) -> bool:
        """Whether the run is there and not done, or the item is to be done."""
        if self.state.records.look(key).get("status", b"done") != b"done":
            return True
        item = split_item(key.run_id)
        if item is None:
            return False
        part = self.state.parts.get((item[0], key.partition))
        row = self.state.rows.look((item[0], item[1] // CHUNK)).get(item[1], b"")
        return part is not None and not row.startswith(b"d")

    @atomic
    def note_dead(self, address: Address, now_ms: int) -> None:
        self.state.dead.at(self.state.key(address).partition)[address.run_id] = now_ms

    @atomic
    def dead(self, *, most: int) -> list[tuple[Address, int]]:
        found = [(ms, name) for dead in self.state.dead.values() for name, ms in dead.items()]
        newest = sorted(found, reverse=True)[:most]
        return [(Address(name, self.state.thread_of(name) or name), ms) for ms, name in newest]

    @atomic
    def revive(self, address: Address) -> None:
        self.state.dead.at(self.state.key(address).partition).drop(address.run_id)

    @atomic
    def forget_effect(self, address: Address, key: str) -> None:
        self.state.effects_of(self.state.key(address)).drop(key)

    @atomic
    def keep_effects(self, address: Address, ms: int) -> None:
        self.state.keep_effects(self.state.key(address), ms)

    @atomic
    def ended(self, partition: int, start: int, most: int) -> list[tuple[Address, int | None]]:
        listed = sorted((ms, key.run_id) for key, ms in self.state.submitted.items() if key.partition == partition)
        return [self._expires(RunKey(partition, run_id)) for _, run_id in listed[start : start + most]]

    def _expires(self, key: RunKey) -> tuple[Address, int | None]:
        record = self.state.records.look(key)
        over, retain = record.get("ended"), record.get("retain")
        address = Address(key.run_id, record.get("thread", key.run_id.encode()).decode())
        return address, int(over) + int(retain) if over and retain else None

    @atomic
    def delete(self, address: Address, *, expired: bool = False) -> Answer:
        key, state, run_id = self.state.key(address), self.state, address.run_id
        record, (_, over) = state.records.look(key), self._expires(key)
        if record and record["status"] not in (b"done", b"failed", b"cancelled"):
            return Answer("live", record["status"].decode())
        if record and expired and (over is None or state.now_ms() < over):
            return Answer("kept")
        if record and expired and over is not None:
            state.gone[key] = (over, state.now_ms() + TOMB_MS)
        if record:
            self._drop_run(key, address)
        if address.own_thread or run_id not in state.threads:
            return Answer("ok")
        if expired:
            state.threads[run_id] = (address.thread_id, state.now_ms() + TOMB_MS)
        else:
            state.threads.drop(run_id)
        return Answer("ok")

    def _drop_run(self, key: RunKey, address: Address) -> None:
        state = self.state
        line = state.lines.look((address.thread_id, ""))
        alone = line.get("last") == key.run_id.encode() or not {"last", "head"} & line.keys()
        if address.own_thread and "run" not in line and alone and address.thread_id not in state.turns:
            for ns in ("", *state.nested.look(address.thread_id)):
                for table in (state.lines, state.history, state.kept):
                    table.drop((address.thread_id, ns))
            state.nested.drop(address.thread_id)
            state.ages.at(key.partition).drop(address.thread_id)
        for own in (state.records, state.outcomes, state.claims, state.tries, state.naps, state.logs, state.effects):
            own.drop(key)
        state.effects_over.drop(key)
        state.submitted.drop(key)
        state.dead.at(key.partition).drop(address.run_id)
        self._settle_debt(key)

    @atomic
    def expired(self, run_id: str) -> int | None:
        key = self.state.key(Address(run_id, self.state.thread_of(run_id) or run_id))
        over, until = self.state.gone.get(key, (0, 0))
        return over if until > self.state.now_ms() else None
