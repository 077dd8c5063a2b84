"""The twin's batches. What they promise is written in :class:`distgraph.ledger.contract.Batches`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgpack import unpackb

from distgraph.ledger.keys import CHUNK, item_id, split_item
from distgraph.ledger.memory.batch_life import MemoryBatchLife
from distgraph.ledger.memory.tables import Part, RunKey, atomic, packed
from distgraph.ledger.replies import BatchCounts, Taken


class MemoryBatches(MemoryBatchLife):
    """Batches: one manifest for the namespace; in every partition the chunks of items that fall there."""

    # ------------------------------------------------------------- manifest

    @atomic
    def open(
        self, batch_id: str, manifest: Mapping[str, Any], now_ms: int, *, retain_ms: int | None = None
    ) -> dict[str, Any]:
        if batch_id not in self.state.manifests:
            told, retain = packed(dict(sorted(manifest.items()))), () if retain_ms is None else (("retain", retain_ms),)
            self.state.manifests.at(batch_id).write((("manifest", told), ("created", now_ms), *retain))
        self.state.opened.first(batch_id, now_ms)
        self.state.active[batch_id] = None
        return self.manifest(batch_id) or {}

    @atomic
    def manifest(self, batch_id: str) -> dict[str, Any] | None:
        found = self.state.manifests.look(batch_id)
        if not found:
            return None
        known = {name: found.get(name) for name in ("created", "total", "content", "retain", "ended")}
        told = unpackb(found["manifest"])
        return {**told, **known, "pinned": found.get("pinned", told.get("fp")), "dropped": "deleter" in found}

    @atomic
    def repin(self, batch_id: str, fingerprint: str) -> None:
        if batch_id in self.state.manifests:
            self.state.manifests.at(batch_id)["pinned"] = fingerprint

    @atomic
    def seal(self, batch_id: str, total: int, content: str) -> str:
        if "manifest" not in self.state.manifests.look(batch_id):
            return ""
        manifest = self.state.manifests.at(batch_id)
        first: str = manifest.first("content", content)
        if first == content:
            manifest.first("total", total)
        return first

    @atomic
    def ids(self, *, most: int = 100) -> list[str]:
        newest = sorted(((ms, batch_id) for batch_id, ms in self.state.opened.items()), reverse=True)
        return [batch_id for _, batch_id in newest[:most]]

    @atomic
    def active(self) -> list[str]:
        return sorted(self.state.active)

    # ------------------------------------------------------------- items

    @atomic
    def add(self, batch_id: str, chunk: int, digest: str, items: Sequence[bytes], *, due_ms: int) -> str:
        at = (batch_id, self.keys.chunk_partition(batch_id, chunk))
        part = self.state.parts.get(at, Part())
        known = self.state.digests.look(at).get(chunk)
        if known is not None:
            return "same" if known == digest else "conflict"
        if part.state == "cancelled":
            return "cancelled"
        self.state.digests.at(at)[chunk] = digest
        self.state.parts[at] = part._replace(epoch=part.epoch or 0, total=part.total + len(items))
        self.state.inputs[batch_id, chunk] = tuple(items)
        self._make_ready(at, after=[Taken(chunk, 0, len(items), "n", "")])
        self._owe(at, self.state.now_ms() + due_ms)
        return "new"

    @atomic
    def chunk_digests(self, batch_id: str, chunks: Sequence[int]) -> list[str | None]:
        parts = [(batch_id, self.keys.chunk_partition(batch_id, chunk)) for chunk in chunks]
        return [self.state.digests.look(at).get(chunk) for at, chunk in zip(parts, chunks, strict=True)]

    @atomic
    def ready(self, batch_id: str, partition: int) -> bool:
        return (batch_id, partition) in self.state.ready

    @atomic
    def next_flag(self, batch_id: str, partition: int) -> str:
        ready = self.state.ready.get((batch_id, partition), ())
        return ready[0].flag if ready else ""

    @atomic
    def epoch(self, batch_id: str, partition: int) -> str:
        part = self.state.parts.get((batch_id, partition), Part())
        return "" if part.epoch is None else str(part.epoch)

    @atomic
    def ready_partitions(self, batch_id: str) -> list[int]:
        ready = {part: self.state.ready.get((batch_id, part)) for part in range(self.keys.partitions)}
        found = {part: spans[0] for part, spans in ready.items() if spans}
        return sorted(found, key=lambda part: found[part].flag == "n")

    @atomic
    def items(self, batch_id: str, taken: Taken) -> list[bytes]:
        return list(self.state.inputs.get((batch_id, taken.chunk), ())[taken.start : taken.stop])

    @atomic
    def lines(self, batch_id: str, indexes: Sequence[int]) -> list[dict[bytes, bytes]]:
        lines = (self.state.lines.look((item_id(batch_id, index), "")) for index in indexes)
        return [{field.encode(): value for field, value in line.items()} for line in lines]

    @atomic
    def settled_items(self, batch_id: str, taken: Taken) -> set[int]:
        partition = self.keys.chunk_partition(batch_id, taken.chunk)
        indexes = range(taken.chunk * CHUNK + taken.start, taken.chunk * CHUNK + taken.stop)
        rows = self.state.rows.look((batch_id, taken.chunk))
        runs = self.state.records
        return {i for i in indexes if i in rows or RunKey(partition, item_id(batch_id, i)) in runs}

    # ------------------------------------------------------------- as a whole

    @atomic
    def counts(self, batch_id: str) -> BatchCounts:
        out = BatchCounts()
        for partition in range(self.keys.partitions):
            at = (batch_id, partition)
            part = self.state.parts.get(at, Part())
            out.total += part.total
            out.done += part.done
            out.failed += part.failed
            out.cancelled += part.cancelled
            out.promoted += part.promoted
            out.asking += len(self.state.asking.look(at))
            out.states |= {part.state} - {""}
            out.pauses |= {part.pause} if part.state == "paused" else set()
            out.ready += sum(taken.stop - taken.start for taken in self.state.ready.get(at, ()))
            out.in_slices += sum(taken.stop - taken.start for _, taken in self.state.slices.look(at).values())
        return out

    @atomic
    def control(self, batch_id: str, what: str, name: str = "") -> None:
        for partition in range(self.keys.partitions):
            at = (batch_id, partition)
            part = self.state.parts.get(at, Part())
            if part.state == "cancelled":
                continue
            if what == "cancel":
                self.state.parts[at] = part._replace(state="cancelled", epoch=(part.epoch or 0) + 1)
                self.state.ready.drop(at)
                self._settle_debt(at)
                continue
            paused = ("paused", name) if what == "pause" else ("", "")
            self.state.parts[at] = part._replace(state=paused[0], pause=paused[1])
            if what == "continue" and at in self.state.ready:
                self._owe(at, 0)

    @atomic
    def on_their_own(self, batch_id: str) -> list[int]:
        names = (entry[2:] for table in self.state.due.values() for entry in table if entry.startswith("r:"))
        items = (split_item(name) for name in names)
        return sorted(item[1] for item in items if item is not None and item[0] == batch_id)

    @atomic
    def asking(self, batch_id: str) -> list[int]:
        return sorted(i for (name, _), found in self.state.asking.items() if name == batch_id for i in found)

    @atomic
    def retry_failed(self, batch_id: str, chunks: int, only: Sequence[int] | None = None) -> int:
        return sum(self._retry_chunk(batch_id, chunk, only) for chunk in range(chunks))

    def _retry_chunk(self, batch_id: str, chunk: int, only: Sequence[int] | None) -> int:
        at = (batch_id, self.keys.chunk_partition(batch_id, chunk))
        part = self.state.parts.get(at, Part())
        rows = self.state.rows.at((batch_id, chunk))
        failed = sorted(
            index for index, row in rows.items() if row.startswith(b"f") and (only is None or index in only)
        )
        if not failed or part.state == "cancelled":
            return 0
        for index in failed:
            rows.drop(index)
            self.state.crashes.at(at).drop(index)
        starts = [failed[0], *(late for early, late in pairwise(failed) if late != early + 1)]
        stops = [*(early + 1 for early, late in pairwise(failed) if late != early + 1), failed[-1] + 1]
        first = chunk * CHUNK
        spans = [Taken(chunk, a - first, b - first, "r", "") for a, b in zip(starts, stops, strict=True)]
        self._make_ready(at, after=spans)
        self.state.parts[at] = part._replace(failed=part.failed - len(failed))
        self._owe(at, 0)
        return len(failed)

    @atomic
    def rows(self, batch_id: str, chunk: int) -> dict[int, bytes]:
        return dict(self.state.rows.look((batch_id, chunk)))

    def all_rows(self, batch_id: str, chunks: int) -> Iterator[tuple[int, bytes]]:
        for chunk in range(chunks):
            yield from sorted(self.rows(batch_id, chunk).items())
