"""Batches on the ledger, their end: at rest, over, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from distgraph.ledger import seam
from distgraph.ledger.connection import guard
from distgraph.ledger.keys import CHUNK, DELETER_MS, Keys, item_id, split_item
from distgraph.ledger.reads import TOMB_MS, answer_of, text
from distgraph.ledger.replies import Answer
from distgraph.ledger.scripts import Call, Scripts

#: Keys of a batch in one partition.
OF_PARTITION = ("batch", "ready", "slices", "crash", "asks")
#: Keys that an item leaves when it is done, and those it has before.
ITEM_KEPT = ("log", "once")
OF_THREAD = ("line", "hist", "pend")
ITEM_LIVE = ("run", "open", "claims", "tries", "naps", *OF_THREAD)


class BatchLife:
    """What becomes of a batch as a whole. The promises: :class:`distgraph.ledger.contract.Batches`."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self.scripts, self.keys = scripts, keys
        self.client = scripts.client

    def finish(self, batch_id: str) -> None:
        """All its items are at rest: its time begins, unless it has begun."""
        self._life(batch_id, "rest")

    def reopen(self, batch_id: str) -> bool:
        """It has items again; False: it is gone, or being deleted."""
        return self._life(batch_id, "again").kind == "ok"

    def over(self, now_ms: int, *, most: int) -> list[str]:
        """Batches whose time is over, the longest first; and those that somebody did not delete to the end."""
        with guard():
            found: Any = self.client.zrangebyscore(self.keys.shared("over"), "-inf", now_ms, start=0, num=most)
        return [text(name) for name in found]

    def drop(self, batch_id: str, owner: str, *, expired: bool = False) -> Answer:
        """Begin, or go on, to delete it: ok, kept, held, gone."""
        return self._life(batch_id, "expire" if expired else "drop", owner, DELETER_MS, TOMB_MS)

    def _life(self, batch_id: str, what: str, *more: str | int) -> Answer:
        keys = (
            self.keys.shared("manifest", batch_id),
            *map(self.keys.shared, ("active", "over")),
            self.keys.shared("gone", batch_id),
        )
        return answer_of(self.scripts.run(Call("batch_life", keys, (batch_id, what, *more))))

    def expired(self, batch_id: str) -> int | None:
        """When it was over, in ms, if it was deleted for that; None: it was not, or long ago."""
        with guard():
            found: Any = self.client.get(self.keys.shared("gone", batch_id))
        return int(found) if found is not None else None

    def chunks_in(self, batch_id: str, partition: int) -> list[int]:
        """Chunks of it that were added to a partition."""
        with guard():
            found: Any = self.client.hkeys(self.keys.batch(partition, "batch", batch_id))
        return sorted(int(name[2:]) for name in found if name.startswith(b"c:"))

    # ------------------------------------------------------------- deletion

    def delete_items(self, batch_id: str, chunks: Sequence[int]) -> None:
        """Delete the items of these chunks, with their rows, runs and lines."""
        with guard():
            kinds = ITEM_KEPT if self._all_done(batch_id) else (*ITEM_KEPT, *ITEM_LIVE)
            for chunk in chunks:
                self._delete_nested(batch_id, chunk)
                part = self.keys.chunk_partition(batch_id, chunk)
                self.client.unlink(
                    *(self.keys.batch(part, kind, batch_id, chunk) for kind in ("in", "out")),
                    *self._item_keys(batch_id, chunk, kinds),
                )

    def _all_done(self, batch_id: str) -> bool:
        with self.client.pipeline(transaction=False) as pipe:
            for part in range(self.keys.partitions):
                pipe.hmget(self.keys.batch(part, "batch", batch_id), ["total", "done"])
            found = pipe.execute()
        # Where nothing is told any more, it was deleted before, and what came since may be in the middle of anything.
        return any(total for total, _ in found) and all(total == done for total, done in found)

    def delete(self, batch_id: str, chunks: int) -> None:
        """Delete a batch and everything of it, its items' runs and lines included."""
        parts = range(self.keys.partitions)
        seam.reach("delete", "before")
        self.delete_items(batch_id, range(chunks))
        seam.reach("delete", "after")
        with guard(), self.client.pipeline(transaction=False) as pipe:
            for part in parts:
                pipe.hkeys(self.keys.batch(part, "slices", batch_id))
            slices = pipe.execute()
            for part in parts:
                pipe.zrange(self.keys.dead(part), 0, -1)
            dead = [[name for name in names if _of_batch(name, batch_id)] for names in pipe.execute()]
            for part in parts:
                pipe.unlink(*(self.keys.batch(part, kind, batch_id) for kind in OF_PARTITION))
                if dead[part]:
                    pipe.zrem(self.keys.dead(part), *dead[part])
                entries = [f"s:{batch_id}\n{name.decode()}" for name in slices[part]]
                pipe.zrem(self.keys.due(part), f"b:{batch_id}", *entries)
            # last: as long as the manifest is there, a deletion that was cut off can be gone on with
            for index in ("batches", "over"):
                pipe.zrem(self.keys.shared(index), batch_id)
            pipe.srem(self.keys.shared("active"), batch_id)
            pipe.unlink(self.keys.shared("manifest", batch_id))
            pipe.execute()

    def _delete_nested(self, batch_id: str, chunk: int) -> None:
        """Graphs nested in items: an item that waits or failed has lines of them, and one whose driver died at its end."""
        threads = [item_id(batch_id, index) for index in range(chunk * CHUNK, (chunk + 1) * CHUNK)]
        with self.client.pipeline(transaction=False) as pipe:
            for thread in threads:
                pipe.smembers(self.keys.of(thread, "nested", thread))
            found: list[set[bytes]] = pipe.execute()
        for thread, namespaces in zip(threads, found, strict=True):
            if namespaces:
                lines = [self.keys.of(thread, kind, thread, text(ns)) for ns in namespaces for kind in OF_THREAD]
                self.client.unlink(*lines, self.keys.of(thread, "nested", thread))

    def _item_keys(self, batch_id: str, chunk: int, kinds: Sequence[str]) -> Iterator[str]:
        for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            thread = item_id(batch_id, index)
            for kind in kinds:
                # threads have a namespace, empty for the graph's own; runs have none
                yield self.keys.of(thread, kind, thread, *([""] if kind in OF_THREAD else []))


def _of_batch(name: bytes, batch_id: str) -> bool:
    item = split_item(name.decode())
    return item is not None and item[0] == batch_id
