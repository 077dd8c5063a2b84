"""Changing a thread from outside: writing as if a node had returned, giving up what waits, copying a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import getrandbits
from time import time_ns
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from distgraph.checkpoint.base import NULL_TASK_ID, CheckpointTuple, from_public, new_versions, to_public, version_rule
from distgraph.constants import COPY, END, INPUT, INTERRUPT, NO_WRITES
from distgraph.engine.context import RunContext
from distgraph.engine.opening import apply_outside, input_writes, outside_task
from distgraph.engine.savers import Calls
from distgraph.errors import InvalidUpdateError
from distgraph.suggestions import did_you_mean
from distgraph.superstep.advance import restore
from distgraph.superstep.apply import apply_writes
from distgraph.superstep.identity import checkpoint_id, path_key, ticks_of
from distgraph.superstep.model import EMPTY, Checkpoint, Program, Task
from distgraph.superstep.plan import plan
from distgraph.types import StateUpdate, Write

#: Supersteps of updates.
Updates = Sequence[Sequence[StateUpdate]]


class Target(NamedTuple):
    """The graph whose thread is changed.

    Attributes:
        program: the graph.
        saver: where the thread is kept.
        address: a caller's config -> the config that names the graph's checkpoints.
    """

    program: Program
    saver: Any
    address: Callable[[Any], dict[str, Any]]


def update_thread(target: Target, config: Any, supersteps: Updates) -> Calls[Any]:
    """Apply ``supersteps`` one after the other, each as one checkpoint.

    Returns:
        The config that names the last one.

    Raises:
        ValueError: no updates.
        InvalidUpdateError: an update that the graph or its channels do not accept.
    """
    if not supersteps:
        raise ValueError("No supersteps provided")
    if any(not updates for updates in supersteps):
        raise ValueError("No updates provided")
    for index, updates in enumerate(supersteps):
        change = _Change(target, config)
        yield from change.load(is_first=index == 0)
        config = yield from change.make([StateUpdate(*update) for update in updates])
    return config


class _Change:
    """One superstep of updates."""

    def __init__(self, target: Target, config: Any) -> None:
        self.target = target
        self.program = target.program
        self.config = target.address(config)
        self.bump = version_rule(target.saver)
        self.saved: CheckpointTuple | None = None
        self.at: Checkpoint = EMPTY
        self.pending: dict[str, list[Write]] = {}
        self.tasks: list[Task] = []
        self.ticks = 0
        #: Something was built on the checkpoint already: nothing may be added to it.
        self.superseded = False

    def load(self, *, is_first: bool) -> Calls[None]:
        configurable = self.config["configurable"]
        saved = self.saved = yield ("get_tuple", (self.config,))
        if saved is None:
            return
        self.at = from_public(saved)
        self.ticks = ticks_of(self.at.id)
        for task_id, channel, value in saved.pending_writes or ():
            self.pending.setdefault(task_id, []).append((channel, value))
        self.tasks = plan(self.program, self.at, configurable["checkpoint_ns"])
        if configurable.get("checkpoint_id"):
            latest = yield ("get_tuple", ({**self.config, "configurable": {**configurable, "checkpoint_id": None}},))
            self.ticks = max(self.ticks, ticks_of(latest.checkpoint["id"]))
            self.superseded = is_first and latest.checkpoint["id"] != self.at.id

    def make(self, updates: Sequence[StateUpdate]) -> Calls[Any]:
        values, as_node = updates[0].values, updates[0].as_node
        if values is None and as_node == END:
            self._only(updates, "Cannot apply multiple updates when clearing state")
            return (yield from self._clear())
        if as_node == INPUT:
            self._only(updates, "Cannot apply multiple updates when updating as input")
            return (yield from self._input(values))
        if as_node == COPY:
            self._only(updates, "Cannot copy checkpoint with multiple updates")
            return (yield from self._copy(values))
        return (yield from self._as_nodes(updates))

    # ------------------------------------------------------------ the kinds of change

    def _clear(self) -> Calls[Any]:
        """Give up what waits; what has finished counts."""
        at = self.at
        if outside := self.pending.get(NULL_TASK_ID):
            at = apply_outside(self.program, at, outside, self.bump)
        restore(self.tasks, self.pending)
        return (yield from self._put(self._applied(at, self.tasks, "update")))

    def _input(self, values: Any) -> Calls[Any]:
        if values is None:
            raise InvalidUpdateError(f"Received no input writes for {self.program.inputs}")
        task = outside_task(self.at, input_writes(self.program, values))
        return (yield from self._put(self._applied(self.at, [task], "input")))

    def _copy(self, values: Any) -> Calls[Any]:
        saved = self.saved
        if saved is None:
            raise InvalidUpdateError("Cannot copy a non-existent checkpoint")
        parent = saved.parent_config or _without_id(saved.config)
        at = self.at._replace(id=self._new_id(), step=self.at.step + 1, source="fork", ts=_now())
        copied = yield ("put", (self._over(parent), to_public(at), self._metadata(at), {}))
        copied = with_parents(copied, saved.metadata)
        if not (isinstance(values, list) and values):
            return copied
        return (yield from update_thread(self.target, copied, [self._by_task(at, values)]))

    def _by_task(self, at: Checkpoint, values: list[Any]) -> list[StateUpdate]:
        """The updates of a copy, each for its own task of the copied superstep."""
        free: dict[str, list[str]] = {}
        for task in plan(self.program, at, self.config["configurable"]["checkpoint_ns"]):
            free.setdefault(task.name, []).append(task.id)
        grouped: dict[Any, list[StateUpdate]] = {}
        for item in values:
            if not isinstance(item, Sequence) or isinstance(item, str) or len(item) < 2:
                raise InvalidUpdateError(f"Invalid update item: {item} when copying checkpoint")
            ids = free.get(item[1], [])
            grouped.setdefault(item[1], []).append(StateUpdate(item[0], item[1], ids.pop(0) if ids else None))
        return [update for updates in grouped.values() for update in updates]

    def _as_nodes(self, updates: Sequence[StateUpdate]) -> Calls[Any]:
        free: dict[str, list[str]] = {}
        for task in self.tasks:
            free.setdefault(task.name, []).append(task.id)
        ctx = self._context()
        written: list[Task] = []
        ids: list[str] = []
        for index, (values, as_node, task_id) in enumerate(updates):
            node = self.program.nodes[self._node(as_node, alone=len(updates) == 1)]
            task = Task(node, (INTERRUPT, index), (INTERRUPT,), self.at, ctx.ns)
            writes = yield ("run_task", (ctx, task, values))
            task.writes = [write for write in writes if write[0] != NO_WRITES]
            waiting = free.get(node.name)
            ids.append(task_id or (waiting.pop(0) if waiting else _update_id(self.at.id, index)))
            written.append(task)
        if self.saved is not None and not self.superseded:
            for task, task_id in zip(written, ids, strict=True):
                address = self._over(self.saved.config)
                if kept := self._kept(task.writes):
                    yield ("put_writes", (address, kept, task_id, path_key(task.path)))
        after = self._applied(self.at, written, "update")
        # Nobody ran: which node ran last stays what it was, and who was woken before, by a join that is complete, still is.
        return (yield from self._put(after._replace(seen={**after.seen, **self.at.seen}, updated=None)))

    def _node(self, as_node: str | None, *, alone: bool) -> str:
        if as_node is None:
            if not alone:
                raise InvalidUpdateError("as_node is required when applying multiple updates")
            as_node = last_node(self.program, self.at)
            if as_node is None:
                raise InvalidUpdateError(
                    "Ambiguous update, specify as_node: the last superstep ran several nodes, or none."
                )
        if as_node not in self.program.nodes:
            raise InvalidUpdateError(f"Node {as_node} does not exist.{did_you_mean(as_node, self.program.nodes)}")
        return as_node

    # ------------------------------------------------------------ storing

    def _applied(self, at: Checkpoint, tasks: Sequence[Task], source: str) -> Checkpoint:
        # A thread that starts with an update has no input's checkpoint: its first step is 0, as START's would be.
        if source == "update" and at is EMPTY:
            at = at._replace(step=-1)
        return apply_writes(self.program, at, tasks, self.bump, new_id=self._new_id(), ts=_now(), source=source)

    def _put(self, after: Checkpoint) -> Calls[Any]:
        before = self.at.versions
        public = to_public(after, self.program.untracked)
        changed = new_versions(before, public["channel_versions"])
        base = self._over(self.saved.config) if self.saved is not None else self.config
        stored = yield ("put", (base, public, self._metadata(after), changed))
        return with_parents(stored, self.saved.metadata if self.saved is not None else {})

    def _metadata(self, at: Checkpoint) -> Mapping[str, Any]:
        parents = self.saved.metadata.get("parents", {}) if self.saved is not None else {}
        return {"source": at.source, "step": at.step, "parents": parents}

    def _over(self, config: Any) -> dict[str, Any]:
        """The caller's config, naming the checkpoint of ``config``."""
        return {**self.config, "configurable": {**self.config["configurable"], **config["configurable"]}}

    def _kept(self, writes: Sequence[Write]) -> list[Write]:
        return [write for write in writes if write[0] not in self.program.untracked]

    def _context(self) -> RunContext:
        configurable = self.config["configurable"]
        return RunContext(
            self.program,
            config=self.config,
            ns=configurable["checkpoint_ns"],
            thread_id=configurable["thread_id"],
            stop=self.at.step + 3,
        )

    def _new_id(self) -> str:
        self.ticks = max(self.ticks + 1, time_ns() // 1000)
        return checkpoint_id(self.ticks, getrandbits(64))

    @staticmethod
    def _only(updates: Sequence[StateUpdate], text: str) -> None:
        if len(updates) > 1:
            raise InvalidUpdateError(text)


def last_node(program: Program, at: Checkpoint) -> str | None:
    """The node that ran last; None if that is not one node."""
    if len(program.nodes) == 1:
        return next(iter(program.nodes))
    ran = sorted((v, name) for name, seen in at.seen.items() if name in program.nodes for v in seen.values())
    if not ran:
        inputs = program.inputs
        return inputs if isinstance(inputs, str) and inputs in program.nodes else None
    if len(ran) > 1 and ran[-1][0] == ran[-2][0]:
        return None
    return ran[-1][1]


def with_parents(config: Any, metadata: Mapping[str, Any]) -> Any:
    """``config`` with the checkpoints of the graphs around it, so that it names the same state from the root."""
    parents = metadata.get("parents")
    if config is None or not parents:
        return config
    configurable = config["configurable"]
    around = {**parents, configurable["checkpoint_ns"]: configurable["checkpoint_id"]}
    return {**config, "configurable": {**configurable, "checkpoint_map": around}}


def _without_id(config: Any) -> dict[str, Any]:
    return {**config, "configurable": {**config["configurable"], "checkpoint_id": None}}


def _update_id(base: str, index: int) -> str:
    """The id of an update that takes no waiting task's place."""
    name = INTERRUPT if index == 0 else f"{INTERRUPT}:{index}"
    return str(uuid5(UUID(base), name)) if base else str(uuid5(UUID(int=0), name))


def _now() -> str:
    return datetime.now(UTC).isoformat()
