"""The twin's submissions: runs come to their threads. What they promise: :class:`distgraph.ledger.contract.Runs`."""

from __future__ import annotations

from collections.abc import Mapping

from distgraph.ledger.memory.reads import MemoryRunReads
from distgraph.ledger.memory.tables import RunKey, Table, atomic
from distgraph.ledger.replies import Address, Submitted

#: How long a run's id stays tied to a thread on which the run has not appeared. Milliseconds.
HOLD_MS = 3_600_000


class MemoryArrivals(MemoryRunReads):
    """Runs that come, and what becomes of those that are in their way."""

    @atomic
    def reserve(self, address: Address, how: str = "hold") -> str:
        run_id, thread_id = address
        tied = self.state.thread_of(run_id)
        if address.own_thread:
            return tied or run_id
        if tied not in ("", thread_id):
            return tied
        if how == "drop":
            return self._untie(run_id)
        there = None if tied else self.state.records.get(self.state.key(Address(run_id, run_id)))
        if there is not None and there.get("thread") != thread_id.encode():
            return run_id
        if how == "keep" or not tied:
            self.state.threads[run_id] = (thread_id, 0 if how == "keep" else self.state.now_ms() + HOLD_MS)
        return thread_id

    def _untie(self, run_id: str) -> str:
        thread, until = self.state.threads.get(run_id, ("", 1))
        if not until:
            return thread
        self.state.threads.drop(run_id)
        return ""

    @atomic
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
        key = self.state.key(address)
        record = self.state.records.get(key)
        if record is not None:
            same = record.get("digest") == digest.encode()
            return Submitted("same", int(record["epoch"])) if same else Submitted("conflict")
        if address.own_thread and self.state.thread_of(address.run_id):
            return Submitted("conflict")
        if head and head != self._head(address):
            return Submitted("moved", other=self._head(address))
        refused = self._in_the_way(address, policy, ends)
        if refused is not None:
            return refused
        line = self.state.lines.at((address.thread_id, ""))
        active, asks, waiting = self._others(address)
        before = active or asks or waiting
        if policy in ("interrupt", "rollback") and (active or asks):
            self._end_other(Address(ends, address.thread_id), address.run_id, line, log, back=policy == "rollback")
        epoch = self._enter(key, digest, fields, line)
        if policy == "enqueue" and before:
            self._wait_in_line(address.thread_id, [*self.state.turns.get(address.thread_id, ()), address.run_id])
            return Submitted("waits", epoch, before)
        line["run"] = line["last"] = address.run_id.encode()
        line.drop("asks")
        self._owe(key, self.state.now_ms() + due_ms)
        return Submitted("new", epoch)

    def _enter(self, key: RunKey, digest: str, fields: Mapping[str, bytes | str | int], line: Table[str, bytes]) -> int:
        epoch, now = self._next_epoch(line), self.state.now_ms()
        first: dict[str, bytes | str | int] = {
            "digest": digest,
            "epoch": epoch,
            "status": "queued",
            "plan": 0,
            "lease": "",
        }
        self._set(key, {**first, "created": now, "hinted": now, **fields})
        self.state.submitted[key] = now
        return epoch

    # ------------------------------------------------------------- who is in the way

    def _others(self, address: Address) -> tuple[str, str, str]:
        """Of the thread: the run that is active, the one that waits for an answer, the first in line."""
        line = self.state.lines.look((address.thread_id, ""))
        active, asks = (line.get(field, b"").decode() for field in ("run", "asks"))
        first = self.state.turns.get(address.thread_id, ("",))[0]
        return active if active != address.run_id else "", asks if asks != address.run_id else "", first

    def _in_the_way(self, address: Address, policy: str, ends: str) -> Submitted | None:
        active, asks, waiting = self._others(address)
        before = active or asks or waiting
        line = self.state.lines.look((address.thread_id, ""))
        if before and ("own" in line or (policy == "reject" and (active or waiting))):
            return Submitted("busy", other=before)
        if policy not in ("interrupt", "rollback") or not (active or asks):
            return None
        if ends != (active or asks):
            return Submitted("busy", other=active or asks)
        back = self._began(Address(ends, address.thread_id))
        if policy == "rollback" and back is not None and back[0] and f"c:{back[0]}" not in line:
            return Submitted("lost", other=back[0])
        return None

    def _began(self, address: Address) -> tuple[str, str] | None:
        """The checkpoint and the version at which a run found its thread; None if it wrote nothing."""
        base = self.state.records.look(self.state.key(address)).get("base", b"").decode()
        found, known, version = base.partition(" ")
        return (found, version) if known else None

    # ------------------------------------------------------------- ending it

    def _end_other(self, other: Address, heir: str, line: Table[str, bytes], log: bytes, *, back: bool) -> None:
        key, now = self.state.key(other), self.state.now_ms()
        began = self._began(other)
        ended: dict[str, bytes | str | int] = {"epoch": self._next_epoch(line), "status": "cancelled", "lease": ""}
        self._set(key, {**ended, "plan": 0, "x": 0, "updated": now, "ended": now, "by": heir})
        self._settle_debt(key)
        for field in sorted(self.state.records[key]):
            if field.startswith("p:"):
                self._stop_waiting(key, field[2:])
        self.state.records[key].drop("wake")
        for table in (self.state.outcomes, self.state.claims, self.state.tries, self.state.naps):
            table.drop(key)
        if log:
            self._log(key, log)
        if back and began is not None:
            self._go_back(other.thread_id, line, *began)

    def _go_back(self, thread_id: str, line: Table[str, bytes], to: str, since: str) -> None:
        at = (thread_id, "")
        ids = {name for name in self.state.history.look(at) if name > to}
        head = line.get("head", b"").decode()
        if head > to:
            ids.add(head)
        for name in ids:
            self.state.history.at(at).drop(name)
            line.drop(f"c:{name}")
            self._forget_writes(at, name)
        for field in [field for field in line if field.startswith("v:") and field.rpartition("@")[2] > since]:
            line.drop(field)
        if to:
            line["head"] = to.encode()
        else:
            line.drop("head")

    def _forget_writes(self, at: tuple[str, str], name: str) -> None:
        kept = self.state.kept.at(at)
        for number in range(1, int(kept.get(name, b"0")) + 1):
            task, kind = kept.get(f"{name}|{number}", b"|").decode().split("|")[:2]
            kept.drop(f"{name}|{number}")
            kept.drop(f"{name}|{task}|{kind}")
        kept.drop(name)
