"""Sleeps of the tasks of one run: which are over, and how long the others go on.

In one process whoever runs a task waits; with a saver each sleep is stored with its task's writes when it begins, so
that a run that was killed and goes on does not sleep again what was slept. A cluster has a kind of its own, where
nobody waits: the task is given back to the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from distgraph.constants import NS_END, NS_SEP, SLEEP
from distgraph.errors import GraphSleep
from distgraph.superstep.identity import path_key
from distgraph.superstep.model import Task
from distgraph.types import Write

#: Makes the saver's call that stores what a task wrote; None where nothing is stored.
Storing = Callable[[Task, list[Write]], Any]


class Naps:
    """The sleeps of one run in one process.

    Attributes:
        waits: whoever runs a task waits for the end of its sleep; else the sleep is on its way up, to whoever can.
    """

    waits = True

    def __init__(self, storing: Storing | None = None) -> None:
        self._storing = storing
        self._ends: dict[str, dict[str, float]] = {}

    def load(self, task_id: str, ends: dict[str, float]) -> None:
        """Take over what was stored for a task: name -> seconds since the epoch."""
        self._ends[task_id] = dict(ends)

    def nap(self, task: Task, asleep: GraphSleep) -> None:
        """``task`` wants to sleep: nothing, if it has slept that.

        Raises:
            GraphSleep: ``asleep``, if it has not.
        """
        end = self._ends.get(task.id, {}).get(asleep.key)
        if end is None or end > time():
            raise asleep

    def begin(self, task: Task, asleep: GraphSleep) -> Any:
        """``task`` begins to sleep, or goes on with that: the saver's call that is due, or None."""
        ends = self._ends.setdefault(task.id, {})
        if asleep.key in ends:
            return None
        ends[asleep.key] = asleep.until if asleep.until is not None else time() + (asleep.seconds or 0.0)
        return self._storing(task, [(SLEEP, dict(ends))]) if self._storing is not None else None

    def left(self, task: Task, asleep: GraphSleep) -> float:
        """Seconds until ``task`` wakes."""
        return max(0.0, self._ends[task.id][asleep.key] - time())


def stable_name(task: Task, key: str) -> str:
    """A sleep's name that every attempt finds again, also where the graph is nested in a node that starts anew.

    Ids of tasks of nested graphs are new each time, all but that of the node at the root: it is planned from what is
    stored.
    """
    root, *nested = task.ns.split(NS_SEP)
    names = [part.split(NS_END)[0] for part in nested]
    return NS_SEP.join([root, *names, str(task.step), path_key(task.path), key])
