"""Slots that live and are not at what the ledger says they hold.

A server that lost power, or was rolled back, remembers leases, claims and slices that were given back since: by slots that
live, so that nobody would take them away. What slots work at is told in beats; three beats have to say that a slot is at
something else, for the first may be from before it took this, and the second may have been on its way. Who is wrongly
suspected loses work and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distgraph.cluster.liveness import works_at
from distgraph.ledger.replies import Due

#: Beats that have to agree.
BEATS = 3


class Suspects:
    """What one sweeper suspects."""

    def __init__(self) -> None:
        #: Worker -> its latest beat, and what its slots work at that are busy. Workers that do not tell are not in it.
        self._told: dict[str, tuple[Any, Mapping[str, str]]] = {}
        #: What is suspected, since when: (partition, entry) -> slot -> the beats that said so.
        self._known: dict[tuple[int, Due], dict[str, set[Any]]] = {}
        self._before: dict[str, set[Any]] = {}

    def listen(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the records of the workers that live."""
        told = {boot: record for boot, record in workers.items() if "works" in record}
        self._told = {boot: (record["beat"], record["works"]) for boot, record in told.items()}

    def among(self, partition: int) -> list[Due]:
        """Entries of a partition that are to be looked at again, though nobody is due to."""
        return [due for at, due in self._known if at == partition]

    def begin(self, partition: int, due: Due) -> None:
        """An entry is looked at: who does not hold it any more is suspected no longer."""
        self._before = self._known.pop((partition, due), {})

    def suspected(self, partition: int, due: Due) -> bool:
        """Whether somebody is suspected who holds this entry or parts of it."""
        return (partition, due) in self._known

    def proven(self, partition: int, due: Due, slot: str, run_id: str) -> bool:
        """Whether ``slot`` certainly is not at the entry's run or slice; suspect it if that is not certain yet."""
        beat, works = self._told.get(slot.partition(":")[0], (None, {}))
        if beat is None or works_at(works.get(slot, ""), run_id, due.part if due.kind == "slice" else ""):
            return False
        beats = self._before.get(slot, set()) | {beat}
        if len(beats) >= BEATS:
            return True
        self._known.setdefault((partition, due), {})[slot] = beats
        return False
