"""Tasks that nodes on workers call (``@task``): they run in the slot of their caller, and what they come to is recorded.

A caller whose process died, that failed and is tried again, or that asked and is answered, runs from its top and gets
the results of its finished tasks back without running them. They are records of effects (see ``Runtime.once``): the
first one stands, whoever made it, so two attempts at work at once see the same results.

A caller waits in its slot, which works for it meanwhile: whatever it waits for has a place to run, however full the pool.

Arguments and results are copies, as they would be had they come from another process. An argument that cannot be stored
is handed on as it is; a result that cannot is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, TypeVar

from distgraph.cluster.failing import is_over
from distgraph.cluster.sharing import IN_PLACE, Sharing
from distgraph.cluster.shelves import of_ledger
from distgraph.engine.caching import cache_key, is_cacheable
from distgraph.engine.children import ThreadChildren
from distgraph.engine.loop_children import LoopChildren
from distgraph.engine.retry import arun_with_retries, run_with_retries
from distgraph.engine.streams import Streams
from distgraph.errors import CodecError, GraphBubbleUp
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import Task, is_finished
from distgraph.types import CacheKey, Write

if TYPE_CHECKING:
    from distgraph.cluster.lane import Lane
    from distgraph.engine.context import RunContext
    from distgraph.engine.scope import NodeScope
    from distgraph.superstep.model import Node

T = TypeVar("T")

#: Stream modes in which tasks that nodes call are told of.
_TOLD = frozenset({"updates", "debug"})

_starting = Lock()


class TaskCalls:
    """The tasks that one attempt of a node calls, as its ledger knows them.

    Args:
        lane: of the run.
        ctx: the run as the attempt sees it.
        caller: the node's task.
    """

    def __init__(self, lane: Lane, ctx: RunContext, caller: Task) -> None:
        self._lane, self._ctx, self._caller = lane, ctx, caller
        self._answers: dict[str, list[Any]] = {}
        self._repeats: bool | None = None
        self._lock = Lock()
        self._streams = None if ctx.emit is None else Streams(ctx, ctx.program.streamed, _TOLD)

    # ------------------------------------------------------------ what readers of the run are told

    def begins(self, child: Task) -> None:
        """Tell that a task is called. Its arguments are not told where they cannot be stored."""
        if self._streams is None:
            return
        try:
            self._streams.started([child])
        except CodecError:
            self._streams.started([Task(child.node, child.path, child.triggers, child.at, child.ns)])

    def told(self, child: Task, writes: Sequence[Write]) -> None:
        """Tell what a task came to."""
        if self._streams is not None:
            self._streams.settled(child, writes)

    def failed(self, child: Task, exc: BaseException) -> None:
        """Tell that a task failed for good."""
        if self._streams is not None and isinstance(exc, Exception) and not isinstance(exc, GraphBubbleUp):
            self._streams.failed(child, exc)

    # ------------------------------------------------------------ what is known of a task

    def before(self, child: Task) -> list[Write]:
        """What a task came to before this attempt of its caller; empty if it has not finished."""
        pending = self._lane.pending.get(child.id, ())
        if is_finished(pending):
            return list(pending)
        if not self.repeats():
            return []
        if writes := self.outcome(child):
            return writes
        self._answers[child.id] = self._given(child)
        return []

    def after(self, child: Task, writes: Sequence[Write]) -> list[Write]:
        """Record what a task came to. What stands is returned: another attempt may have been first.

        Raises:
            CodecError: it cannot be stored.
            StateTooLargeError: it is larger than is stored.
        """
        if not is_finished(writes):
            return list(writes)
        try:
            data = self._lane.outcome(writes)
        except CodecError as exc:
            exc.add_note(f"In the result of task {child.name!r}: on a cluster the results of tasks are stored.")
            raise
        # Before it is recorded: who dies in between tells it again, by the same name. After it, nobody would.
        self.told(child, writes)
        stands = self.effects.record(_outcome(self._key(child)), data)
        self.got_on()
        return [(channel, value) for channel, value in self._lane.served.codec.decode(stands)]

    def got_on(self) -> None:
        """A task has ended that had not before: what its caller's processes died of before counts no more."""
        got_on = self._lane.got_on
        if got_on is not None:
            with of_ledger():
                got_on()

    def again(self, exc: Exception) -> None:
        """A task has failed and is to be tried again: that counts against what its run may have of retries.

        Raises:
            Exception: ``exc``, where that is used up.
        """
        lane, ctx = self._lane, self._ctx
        budget = lane.options.retries
        if budget is None:
            return
        made = self._retries_made() if lane.epoch else lane.retries
        if is_over(budget, made, ctx.run_id, exc):
            raise exc
        if lane.epoch:
            # Under a name of its own, so that a call that is repeated counts once; and not kept.
            name = f"retry/{lane.place.nonce().decode()}"
            self.effects.record(name, b"", retries=True)
            self.effects.drop(name)
        lane.retries += 1

    def _retries_made(self) -> int:
        runs = self._lane.place.runs
        with of_ledger():
            found = runs.peek(runs.keys.partition(str(self._ctx.thread_id)), self._ctx.run_id, ("retries",))
        return int(found[0] or 0)

    # ------------------------------------------------------------ who runs it, see ``sharing``

    def take(self, child: Task) -> bool:
        """Take a task for this slot, unless another one has it."""
        own = self._lane.place.slot
        return bool(self.effects.put(f"taken/{self._key(child)}", own) == own)

    def holder(self, child: Task) -> str:
        """The slot that has taken a task; '' for none."""
        return self.effects.get(f"taken/{self._key(child)}")[1] or ""

    def give_back(self, child: Task) -> None:
        """Nobody has it."""
        self.effects.drop(f"taken/{self._key(child)}")

    def outcome(self, child: Task) -> list[Write]:
        """What a task has come to; empty if nothing yet."""
        known, writes = self.effects.get(_outcome(self._key(child)))
        return [(channel, value) for channel, value in writes] if known else []

    def failure(self, child: Task, nonce: str) -> Any:
        """How a task failed for good that was offered under ``nonce``; None: it has not."""
        return self.effects.get(self.failure_name(child, nonce))[1] if nonce else None

    def failure_name(self, child: Task, nonce: str) -> str:
        """Where that is recorded."""
        return f"failed/{nonce}/{self._key(child)}"

    def _given(self, child: Task) -> list[Any]:
        """The answers to what the task asked, in call order; one that came with this attempt is recorded."""
        effects, asked, answers = self.effects, self._ctx.resume_map, list[Any]()
        while True:
            name = f"answer/{self._key(child)}/{len(answers)}"
            known, answer = effects.get(name)
            if not known:
                iid = interrupt_id(child.checkpoint_ns, len(answers))
                if iid not in asked:
                    return answers
                answer = effects.put(name, asked[iid])
            answers.append(answer)

    def repeats(self) -> bool:
        """Whether an attempt before this one has called tasks: else nothing need be looked for."""
        with self._lock:
            if self._repeats is None:
                own = self._lane.place.nonce().decode()
                self._repeats = self.effects.put(f"calls/{self._key(self._caller)}", own) != own
            return self._repeats

    def assume_repeat(self) -> None:
        """Look for earlier results: another slot may have begun what is run here."""
        with self._lock:
            self._repeats = True

    @property
    def effects(self) -> Any:
        """Those of the run."""
        return self._ctx.runtime.effects

    def _key(self, task: Task) -> str:
        return f"{task.idempotency_key(self._ctx.run_id)}/{task.name}"

    # ------------------------------------------------------------ one attempt of a task

    def answers(self, child: Task) -> list[Any]:
        """The answers to what it asked before."""
        return self._answers.pop(child.id, [])

    def cached(self, child: Task) -> tuple[CacheKey | None, list[Write]]:
        """Under what its result is cached, None for no cache; and the writes that are."""
        ctx = self._ctx
        key = cache_key(ctx.program, child, ctx.stop) if ctx.cache is not None else None
        if key is None:
            return None, []
        found = ctx.cache.get([(key.ns, key.key)]).get((key.ns, key.key)) or ()
        return key, [(channel, value) for channel, value in found]

    def keep(self, key: CacheKey | None, writes: Sequence[Write]) -> None:
        """Cache what a task came to."""
        if key is not None and is_cacheable(writes):
            self._ctx.cache.set({(key.ns, key.key): (list(writes), key.ttl)})

    def copied(self, arg: Any) -> Any:
        """The arguments of a call, as another process would get them."""
        codec = self._lane.served.codec
        try:
            return codec.decode(codec.encode(arg))
        except CodecError:
            return arg


