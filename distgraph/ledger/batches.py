"""Batches on the ledger: manifest, chunks, slices, rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distgraph.errors import LedgerCorruptError
from distgraph.ledger import seam
from distgraph.ledger.batch_life import BatchLife
from distgraph.ledger.connection import guard
from distgraph.ledger.keys import CHUNK, item_id, split_item
from distgraph.ledger.reads import answer_of, text
from distgraph.ledger.replies import Answer, BatchCounts, ItemStep, Taken
from distgraph.ledger.scripts import Call


class BatchLedger(BatchLife):
    """The part of the ledger that holds batches.

    A batch has one manifest for the namespace and, in every partition, the items whose chunks fall there. What each
    operation promises is written in :class:`distgraph.ledger.contract.Batches`.
    """

    # ------------------------------------------------------------- manifest

    @seam.passes("manifest")
    def open(
        self, batch_id: str, manifest: Mapping[str, Any], now_ms: int, *, retain_ms: int | None = None
    ) -> dict[str, Any]:
        """Write the manifest unless there is one; returns the one that stands."""
        key = self.keys.shared("manifest", batch_id)
        told: dict[str, str | int] = {"manifest": json.dumps(dict(manifest), sort_keys=True), "created": now_ms}
        if retain_ms is not None:
            told["retain"] = retain_ms
        with guard(), self.client.pipeline(transaction=False) as pipe:
            if not self.client.hexists(key, "manifest"):
                # what was told first stands, whoever of two comes second
                for field, value in told.items():
                    pipe.hsetnx(key, field, str(value))
            pipe.zadd(self.keys.shared("batches"), {batch_id: now_ms}, nx=True)
            pipe.sadd(self.keys.shared("active"), batch_id)
            pipe.execute()
        return self.manifest(batch_id) or {}

    def manifest(self, batch_id: str) -> dict[str, Any] | None:
        """The manifest with what the contract says of it; None: no such batch."""
        with guard():
            found: Any = self.client.hgetall(self.keys.shared("manifest", batch_id))
        if b"manifest" not in found:
            return None
        try:
            out: dict[str, Any] = json.loads(found[b"manifest"])
            out["created"] = int(found.get(b"created", 0))
            for name in ("total", "retain", "ended"):
                out[name] = int(found[name.encode()]) if name.encode() in found else None
        except (KeyError, ValueError):
            key = self.keys.shared("manifest", batch_id)
            raise LedgerCorruptError(f"The manifest of batch {batch_id!r}, {key!r}, is damaged.") from None
        out["content"] = text(found[b"content"]) if b"content" in found else None
        out["pinned"] = text(found[b"pinned"]) if b"pinned" in found else out.get("fp")
        out["dropped"] = b"deleter" in found
        return out

    def repin(self, batch_id: str, fingerprint: str) -> None:
        """From now on this version of the graph takes the items."""
        key = self.keys.shared("manifest", batch_id)
        with guard():
            if self.client.exists(key):
                self.client.hset(key, "pinned", fingerprint)

    @seam.passes("seal")
    def seal(self, batch_id: str, total: int, content: str) -> str:
        """No more items come; returns the digest of the content the batch was sealed with, by whoever was first.

        '' if the batch was deleted meanwhile, or lost by a server that was rolled back.
        """
        key = self.keys.shared("manifest", batch_id)
        with guard():
            if not self.client.hexists(key, "manifest"):
                return ""
            self.client.hsetnx(key, "content", content)
            first = text(self.client.hget(key, "content"))
            if first == content:
                # whoever died between the two left this to the next one with the same content
                self.client.hsetnx(key, "total", str(total))
            return first

    def ids(self, *, most: int = 100) -> list[str]:
        """The newest batches, newest first."""
        with guard():
            found: Any = self.client.zrevrange(self.keys.shared("batches"), 0, most - 1)
        return [name.decode() for name in found]

    def active(self) -> list[str]:
        """Batches that may have items to take."""
        with guard():
            found: Any = self.client.smembers(self.keys.shared("active"))
        return sorted(name.decode() for name in found)

    # ------------------------------------------------------------- items

    def add(self, batch_id: str, chunk: int, digest: str, items: Sequence[bytes], *, due_ms: int) -> str:
        """Add a chunk: new, same, conflict (other content), cancelled."""
        part = self.keys.chunk_partition(batch_id, chunk)
        keys = (
            self.keys.batch(part, "batch", batch_id),
            self.keys.batch(part, "in", batch_id, chunk),
            self.keys.batch(part, "ready", batch_id),
            self.keys.due(part),
        )
        return text(self.scripts.run(Call("batch_add", keys, (batch_id, chunk, digest, due_ms, *items)))[0])

    def chunk_digests(self, batch_id: str, chunks: Sequence[int]) -> list[str | None]:
        """Digests of chunks that are there, None for those that are not."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for chunk in chunks:
                part = self.keys.chunk_partition(batch_id, chunk)
                pipe.hget(self.keys.batch(part, "batch", batch_id), f"c:{chunk}")
            return [text(found) if found else None for found in pipe.execute()]

    def take(self, batch_id: str, partition: int, slice_id: str, slot: str, k: int, *, sweep_ms: int) -> Taken | None:
        """Bind up to ``k`` ready items of one partition to a slice; None if there are none."""
        keys = (
            self.keys.batch(partition, "batch", batch_id),
            self.keys.batch(partition, "ready", batch_id),
            self.keys.batch(partition, "slices", batch_id),
            self.keys.due(partition),
        )
        reply = self.scripts.run(Call("batch_take", keys, (batch_id, slice_id, slot, k, sweep_ms)))
        return Taken.parse(text(reply[1]), text(reply[2])) if reply[0] == b"ok" else None

    def ready_partitions(self, batch_id: str) -> list[int]:
        """Partitions of the batch that have items nobody has taken; first those whose next items were taken before."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for part in range(self.keys.partitions):
                pipe.lindex(self.keys.batch(part, "ready", batch_id), 0)
            found = {part: Taken.parse(text(span)) for part, span in enumerate(pipe.execute()) if span is not None}
        return sorted(found, key=lambda part: found[part].flag == "n")

    def items(self, batch_id: str, taken: Taken) -> list[bytes]:
        """The inputs of the taken items."""
        part = self.keys.chunk_partition(batch_id, taken.chunk)
        with guard():
            found: Any = self.client.lrange(
                self.keys.batch(part, "in", batch_id, taken.chunk), taken.start, taken.stop - 1
            )
        return list(found)

    def lines(self, batch_id: str, indexes: Sequence[int]) -> list[dict[bytes, bytes]]:
        """The whole lines of items that were taken before; empty for one that was never advanced."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for index in indexes:
                pipe.hgetall(self.keys.line(item_id(batch_id, index)))
            return list(pipe.execute())

    # ------------------------------------------------------------- slices

    def commit(
        self, batch_id: str, slice_id: str, slot: str, taken: Taken, steps: Sequence[ItemStep], *, last: bool
    ) -> list[bool] | None:
        """Apply one superstep of these items; whether each was applied, then with ``last`` whether the slice has ended.

        None if the batch was cancelled.
        """
        part = self.keys.chunk_partition(batch_id, taken.chunk)
        keys = [
            self.keys.batch(part, "batch", batch_id),
            self.keys.batch(part, "out", batch_id, taken.chunk),
            self.keys.batch(part, "in", batch_id, taken.chunk),
            self.keys.batch(part, "slices", batch_id),
            self.keys.due(part),
        ]
        args: list[Any] = [
            batch_id,
            slice_id,
            taken.epoch,
            slot,
            taken.chunk,
            taken.chunk * CHUNK if last else "",
            len(steps),
        ]
        for step in steps:
            thread = item_id(batch_id, step.index)
            keys.append(self.keys.line(thread))
            if step.kind == "end":
                args += ("end", step.index, step.parent, step.head, 1, step.row)
                continue
            if step.kind == "own":
                args += ("own", step.index, "", "", 0)
                continue
            body: list[Any] = [part for pair in step.sets for part in pair]
            body.append("")
            body += step.drops
            if step.kind == "promote":
                keys.append(self.keys.of(thread, "run", thread))
                body.append("")
                body += [part for pair in step.fields for part in pair]
            args += (step.kind, step.index, step.parent, step.head, len(body))
            args += body
        reply = self.scripts.run(Call("batch_commit", keys, args))
        if reply and reply[0] == b"stale":
            return None
        return [answer == b"1" for answer in reply]

    def slices(self, batch_id: str, partition: int) -> dict[str, tuple[str, Taken]]:
        """Slice id -> (slot, taken items) of one partition."""
        with guard():
            found: Any = self.client.hgetall(self.keys.batch(partition, "slices", batch_id))
        out: dict[str, tuple[str, Taken]] = {}
        for name, value in found.items():
            slot, _, span = value.decode().rpartition("|")
            out[name.decode()] = (slot, Taken.parse(span))
        return out

    def slice_of(self, batch_id: str, partition: int, slice_id: str) -> tuple[str, Taken] | None:
        """(slot, taken items) of one slice; None if it has ended."""
        with guard():
            value: Any = self.client.hget(self.keys.batch(partition, "slices", batch_id), slice_id)
        if value is None:
            return None
        slot, _, span = value.decode().rpartition("|")
        return slot, Taken.parse(span)

    def next_flag(self, batch_id: str, partition: int) -> str:
        """The flag of the items that would be taken next; '' if there are none."""
        with guard():
            found: Any = self.client.lindex(self.keys.batch(partition, "ready", batch_id), 0)
        return found[-1:].decode() if found else ""

    def epoch(self, batch_id: str, partition: int) -> str:
        """The epoch of the batch in one partition; '' if nothing of it is there."""
        with guard():
            found: Any = self.client.hget(self.keys.batch(partition, "batch", batch_id), "e")
        return found.decode() if found else ""

    def ready(self, batch_id: str, partition: int) -> bool:
        """Whether the partition has items of the batch that nobody has taken."""
        with guard():
            return bool(self.client.exists(self.keys.batch(partition, "ready", batch_id)))

    def give_back(
        self,
        batch_id: str,
        slice_id: str,
        slot: str,
        taken: Taken,
        flag: str = "r",
        *,
        crashed: int | None = None,
        allowed: int = 3,
        row: bytes = b"",
    ) -> Answer:
        """End a slice before its items: those that have not settled are ready again; counts a crash for ``crashed``."""
        part = self.keys.chunk_partition(batch_id, taken.chunk)
        keys = (
            self.keys.batch(part, "batch", batch_id),
            self.keys.batch(part, "ready", batch_id),
            self.keys.batch(part, "slices", batch_id),
            self.keys.due(part),
            self.keys.batch(part, "crash", batch_id),
            self.keys.batch(part, "out", batch_id, taken.chunk),
            self.keys.dead(part),
        )
        first = taken.chunk * CHUNK
        threads = (item_id(batch_id, index) for index in range(first + taken.start, first + taken.stop))
        runs = (self.keys.of(thread, "run", thread) for thread in threads)
        blamed = "" if crashed is None else crashed
        span = f"{taken.chunk}:{taken.start}:{taken.stop}"
        args = (batch_id, slice_id, slot, flag, blamed, allowed, row, span, first)
        return answer_of(self.scripts.run(Call("batch_return", (*keys, *runs), args)))

    def got_on(self, batch_id: str, slice_id: str, slot: str, taken: Taken) -> bool:
        """Forget the crashes of the one item of a slice."""
        part = self.keys.chunk_partition(batch_id, taken.chunk)
        keys = (self.keys.batch(part, "slices", batch_id), self.keys.batch(part, "crash", batch_id))
        args = (slice_id, slot, taken.chunk * CHUNK + taken.start)
        return bool(self.scripts.run(Call("batch_got_on", keys, args)))

    def settled_items(self, batch_id: str, taken: Taken) -> set[int]:
        """Indexes among the taken that have a row, or go on as runs of their own."""
        part = self.keys.chunk_partition(batch_id, taken.chunk)
        indexes = range(taken.chunk * CHUNK + taken.start, taken.chunk * CHUNK + taken.stop)
        with guard(), self.client.pipeline(transaction=False) as pipe:
            pipe.hmget(self.keys.batch(part, "out", batch_id, taken.chunk), [str(index) for index in indexes])
            for index in indexes:
                thread = item_id(batch_id, index)
                pipe.exists(self.keys.of(thread, "run", thread))
            rows, *runs = pipe.execute()
        return {index for index, row, run in zip(indexes, rows, runs, strict=True) if row is not None or run}

    # ------------------------------------------------------------- as a whole

    def counts(self, batch_id: str) -> BatchCounts:
        """The batch's counters, summed over the partitions."""
        out = BatchCounts()
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for part in range(self.keys.partitions):
                names = ["total", "done", "failed", "cancelled", "promoted", "state", "pause"]
                pipe.hmget(self.keys.batch(part, "batch", batch_id), names)
                pipe.lrange(self.keys.batch(part, "ready", batch_id), 0, -1)
                pipe.hvals(self.keys.batch(part, "slices", batch_id))
                pipe.scard(self.keys.batch(part, "asks", batch_id))
            replies = pipe.execute()
        for counters, ready, slices, asking in zip(*(replies[at::4] for at in range(4)), strict=True):
            numbers = [int(value or 0) for value in counters[:5]]
            out.total += numbers[0]
            out.done += numbers[1]
            out.failed += numbers[2]
            out.cancelled += numbers[3]
            out.promoted += numbers[4]
            out.asking += asking
            if counters[5]:
                out.states.add(text(counters[5]))
            if counters[5] == b"paused":
                out.pauses.add(text(counters[6] or b""))
            out.ready += sum(t.stop - t.start for t in map(Taken.parse, map(text, ready)))
            out.in_slices += sum(t.stop - t.start for t in (Taken.parse(text(v).rpartition("|")[2]) for v in slices))
        return out

    def control(self, batch_id: str, what: str, name: str = "") -> None:
        """``cancel``, ``pause`` (by that name) or ``continue`` in every partition."""
        calls = [
            Call(
                "batch_control",
                (
                    self.keys.batch(part, "batch", batch_id),
                    self.keys.batch(part, "ready", batch_id),
                    self.keys.due(part),
                ),
                (batch_id, what, name),
            )
            for part in range(self.keys.partitions)
        ]
        self.scripts.run_all(calls)

    def on_their_own(self, batch_id: str) -> list[int]:
        """Indexes of items that go on as runs of their own and are owed a look."""
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", f"r:{batch_id}:")
        found: set[int] = set()
        with guard():
            for part in range(self.keys.partitions):
                for entry, _ in self.client.zscan_iter(self.keys.due(part), match=f"{pattern}*", count=1000):
                    item = split_item(text(entry)[2:])
                    if item is not None and item[0] == batch_id:
                        found.add(item[1])
        return sorted(found)

    def asking(self, batch_id: str) -> list[int]:
        """Indexes of items whose runs wait for an answer, in order."""
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for part in range(self.keys.partitions):
                pipe.smembers(self.keys.batch(part, "asks", batch_id))
            return sorted(int(index) for found in pipe.execute() for index in found)

    def retry_failed(self, batch_id: str, chunks: int, only: Sequence[int] | None = None) -> int:
        """Make all failed items ready again, or only these; how many."""
        calls = []
        for chunk in range(chunks):
            part = self.keys.chunk_partition(batch_id, chunk)
            keys = (
                self.keys.batch(part, "batch", batch_id),
                self.keys.batch(part, "out", batch_id, chunk),
                self.keys.batch(part, "ready", batch_id),
                self.keys.due(part),
                self.keys.batch(part, "crash", batch_id),
            )
            chosen = () if only is None else tuple(index for index in only if index // CHUNK == chunk)
            if only is None or chosen:
                calls.append(Call("batch_retry", keys, (batch_id, chunk, chunk * CHUNK, *chosen)))
        return sum(
            int(again)
            for first in range(0, len(calls), 100)
            for again in self.scripts.run_all(calls[first : first + 100])
        )

    def rows(self, batch_id: str, chunk: int) -> dict[int, bytes]:
        """Index -> row of one chunk's finished items."""
        part = self.keys.chunk_partition(batch_id, chunk)
        with guard():
            found: Any = self.client.hgetall(self.keys.batch(part, "out", batch_id, chunk))
        return {int(index): row for index, row in found.items()}

    def all_rows(self, batch_id: str, chunks: int) -> Iterator[tuple[int, bytes]]:
        """(index, row) of finished items, chunk by chunk in order of index."""
        for chunk in range(chunks):
            yield from sorted(self.rows(batch_id, chunk).items())
