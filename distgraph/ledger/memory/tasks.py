"""The twin's tasks: offered, claimed, settled. The promises: :class:`distgraph.ledger.contract.Runs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from distgraph.ledger.memory.base import OK, RunState, stale
from distgraph.ledger.memory.tables import RunKey, Tries, atomic, stored
from distgraph.ledger.replies import OF_ATTEMPT, Address, Answer, ClaimedTask


class MemoryTasks(RunState):
    """A superstep that is open to all workers."""

    @atomic
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
        key, now = self.state.key(address), self.state.now_ms()
        why = self._not_at(address, key, epoch, head)
        if why:
            return stale(why)
        record = self.state.records[key]
        if record["plan"] == b"0":
            if record.get("at") != head.encode():
                self.state.outcomes.drop(key)
            self._set(key, {"plan": planned, "at": head, "hinted": now})
            self._owe(key, now + sweep_ms)
            for task in held:
                self.state.claims.at(key)[task] = slot
        outcomes = self.state.outcomes.at(key)
        for task, outcome in settled.items():
            outcomes.first(task, outcome)
        if self._close(key, slot, now + sweep_ms):
            return Answer("closed", record["hinted"].decode())
        if record["lease"] == slot.encode():
            self._set(key, {"lease": ""})
        return Answer("ok", record["hinted"].decode())

    @atomic
    def claim_task(self, address: Address, slot: str, epoch: int, head: str, task_id: str) -> ClaimedTask:
        key, now = self.state.key(address), self.state.now_ms()
        why = self._not_open(address, key, epoch, head)
        if why:
            return ClaimedTask("stale", why)
        refused = self._not_free(key, slot, task_id)
        if refused:
            return ClaimedTask(refused.kind, refused.info)  # type: ignore[arg-type]
        if self.state.naps.look(key).get(task_id, 0) > now:
            return ClaimedTask("asleep", str(self.state.naps[key][task_id]))
        tried = self.state.tries.look(key).get(task_id, Tries())
        self.state.claims.at(key)[task_id] = slot
        if not tried.first_ms:
            tried = tried._replace(first_ms=now)
            self.state.tries.at(key)[task_id] = tried
        self._stop_waiting(key, task_id)
        self.state.naps.at(key).drop(task_id)
        record = self.state.records[key]
        record.drop("wake")
        needed = {name: record[name] for name in (*OF_ATTEMPT, f"n:{task_id}") if name in record}
        needed |= self._time_left(key)
        return ClaimedTask("ok", "", tried.crashes, tried.attempts, tried.first_ms, needed, tried.why)

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
    ) -> Callable[[], Answer]:
        return partial(self._settle_one, address, slot, epoch, head, task_id, nonce, outcome, sweep_ms, log)

    def settle(self, calls: Sequence[Any]) -> list[Answer]:
        return [call() for call in calls]

    @atomic
    def _settle_one(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        task_id: str,
        nonce: bytes,
        outcome: bytes,
        sweep_ms: int,
        log: bytes,
    ) -> Answer:
        key, now = self.state.key(address), self.state.now_ms()
        why = self._not_open(address, key, epoch, head)
        if why:
            return stale(why)
        if log and task_id not in self.state.outcomes.at(key):
            self._log(key, log)
        first = self.state.outcomes.at(key).first(task_id, nonce + outcome)
        if first[:16] != nonce:
            return Answer("dup")
        self.state.claims.at(key).drop(task_id)
        self._stop_waiting(key, task_id)
        self.state.naps.at(key).drop(task_id)
        if self._close(key, slot, now + sweep_ms):
            self.state.records[key].drop("wake")
            return Answer("closed")
        self._doze(key)
        return OK

    @atomic
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
        key, now = self.state.key(address), self.state.now_ms()
        why = self._not_open(address, key, epoch, head)
        if why:
            return stale(why)
        refused = self._not_free(key, slot, task_id)
        if refused:
            return refused
        entry = f"t:{key.run_id}\n{task_id}"
        tried = self.state.tries.look(key).get(task_id, Tries())
        unclaimed = task_id not in self.state.claims.look(key)
        if unclaimed and tried.attempts == attempts and entry in self.state.due.look(key.partition):
            return OK
        if tried.attempts > attempts:
            return OK
        if tried.attempts != attempts:
            self._set(key, {"retries": int(self.state.records[key].get("retries", b"0")) + 1})
        self.state.tries.at(key)[task_id] = tried._replace(attempts=attempts)
        self._set(key, {f"p:{task_id}": path})
        self.state.claims.at(key).drop(task_id)
        self.state.due.at(key.partition)[entry] = now + wait_ms
        return OK

    @atomic
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
        at, now = self.state.key(address), self.state.now_ms()
        why = self._not_open(address, at, epoch, head)
        if why:
            return stale(why)
        refused = self._not_free(at, slot, task_id)
        if refused:
            return refused
        wake = int(self.state.effects_of(at).first(f"z:{key}", stored(ms if until else now + ms)))
        self.state.naps.at(at)[task_id] = wake
        self.state.claims.at(at).drop(task_id)
        self._doze(at)
        return Answer("ok", str(wake))

    @atomic
    def slept(self, address: Address, key: str, *, ms: int | None = None, until: bool = False) -> bool:
        at, now = self.state.key(address), self.state.now_ms()
        if ms is not None and self._is_there(at):
            self.state.effects_of(at).first(f"z:{key}", stored(ms if until else now + ms))
        wake = self.state.effects_of(at).get(f"z:{key}")
        return wake is not None and int(wake) <= now

    @atomic
    def asleep(self, address: Address) -> set[str]:
        naps = self.state.naps.look(self.state.key(address))
        return {task for task, wake in naps.items() if wake > self.state.now_ms()}

    def _doze(self, key: RunKey) -> None:
        """Where all that is out sleeps, nobody looks at the run before the first of them wakes, or its time is over."""
        naps = self.state.naps.look(key)
        record = self.state.records[key]
        out = int(record["plan"]) - len(self.state.outcomes.look(key))
        if naps and record["lease"] == b"" and out <= len(naps):
            wake = min(naps.values())
            self._set(key, {"wake": wake})
            self._owe(key, min([wake, *(int(record[name]) for name in ("ends", "step_ends") if name in record)]))

    @atomic
    def reclaim(
        self, address: Address, slot: str, *, crashed: bool, task_id: str = "", why: str = ""
    ) -> tuple[int, int]:
        key, now = self.state.key(address), self.state.now_ms()
        record = self.state.records.look(key)
        freed, crashes = 0, 0
        if record.get("lease") == slot.encode():
            freed = 1
            self._set(key, {"lease": ""})
            if crashed and not task_id:
                crashes = int(record.get("x", b"0")) + 1
                self._set(key, {"x": crashes, **({"why": why} if why else {})})
        claims = self.state.claims.at(key)
        for task in sorted(task for task, holder in claims.items() if holder == slot):
            freed += 1
            claims.drop(task)
            if crashed and task_id in ("", task):
                crashes = max(crashes, self._count_crash(key, task, why))
        if task_id:
            crashes = self.state.tries.look(key).get(task_id, Tries()).crashes
        if freed and record.get("status") in (b"queued", b"running"):
            self._owe(key, now)
        return freed, crashes or (0 if task_id else int(record.get("x", b"0")))

    @atomic
    def got_on(self, address: Address, slot: str, task_id: str = "") -> bool:
        key = self.state.key(address)
        if not task_id:
            if self.state.records.look(key).get("lease") != slot.encode():
                return False
            self.state.records[key].drop("x")
            return True
        if self.state.claims.look(key).get(task_id) != slot:
            return False
        tries = self.state.tries.at(key)
        tries[task_id] = tries.get(task_id, Tries())._replace(crashes=0, why="")
        return True

    def _count_crash(self, key: RunKey, task_id: str, why: str) -> int:
        tries = self.state.tries.at(key)
        tried = tries.get(task_id, Tries())
        tries[task_id] = tried._replace(crashes=tried.crashes + 1, why=why or tried.why)
        return tried.crashes + 1
