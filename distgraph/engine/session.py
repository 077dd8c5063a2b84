"""One run in one process, without any waiting: what to run next, what its outcome means, what is to be stored.

A shell asks ``opening`` where to start, runs what ``todo`` holds, hands every outcome to ``settle`` or ``fail``, calls
``step``, and so on while ``running``. Calls to the saver are collected in ``ops`` for the shell to make, in order: the
synchronous one calls them, the other awaits them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from random import getrandbits
from time import time_ns
from typing import Any, NamedTuple

from distgraph.checkpoint.base import new_versions, to_public, version_rule
from distgraph.checkpoint.parts import Growth
from distgraph.constants import ERROR_SOURCE, INTERRUPT, NS_END, RESUME, TASKS
from distgraph.engine.caching import caches, keep_cached
from distgraph.engine.events import handlers_of, interrupt_event, resume_event
from distgraph.engine.execute import failure_writes
from distgraph.engine.naps import Naps
from distgraph.engine.place import context_of, place_of
from distgraph.engine.request import Request
from distgraph.engine.savers import Op, takes_path
from distgraph.engine.streams import Streams, checkpoint_chunk, keeps_state
from distgraph.engine.tracing import trace_of
from distgraph.errors import (
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    JoinStalledError,
    NodeError,
    create_error_message,
    invalid_resume_of,
    is_invalid_resume,
)
from distgraph.superstep.advance import Next, Pending, Rules, Verdict, advance
from distgraph.superstep.apply import Bump, apply_writes, count_up
from distgraph.superstep.identity import checkpoint_id, path_key
from distgraph.superstep.joins import stalled_text, with_input
from distgraph.superstep.model import EMPTY, Checkpoint, Task
from distgraph.superstep.plan import handler_task
from distgraph.superstep.views import output_values
from distgraph.types import CacheKey, Interrupt, Send, Write


class Result(NamedTuple):
    """What a run came to: the output, and the questions that wait."""

    value: Any
    interrupts: tuple[Interrupt, ...]


class Session:
    """One run.

    Args:
        request: what the caller asks for.
        sink: receives stream chunks, from any OS thread; None where nobody reads them.

    Attributes:
        at: the head.
        tasks: the tasks of the superstep after it.
        verdict: what is to be done next.
        answers: task id -> answers to its questions so far.
        caching: results of nodes are to be looked up in the cache, and kept there.
        cached_as: task id -> where its result is kept, of the tasks of this superstep that the cache did not have.
        before: task id -> what it wrote before this run.
        ops: calls of the saver that are due.
        events: calls of callback handlers that are due: handler and event.
    """

    __slots__ = (
        "_address",
        "_bump",
        "_id_base",
        "_ids",
        "_keys",
        "_metadata",
        "_output_at",
        "_settled",
        "_stored_id",
        "_stored_versions",
        "_takes_path",
        "_unstored",
        "answers",
        "asked",
        "at",
        "before",
        "cached_as",
        "caching",
        "ctx",
        "drained",
        "errors",
        "events",
        "growth",
        "interrupts",
        "ops",
        "output_keys",
        "place",
        "program",
        "request",
        "rules",
        "saver",
        "streams",
        "tasks",
        "verdict",
    )

    def __init__(self, request: Request, sink: Callable[[Any], None] | None = None) -> None:
        self.request = request
        self.program = request.program
        self.place = place = place_of(request)
        self.saver = place.saver
        self.ctx = ctx = context_of(request, place, sink)
        if ctx.naps.waits:
            ctx.naps = Naps(self._nap_writes)
        ctx.trace = trace_of(request, place)
        self.output_keys = request.program.streamed if request.output_keys is None else request.output_keys
        keys = self.output_keys
        self._keys = frozenset((keys,) if isinstance(keys, str) else keys)
        self.streams = Streams(ctx, keys) if ctx.emit is not None else None
        self.rules = Rules(0)
        self.at: Checkpoint = EMPTY
        self.tasks: list[Task] = []
        self.verdict = Verdict.RUN
        self.answers: dict[str, list[Any]] = {}
        self.asked: list[Task] = []
        #: What tasks of this superstep wrote before this run: children of nodes are planned only when they are called.
        self.before: Pending = {}
        self.interrupts: list[Interrupt] = []
        #: Task id of an error handler -> what it is to handle.
        self.errors: dict[str, NodeError] = {}
        self.drained = False
        self.caching = ctx.cache is not None and caches(self.program)
        self.cached_as: dict[str, CacheKey] = {}
        self.ops: list[Op] = []
        self.events: list[tuple[Callable[[Any], Any], Any]] = []
        self._bump: Bump = version_rule(self.saver) if self.saver is not None else count_up
        self.growth = Growth()
        self._ids = 0
        self._id_base = ""
        self._metadata: Mapping[str, Any] = {}
        self._output_at: Checkpoint | None = None
        self._settled: list[tuple[Task, Sequence[Write]]] = []
        self._stored_id = ""
        self._stored_versions: Mapping[str, Any] = {}
        self._takes_path = self.saver is not None and takes_path(self.saver.__class__)
        self._unstored = False
        #: The config that names a checkpoint: asked for a few times in a row.
        self._address: tuple[str | None, dict[str, Any]] | None = None

    # ------------------------------------------------------------ going on

    @property
    def running(self) -> bool:
        """Whether tasks are to be run."""
        return self.verdict is Verdict.RUN and not self.asked and not self.drained

    def todo(self) -> list[Task]:
        """The tasks of this superstep that have not settled."""
        return [task for task in self.tasks if not task.writes]

    def begin(self, following: Next, pending: Pending | None = None) -> None:
        """Stand where ``following`` says; ``pending`` is what its tasks wrote before this run."""
        self.at, self.tasks, self.verdict = following
        self.before = {} if pending is None else pending
        streams = self.streams
        if streams is not None and streams.checkpoints and self.saver is not None:
            streams.planned(self.at.step, self._checkpoint_chunk(pending or {}))
        control = self.ctx.runtime.control
        if self.verdict is not Verdict.RUN:
            return
        if control is not None and control.drain_reason is not None:
            self.drained = True
            return
        if streams is not None:
            streams.started(self.tasks)
            for task in self.tasks:
                if task.finished:
                    streams.settled(task, task.writes, cached=True)

    def settle(self, task: Task, writes: list[Write], *, cached: bool = False) -> None:
        """``task`` finished, or asked."""
        task.writes = writes
        if self.ctx.around is not None:
            self.ctx.around()
        if writes[0][0] == INTERRUPT:
            self.asked.append(task)
            self.interrupts += writes[0][1]
            self._output_at = self.at
        if self.saver is not None:
            self.keep_writes(task, writes)
        if self.caching and not cached and (op := keep_cached(self, task, writes)):
            self.ops.append(op)
        if self.streams is not None:
            self.streams.settled(task, writes, cached=cached)

    def take_ops(self) -> list[Op]:
        """The calls that are due, for one OS thread at a time to make; others may add to them meanwhile."""
        # The list stays the same one: who has it in hand to append to it, would else append to one that nobody sees.
        due = self.ops[:]
        del self.ops[: len(due)]
        return due

    def fail(self, task: Task, exc: BaseException) -> Task | None:
        """``task`` failed for good; the task that takes over, where its node has an error handler."""
        if isinstance(exc, GraphBubbleUp):
            return None
        writes = [*failure_writes(exc), *self.answers_before(task, exc)]
        handler = None
        if isinstance(exc, Exception) and not is_invalid_resume(exc):
            handler = self.take_over(task, exc, [*writes, (ERROR_SOURCE, task.name)])
        if self.saver is not None:
            self.keep_writes(task, task.writes if handler is not None else writes)
        if self.streams is not None:
            self.streams.failed(task, exc)
        return handler

    def take_over(self, failed: Task, exc: BaseException, writes: list[Write]) -> Task | None:
        """The error handler's task of a ``failed`` one, now part of the superstep; None if its node has no handler."""
        handler = handler_task(self.program, failed)
        if handler is not None:
            failed.writes = writes
            self.tasks.append(handler)
            self.errors[handler.id] = NodeError(failed.name, exc)
        return handler

    def answers_before(self, task: Task, exc: BaseException) -> list[Write]:
        """The answers that stand, where one after them did not fit its question: it is not to be given again."""
        index = invalid_resume_of(exc)
        return [] if index is None else [(RESUME, self.answers.get(task.id, [])[:index])]

    def step(self) -> None:
        """All tasks of the superstep settled: apply them, and look what is next.

        Raises:
            InvalidUpdateError: updates that a channel cannot reconcile.
            Exception: whatever a reducer raised.
        """
        if self.asked:
            return
        ts = _now() if self.saver is not None else ""
        following = advance(
            self.program, self.at, self.tasks, self._bump, self.rules, new_id=self.new_id(), ts=ts, ns=self.ctx.ns
        )
        at = following.at
        if at.updated is not None and not self._keys.isdisjoint(at.updated):
            self.output(at)
        self.at = at
        if self.saver is not None:
            self.growth.note(at)
        self.store("loop")
        ctx = self.ctx
        if ctx.resuming:
            ctx.resuming = False
        if ctx.loose and self.place.scope is None:
            # What is asked from now on was not known to whoever gave them.
            ctx.loose.clear()
        self.begin(following)

    def output(self, at: Checkpoint) -> None:
        """``at`` is what callers see of the state from now on."""
        self._output_at = at
        if self.streams is not None:
            self.streams.state(at)

    # ------------------------------------------------------------ the end

    def result(self) -> Result:
        """What the run came to."""
        value = None if self._output_at is None else output_values(self.program, self._output_at, self.output_keys)
        return Result(value, tuple(self.interrupts))

    def close(self, exc: BaseException | None) -> None:
        """The run is over, in whatever way: what was not stored yet becomes due."""
        nested = self.place.scope is not None
        keeps = not nested or exc is not None or self.stopped or NS_END not in self.ctx.ns
        if self.ctx.durability == "exit" and self.saver is not None and keeps:
            if self._unstored:
                self._put()
            for task, writes in self._settled:
                self._put_writes(task.id, writes, path_key(task.path))
        if exc is not None and self.ctx.trace is not None:
            self.ctx.trace.failed(exc)

    def conclude(self) -> None:
        """Say how the run ended, to streams, callbacks and the caller.

        Raises:
            GraphRecursionError: no superstep is left.
            JoinStalledError: nothing is left to run, and a join has only some of its sources.
            GraphDrained: somebody asked for it.
            GraphInterrupt: a nested graph stopped; its parent stops too.
        """
        with nullcontext() if self.ctx.trace is None else self.ctx.trace.ending(lambda: self.result().value):
            self._conclude()

    def _conclude(self) -> None:
        if self.verdict is Verdict.OUT_OF_STEPS:
            raise GraphRecursionError(self._out_of_steps())
        if self.verdict is Verdict.STALLED:
            raise JoinStalledError(
                f"In graph {self.request.name!r} at step {self.at.step}: {stalled_text(self.program, self.at)}"
            )
        if self.drained:
            control = self.ctx.runtime.control
            raise GraphDrained((control.drain_reason if control is not None else None) or "shutdown")
        if not self.stopped:
            return
        if self.place.scope is not None:
            # In the order of tasks, not in which they asked: the parent's answers must find the same questions again.
            asked = sorted(self.asked, key=lambda task: path_key(task.path))
            raise GraphInterrupt([each for task in asked for each in task.writes[0][1]])
        self._stopped_at_root()

    @property
    def stopped(self) -> bool:
        """Whether the run waits: a node asked, or there is a breakpoint."""
        return bool(self.asked) or self.verdict in (Verdict.STOP_BEFORE, Verdict.STOP_AFTER)

    def _stopped_at_root(self) -> None:
        if calls := handlers_of(self.place.config, "on_interrupt"):
            ctx, at = self.ctx, self.at
            event = interrupt_event(ctx.run_id, at.id, ctx.ns_tuple, self.verdict, self.interrupts)
            self.events += [(call, event) for call in calls]
        if any(task.finished for task in self.tasks):
            # Callers see what finished beside the node that asked, as it will be applied once that one has its answer.
            done = [task for task in self.tasks if task.finished]
            after = apply_writes(self.program, self.at, done, self._bump, new_id=self.at.id)
            if after.updated is not None and not self._keys.isdisjoint(after.updated):
                self.output(after)
        if not self.interrupts and self.streams is not None:
            self.streams.breakpoint()

    def _out_of_steps(self) -> str:
        return create_error_message(
            message=f"Recursion limit of {self.place.recursion_limit} reached without hitting a stop condition, "
            f"in graph {self.request.name!r} at step {self.at.step}; next would be "
            f"{', '.join(sorted({task.name for task in self.tasks})) or 'nothing'}. "
            "You can increase the limit by setting the `recursion_limit` config key"
            + ("; the state is saved." if self.saver is not None else "."),
            error_code=ErrorCode.GRAPH_RECURSION_LIMIT,
        )

    def resumed(self) -> None:
        """The run goes on from where it had stopped: callback handlers are to hear of it."""
        if calls := handlers_of(self.place.config, "on_resume"):
            event = resume_event(self.ctx.run_id, self.at.id, self.ctx.ns_tuple)
            self.events += [(call, event) for call in calls]

    # ------------------------------------------------------------ storing

    def new_id(self) -> str:
        """The id of the next checkpoint: sorts after the head's."""
        if self.saver is None:
            # Nobody stores it: unique to this run, and counted from there.
            self._ids += 1
            if not self._id_base:
                self._id_base = checkpoint_id(time_ns() // 1000, getrandbits(64))[:24]
            return f"{self._id_base}{self._ids:012x}"
        self._ids = ticks = max(self._ids + 1, time_ns() // 1000)
        return checkpoint_id(ticks, getrandbits(64))

    def loaded(self, at: Checkpoint, metadata: Mapping[str, Any], ticks: int) -> None:
        """``at`` is what the saver has."""
        self.at = at
        self._stored_id, self._stored_versions = at.id, at.versions
        self._metadata, self._ids = metadata, ticks

    def fork(self) -> None:
        """Go on from a copy of the head: what this run stores leaves the line of the original alone."""
        at = self.at
        self.at = at._replace(id=self.new_id(), parent=at.id, step=at.step + 1, source="fork", ts=_now())
        self.store("fork")

    def take_input(self, given: Task, discarded: Sequence[Task]) -> None:
        """The head becomes what ``given`` makes of it, which holds the input; ``discarded`` tasks are given up."""
        ts = _now() if self.saver is not None else ""
        self.at = with_input(self.program, self.at, given, discarded, self._bump, new_id=self.new_id(), ts=ts)
        self.growth.note(self.at)
        self.store("input")

    def store(self, source: str) -> None:
        """The head is new: store it, now or at the end."""
        if self.saver is None:
            return
        self._metadata = {"source": source, "step": self.at.step, "parents": self._parents()}
        if self.ctx.durability == "exit":
            self._unstored = True
            self._settled.clear()
        else:
            self._put()

    def keep_from_outside(self, task_id: str, writes: Sequence[Write]) -> None:
        """Store writes that a ``Command`` brought in."""
        self._put_writes(task_id, writes, "")

    def _put(self) -> None:
        at, untracked = self.at, self.program.untracked
        public = to_public(at, untracked)
        if untracked and TASKS in public["channel_values"]:
            public["channel_values"][TASKS] = [_tracked(send, untracked) for send in public["channel_values"][TASKS]]
        versions = public["channel_versions"]
        changed = new_versions(self._stored_versions, versions)
        if grown := self.growth.channels():
            public["grown"] = sorted(grown)
        self.growth.stored()
        self.ops.append(("put", (self.address(self._stored_id), public, self._metadata, changed)))
        self._stored_id, self._stored_versions, self._unstored = at.id, versions, False

    def keep_writes(self, task: Task, writes: Sequence[Write]) -> None:
        """Store what ``task`` came to, now or at the end."""
        if self.ctx.durability == "exit":
            self._settled.append((task, writes))
        else:
            self._put_writes(task.id, writes, path_key(task.path))

    def _put_writes(self, task_id: str, writes: Sequence[Write], path: str) -> None:
        if untracked := self.program.untracked:
            writes = [(c, _tracked(v, untracked)) for c, v in writes if c not in untracked]
        self.ops.append(self._writes_op(task_id, writes, path))

    def _writes_op(self, task_id: str, writes: Sequence[Write], path: str) -> Op:
        args = (self.address(self.at.id), writes, task_id)
        return ("put_writes", (*args, path) if self._takes_path else args)

    def _nap_writes(self, task: Task, writes: list[Write]) -> Op | None:
        """The call that stores a task's sleeps; whoever runs the task makes it, before it waits."""
        if self.saver is None or self.ctx.durability == "exit":
            return None
        return self._writes_op(task.id, writes, path_key(task.path))

    def address(self, checkpoint_id: str | None) -> dict[str, Any]:
        """The run's config, naming one checkpoint."""
        if self._address is None or self._address[0] != checkpoint_id:
            place = self.place
            named = {"thread_id": place.thread_id, "checkpoint_ns": self.ctx.ns, "checkpoint_id": checkpoint_id or None}
            self._address = checkpoint_id, {**place.config, "configurable": {**place.configurable, **named}}
        return self._address[1]

    def _parents(self) -> dict[str, str]:
        return self.place.configurable.get("checkpoint_map") or {} if self.place.scope is not None else {}

    def _checkpoint_chunk(self, pending: Pending) -> dict[str, Any]:
        parents = self._parents()
        # With "exit" what lies between is never stored.
        parent = self._stored_id if self.ctx.durability == "exit" and self._unstored else self.at.parent
        return checkpoint_chunk(
            self.program,
            self.at,
            self.tasks,
            config=self._shown(self.at.id, parents),
            parent_config=self._shown(parent, parents) if parent else None,
            metadata=self._metadata,
            pending=pending,
            states=self._state_of,
        )

    def _shown(self, checkpoint_id: str, parents: Mapping[str, str]) -> dict[str, Any]:
        configurable: dict[str, Any] = dict(self.address(checkpoint_id)["configurable"])
        configurable.pop("checkpoint_map", None)
        if parents:
            configurable["checkpoint_map"] = {**parents, self.ctx.ns: checkpoint_id}
        return {"configurable": configurable}

    def _state_of(self, task: Task) -> Any:
        if not keeps_state(task.node.subgraph):
            return None
        return {"configurable": {"thread_id": self.place.thread_id, "checkpoint_ns": task.checkpoint_ns}}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _tracked(value: Any, untracked: frozenset[str]) -> Any:
    """A write as it is stored: a Send without the values that are no part of checkpoints."""
    if isinstance(value, Send) and isinstance(value.arg, dict) and not untracked.isdisjoint(value.arg):
        return Send(value.node, {key: part for key, part in value.arg.items() if key not in untracked}, value.timeout)
    return value
