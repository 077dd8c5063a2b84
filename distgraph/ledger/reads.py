"""Runs on the ledger: what is read or written by plain commands, each whole in itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distgraph.ledger.connection import guard
from distgraph.ledger.keys import CHUNK, Keys, encoded, split_item
from distgraph.ledger.replies import Address, Answer, Record
from distgraph.ledger.scripts import Call, Scripts

#: Entries a run's log keeps, about; the oldest go first.
LOG_LENGTH = 100_000
#: How long it is remembered that a run has expired. Milliseconds.
TOMB_MS = 30 * 86_400_000
#: Statuses of a run that may go on, by itself or when it is answered.
LIVE = ("queued", "running", "interrupted")
#: Lines of nested graphs that are deleted at once.
NESTED = 300
#: How long a run's id stays tied to a thread on which the run has not appeared. Milliseconds.
HOLD_MS = 3_600_000


def text(value: Any) -> str:
    """A reply as text."""
    return value.decode() if isinstance(value, bytes) else str(value)


def record_of(flat: Sequence[bytes] | Mapping[bytes, bytes]) -> Record:
    """A hash as a script or a command answers it."""
    pairs: Iterable[tuple[bytes, bytes]] = (
        flat.items() if isinstance(flat, Mapping) else zip(flat[::2], flat[1::2], strict=True)
    )
    return {key.decode(): value for key, value in pairs}


def answer_of(reply: Sequence[Any]) -> Answer:
    """A script's word, and its reason if it gives one."""
    return Answer(text(reply[0]), text(reply[1]) if len(reply) > 1 else "")


def _number(value: bytes | None) -> bool:
    return value is not None and value.isdigit()