class ThreadCalls:
    """The calls of a node without an event loop: OS threads beside its own, and its own while it waits."""

    __slots__ = ("_calls", "_children", "_ctx", "_lane", "_repeats", "_sharing", "_task", "_timer")

    def __init__(self, lane: Lane, ctx: RunContext, task: Task, *, repeats: bool = False) -> None:
        self._lane, self._ctx, self._task, self._repeats = lane, ctx, task, repeats
        self._children: ThreadChildren | None = None
        self._calls: TaskCalls
        self._sharing: Sharing
        self._timer: Timer | None = None

    def start(self, scope: NodeScope, node: Node, arg: Any) -> Any:
        """See ``engine.children.Children``."""
        # Most nodes call none; those that do may from several OS threads.
        with _starting:
            if self._children is None:
                self._calls = TaskCalls(self._lane, self._ctx, self._task)
                if self._repeats:
                    self._calls.assume_repeat()
                self._children = ThreadChildren(self, self._lane.place.threads)
                self._sharing = Sharing(self._lane, self._calls)
                if self._sharing.possible and self._lane.place.threads and self._lane.place.idle() > 0:
                    # Its first tasks, in OS threads, may take long: others are not to wait for their end.
                    self._timer = Timer(IN_PLACE * 2, self._offer)
                    self._timer.daemon = True
                    self._timer.start()
        return self._children.start(scope, node, self._calls.copied(arg))

    def finish(self, *, give_up: bool) -> None:
        """All calls have ended; with ``give_up`` those that nobody started are not."""
        if self._children is not None:
            self._children.finish(give_up=give_up)
            self._children.leave()
            if self._timer is not None:
                self._timer.cancel()
                self._timer.join()
            self._sharing.forget()

    def adopt(self, child: Task) -> None:
        """See ``engine.children.Runner``."""
        self._calls.begins(child)
        child.writes = self._calls.before(child)

    def run_child(self, child: Task) -> list[Write]:
        """See ``engine.children.Runner``."""
        self._offer()
        if writes := self._sharing.elsewhere(child):
            self._calls.told(child, writes)
            self._calls.got_on()
            return writes
        writes = self.run_here(child, self._calls)
        if is_finished(writes):
            self._sharing.finished(child)
        return writes

    def run_here(self, child: Task, calls: TaskCalls) -> list[Write]:
        """Run a task that this slot has taken, and record its result."""
        key, writes = calls.cached(child)
        if writes:
            return calls.after(child, writes)
        try:
            writes = run_with_retries(self._ctx, child, calls.answers(child), again=calls.again)
        except BaseException as exc:
            calls.failed(child, exc)
            raise
        writes = calls.after(child, writes)
        calls.keep(key, writes)
        return writes

    def _offer(self) -> None:
        if self._children is not None and self._sharing.wanted():
            self._sharing.offer(self._children.unstarted)


