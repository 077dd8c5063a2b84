"""Hints: what travels through the broker. Ids only, in plain JSON; losing, repeating or delaying one does no harm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from distgraph.constants import PULL, PUSH
from distgraph.superstep.model import Task


class RunHint(NamedTuple):
    """Drive this run on.

    Attributes:
        hops: how many workers passed it on because they do not serve the graph.
        again: offer tasks anew that nobody runs: a sweep found the run without progress.
    """

    run_id: str
    thread_id: str
    graph: str
    fingerprint: str
    hops: int = 0
    again: bool = False


class NodeHint(NamedTuple):
    """Run these tasks of a superstep: (task id, path) each.

    Attributes:
        node: the node's name, or "node +n" for a pack of several; what Flower shows.
        step: the superstep, for people.
        queue: the queue the node asks for, or None for the namespace's own.
    """

    run_id: str
    thread_id: str
    graph: str
    fingerprint: str
    epoch: int
    head: str
    tasks: Sequence[tuple[str, Sequence[Any]]]
    node: str
    step: int
    queue: str | None = None
    hops: int = 0


class CallHint(NamedTuple):
    """Run tasks that a node has called, in a slot that has nothing else to do.

    Attributes:
        offer: names what is offered, see ``sharing``.
        node: the name of the first task's function; what Flower shows.
        step: the superstep, for people.
    """

    run_id: str
    thread_id: str
    graph: str
    fingerprint: str
    epoch: int
    head: str
    offer: str
    node: str
    step: int
    hops: int = 0


class BatchHint(NamedTuple):
    """Take items of this batch."""

    batch_id: str
    graph: str
    fingerprint: str
    hops: int = 0


Hint = RunHint | NodeHint | CallHint | BatchHint


def queue_name(namespace: str, queue: str | None = None) -> str:
    """The list that hints of a namespace wait in; ``queue`` for nodes that ask for one of their own."""
    return f"dg.{namespace}" if queue is None else f"dg.{namespace}.{queue}"


def path_text(task: Task) -> str:
    """A task's path and node as one text, as the ledger keeps it for a task that waits for its next attempt."""
    return f"={task.name}" if task.path[0] == PULL else f"{task.path[1]} {task.name}"


def path_from(text: str) -> tuple[str, tuple[Any, ...]]:
    """(node, path) from ``path_text``."""
    if text.startswith("="):
        return text[1:], (PULL, text[1:])
    index, _, node = text.partition(" ")
    return node, (PUSH, int(index), False)


class Dispatcher(Protocol):
    """The seam to the broker: delivers hints to some worker of the namespace, at least sometimes.

    A real kind publishes Celery messages; the in-process kind of ``distgraph.testing`` queues them.
    """

    def publish(self, hints: Sequence[Hint], *, first: bool = False) -> None:
        """Send hints.

        Args:
            hints: to send.
            first: to the head of their queues: what they stand for has waited its turn already.

        Raises:
            StoreError: the server that is broker and ledger cannot be reached; what is due is hinted again by a sweep.
        """
        ...

    def reachable(self) -> bool:
        """Whether hints arrive now, as far as can be told.

        They do not while a broker that is another server than the ledger's is away: what is published then is left to a
        sweep, and raises nothing.
        """
        ...

    def waiting(self, queue: str | None = None) -> int:
        """How many hints wait in the namespace's own queue, or in ``queue``, as far as the broker tells."""
        ...

    def expected(self, queue: str | None = None) -> frozenset[str] | None:
        """What waits in a queue as in ``waiting``: ids of runs and batches, and of the tasks of node hints.

        None where so much waits that nobody looks at each: what was hinted may be among it.
        """
        ...


#: So many hints are looked at, at most, to tell a lost one from one that is late.
MOST_EXPECTED = 64


def meant(hint: Hint) -> list[str]:
    """What a hint is for, as ``Dispatcher.expected`` tells it."""
    if isinstance(hint, NodeHint):
        return [task_id for task_id, _ in hint.tasks]
    return [hint[0]]
