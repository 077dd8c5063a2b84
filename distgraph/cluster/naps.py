"""Sleeps on a cluster: whoever sleeps is given back to the ledger, and nobody waits."""

from __future__ import annotations

from distgraph.cluster.shelves import of_ledger
from distgraph.engine.naps import Naps, stable_name
from distgraph.errors import GraphSleep
from distgraph.ledger.replies import Address
from distgraph.ledger.runs import RunLedger
from distgraph.superstep.model import Task


class LedgerNaps(Naps):
    """The sleeps of one run, whose times the ledger keeps by its own clock."""

    waits = False

    def __init__(self, runs: RunLedger, address: Address) -> None:
        super().__init__()
        self._runs, self._address = runs, address

    def nap(self, task: Task, asleep: GraphSleep) -> None:
        """Raise ``asleep``, under a name that holds for the whole run, unless that was slept."""
        key = stable_name(task, asleep.key)
        # The node that runs a nested graph is given back as a whole, for one of the sleeps in there. The others begin
        # now too: tasks beside each other sleep beside each other, not one after the other.
        ms, until = length(asleep)
        with of_ledger():
            slept = self._runs.slept(self._address, key, ms=ms if task.ns else None, until=until)
        if not slept:
            raise GraphSleep(key, asleep.seconds, asleep.until)


def length(asleep: GraphSleep) -> tuple[int, bool]:
    """(ms to sleep or ms since the epoch, whether it is the latter)."""
    if asleep.until is not None:
        return int(asleep.until * 1000), True
    return max(0, int((asleep.seconds or 0.0) * 1000)), False
