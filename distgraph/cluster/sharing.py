"""Tasks that a workflow has called and nobody has started, taken by slots that have nothing to do.

The caller's slot starts with the first, the others with the last. All that is shared are records of effects of the run:

    offer/<nonce>            the calls that one hint is about: function, path, namespace, arguments
    taken/<task>             the slot that runs it; saves work and decides nothing: of two results the first stands
    task/<task>              what it came to (see ``calls``)
    failed/<nonce>/<task>    its failure for good, for the caller that made this offer

A task that asks or sleeps goes back to its caller, which runs it again. One whose slot died is taken by its caller too:
hints may be lost, late or doubled, and slots may die, as long as the caller is there; and if not, the next attempt is.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from distgraph.cluster.failures import describe, rebuild
from distgraph.cluster.hints import CallHint
from distgraph.cluster.nested import Superseded
from distgraph.constants import PUSH
from distgraph.errors import CodecError, GraphBubbleUp, StoreError
from distgraph.func.task import TaskFunction
from distgraph.superstep.model import Checkpoint, Node, Task, is_finished
from distgraph.types import TaskPath, Write

if TYPE_CHECKING:
    from distgraph.cluster.calls import TaskCalls
    from distgraph.cluster.lane import Lane

log = logging.getLogger(__name__)

#: A caller works so long before its tasks are worth their way to others. Seconds.
IN_PLACE = 0.005
#: And offers more not sooner than this after the last ones. Seconds.
PAUSE = 0.05
#: Tasks of one hint, at most.
PACK = 32
#: Arguments of more bytes stay where they are.
MOST_BYTES = 65_536
#: How long a caller waits between two looks at a task that another slot runs: at first, at most. Seconds.
LOOK = (0.005, 0.1)
#: A slot is at a task no more that was not seen at its run for this long: two beats and a look. Seconds.
GONE = 1.5


class Sharing:
    """What one attempt of a caller shares. A batch item in a slice shares nothing: its batch is what others take from.

    Args:
        lane: of the run.
        calls: what is known of its tasks.
    """

    def __init__(self, lane: Lane, calls: TaskCalls) -> None:
        self._lane, self._calls, self._place = lane, calls, lane.place
        self.possible = bool(lane.epoch) and lane.place.at_run is not None and lane.options.placement != "local"
        #: Task id -> the nonce of its offer.
        self._offers: dict[str, str] = {}
        #: What this slot has taken and not finished.
        self._taken: dict[str, Task] = {}
        self._begins = lane.place.monotonic() + (0.0 if lane.options.placement == "spread" else IN_PLACE)
        self._lock = Lock()

    def wanted(self) -> bool:
        """Whether now is a time to offer."""
        return self.possible and self._place.monotonic() >= self._begins and self._place.idle() > 0

    def offer(self, unstarted: Callable[[Callable[[Task], bool]], list[Task]]) -> None:
        """Offer tasks to other slots.

        Args:
            unstarted: given a test, the tasks that nobody has started and that pass it; whatever passes is claimed by
                whoever runs it from then on.
        """
        with self._lock:
            if not self.wanted():
                return
            self._begins = self._place.monotonic() + PAUSE
            tasks = unstarted(self._note)[::-1]
            size = max(1, min(PACK, len(tasks) // 8))
            try:
                for at in range(0, len(tasks), size):
                    self._send(tasks[at : at + size])
            except StoreError as exc:
                log.warning("run %s: its tasks are not offered: %s", self._lane.ctx.run_id, exc)

    def _note(self, task: Task) -> bool:
        if task.id in self._offers or named(task.node) is None:
            return False
        self._offers[task.id] = ""
        return True

    def _send(self, tasks: Sequence[Task]) -> None:
        lane, codec = self._lane, self._lane.served.codec
        nonce, calls = self._place.nonce().decode(), []
        for task in tasks:
            call = [named(task.node), list_of(task.path), task.ns, task.arg]
            try:
                small = len(codec.encode(call)) <= MOST_BYTES
            except CodecError:
                continue
            if small:
                self._offers[task.id] = nonce
                calls.append(call)
        if not calls:
            return
        # Graphs that they run leave lines elsewhere.
        lane.nested = True
        self._calls.effects.put(f"offer/{nonce}", calls)
        served, ctx = lane.served, lane.ctx
        where = (ctx.run_id, str(ctx.thread_id), served.name, served.fingerprint, int(lane.epoch), lane.stored.id)
        self._place.dispatcher.publish([CallHint(*where, nonce, tasks[0].name, tasks[0].step)])

    # ------------------------------------------------------------ the caller's own turn

    def elsewhere(self, task: Task) -> list[Write]:
        """What a task came to that another slot has taken, when it has ended there; empty: it is to be run here.

        Raises:
            Exception: it failed there for good.
            Superseded: the run was cancelled meanwhile.
        """
        if not self.possible or (task.id not in self._offers and not self._calls.repeats()):
            return []
        pause, nonce, seen = LOOK[0], self._offers.get(task.id, ""), self._place.monotonic()
        while not self._calls.take(task):
            if writes := self._calls.outcome(task):
                return writes
            failed = self._calls.failure(task, nonce)
            if failed is not None:
                raise rebuild(failed)
            if self._is_at_work(self._calls.holder(task)):
                seen = self._place.monotonic()
            elif self._place.monotonic() - seen > GONE:
                # What it called in turn may have ended before it died.
                self._calls.assume_repeat()
                self._calls.give_back(task)
            if self._place.cancelled():
                raise Superseded("the run was cancelled")
            time.sleep(pause)
            pause = min(LOOK[1], pause * 1.5)
        self._taken[task.id] = task
        # It may have ended, and been given back, between two looks.
        failed = self._calls.failure(task, nonce)
        if failed is not None:
            raise rebuild(failed)
        return self._calls.outcome(task)

    def _is_at_work(self, slot: str) -> bool:
        at_run = self._place.at_run
        return bool(slot) and at_run is not None and at_run(slot, self._lane.ctx.run_id)

    def finished(self, task: Task) -> None:
        """What was run here has come to its end, and that is recorded."""
        self._taken.pop(task.id, None)

    def forget(self) -> None:
        """The caller has ended: what was offered is not needed any more, and the next attempt may be another slot's."""
        for task in self._taken.values():
            self._calls.give_back(task)
        for nonce in {nonce for nonce in self._offers.values() if nonce}:
            self._calls.effects.drop(f"offer/{nonce}")