class LoopCalls:
    """The calls of a node under an event loop: beside it, all of them. The ledger is asked from OS threads."""

    def __init__(self, lane: Lane, ctx: RunContext, task: Task) -> None:
        self._ctx, self._calls = ctx, TaskCalls(lane, ctx, task)
        self._children = LoopChildren(self, asyncio.get_running_loop(), None)

    def start(self, scope: NodeScope, node: Node, arg: Any) -> Any:
        """See ``engine.children.Children``."""
        return self._children.start(scope, node, self._calls.copied(arg))

    async def finish(self, *, give_up: bool) -> None:
        """All calls have ended; with ``give_up`` they are cancelled."""
        await self._children.finish(give_up=give_up)

    def adopt(self, child: Task) -> None:
        """Nothing: it is looked at when its turn comes, without holding up the loop."""

    async def run_child(self, child: Task) -> list[Write]:
        """See ``engine.loop_children.Runner``."""
        calls = self._calls
        await _beside(calls.begins, child)
        if writes := await _beside(calls.before, child):
            return writes
        key, writes = await _beside(calls.cached, child) if child.node.cache is not None else (None, [])
        if writes:
            return await _beside(calls.after, child, writes)
        try:
            writes = await arun_with_retries(
                self._ctx, child, calls.answers(child), again=partial(_beside, calls.again)
            )
        except BaseException as exc:
            await _beside(calls.failed, child, exc)
            raise
        writes = await _beside(calls.after, child, writes)
        if key is not None:
            await _beside(calls.keep, key, writes)
        return writes


def _outcome(key: str) -> str:
    return f"task/{key}"


async def _beside(call: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(call, *args)
