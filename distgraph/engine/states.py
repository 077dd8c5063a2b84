"""The state API: what a thread's checkpoints say, and changing them from outside.

Everything is a generator of saver calls (see ``savers``); the methods without and with ``a`` make the calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from distgraph.checkpoint.base import NULL_TASK_ID, CheckpointTuple, from_public, version_rule
from distgraph.config import ensure_config
from distgraph.constants import CONTROL_WRITES, ERROR, ERROR_SOURCE, INTERRUPT, NS_END, NS_SEP, PUSH, RETURN
from distgraph.engine.execute import without_ids
from distgraph.engine.opening import Pending, apply_outside
from distgraph.engine.place import ONLY_NESTED, NoThreadError
from distgraph.engine.savers import Calls, adrive, drive
from distgraph.engine.streams import keeps_state, result_of
from distgraph.engine.updates import Target, Updates, update_thread, with_parents
from distgraph.superstep.advance import restore
from distgraph.superstep.apply import apply_writes
from distgraph.superstep.model import Checkpoint, Program, Task, is_finished
from distgraph.superstep.plan import plan
from distgraph.superstep.views import output_values
from distgraph.types import Interrupt, PregelTask, StateSnapshot


class States:
    """The state API of one graph.

    Args:
        program: the graph.
        saver: where its threads are kept.
        name: the graph's name, for messages.
        own_history: the graph is nested and keeps one history a thread.

    Raises:
        ValueError: there is no saver.
        RuntimeError: the graph keeps its history inside a parent's thread, and there is no parent.
    """

    def __init__(self, program: Program, saver: Any, *, name: str = "graph", own_history: bool = False) -> None:
        if saver is True:
            raise RuntimeError(ONLY_NESTED)
        if saver is None or isinstance(saver, bool):
            raise ValueError(f"No checkpointer set: graph {name!r} keeps no state. Compile it with one.")
        self.program = program
        self.saver = saver
        self.name = name
        self.own_history = own_history

    def get(self, config: Any, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread's state: its latest, with what has finished since, or as recorded in the checkpoint named.

        Args:
            config: ``configurable``: ``thread_id``; ``checkpoint_id`` for an earlier state; ``checkpoint_ns`` for the
                state of a nested graph.
            subgraphs: the snapshots of waiting nested graphs too, as ``state`` of their tasks.

        Raises:
            ConfigError: no thread is named.
        """
        return drive(self._get(config, subgraphs), self.saver)

    async def aget(self, config: Any, *, subgraphs: bool = False) -> StateSnapshot:
        """``get`` under an event loop."""
        return await adrive(self._get(config, subgraphs), self.saver)

    def history(
        self, config: Any, *, filter: Mapping[str, Any] | None = None, before: Any = None, limit: int | None = None
    ) -> Iterator[StateSnapshot]:
        """The thread's states as recorded, newest first.

        Args:
            config: as ``get``.
            filter: entries of the checkpoints' metadata that must be equal.
            before: a config; only states older than its checkpoint.
            limit: at most so many.
        """
        yield from drive(self._history(config, filter, before, limit), self.saver)

    async def ahistory(
        self, config: Any, *, filter: Mapping[str, Any] | None = None, before: Any = None, limit: int | None = None
    ) -> AsyncIterator[StateSnapshot]:
        """``history`` under an event loop."""
        for snapshot in await adrive(self._history(config, filter, before, limit), self.saver):
            yield snapshot

    def update(self, config: Any, supersteps: Updates) -> Any:
        """Change the state as if nodes had returned ``values``; see ``updates.update_thread``.

        Returns:
            The config that names the new checkpoint.
        """
        return drive(self._update(config, supersteps), self.saver)

    async def aupdate(self, config: Any, supersteps: Updates) -> Any:
        """``update`` under an event loop."""
        return await adrive(self._update(config, supersteps), self.saver)

    # ------------------------------------------------------------ nested graphs

    def within(self, ns: str) -> States | None:
        """The state API of the graph whose checkpoints are in ``ns``; None if no node declares such a graph."""
        states = self
        for name in without_ids(ns).split(NS_SEP):
            node = states.program.nodes.get(name)
            if node is None or node.subgraph is None:
                return None
            states = states.of_subgraph(node.subgraph)
        return states

    def of_subgraph(self, graph: Any) -> States:
        """The state API of a graph that a node runs."""
        own_history = getattr(graph, "checkpointer", None) is True
        return States(graph.program, self.saver, name=graph.name, own_history=own_history)

    def address(self, config: Any) -> dict[str, Any]:
        """``config`` as it names this graph's checkpoints."""
        found: dict[str, Any] = dict(ensure_config(config))
        configurable = dict(found.get("configurable") or {})
        if configurable.get("thread_id") is None:
            raise NoThreadError(
                f"The state of graph {self.name!r} belongs to a thread. Say which: "
                'config={"configurable": {"thread_id": "..."}}.'
            )
        configurable["thread_id"] = str(configurable["thread_id"])
        ns = configurable.get("checkpoint_ns") or ""
        if self.own_history:
            ns = NS_SEP.join(part.split(NS_END)[0] for part in ns.split(NS_SEP))
        configurable["checkpoint_ns"] = ns
        return {**found, "configurable": configurable}

    def _for(self, config: Any) -> States:
        ns = ((config or {}).get("configurable") or {}).get("checkpoint_ns")
        return (self.within(ns) if ns and not self.own_history else None) or self

    # ------------------------------------------------------------ reading

    def _get(self, config: Any, subgraphs: bool) -> Calls[StateSnapshot]:
        states = self._for(config)
        return (yield from states.read(config, subgraphs))

    def read(self, config: Any, subgraphs: bool) -> Calls[StateSnapshot]:
        """The snapshot that ``config`` names, of this very graph."""
        address = self.address(config)
        saved = yield ("get_tuple", (address,))
        if saved is None:
            return StateSnapshot({}, (), config, None, None, None, (), ())
        live = not address["configurable"].get("checkpoint_id")
        return (yield from self._snapshot(saved, live, subgraphs))

    def _history(
        self, config: Any, wanted: Mapping[str, Any] | None, before: Any, limit: int | None
    ) -> Calls[list[StateSnapshot]]:
        states = self._for(config)
        found = yield ("list", (states.address(config), before, limit, dict(wanted) if wanted else None))
        snapshots: list[StateSnapshot] = []
        for saved in found:
            snapshot = yield from states._snapshot(saved, False, False)
            snapshots.append(snapshot)
        return snapshots

    def _snapshot(self, saved: CheckpointTuple, live: bool, subgraphs: bool) -> Calls[StateSnapshot]:
        program, at, pending = self.program, from_public(saved), pending_of(saved)
        configurable = saved.config["configurable"]
        outside = pending.get(NULL_TASK_ID)
        now = apply_outside(program, at, outside, version_rule(self.saver)) if outside else at
        # What runs next is what commands have made of it; what is on record is what had been planned.
        tasks = as_declared(program, plan(program, now if live else at, configurable.get("checkpoint_ns") or ""))
        if live:
            restore(tasks, pending)
        shown: list[PregelTask] = []
        for task in tasks:
            state = yield from self._state_of(task, configurable["thread_id"], subgraphs)
            shown.append(_show(program, task, pending, state, live))
        return StateSnapshot(
            values=output_values(program, with_finished(program, now, tasks), program.streamed),
            next=tuple(task.name for task in tasks if not task.writes),
            config=with_parents(saved.config, saved.metadata),
            metadata=saved.metadata,
            created_at=saved.checkpoint["ts"],
            parent_config=with_parents(saved.parent_config, saved.metadata),
            tasks=tuple(shown),
            interrupts=tuple(interrupt for task in shown for interrupt in task.interrupts),
        )

    def _state_of(self, task: Task, thread_id: str, subgraphs: bool) -> Calls[Any]:
        if not keeps_state(task.node.subgraph):
            return None
        config = {"configurable": {"thread_id": thread_id, "checkpoint_ns": task.checkpoint_ns}}
        if not subgraphs:
            return config
        return (yield from self.of_subgraph(task.node.subgraph).read(config, True))

    # ------------------------------------------------------------ changing

    def _update(self, config: Any, supersteps: Updates) -> Calls[Any]:
        ns = ((config or {}).get("configurable") or {}).get("checkpoint_ns")
        states = self
        if ns and not self.own_history:
            found = self.within(ns)
            if found is None:
                raise ValueError(f"Subgraph {without_ids(ns)} not found in graph {self.name!r}; nothing was changed.")
            states = found
        return (yield from update_thread(Target(states.program, states.saver, states.address), config, supersteps))


