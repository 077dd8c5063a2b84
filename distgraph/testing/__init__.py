"""A whole cluster in one process, for tests: no server, no worker processes, and a clock that the test turns.

    from distgraph.testing import InProcessCluster

    cluster = InProcessCluster([graph], slots=2, seed=7)
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert run.result() == {"x": 2}

The drivers, the sweep, the client and the rules of the ledger are the real ones; ledger and broker are their in-process
kinds. Everything that could be left to chance is decided by the seed, so that what fails once fails again. Hints may be
lost, repeated, delayed and reordered (``Faults``); slots may die or stall at any of their steps (``crash_at``, ``stall_at``).
"""

from __future__ import annotations

from distgraph.testing.broker import Broker, Faults
from distgraph.testing.clock import Clock
from distgraph.testing.cluster import InProcessCluster
from distgraph.testing.slots import Slot, SlotDied, die

__all__ = ["Broker", "Clock", "Faults", "InProcessCluster", "Slot", "SlotDied", "die"]
