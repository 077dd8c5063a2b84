"""What the ledger promises about batches. What holds for every operation stands in the package's docstring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from distgraph.ledger.keys import Keys
from distgraph.ledger.replies import Answer, BatchCounts, ItemStep, Taken


class Batches(Protocol):
    """Batches: one manifest for the namespace; in every partition the chunks of items that fall there."""

    @property
    def keys(self) -> Keys:
        """Which chunk is in which partition."""
        ...

    # ---- manifest

    def open(
        self, batch_id: str, manifest: Mapping[str, Any], now_ms: int, *, retain_ms: int | None = None
    ) -> dict[str, Any]:
        """Write the manifest (plain JSON) unless there is one; returns the one that stands, as :meth:`manifest`.

        ``retain_ms``: how long the batch is kept when all its items are at rest; None: for ever.
        """
        ...

    def manifest(self, batch_id: str) -> dict[str, Any] | None:
        """The manifest, ``created`` in ms, ``total`` and ``content`` (None before the seal); None: no such batch.

        ``retain``, as it was opened with; ``ended``: ms when its items came to rest, else None; ``dropped``: it is being
        deleted.

        ``pinned``: the version of the graph that takes its items; ``fp`` of the manifest, until :meth:`repin`.
        """
        ...

    def repin(self, batch_id: str, fingerprint: str) -> None:
        """From now on this version of the graph takes the items of the batch, if there is one."""
        ...

    def seal(self, batch_id: str, total: int, content: str) -> str:
        """No more items come.

        Returns:
            The digest of the content that the batch is sealed with: that of whoever was first. '': there is no such
            batch (any more).
        """
        ...

    def ids(self, *, most: int = 100) -> list[str]:
        """The newest batches, newest first."""
        ...

    def active(self) -> list[str]:
        """Batches that may have items to take, by id."""
        ...

    def finish(self, batch_id: str) -> None:
        """All its items are at rest: workers need not look at it any more, and its time begins, unless it has begun."""
        ...

    def reopen(self, batch_id: str) -> bool:
        """It has items again: its time has not begun. False, and nothing changes: it is gone, or being deleted."""
        ...

    def over(self, now_ms: int, *, most: int) -> list[str]:
        """At most so many batches whose time is over; and those that somebody began to delete and does no more."""
        ...

    def drop(self, batch_id: str, owner: str, *, expired: bool = False) -> Answer:
        """Begin to delete a batch, or go on with it; ``expired``: only if its time is over, which is remembered.

        It is at nobody's hands any more: it cannot be reopened.

        Returns:
            ``ok``: it is ``owner``'s to delete, for 10 s after his last call; ``kept``: its time is not over; ``held``:
            somebody else deletes it; ``gone``: there is none.
        """
        ...

    def expired(self, batch_id: str) -> int | None:
        """The ms at which the time of a batch was over that was deleted for it; None: it was not, or long ago."""
        ...

    def chunks_in(self, batch_id: str, partition: int) -> list[int]:
        """Chunks of it that were added to a partition, in order."""
        ...

    # ---- items

    def add(self, batch_id: str, chunk: int, digest: str, items: Sequence[bytes], *, due_ms: int) -> str:
        """Add a chunk: 1 to ``CHUNK`` items, the chunk's number deciding their indexes.

        Returns:
            ``new``; ``same``: it is there with this digest (so answers a repeat); ``conflict``: with another;
            ``cancelled``.
        """
        ...

    def chunk_digests(self, batch_id: str, chunks: Sequence[int]) -> list[str | None]:
        """Digests of chunks that are there, None for those that are not."""
        ...

    def take(self, batch_id: str, partition: int, slice_id: str, slot: str, k: int, *, sweep_ms: int) -> Taken | None:
        """Bind up to ``k`` ready items of one partition, neighbours of one chunk, to a slice; a suspect comes alone.

        Returns:
            What is bound to the slice; a repeat gives the same while the slice lives. None: nothing is ready, or the
            batch is paused or cancelled.
        """
        ...

    def next_flag(self, batch_id: str, partition: int) -> str:
        """The flag of the items that would be taken next; '' if there are none."""
        ...

    def epoch(self, batch_id: str, partition: int) -> str:
        """The epoch of the batch in one partition, which its cancellation ends; '' if nothing of it is there."""
        ...

    def ready(self, batch_id: str, partition: int) -> bool:
        """Whether the partition has items that nobody has taken."""
        ...

    def ready_partitions(self, batch_id: str) -> list[int]:
        """Partitions that have items nobody has taken; first those whose next items were taken before."""
        ...

    def items(self, batch_id: str, taken: Taken) -> list[bytes]:
        """The inputs of the taken items."""
        ...

    def lines(self, batch_id: str, indexes: Sequence[int]) -> list[dict[bytes, bytes]]:
        """The whole lines of items that were taken before; empty for one that was never advanced."""
        ...

    def settled_items(self, batch_id: str, taken: Taken) -> set[int]:
        """Indexes among the taken that have a row, or go on as runs of their own."""
        ...

    # ---- slices

    def commit(
        self, batch_id: str, slice_id: str, slot: str, taken: Taken, steps: Sequence[ItemStep], *, last: bool
    ) -> list[bool] | None:
        """Apply one superstep of these items. Each is a compare-and-set of its own on its head checkpoint.

        An item that has a row, or goes on as a run of its own, takes no step; nor does one its second in a call. A row
        is counted once; it ends the item's line, unless it failed. The chunk's input goes when all its items are done.

        A step of kind ``own`` changes nothing: it asks whether the item went on as a run of its own, or has its row.

        ``last``: the slice ends with this, if no item is refused, and each item of the slice has its row, or is promoted
        or asked for as ``own`` in this call. A server that was rolled back may have forgotten items that the caller takes
        for done: they must not be lost with the slice.

        Returns:
            Whether each was applied (a repeat says so too: it is known by the new head, the row, or the run at that head),
            and with ``last`` whether the slice has ended; None if the batch was cancelled.
        """
        ...

    def slices(self, batch_id: str, partition: int) -> dict[str, tuple[str, Taken]]:
        """Slice id -> (slot, taken items) of one partition; without the epoch."""
        ...

    def slice_of(self, batch_id: str, partition: int, slice_id: str) -> tuple[str, Taken] | None:
        """(slot, taken items) of one slice, without the epoch; None if it has ended."""
        ...

    def give_back(
        self,
        batch_id: str,
        slice_id: str,
        slot: str,
        taken: Taken,
        flag: Literal["r", "a"] = "r",
        *,
        crashed: int | None = None,
        allowed: int = 3,
        row: bytes = b"",
    ) -> Answer:
        """End a slice before its items: those that have not settled are ready again, before all others.

        Nothing is if the batch was cancelled. An item has settled if it has its row, or goes on as a run of its own, in
        this very moment: a server that was rolled back may have forgotten what the caller saw.

        ``flag``: r, they were taken before; a, they are suspects of a worker's death.

        ``crashed``: the item a crash is counted for, unless it has settled. It is ready after the others, as a suspect
        (flag a) or as one that has crashed (flag r). The first one of a suspect counts as two, for the death that made it one
        was its own too. At ``allowed`` crashes it gets ``row`` instead, and is among the dead.

        Returns:
            ``ok`` or ``quarantined`` with the crashes counted for the item (0: none was); ``stale`` if the slice is not
            this slot's any more. Of each partition the last answer is remembered for a repeat.
        """
        ...

    def got_on(self, batch_id: str, slice_id: str, slot: str, taken: Taken) -> bool:
        """Forget the crashes of the one item of a slice, that which made it a suspect included: it has got on.

        Returns:
            Whether the slot has the slice. A repeat says so too.
        """
        ...

    # ---- as a whole

    def counts(self, batch_id: str) -> BatchCounts:
        """The batch's counters, summed over the partitions. Not one moment's view."""
        ...

    def control(self, batch_id: str, what: Literal["cancel", "pause", "continue"], name: str = "") -> None:
        """Change every partition, one after the other. Cancelled is final: later commits and chunks are refused.

        ``name``: of the pause, by which :meth:`counts` tells it from others while it stands.
        """
        ...

    def on_their_own(self, batch_id: str) -> list[int]:
        """Indexes of items that go on as runs of their own and are owed a look, in order. Not one moment's view."""
        ...

    def asking(self, batch_id: str) -> list[int]:
        """Indexes of items whose runs wait for an answer, in order. Not one moment's view."""
        ...

    def retry_failed(self, batch_id: str, chunks: int, only: Sequence[int] | None = None) -> int:
        """Make all failed items ready again, chunk by chunk, their crashes forgotten; nothing of a cancelled batch.

        ``only``: indexes; of those that failed the others stay.

        Returns:
            How many. A repeat finds none.
        """
        ...

    def rows(self, batch_id: str, chunk: int) -> dict[int, bytes]:
        """Index -> row of one chunk's finished items."""
        ...

    def all_rows(self, batch_id: str, chunks: int) -> Iterator[tuple[int, bytes]]:
        """(index, row) of finished items, chunk by chunk in order of index."""
        ...

    def delete_items(self, batch_id: str, chunks: Sequence[int]) -> None:
        """Delete the items of these chunks, with their rows, runs and lines: of a batch where nothing runs any more."""
        ...

    def delete(self, batch_id: str, chunks: int) -> None:
        """Delete a batch and everything of it, its items' runs and lines included. In parts: may be called again."""
        ...
