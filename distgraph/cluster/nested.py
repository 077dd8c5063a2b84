"""Graphs that a node on a worker runs: their checkpoints, and who may write them.

A nested graph runs inside its node's task, in the engine, with the cluster's lines as its saver: the keys, namespaces and
writes that a graph in process leaves with a saver on the same server. So what has finished in there does not run again,
whoever makes the next attempt, and what was asked in there waits for its answer.

Two attempts of one task may be at work at once, when the first was taken for dead. The line of a nested graph belongs
to the attempt that opened it last; what the other one stores is refused, and it stops as superseded. That is no failure
and no attempt: the task is looked at again later, in case the other one dies too. Who is refused altogether finds out
when it opens a line: the run has gone on, or ended, and nothing is written after the lines were dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

from distgraph.checkpoint.base import CheckpointTuple
from distgraph.checkpoint.line_saver import LineSaver
from distgraph.constants import NS_END, NS_SEP
from distgraph.errors import GraphBubbleUp
from distgraph.ledger.contract.lines import NestedLines
from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Address
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Task
from distgraph.wire import Codec

#: After how long the task of a superseded attempt is looked at again. Seconds.
LATER = 1.0


class Superseded(GraphBubbleUp):
    """Another attempt of this task is at work, or the run has gone on without it."""


class Later(float):
    """Seconds until a task is tried again whose attempt does not count."""


class Attempt(NamedTuple):
    """One attempt of a task that may run graphs.

    Attributes:
        name: makes its name, when it is first needed: no other attempt has it.
        address: the run.
        head: the checkpoint that the task was planned from.
        epoch: of the run; '' for a batch item in a slice.
        store_head: sees that the ledger has that checkpoint: the lines hang on it. False: the run is somebody else's.
    """

    name: Callable[[], bytes]
    address: Address
    head: str
    epoch: str
    store_head: Callable[[], bool]


class NestedSaver(LineSaver):
    """The saver of graphs that nodes run, for one slot: it serves one attempt at a time.

    Args:
        lines: of the ledger.
        codec: of the outer graph.
    """

    def __init__(self, lines: NestedLines, codec: Codec) -> None:
        super().__init__(lines, codec)
        self._nested = lines
        self._attempt: Attempt | None = None
        self._held: dict[Place, str] = {}
        self._lost = False
        self._opening = Lock()
        #: What graphs have told that is not stored yet, by namespace, and what makes one entry of it.
        self._told: dict[str, list[Any]] = {}
        self._entry: Callable[[list[Any]], bytes] | None = None

    def another(self) -> NestedSaver:
        """One like this, for an attempt beside others."""
        return NestedSaver(self._nested, self.codec)

    def begin(self, attempt: Attempt) -> None:
        """From now on ``attempt`` is at work."""
        self._attempt, self._held, self._lost = attempt, {}, False
        self._told.clear()

    def end(self) -> bool:
        """The attempt has ended: whether it has run a graph.

        Raises:
            Superseded: another one took its place. Also where the node caught that: what it made of it does not count.
        """
        self._attempt = None
        if self._lost:
            raise Superseded("another attempt of this task is at work")
        return bool(self._held)

    def tells(self, ns: tuple[str, ...]) -> bool:
        """Whether a graph in ``ns`` keeps its checkpoints here: what it tells goes with them."""
        wanted = NS_SEP.join(ns)
        return any(place.ns == wanted for place in [*self._held])

    def tell(self, ns: tuple[str, ...], chunk: Any, entry: Callable[[list[Any]], bytes]) -> None:
        """Tell the run's readers when what is told is stored. ``entry`` makes one entry of the log of several chunks."""
        self._entry = entry
        self._told.setdefault(NS_SEP.join(ns), []).append(chunk)

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        found = config["configurable"]
        self._hold(Place(str(found["thread_id"]), found.get("checkpoint_ns") or ""))
        return super().get_tuple(config)

    def _hold(self, place: Place) -> None:
        with self._opening:
            attempt = self._attempt
            if place in self._held:
                return
            if attempt is None or not attempt.store_head():
                self._lose(place)
            assert attempt is not None
            name = self._held[place] = next(iter(self._held.values()), "") or attempt.name().decode()
            answer = self._nested.hold(place, name, attempt.address, attempt.head, attempt.epoch)
            if answer.kind != "ok":
                self._lose(place)

    def _store(self, changes: Sequence[Change]) -> None:
        for change in changes:
            holder = self._held.get(change.place)
            if holder is None:
                # Of an attempt that was left behind in an OS thread, or of one that never opened the line.
                self._lose(change.place)
            change.holder = str(holder)
            chunks = self._told.pop(change.place.ns, None)
            if chunks and self._entry is not None and self._attempt is not None:
                change.run_id, change.entries = self._attempt.address.run_id, [self._entry(chunks)]
        for place, answer in self._nested.put(changes):
            if answer.kind != "ok":
                self._lose(place)

    def _lose(self, place: Place) -> None:
        self._lost = True
        raise Superseded(
            f"thread {place.thread_id!r}, namespace {place.ns!r}: another attempt is at work, or none is wanted"
        )


def drop_nested(lines: NestedLines, thread_id: str, *, histories: bool) -> None:
    """Delete the lines of graphs nested in a thread that no task will come back to.

    Args:
        lines: of the ledger.
        thread_id: the thread.
        histories: also those of graphs with a history of their own (``checkpointer=True``), which outlive their task.
    """
    found = [ns for ns in lines.nested(thread_id) if histories or NS_END in ns]
    if found:
        lines.drop_nested(thread_id, found)


def known_answers(before: Sequence[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Answers to what a task asked, as a run's record keeps them.

    Args:
        before: to its own questions, in call order.
        given: interrupt id -> answer, to its own next question or to those of graphs it runs.
    """
    return {"before": [*before], "given": {**given}}


def whose_answers(task: Task, known: Any) -> tuple[list[Any], dict[str, Any]]:
    """``known_answers`` told apart: (to the task's own questions, interrupt id -> to those of graphs it runs)."""
    if not known or isinstance(known, list):
        # A run that was answered by a release that knew of a task's own questions alone.
        return known or [], {}
    own, nested = list(known["before"]), {}
    for iid, answer in known["given"].items():
        index = next((n for n in range(len(own) + 1) if interrupt_id(task.checkpoint_ns, n) == iid), None)
        if index is None:
            nested[iid] = answer
        else:
            own = [*own[:index], answer]
    return own, nested
