"""Runs on the ledger: one typed method per script, and the plain reads beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import CHUNK, Keys, encoded, split_item
from distgraph.ledger.replies import Address, Answer, Claimed, ClaimedTask, Commit, Record, Submitted, Swept
from distgraph.ledger.replies import Due as DueEntry
from distgraph.ledger.scripts import Call, Scripts

#: Entries a run's log keeps, about; the oldest go first.
LOG_LENGTH = 100_000


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _record(flat: Sequence[bytes] | Mapping[bytes, bytes]) -> Record:
    pairs: Iterable[tuple[bytes, bytes]] = (
        flat.items() if isinstance(flat, Mapping) else zip(flat[::2], flat[1::2], strict=True)
    )
    return {key.decode(): value for key, value in pairs}


def _answer(reply: Sequence[Any]) -> Answer:
    return Answer(_text(reply[0]), _text(reply[1]) if len(reply) > 1 else "")


class RunLedger:
    """The part of the ledger that holds runs, their tasks and their lines of checkpoints."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def _run(self, address: Address, kind: str) -> str:
        return self.keys.of(address.thread_id, kind, address.run_id)

    def _due(self, address: Address) -> str:
        return self.keys.due(self.keys.partition(address.thread_id))

    # ------------------------------------------------------------- addresses

    def reserve(self, address: Address) -> str:
        """Tie a run's id to its thread; returns the thread it is tied to, which is another one if the id is taken."""
        directory = self.keys.directory(address.run_id)
        if address.own_thread:
            with guard():
                return _text(self.client.get(directory) or address.thread_id)
        own = self._run(Address(address.run_id, address.run_id), "run")
        return _text(self.scripts.run(Call("reserve", (directory, own), address)))

    def address(self, run_id: str) -> Address | None:
        """Where a run lives; None if no such run was ever submitted."""
        own = Address(run_id, run_id)
        with guard():
            thread = self.client.get(self.keys.directory(run_id))
            if thread:
                return Address(run_id, _text(thread))
            if self.client.exists(self._run(own, "run")):
                return own
        return None

    # ------------------------------------------------------------- a run's life

    def submit(
        self, address: Address, digest: str, fields: Mapping[str, bytes | str | int], *, due_ms: int
    ) -> Submitted:
        """Put the run on the ledger. The same id with the same digest again is the same run."""
        flat = [part for pair in fields.items() for part in pair]
        keys = [
            self._run(address, "run"),
            self.keys.line(address.thread_id),
            self._due(address),
            self.keys.of(address.thread_id, "runs"),
        ]
        if address.own_thread:
            keys.append(self.keys.directory(address.run_id))
        reply = self.scripts.run(Call("submit", keys, (address.run_id, digest, due_ms, *flat)))
        kind = _text(reply[0])
        if kind == "busy":
            return Submitted("busy", other=_text(reply[1]))
        return Submitted(kind, int(reply[1]) if len(reply) > 1 else 0)  # type: ignore[arg-type]

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
        kind, info = _text(reply[0]), _text(reply[1])
        if kind == "ok":
            return Claimed("ok", "", info, _record(reply[2]))
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
                self._run(address, "once"),
                self.keys.batch(partition, "batch", item[0]),
                self.keys.batch(partition, "out", item[0], chunk),
                self.keys.batch(partition, "in", item[0], chunk),
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
                self._run(address, "log"),
                self.keys.of(address.thread_id, "hist", address.thread_id, ""),
                self.keys.of(address.thread_id, "pend", address.thread_id, ""),
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
                "offered" if commit.offered else "private",
                "index" if commit.index_history else "",
                commit.row,
                LOG_LENGTH,
                item[1] if item else "",
                commit.batch_epoch,
                "compact" if commit.compact else "",
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
        return _answer(self.scripts.run(self.commit_call(commit)))

    def offer(
        self,
        address: Address,
        slot: str,
        epoch: int,
        head: str,
        planned: int,
        settled: Mapping[str, bytes],
        *,
        sweep_ms: int,
    ) -> Answer:
        """Open the superstep after ``head`` to all workers; ``settled`` are outcomes this driver has already."""
        flat = [part for pair in settled.items() for part in pair]
        return _answer(
            self.scripts.run(
                Call(
                    "offer",
                    (
                        self._run(address, "run"),
                        self.keys.line(address.thread_id),
                        self._due(address),
                        self._run(address, "open"),
                    ),
                    (address.run_id, slot, epoch, head, planned, sweep_ms, *flat),
                )
            )
        )

    def release(self, address: Address, slot: str, *, due_ms: int) -> Answer:
        """Hand the run back; ``info`` is the ms stamp for the hint that follows."""
        keys = (self._run(address, "run"), self._due(address))
        return _answer(self.scripts.run(Call("release_run", keys, (address.run_id, slot, due_ms))))

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
                ),
                (address.run_id, slot, epoch, head, task_id),
            )
        )
        kind = _text(reply[0])
        if kind == "ok":
            return ClaimedTask("ok", "", int(reply[1]), int(reply[2]), int(reply[3]), _record(reply[4]))
        return ClaimedTask(kind, _text(reply[1]) if len(reply) > 1 else "")  # type: ignore[arg-type]

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
    ) -> Call:
        """The call that settles one task. ``nonce`` is 16 bytes, one per attempt."""
        return Call(
            "settle",
            (
                self._run(address, "run"),
                self.keys.line(address.thread_id),
                self._due(address),
                self._run(address, "open"),
                self._run(address, "claims"),
            ),
            (address.run_id, slot, epoch, head, task_id, nonce, outcome, sweep_ms),
        )

    def settle(self, calls: Sequence[Call]) -> list[Answer]:
        """Settle tasks: ok, closed (the caller drives on), dup (another attempt was first), stale."""
        return [_answer(reply) for reply in self.scripts.run_all(calls)]

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
        return _answer(self.scripts.run(Call("retry_task", keys, args)))

    def outcomes(self, address: Address) -> dict[str, bytes]:
        """Task id -> outcome, of the current superstep's settled tasks; read in parts, however wide it is."""
        found: dict[str, bytes] = {}
        with guard():
            for key, value in self.client.hscan_iter(self._run(address, "open"), count=500):
                found[key.decode()] = value[16:]
        return found

    def claims(self, address: Address) -> dict[str, str]:
        """Task id -> slot, of the tasks that run now."""
        with guard():
            held: Any = self.client.hgetall(self._run(address, "claims"))
        return {key.decode(): value.decode() for key, value in held.items()}

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
        """``cancel``, or ``requeue`` a resting run: ok (``info`` the new epoch), gone (its status), busy (a run id)."""
        item = split_item(address.run_id) if row else None
        partition = self.keys.partition(address.thread_id)
        batch_keys: tuple[str, ...] = ()
        if item:
            batch_keys = (
                self.keys.batch(partition, "batch", item[0]),
                self.keys.batch(partition, "out", item[0], item[1] // CHUNK),
            )
        flat = [part for pair in (fields or {}).items() for part in pair]
        return _answer(
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
                        self._run(address, "log"),
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

    def reclaim(self, address: Address, slot: str, *, crashed: bool, task_id: str = "") -> tuple[int, int]:
        """Take a dead slot's rights to this run away; (rights taken, crashes counted so far)."""
        keys = (
            self._run(address, "run"),
            self._due(address),
            self._run(address, "claims"),
            self._run(address, "tries"),
        )
        reply = self.scripts.run(Call("reclaim", keys, (address.run_id, slot, "1" if crashed else "0", task_id)))
        return int(reply[0]), int(reply[1])

    def sweep(self, partition: int, *, most: int, push_ms: int) -> Swept:
        """What is overdue in a partition; each entry is pushed forward by ``push_ms``."""
        reply = self.scripts.run(Call("sweep", (self.keys.due(partition),), (most, push_ms)))
        return Swept(int(reply[0]), int(reply[1]), [DueEntry.parse(_text(entry)) for entry in reply[2:]])

    # ------------------------------------------------------------- reads

    def record(self, address: Address) -> Record:
        """The run's record; empty if there is none."""
        with guard():
            found: Any = self.client.hgetall(self._run(address, "run"))
        return _record(found)

    def peek(self, partition: int, run_id: str, fields: Sequence[str]) -> list[str]:
        """Text fields of a run found in a partition's due index; '' for a missing one."""
        with guard():
            found: Any = self.client.hmget(f"{self.keys.tag(partition)}run:{encoded(run_id)}", list(fields))
        return ["" if value is None else value.decode() for value in found]

    def forget_due(self, partition: int, entry: str) -> None:
        """Drop an entry of the due index: what it stands for is at rest or gone."""
        with guard():
            self.client.zrem(self.keys.due(partition), entry)

    def hinted(self, address: Address, now_ms: int) -> None:
        """Note that the run was hinted again, if it still is there."""
        self.scripts.run(Call("hinted", (self._run(address, "run"),), (now_ms,)))

    def read_line(self, thread_id: str, fields: Sequence[str], ns: str = "") -> list[bytes | None]:
        """These fields of a line of checkpoints."""
        if not fields:
            return []
        with guard():
            found: Any = self.client.hmget(self.keys.line(thread_id, ns), list(fields))
        return list(found)

    def runs(self, *, most: int = 100) -> list[Address]:
        """The newest runs of the namespace, newest first."""
        found: list[tuple[float, str]] = []
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for partition in range(self.keys.partitions):
                pipe.zrevrange(self.keys.tag(partition) + "runs", 0, most - 1, withscores=True)
            for part in pipe.execute():
                found.extend((score, member.decode()) for member, score in part)
        newest = [name for _, name in sorted(found, reverse=True)[:most]]
        return [address for name in newest if (address := self.address(name)) is not None]

    def log(
        self, address: Address, after: str, *, most: int = 500, block_ms: int | None = None
    ) -> list[tuple[str, bytes]]:
        """Entries of the run's log after the one with id ``after`` ('0' for the first); waits up to ``block_ms``."""
        with guard():
            reply: Any = self.client.xread({self._run(address, "log"): after}, count=most, block=block_ms)
        if not reply:
            return []
        entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
        return [(entry_id.decode(), data[b"d"]) for entry_id, data in entries]

    def append_log(self, address: Address, entries: Sequence[bytes]) -> None:
        """Append events that need no commit: custom and message events, tagged with their attempt by the caller."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.xadd(self._run(address, "log"), {"d": entry}, maxlen=LOG_LENGTH, approximate=True)
            pipe.execute()

    # ------------------------------------------------------------- effects

    def effect(self, address: Address, key: str, value: bytes | None = None) -> bytes | None:
        """The recorded result of an effect; with ``value``, record it unless somebody was first."""
        name = self._run(address, "once")
        with guard():
            if value is not None:
                self.client.hsetnx(name, key, value)  # type: ignore[arg-type]
            return self.client.hget(name, key)  # type: ignore[return-value]

    def delete(self, address: Address) -> None:
        """Delete a resting run's record, log and effects; the thread's checkpoints stay."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for kind in ("run", "open", "claims", "tries", "log", "once"):
                pipe.delete(self._run(address, kind))
            pipe.zrem(self.keys.of(address.thread_id, "runs"), address.run_id)
            pipe.zrem(self._due(address), f"r:{address.run_id}")
            pipe.delete(self.keys.directory(address.run_id))
            pipe.execute()