def as_declared(program: Program, tasks: Sequence[Task]) -> list[Task]:
    """``tasks`` as people read them: activations by Send first, then nodes in the order of their declaration."""
    place = {name: index for index, name in enumerate(program.nodes)}
    return sorted(tasks, key=lambda task: -1 if task.path[0] == PUSH else place[task.name])


def pending_of(saved: CheckpointTuple) -> Pending:
    """What the tasks of the superstep after a checkpoint wrote, by task id."""
    pending: Pending = {}
    for task_id, channel, value in saved.pending_writes or ():
        pending.setdefault(task_id, []).append((channel, value))
    for task_id, writes in pending.items():
        if any(channel == ERROR_SOURCE for channel, _ in writes):
            # Workers keep what its error handler wrote with the task that failed, which is not finished for that.
            pending[task_id] = [write for write in writes if write[0] in CONTROL_WRITES]
    return pending


def with_finished(program: Program, at: Checkpoint, tasks: Sequence[Task]) -> Checkpoint:
    """``at`` with what finished tasks wrote."""
    done = [task for task in tasks if task.writes]
    # Versions do not matter for a view: any rule will do.
    return apply_writes(program, at, done, lambda clock: clock, new_id=at.id) if done else at


def _show(program: Program, task: Task, pending: Pending, state: Any, live: bool) -> PregelTask:
    writes = pending.get(task.id, ())
    finished = is_finished(writes)
    asked: tuple[Interrupt, ...] = ()
    if not (live and finished):
        asked = tuple(interrupt for channel, value in writes if channel == INTERRUPT for interrupt in value)
    error = next((value for channel, value in writes if channel == ERROR), None)
    result: Any = None
    if finished:
        result = result_of(writes, program.streamed)
        if RETURN in result:
            result = result[RETURN]
        elif isinstance(program.streamed, str):
            result = result.get(program.streamed)
    return PregelTask(task.id, task.name, task.path, error, asked, state, result)
