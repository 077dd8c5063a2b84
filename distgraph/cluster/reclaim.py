"""Taking over what a slot holds that has ended, or cannot go on.

Rights save work and decide nothing: taking one from a slot that lives after all costs work and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from distgraph.cluster.attempt import note_of
from distgraph.cluster.failures import describe
from distgraph.cluster.hints import BatchHint, Dispatcher, Hint, RunHint
from distgraph.cluster.limits import OUTER
from distgraph.cluster.liveness import BESIDE, Called
from distgraph.cluster.registry import Registry
from distgraph.cluster.rows import result_row
from distgraph.cluster.workplace import BESIDE_OTHERS, CRASHES_ALLOWED, TREE_DIED
from distgraph.errors import PoisonTaskError
from distgraph.ledger.batches import BatchLedger
from distgraph.ledger.keys import CHUNK, split_item
from distgraph.ledger.replies import Address, Taken
from distgraph.ledger.runs import RunLedger

log = logging.getLogger(__name__)


class Reclaimer:
    """Takes rights away from slots, so that others can go on."""

    def __init__(self, runs: RunLedger, batches: BatchLedger, registry: Registry, dispatcher: Dispatcher) -> None:
        self.runs, self.batches, self.registry, self.dispatcher = runs, batches, registry, dispatcher

    def note_late(self, what: str) -> bool:
        """Note that a call has exceeded its time limit, before it is stopped for that; not where it is its run's limit.

        Args:
            what: what its slot's row says.

        Returns:
            Whether it is known whose limit it was. Of calls that run beside each other any may be the one that lets no
            other go on, and is not the one that must end first: nothing is noted, and all of them are suspects.
        """
        called = Called.of(what)
        if called is None or called.limit == OUTER:
            return True
        if what.startswith(BESIDE):
            return False
        thread = called.other if called.kind == "n" else called.run_id
        note = self.registry.plain_codec().encode(called.limit)
        self.runs.effect(Address(called.run_id, thread), note_of(called.key, called.attempt), note)
        return True

    def bury(self, slot: str, what: str, *, crashed: bool = True, why: str = "") -> None:
        """Free what a slot held that has ended.

        Args:
            slot: the slot.
            what: what its row said last, hence the culprit, unless others ran beside it.
            crashed: False where it was stopped, not killed by what it ran.
            why: what it died of.
        """
        called, named = Called.of(what), not what.startswith(BESIDE)
        if called is None:
            kind, _, rest = what.partition(":")
            name, _, thread = rest.partition("\n")
            if kind == "h":
                self.reclaim(Address(name, thread), slot, crashed=crashed, why=why)
            elif kind == "b":
                self.reclaim_slices(name, slot, crashed=crashed)
        elif called.kind == "n":
            reason = _at(called, why) if named else f"{why or 'it died'}{BESIDE_OTHERS}"
            self.reclaim(Address(called.run_id, called.other), slot, crashed=crashed, why=reason)
        elif (item := split_item(called.run_id)) is not None:
            batch_id, index = item
            partition = self.runs.keys.chunk_partition(batch_id, index // CHUNK)
            found = self.batches.slice_of(batch_id, partition, called.other)
            if found is not None and found[0] == slot:
                culprit, reason = (index if crashed and named else None), _at(called, why)
                self.reclaim_slice(batch_id, called.other, slot, found[1], culprit, crashed=crashed, why=reason)

    def reclaim(self, address: Address, slot: str, *, crashed: bool, task_id: str = "", why: str = "") -> None:
        """Take a dead slot's rights to a run away, and hint what it held: in a long queue nobody would come by soon."""
        freed, crashes = self.runs.reclaim(address, slot, crashed=crashed, task_id=task_id, why=why)
        if not freed:
            return
        log.warning("run %s: took over from slot %s (crashes counted: %s)", address.run_id, slot, crashes)
        partition = self.runs.keys.partition(address.thread_id)
        graph, fingerprint, plan = self.runs.peek(partition, address.run_id, ("graph", "fp", "plan"))
        if graph:
            hint = RunHint(address.run_id, address.thread_id, graph, fingerprint, again=plan not in ("", "0"))
            self.publish([hint], first=True)

    def reclaim_slices(self, batch_id: str, slot: str, *, crashed: bool = True) -> None:
        """Take over whatever a slot holds of a batch that has ended, or lets go; nobody is named."""
        for partition in range(self.runs.keys.partitions):
            for slice_id, (holder, taken) in self.batches.slices(batch_id, partition).items():
                if holder == slot:
                    self.reclaim_slice(batch_id, slice_id, slot, taken, crashed=crashed)

    def reclaim_slice(
        self,
        batch_id: str,
        slice_id: str,
        slot: str,
        taken: Taken,
        culprit: int | None = None,
        *,
        crashed: bool = True,
        why: str = "",
    ) -> None:
        """Make a dead slot's unfinished items ready again; which these are, the ledger decides.

        Args:
            batch_id: the batch.
            slice_id: its slice.
            slot: the dead slot, which must still hold the slice.
            taken: the slice's items.
            culprit: the item that ran when the process died, if it is known. Without one all items are suspects and
                run alone. A crash is counted for who is named, and for who was by itself: it was a suspect, or had crashed.
            crashed: False where the slot was stopped, not killed by what it ran: nobody is suspect.
            why: what it died of; without one its whole worker died.
        """
        alone = culprit
        if alone is None and taken.flag in ("a", "c"):
            alone = taken.chunk * CHUNK + taken.start
        alone = alone if crashed else None
        row = b"" if alone is None else self._quarantine(batch_id, alone, why)
        flag = "a" if crashed and culprit is None else "r"
        answer = self.batches.give_back(
            batch_id, slice_id, slot, taken, flag, crashed=alone, allowed=CRASHES_ALLOWED, row=row
        )
        told = f"items {taken.start} to {taken.stop - 1} of chunk {taken.chunk}"
        log.warning("batch %s: %s taken over from slot %s (%s)", batch_id, told, slot, answer.kind)
        self.hint_batch(batch_id, 1, first=True)

    def _quarantine(self, batch_id: str, index: int, why: str) -> bytes:
        error = poison(f"Item {index} of batch {batch_id!r}", CRASHES_ALLOWED, why, "the failed items")
        return result_row("f", b"", self.registry.plain_codec().encode(describe(error)))

    def hint_batch(self, batch_id: str, count: int, *, first: bool = False) -> None:
        """Hint items of a batch so many times."""
        manifest = self.batches.manifest(batch_id)
        if manifest is not None:
            self.publish([BatchHint(batch_id, manifest["graph"], manifest["pinned"])] * count, first=first)

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints."""
        self.dispatcher.publish(hints, first=first)


def poison(what: str, crashes: int, why: str, again: str = "it") -> PoisonTaskError:
    """Why something was quarantined that killed its process too often."""
    error = PoisonTaskError(
        f"{what} was quarantined: {crashes} worker processes died while it ran; the last one: {why or TREE_DIED}. Look at "
        f"what its nodes do to their process (memory, os._exit, native code), then retry {again}."
    )
    error.reason, error.crashes, error.node = why or TREE_DIED, crashes, _node(why)
    return error


def _at(called: Called, why: str) -> str:
    return f"{why or 'it died'}, in node {called.node!r}"


def _node(why: str) -> str:
    """The node that ``_at`` named."""
    return why.rpartition(", in node ")[2].strip("'\"") if ", in node " in why else ""