class RunReads:
    """Reads of runs, logs and lines; the log and the effects of a run."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def _run(self, address: Address, kind: str) -> str:
        return self.keys.of(address.thread_id, kind, address.run_id)

    def _due(self, address: Address) -> str:
        return self.keys.due(self.keys.partition(address.thread_id))

    def reserve(self, address: Address, how: str = "hold") -> str:
        """Tie a run's id to its thread; returns the thread it is tied to, which is another one if the id is taken."""
        directory = self.keys.directory(address.run_id)
        if address.own_thread:
            with guard():
                return text(self.client.get(directory) or address.thread_id)
        own = self._run(Address(address.run_id, address.run_id), "run")
        return text(self.scripts.run(Call("reserve", (directory, own), (*address, how, HOLD_MS))))

    def address(self, run_id: str) -> Address | None:
        """Where a run lives; None if no such run is on the ledger."""
        with guard():
            thread = self.client.get(self.keys.directory(run_id))
            found = Address(run_id, text(thread or run_id))
            return found if self.client.exists(self._run(found, "run")) else None

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

    def tried(self, address: Address) -> set[str]:
        """Tasks of the current superstep that some slot has had in hand."""
        with guard():
            known: Any = self.client.hkeys(self._run(address, "tries"))
        return {field[2:].decode() for field in known if field.startswith(b"f:")}

    def attempts(self, address: Address, task_id: str) -> int:
        """How many attempts of a task of the current superstep have failed."""
        with guard():
            found: Any = self.client.hget(self._run(address, "tries"), f"a:{task_id}")
        return int(found or 0)

    def record(self, address: Address) -> Record:
        """The run's record; empty if there is none."""
        with guard():
            found: Any = self.client.hgetall(self._run(address, "run"))
        return record_of(found)

    def peek(self, partition: int, run_id: str, fields: Sequence[str]) -> list[str]:
        """Text fields of a run found in a partition's due index; '' for a missing one."""
        with guard():
            found: Any = self.client.hmget(f"{self.keys.tag(partition)}run:{encoded(run_id)}", list(fields))
        return ["" if value is None else value.decode() for value in found]

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
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for name in newest:
                pipe.get(self.keys.directory(name))
            threads = pipe.execute()
            addresses = [Address(name, text(thread or name)) for name, thread in zip(newest, threads, strict=True)]
            for address in addresses:
                pipe.exists(self._run(address, "run"))
            return [address for address, there in zip(addresses, pipe.execute(), strict=True) if there]

    def records(self, addresses: Sequence[Address], fields: Sequence[str]) -> list[Record]:
        """These fields of each run's record, as far as it has them."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for address in addresses:
                pipe.hmget(self._run(address, "run"), list(fields))
            found: list[Any] = pipe.execute()
        return [
            {field: value for field, value in zip(fields, values, strict=True) if value is not None} for values in found
        ]

    def log(
        self, address: Address, after: str, *, most: int = 500, block_ms: int | None = None
    ) -> list[tuple[str, bytes]]:
        """Entries of the run's log after the one with id ``after`` ('0' for the first); waits up to ``block_ms``."""
        with guard():
            # to a server, blocking for 0 ms means for ever
            reply: Any = self.client.xread({self._run(address, "log"): after}, count=most, block=block_ms or None)
        if not reply:
            return []
        entries = reply[0][1] if isinstance(reply, list) else next(iter(reply.values()))[0]
        return [(entry_id.decode(), data[b"d"]) for entry_id, data in entries]

    def log_end(self, address: Address) -> str:
        """The id of the newest entry of the run's log; '0' if there is none."""
        with guard():
            found: Any = self.client.xrevrange(self._run(address, "log"), count=1)
        return str(found[0][0].decode()) if found else "0"

    def log_back(self, address: Address, upto: str = "", *, most: int = 500) -> list[tuple[str, bytes]]:
        """Entries of the run's log, newest first: the one with id ``upto`` and those before it; '' for the newest."""
        with guard():
            found: Any = self.client.xrevrange(self._run(address, "log"), max=upto or "+", count=most)
        return [(entry_id.decode(), data[b"d"]) for entry_id, data in found]

    def log_length(self, address: Address) -> int:
        """How many entries the run's log has. Below ``LOG_LENGTH`` it has lost none."""
        with guard():
            return int(self.client.xlen(self._run(address, "log")))

    def last_run(self, thread_id: str) -> str:
        """The id of the newest run on a thread; '' if there was none."""
        with guard():
            found: Any = self.client.hget(self.keys.line(thread_id), "last")
        return found.decode() if found else ""

    def append_log(self, address: Address, entries: Sequence[bytes]) -> None:
        """Append events that need no commit: custom and message events, tagged with their attempt by the caller."""
        log, owners = self._run(address, "log"), self._owners(address)

        def begin(pipe: Any) -> None:
            there = pipe.exists(*owners)
            pipe.multi()
            for entry in entries if there else ():
                pipe.xadd(log, {"d": entry}, maxlen=LOG_LENGTH, approximate=True)

        with guard(), self.client.pipeline(transaction=False) as pipe:
            for entry in entries:
                pipe.xadd(log, {"d": entry}, maxlen=LOG_LENGTH, approximate=True, nomkstream=True)
            if None in pipe.execute():
                # no log yet, or no run any more: an event that comes late must not leave a log that nobody owns
                self.client.transaction(begin, *owners)

    def _owners(self, address: Address) -> tuple[str, ...]:
        """Keys one of which is there while the run is: its record, or its batch in the partition."""
        item = split_item(address.run_id)
        run = self._run(address, "run")
        return (run, self.keys.of(address.thread_id, "batch", item[0])) if item else (run,)

    def effect(
        self,
        address: Address,
        key: str,
        value: bytes | None = None,
        *,
        keep_ms: int = 60_000,
        retries: bool = False,
    ) -> bytes | None:
        """The recorded result of an effect; with ``value``, record it unless somebody was first."""
        found: Any
        if value is None:
            with guard():
                found = self.client.hget(self._run(address, "once"), key)
        else:
            found = self.scripts.run(self._record(address, key, value, keep_ms, "1" if retries else ""))
        recorded: bytes | None = found
        return recorded

    def _record(self, address: Address, key: str, value: bytes, keep_ms: int, counts: str) -> Call:
        """The call that records an effect. Of a run that is gone too: a server that was rolled back may have lost it."""
        keys: tuple[str, ...] = (self._run(address, "once"), self._run(address, "run"))
        item = split_item(address.run_id)
        if item is None:
            return Call("effect", keys, (key, value, keep_ms, counts))
        partition = self.keys.partition(address.thread_id)
        of_batch = (
            self.keys.batch(partition, "batch", item[0]),
            self.keys.batch(partition, "out", item[0], item[1] // CHUNK),
        )
        return Call("effect", (*keys, *of_batch), (key, value, keep_ms, counts, item[1]))

    def forget_effect(self, address: Address, key: str) -> None:
        """Drop one recorded effect."""
        with guard():
            self.client.hdel(self._run(address, "once"), key)

    def keep_effects(self, address: Address, ms: int) -> None:
        """Keep the recorded effects of a batch item that is done for ``ms``, for whoever comes late."""
        with guard():
            self.client.pexpire(self._run(address, "once"), ms)

    def note_dead(self, address: Address, now_ms: int) -> None:
        """Note that a run is about to be quarantined; whoever looks asks the run itself."""
        with guard():
            self.client.zadd(self.keys.dead(self.keys.partition(address.thread_id)), {address.run_id: now_ms})

    def dead(self, *, most: int) -> list[tuple[Address, int]]:
        """(run, ms) of runs and items that were quarantined, newest first; some may have been retried since."""
        found: list[tuple[float, str]] = []
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for partition in range(self.keys.partitions):
                pipe.zrevrange(self.keys.dead(partition), 0, most - 1, withscores=True)
            for part in pipe.execute():
                found.extend((score, member.decode()) for member, score in part)
        newest = sorted(found, reverse=True)[:most]
        return [(self.address(name) or Address(name, name), int(ms)) for ms, name in newest]

    def revive(self, address: Address) -> None:
        """Note that a run is quarantined no more."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for thread in {*address}:
                pipe.zrem(self.keys.dead(self.keys.partition(thread)), address.run_id)
            pipe.execute()

    # ------------------------------------------------------------- the end of a run

    def ended(self, partition: int, start: int, most: int) -> list[tuple[Address, int | None]]:
        """Of the partition's runs, the oldest first, those from place ``start`` on: when each expires, in ms, if ever."""
        with guard():
            names = [text(name) for name in self._listed(partition, start, most)]
            with self.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hmget(f"{self.keys.tag(partition)}run:{encoded(name)}", ["thread", "ended", "retain"])
                found = pipe.execute()
        return [
            (
                Address(name, text(thread or name)),
                int(over) + int(retain) if _number(over) and _number(retain) else None,
            )
            for name, (thread, over, retain) in zip(names, found, strict=True)
        ]

    def _listed(self, partition: int, start: int, most: int) -> Any:
        return self.client.zrange(self.keys.tag(partition) + "runs", start, start + most - 1)

    def delete(self, address: Address, *, expired: bool = False) -> Answer:
        """Delete a run that has come to its end, and what is its own: ok, live (``info`` its status), kept."""
        status = self.peek(self.keys.partition(address.thread_id), address.run_id, ["status"])[0]
        if status in LIVE:
            return Answer("live", status)
        if not address.own_thread:
            # before the run: whoever dies between the two leaves nothing that stays for ever
            with guard():
                self.client.pexpire(self.keys.directory(address.run_id), TOMB_MS if expired else HOLD_MS)
        answer = self._drop(address, "expired" if expired else "now")
        if not address.own_thread and (answer.kind != "ok" or not expired):
            self.reserve(address, "drop" if answer.kind == "ok" else "keep")
        return answer

    def _drop(self, address: Address, when: str) -> Answer:
        thread, own = address.thread_id, address.own_thread
        keys = (
            self._run(address, "run"),
            self.keys.line(thread),
            self._due(address),
            self.keys.of(thread, "runs"),
            self.keys.of(thread, "turns", thread),
            *(self._run(address, kind) for kind in ("open", "claims", "tries", "naps", "log", "once")),
            *(self.keys.of(thread, kind, thread, "") for kind in ("hist", "pend")),
            self.keys.of(thread, "nested", thread),
            self._run(address, "gone"),
            self.keys.dead(self.keys.partition(thread)),
            self.keys.ages(self.keys.partition(thread)),
        )
        answer = Answer("more")
        while answer.kind == "more":
            with guard():
                found: Any = self.client.smembers(self.keys.of(thread, "nested", thread)) if own else ()
            names = sorted(text(name) for name in found)[:NESTED]
            lines = [key for ns in names for key in self._line_keys(thread, ns)]
            args = (address.run_id, "own" if own else "", when, TOMB_MS, *names)
            answer = answer_of(self.scripts.run(Call("drop_run", (*keys, *lines), args)))
        return answer

    def _line_keys(self, thread_id: str, ns: str) -> tuple[str, ...]:
        others = (self.keys.of(thread_id, kind, thread_id, ns) for kind in ("pend", "hist"))
        return (self.keys.line(thread_id, ns), *others)

    def expired(self, run_id: str) -> int | None:
        """When a run expired that was deleted for it, in ms; None if nothing is known of that."""
        with guard():
            thread = text(self.client.get(self.keys.directory(run_id)) or run_id)
            found: Any = self.client.get(self._run(Address(run_id, thread), "gone"))
        return int(found) if found else None