def run_shared(calls: TaskCalls, task: Task, nonce: str, run: Callable[[], list[Write]]) -> None:
    """Run a task of another slot's caller here, unless somebody has it, and leave word of how it ended.

    Args:
        calls: what is known of it.
        task: made by ``task_from``.
        nonce: of the offer.
        run: runs it and records its result.
    """
    if calls.outcome(task) or not calls.take(task):
        return
    try:
        if not is_finished(run()):
            # It asks: that is for its caller to tell.
            calls.give_back(task)
    except GraphBubbleUp:
        # It sleeps, or the run has gone on.
        calls.give_back(task)
    except Exception as exc:
        calls.effects.put(calls.failure_name(task, nonce), describe(exc, node=task.name))
        calls.give_back(task)


def task_from(call: Sequence[Any], at: Checkpoint) -> Task | None:
    """The task of an offered call; None where its function is not known here."""
    name, path, ns, arg = call
    function = find(name)
    return None if function is None else Task(function.node, path_of(path), (PUSH,), at, ns, arg)


def named(node: Node) -> str | None:
    """Under what other processes find the function of a task; None: they do not, for no module holds it."""
    fn = getattr(node.action, "fn", None)
    name = f"{getattr(fn, '__module__', '')}:{getattr(fn, '__qualname__', '')}"
    found = find(name)
    return name if found is not None and found.node is node else None


def find(name: str) -> TaskFunction[..., Any] | None:
    """The task function of that name in a module that is loaded here. Nothing is imported."""
    module, _, qualified = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, TaskFunction) else None


def list_of(path: TaskPath) -> list[Any]:
    """A path as plain lists."""
    return [list_of(part) if isinstance(part, tuple) else part for part in path]


def path_of(parts: Sequence[Any]) -> TaskPath:
    """``list_of`` backwards."""
    return tuple(path_of(part) if isinstance(part, list) else part for part in parts)
