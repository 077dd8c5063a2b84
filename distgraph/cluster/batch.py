"""A batch: many runs submitted together, from the submitter's side."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import BatchHint
from distgraph.cluster.rows import item_key, naming, split_row
from distgraph.errors import BatchLostError, WaitTimeoutError
from distgraph.ledger.keys import CHUNK, item_id
from distgraph.ledger.replies import Address, BatchCounts
from distgraph.superstep.lifecycle import RunStatus
from distgraph.wire import Codec

if TYPE_CHECKING:
    from distgraph.cluster.client import Cluster
    from distgraph.cluster.submission import Submission
    from distgraph.types import Interrupt

#: Waits between looks at a batch grow from the first to the last. Seconds.
POLL = (0.02, 0.5)


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Where a batch stands.

    Attributes:
        total: items submitted so far (all of them once ``sealed``).
        running: items some worker has taken.
        queued: items nobody has taken yet.
        sealed: no more items come.
        rate: items that came to rest, per second; None before the first.
        eta: seconds until all are at rest, at that rate; None where that cannot be told.
        persistence: what a power loss can cost: memory, standard or fsync.
        interrupted: items whose runs wait for an answer, and hold no worker.
    """

    total: int
    done: int
    failed: int
    cancelled: int
    running: int
    queued: int
    sealed: bool
    rate: float | None
    eta: float | None
    persistence: str
    interrupted: int = 0

    @property
    def finished(self) -> bool:
        """Every item is at rest."""
        return self.sealed and self.done + self.failed + self.cancelled >= self.total

    @property
    def waits(self) -> bool:
        """Every item is at rest or waits for an answer: nothing more happens by itself."""
        return self.sealed and self.done + self.failed + self.cancelled + self.interrupted >= self.total


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item at rest, or one that waits for an answer.

    Attributes:
        index: its place in the submission, from 0.
        key: what ``submit_batch(key=)`` made of it, or None.
        run_id: its run's id.
        status: "done", "failed", "cancelled" or "interrupted".
        value: the graph's output, if done.
        error: type, message, node, traceback and more as a dict, if failed.
        interrupts: what it asks, if interrupted: ``cluster.run(run_id).resume(answer)`` lets it go on.
    """

    index: int
    key: Any
    run_id: str
    status: str
    value: Any = None
    error: dict[str, Any] | None = None
    interrupts: tuple[Interrupt, ...] = ()


class Batch:
    """One batch. Cheap to make; every method asks the ledger.

    It knows what it was told: a server that was rolled back, and has lost a part of the batch, is found out by the next
    look (``status``, ``wait``, ``results``). The handle of the submitter sends again what was lost, if it was given a list
    or a tuple of items; any other raises BatchLostError.
    """

    def __init__(
        self,
        cluster: Cluster,
        batch_id: str,
        codec: Codec,
        manifest: Mapping[str, Any],
        submission: Submission | None = None,
    ) -> None:
        self._cluster, self._codec, self._manifest, self._submission = cluster, codec, manifest, submission
        self._ledger = cluster.ledger.batches
        self.batch_id = batch_id
        self._seen: list[tuple[float, int]] = []
        #: What was told before, and must not be less later: of how many items it is, how many of them were done.
        self._total_told: int | None = manifest["total"] if submission is None else submission.total
        self._done_told = 0
        #: Names of pauses that were seen, and of those that were ended.
        self._pauses: set[str] = set()
        self._pauses_over: set[str] = set()

    def __repr__(self) -> str:
        return f"Batch({self.batch_id!r})"

    @property
    def graph(self) -> str:
        """Name of the graph that its items run through."""
        return str(self._manifest["graph"])

    @property
    def submitted(self) -> datetime:
        """When its submission began, in UTC."""
        return datetime.fromtimestamp(self._manifest["created"] / 1000, UTC)

    # ------------------------------------------------------------- looking

    def status(self) -> BatchStatus:
        """Count the items by where they stand.

        Raises:
            BatchNotFoundError: it is not there any more.
            BatchLostError: the server has lost a part of it, which this handle cannot send again.
        """
        manifest, counts = self._look()
        sealed = manifest["total"] is not None or "cancelled" in counts.states
        total = counts.total if manifest["total"] is None else int(manifest["total"])
        rested = counts.done + counts.failed
        if "cancelled" in counts.states:
            cancelled, queued, interrupted, running = total - rested, 0, 0, 0
        else:
            cancelled, queued, interrupted = counts.cancelled, counts.ready, counts.asking
            running = max(0, total - rested - cancelled - queued - interrupted)
        rate = self._rate(rested, manifest, total)
        left = total - rested - cancelled - interrupted
        return BatchStatus(
            total=total,
            done=counts.done,
            failed=counts.failed,
            cancelled=cancelled,
            running=running,
            queued=queued,
            interrupted=interrupted,
            sealed=sealed,
            rate=rate,
            eta=left / rate if rate and sealed else None,
            persistence=self._cluster.persistence,
        )

    def _look(self) -> tuple[Mapping[str, Any], BatchCounts]:
        """Manifest and counters. What a server that was rolled back has lost is told it again, or said."""
        manifest, counts = self._read()
        lost = self._lost(manifest, counts)
        if lost and self._submission is not None and self._submission.send_again():
            self.hint()
            manifest, counts = self._read()
            lost = self._lost(manifest, counts)
        if lost:
            raise BatchLostError(
                f"Batch {self.batch_id!r}: the server was rolled back and has lost a part of it: {lost}. Submit the same "
                f"items again with batch_id={self.batch_id!r}: those that are still there are not sent twice."
            )
        if manifest["total"] is not None:
            self._total_told = int(manifest["total"])
        self._done_told = max(self._done_told, counts.done)
        self._pauses_over |= self._pauses - counts.pauses
        self._pauses |= counts.pauses
        if self._pauses_over & counts.pauses:
            # It was ended, and the server has forgotten that.
            self.unpause()
            counts = self._ledger.counts(self.batch_id)
        return manifest, counts

    def _read(self) -> tuple[Mapping[str, Any], BatchCounts]:
        manifest = self._ledger.manifest(self.batch_id)
        if manifest is None:
            raise self._cluster.no_batch(self.batch_id)
        return manifest, self._ledger.counts(self.batch_id)

    def _lost(self, manifest: Mapping[str, Any], counts: BatchCounts) -> str:
        """What of the batch the server has lost; '' if nothing, or it is cancelled and takes no more."""
        sealed: int | None = manifest["total"]
        total = self._total_told if sealed is None else sealed
        if total is None or "cancelled" in counts.states or (sealed is not None and counts.total >= sealed):
            return ""
        # Whoever deletes it takes its items first.
        now = self._ledger.manifest(self.batch_id)
        if now is None:
            raise self._cluster.no_batch(self.batch_id)
        if now["dropped"]:
            return ""
        return f"{counts.total} of {total} items are there" if counts.total < total else "it waits for more items"

    def _rate(self, rested: int, manifest: Mapping[str, Any], total: int) -> float | None:
        """Items per second: over the last seconds of watching, or since the submission."""
        now = time.monotonic()
        self._seen = [(at, count) for at, count in self._seen if now - at < 10][-200:]
        self._seen.append((now, rested))
        began, before = self._seen[0]
        span = now - began
        if span > 0.5 and rested > before:
            return (rested - before) / span
        age = self._cluster.now_ms() / 1000 - manifest["created"] / 1000
        return rested / age if rested and age > 0 and rested < total else None

    def wait(self, timeout: float | None = None) -> BatchStatus:
        """Wait until every item is at rest or waits for an answer.

        Args:
            timeout: seconds; None waits as long as it takes.

        Returns:
            Where it stands then: ``finished``, or with items that are ``interrupted``.

        Raises:
            WaitTimeoutError: some are not; the batch goes on.
            BatchNotFoundError, BatchLostError: as ``status``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = POLL
        while True:
            status = self.status()
            if status.finished:
                self._ledger.finish(self.batch_id)
            if status.waits:
                return status
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeoutError(
                    f"Batch {self.batch_id!r}: {status.done + status.failed} of {status.total} items are at rest after "
                    f"{timeout:g} s; it goes on."
                )
            self._cluster.pause(pause if left is None else max(0.0, min(pause, left)))
            pause = min(longest, pause * 1.3)

    # ------------------------------------------------------------- results

    def results(self, ordered: bool = False) -> Iterator[ItemResult]:
        """The items that are at rest or wait for an answer; all of them once ``wait`` has returned.

        Args:
            ordered: by index. (They come chunk by chunk in any case, so this costs nothing.)

        Raises:
            BatchNotFoundError, BatchLostError: as ``status``; at the end also if results are missing that were there.
        """
        manifest, counts = self._look()
        cancelled = "cancelled" in counts.states
        total = counts.total if manifest["total"] is None else int(manifest["total"])
        done = 0
        asking = self._ledger.asking(self.batch_id)
        for chunk in range(-(-total // CHUNK)):
            rows = self._ledger.rows(self.batch_id, chunk)
            first = chunk * CHUNK
            here = rows.keys() | {index for index in asking if index // CHUNK == chunk}
            for index in range(first, min(total, first + CHUNK)) if cancelled else sorted(here):
                if index in rows:
                    result = self._result(index, rows[index])
                    done += result.status == "done"
                    yield result
                elif cancelled:
                    yield ItemResult(index, None, item_id(self.batch_id, index), "cancelled")
                elif (run := self._run(index)).status() == RunStatus.INTERRUPTED:
                    key = self._key_of(index)
                    yield ItemResult(index, key, run.run_id, "interrupted", interrupts=run.interrupts())
        if done < self._done_told:
            if self._read()[0]["dropped"]:
                raise self._cluster.no_batch(self.batch_id)
            raise BatchLostError(
                f"Batch {self.batch_id!r}: {done} results are there, of {self._done_told} items that were done: the server "
                "was rolled back. Workers do the others again: wait(), and read the results again."
            )

    def interrupted(self) -> Iterator[RunHandle]:
        """The runs of items that wait for an answer; ``resume`` gives it."""
        for index in self._ledger.asking(self.batch_id):
            if (run := self._run(index)).status() == RunStatus.INTERRUPTED:
                yield run

    def _run(self, index: int) -> RunHandle:
        name = item_id(self.batch_id, index)
        return RunHandle(self._cluster, Address(name, name), self._codec)

    def failures(self) -> Iterator[ItemResult]:
        """The failed items with their errors."""
        return (result for result in self.results(ordered=True) if result.status == "failed")

    def item(self, index: int) -> ItemResult | None:
        """The result of one item; None while it is not at rest."""
        row = self._ledger.rows(self.batch_id, index // CHUNK).get(index)
        if row is None and "cancelled" in self._ledger.counts(self.batch_id).states:
            return ItemResult(index, None, item_id(self.batch_id, index), "cancelled")
        return None if row is None else self._result(index, row)

    def _result(self, index: int, row: bytes) -> ItemResult:
        with naming(f"Result of item {index} of batch {self.batch_id!r}"):
            kind, key, data = split_row(row)
            value = self._codec.decode(data) if data else None
            named = self._codec.decode(key) if key else None
        run_id = item_id(self.batch_id, index)
        if kind == "c":
            return ItemResult(index, self._key_of(index), run_id, "cancelled")
        if kind == "d":
            return ItemResult(index, named, run_id, "done", value=value)
        return ItemResult(index, named if key else self._key_of(index), run_id, "failed", error=value)

    def _key_of(self, index: int) -> Any:
        """The key of an item whose row was not written by its driver: its input, which is still there, has it."""
        from distgraph.ledger.replies import Taken

        offset = index % CHUNK
        found = self._ledger.items(self.batch_id, Taken(index // CHUNK, offset, offset + 1, "n", ""))
        key = item_key(found[0]) if found else b""
        with naming(f"Key of item {index} of batch {self.batch_id!r}"):
            return self._codec.decode(key) if key else None

    def _chunks(self) -> int:
        manifest, counts = self._read()
        return -(-max(manifest["total"] or 0, self._total_told or 0, counts.total) // CHUNK)

    # ------------------------------------------------------------- steering

    def cancel(self) -> None:
        """Stop the batch. Once this returns, no later superstep of any item is applied; results so far stay."""
        self._ledger.control(self.batch_id, "cancel")
        for index in self._ledger.on_their_own(self.batch_id):
            # Those that run find out with their next commit; nobody would tell those that sleep before they wake.
            name = item_id(self.batch_id, index)
            self._cluster.ledger.runs.control("cancel", Address(name, name), uuid.uuid4().hex)
        self._ledger.finish(self.batch_id)

    def pause(self) -> None:
        """Start no more items; those that run go on to their end."""
        self._ledger.control(self.batch_id, "pause", uuid.uuid4().hex)

    def unpause(self) -> None:
        """Start items again."""
        self._pauses_over |= self._ledger.counts(self.batch_id).pauses
        self._ledger.control(self.batch_id, "continue")
        self.hint()

    def retry_failed(self) -> int:
        """Run the failed items again, each from where it failed; how many."""
        return self._retry(None)

    def retry_item(self, index: int) -> bool:
        """Run one failed item again, from where it failed; False: it has not failed."""
        return self._retry([index]) == 1

    def _retry(self, only: list[int] | None) -> int:
        chunks = self._chunks()
        if not self._ledger.counts(self.batch_id).failed:
            return 0
        # before there is anything to do: its time must not be over while it works
        if not self._ledger.reopen(self.batch_id):
            raise self._cluster.no_batch(self.batch_id)
        again = self._ledger.retry_failed(self.batch_id, chunks, only)
        if again:
            self.hint()
        return again

    def delete(self) -> None:
        """Delete the batch: its items' runs, results, failures and checkpoints. One that still runs is cancelled first.

        Workers do the rest if this process dies in the middle.

        Raises:
            BatchNotFoundError: there is no such batch.
        """
        manifest, counts = self._read()
        if not counts.at_rest(manifest["total"]):
            self.cancel()
        chunks = self._chunks()
        self._ledger.drop(self.batch_id, uuid.uuid4().hex)
        # whoever still holds a slice of it, of a retry a moment ago, is refused from here on
        self._ledger.control(self.batch_id, "cancel")
        self._ledger.delete(self.batch_id, chunks)

    def hint(self) -> None:
        """Tell workers that there are items to take."""
        count = max(2, 2 * self._cluster.slot_count())
        hint = BatchHint(self.batch_id, self._manifest["graph"], self._manifest["pinned"])
        self._cluster.dispatcher.publish([hint] * min(count, 64))
