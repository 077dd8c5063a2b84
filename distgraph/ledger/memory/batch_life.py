"""The twin's batches, their end. What they promise is written in :class:`distgraph.ledger.contract.Batches`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from distgraph.ledger.keys import CHUNK, DELETER_MS, item_id, split_item
from distgraph.ledger.memory.base import OK
from distgraph.ledger.memory.reads import TOMB_MS
from distgraph.ledger.memory.slices import MemorySlices
from distgraph.ledger.memory.tables import RunKey, atomic
from distgraph.ledger.replies import Answer


class MemoryBatchLife(MemorySlices):
    """What becomes of a batch as a whole."""

    @atomic
    def finish(self, batch_id: str) -> None:
        manifest = self.state.manifests.look(batch_id)
        if "deleter" in manifest:
            return
        self.state.active.drop(batch_id)
        if not manifest:
            self.state.over.drop(batch_id)
            return
        ended = self.state.manifests.at(batch_id).first("ended", self.state.now_ms())
        if "retain" in manifest:
            self.state.over[batch_id] = ended + manifest["retain"]

    @atomic
    def reopen(self, batch_id: str) -> bool:
        manifest = self.state.manifests.look(batch_id)
        if "deleter" in manifest:
            return False
        if not manifest:
            self.state.active.drop(batch_id)
            return False
        self.state.active[batch_id] = None
        self.state.manifests.at(batch_id).drop("ended")
        self.state.over.drop(batch_id)
        return True

    @atomic
    def over(self, now_ms: int, *, most: int) -> list[str]:
        found = sorted((ms, batch_id) for batch_id, ms in self.state.over.items() if ms <= now_ms)
        return [batch_id for _, batch_id in found[:most]]

    @atomic
    def drop(self, batch_id: str, owner: str, *, expired: bool = False) -> Answer:
        state, now = self.state, self.state.now_ms()
        manifest = state.manifests.look(batch_id)
        if not manifest:
            state.active.drop(batch_id)
            state.over.drop(batch_id)
            return Answer("gone")
        begun = "deleter" in manifest
        if begun and manifest["deleter"] != owner and now < manifest["until"]:
            return Answer("held")
        ends = manifest["ended"] + manifest["retain"] if {"ended", "retain"} <= manifest.keys() else None
        if expired and not begun:
            if ends is None or now < ends:
                return Answer("kept")
            state.past[batch_id] = (ends, now + TOMB_MS)
        state.active.drop(batch_id)
        state.manifests.at(batch_id).write((("deleter", owner), ("until", now + DELETER_MS)))
        state.over[batch_id] = now + DELETER_MS
        return OK

    @atomic
    def expired(self, batch_id: str) -> int | None:
        over, until = self.state.past.get(batch_id, (0, 0))
        return over if self.state.now_ms() < until else None

    @atomic
    def chunks_in(self, batch_id: str, partition: int) -> list[int]:
        return sorted(self.state.digests.look((batch_id, partition)))

    # ------------------------------------------------------------- deletion

    @atomic
    def delete_items(self, batch_id: str, chunks: Sequence[int]) -> None:
        state = self.state
        runs = (state.records, state.outcomes, state.claims, state.tries, state.naps, state.logs, state.effects)
        known = {key.run_id for table in runs for key in table} | {key.run_id for key in state.effects_over}
        known |= {place[0] for table in (state.lines, state.history, state.kept) for place in table} | {*state.nested}
        for chunk in chunks:
            for table in (state.inputs, state.rows):
                table.drop((batch_id, chunk))
            for name in map(partial(item_id, batch_id), range(chunk * CHUNK, (chunk + 1) * CHUNK)):
                if name in known:
                    self._delete_item(name, self.keys.chunk_partition(batch_id, chunk))

    @atomic
    def delete(self, batch_id: str, chunks: int) -> None:
        state = self.state
        self.delete_items(batch_id, range(chunks))
        for counted in [at for at in state.finished if at[0] == batch_id]:
            state.finished.drop(counted)
        for partition in range(self.keys.partitions):
            at = (batch_id, partition)
            for slice_id in sorted(state.slices.look(at)):
                state.due.at(partition).drop(f"s:{batch_id}\n{slice_id}")
            state.due.at(partition).drop(f"b:{batch_id}")
            dead = state.dead.at(partition)
            for name in [name for name in dead if (split_item(name) or ("",))[0] == batch_id]:
                dead.drop(name)
            for whole in (state.parts, state.digests, state.ready, state.slices, state.crashes, state.asking):
                whole.drop(at)
        for named in (state.manifests, state.opened, state.active, state.over):
            named.drop(batch_id)

    def _delete_item(self, thread_id: str, partition: int) -> None:
        state, key = self.state, RunKey(partition, thread_id)
        for table in (state.records, state.outcomes, state.claims, state.tries, state.naps, state.logs, state.effects):
            table.drop(key)
        state.effects_over.drop(key)
        for ns in ("", *state.nested.look(thread_id)):
            for line in (state.lines, state.history, state.kept):
                line.drop((thread_id, ns))
        state.nested.drop(thread_id)
