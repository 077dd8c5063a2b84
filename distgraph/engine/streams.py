"""Chunks of the stream modes, from tasks, their writes and checkpoints.

The functions are pure, so that whoever has an event log instead of a running graph derives the same chunks. ``Streams``
sends them for one run, and computes nothing that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from distgraph.constants import ERROR, INTERRUPT, METADATA, RETURN
from distgraph.engine.context import RunContext
from distgraph.engine.messages import is_of_tool, message_id, messages_in
from distgraph.superstep.advance import Pending
from distgraph.superstep.model import Checkpoint, Program, Task, is_finished
from distgraph.superstep.resume import pending_interrupts
from distgraph.superstep.views import output_values, task_input, update_of
from distgraph.types import Interrupt, Write

Keys = Sequence[str] | str

#: Entries of a task's metadata that say what the task itself says already.
_PLACES = frozenset(
    {
        *("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "langgraph_step", "langgraph_node"),
        *("langgraph_triggers", "langgraph_path", "langgraph_checkpoint_ns"),
    }
)


def update_chunk(task: Task, writes: Sequence[Write], keys: Keys, *, cached: bool = False) -> dict[str, Any]:
    """An ``updates`` chunk: what one finished task wrote."""
    chunk = {task.name: update_of(writes, keys)}
    return {**chunk, METADATA: {"cached": True}} if cached else chunk


def asked_values(program: Program, at: Checkpoint, keys: Keys, interrupts: tuple[Interrupt, ...]) -> dict[str, Any]:
    """A ``values`` chunk of a run that stopped to ask."""
    values = output_values(program, at, keys)
    return {**values, INTERRUPT: interrupts} if isinstance(values, dict) else {INTERRUPT: interrupts}


def task_chunk(task: Task, value: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """A ``tasks`` chunk: a task starts with ``value`` as its input."""
    chunk = {"id": task.id, "name": task.name, "input": value, "triggers": tuple(task.triggers)}
    metadata = {key: value for key, value in (config.get("metadata") or {}).items() if key not in _PLACES}
    metadata.update(task.node.metadata)
    tags = [*(config.get("tags") or ()), *task.node.tags]
    if tags:
        metadata["tags"] = tags
    return {**chunk, "metadata": metadata} if metadata else chunk


def result_chunk(task: Task, writes: Sequence[Write], keys: Keys, error: Any = None) -> dict[str, Any]:
    """A ``tasks`` chunk: a task settled."""
    return {
        "id": task.id,
        "name": task.name,
        "error": error,
        "result": result_of(writes, keys),
        "interrupts": [asdict(each) for channel, value in writes if channel == INTERRUPT for each in value],
    }


def result_of(writes: Sequence[Write], keys: Keys) -> dict[str, Any]:
    """What a task wrote to ``keys``; several writes to one key as ``{"$writes": [...]}``."""
    wanted = {keys} if isinstance(keys, str) else set(keys)
    grouped: dict[str, list[Any]] = {}
    for channel, value in writes:
        if channel in wanted or channel == RETURN:
            grouped.setdefault(channel, []).append(value)
    return {name: values[0] if len(values) == 1 else {"$writes": values} for name, values in grouped.items()}


def checkpoint_chunk(
    program: Program,
    at: Checkpoint,
    tasks: Iterable[Task],
    *,
    config: Any,
    parent_config: Any,
    metadata: Mapping[str, Any],
    pending: Pending,
    states: Callable[[Task], Any],
) -> dict[str, Any]:
    """A ``checkpoints`` chunk: a checkpoint was made, and ``tasks`` are next, of which some have settled already."""
    tasks = list(tasks)
    return {
        "config": config,
        "parent_config": parent_config,
        "values": output_values(program, at, program.streamed),
        "metadata": dict(metadata),
        "next": [task.name for task in tasks],
        "tasks": [_planned(program, task, pending.get(task.id, ()), states(task)) for task in tasks],
    }


def keeps_state(graph: Any) -> bool:
    """Whether a node runs ``graph`` with checkpoints of its own."""
    return graph is not None and getattr(graph, "checkpointer", None) is not False


def _planned(program: Program, task: Task, writes: Sequence[Write], state: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": task.id, "name": task.name}
    error = next((value for channel, value in writes if channel == ERROR), None)
    if error is not None:
        return {**shown, "error": error, "state": state}
    if is_finished(writes) and (result := result_of(writes, program.streamed)):
        shown["result"] = result
    asked = tuple(asdict(each) for channel, value in writes if channel == INTERRUPT for each in value)
    return {**shown, "interrupts": asked, "state": state}


class Streams:
    """Sends the chunks of one run to whoever reads them."""

    __slots__ = ("checkpoints", "ctx", "keys", "messages", "modes", "program", "tasks", "updates", "values")

    def __init__(self, ctx: RunContext, keys: Keys, modes: frozenset[str] | None = None) -> None:
        self.ctx = ctx
        self.program = ctx.program
        self.keys = keys
        self.modes = modes = ctx.modes if modes is None else modes
        self.values = "values" in modes
        self.updates = "updates" in modes
        self.messages = "messages" in modes
        self.tasks = not modes.isdisjoint({"tasks", "debug"})
        self.checkpoints = not modes.isdisjoint({"checkpoints", "debug"})

    def send(self, mode: str, payload: Any, key: str = "") -> None:
        """One chunk of this run's own; ``key`` names the checkpoint or task that it tells of."""
        if self.ctx.emit is not None and mode in self.modes:
            self.ctx.emit(self.ctx.ns_tuple, mode, payload, key)

    def state(self, at: Checkpoint) -> None:
        """The state after a superstep."""
        if self.values:
            self.send("values", output_values(self.program, at, self.keys), at.id)

    def planned(self, step: int, chunk: dict[str, Any]) -> None:
        """A checkpoint."""
        key = chunk["config"]["configurable"]["checkpoint_id"]
        self.send("checkpoints", chunk, key)
        self._debug(step, "checkpoint", chunk, key)

    def started(self, tasks: Iterable[Task]) -> None:
        """These tasks are about to run."""
        if not self.tasks:
            return
        for task in tasks:
            if not task.node.hidden:
                chunk = task_chunk(task, self._input(task), self.ctx.config)
                key = f"{task.id}+"
                self.send("tasks", chunk, key)
                self._debug(task.step, "task", chunk, key)

    def settled(self, task: Task, writes: Sequence[Write], *, cached: bool = False) -> None:
        """A task finished or asked."""
        if task.node.hidden:
            return
        if self.messages and not cached:
            self._send_messages(task, writes)
        interrupts = pending_interrupts(writes)
        if interrupts:
            self.asked(task, interrupts)
        elif self.updates and is_finished(writes):
            self.send("updates", update_chunk(task, writes, self.keys, cached=cached), task.id)
        if not cached:
            self._result(task, writes)

    def asked(self, task: Task, interrupts: tuple[Interrupt, ...]) -> None:
        """A task asked for answers."""
        if self.updates:
            self.send("updates", {INTERRUPT: interrupts}, task.id)
        if self.values:
            self.send("values", asked_values(self.program, task.at, self.keys, interrupts), task.id)

    def failed(self, task: Task, exc: BaseException) -> None:
        """A task failed for good."""
        if not task.node.hidden:
            self._result(task, (), exc)

    def breakpoint(self) -> None:
        """The run stopped at a breakpoint."""
        self.send("updates", {INTERRUPT: ()})

    def _result(self, task: Task, writes: Sequence[Write], error: Any = None) -> None:
        if self.tasks:
            chunk = result_chunk(task, writes, self.program.streamed, error)
            self.send("tasks", chunk, task.id)
            self._debug(task.step, "task_result", chunk, task.id)

    def _send_messages(self, task: Task, writes: Sequence[Write]) -> None:
        read = [task.arg, *task.arg.values()] if isinstance(task.arg, dict) else task.at.values.values()
        self.ctx.seen.update(message_id(message) for message in messages_in(read))
        metadata: dict[str, Any] | None = None
        for number, message in enumerate(messages_in(value for _, value in writes)):
            known = message_id(message)
            if self.ctx.pieces and is_of_tool(message):
                continue
            if known is None or known not in self.ctx.seen:
                self.ctx.seen.add(known)
                # Who sorts messages by where they come from knows these by this name.
                metadata = metadata or {"ls_integration": "langgraph", **self.ctx.config_of(task)["metadata"]}
                self.send("messages", (message, metadata), f"{task.id}/{number}")

    def _input(self, task: Task) -> Any:
        try:
            return task_input(self.program, task, self.ctx.stop)
        except Exception:
            # The task meets the same exception when it runs, and reports it as its own.
            return None

    def _debug(self, step: int, kind: str, payload: Any, key: str) -> None:
        if "debug" in self.modes:
            self.send("debug", {"step": step, "timestamp": self.stamp(), "type": kind, "payload": payload}, key)

    def stamp(self) -> str:
        """The time, ISO 8601, UTC."""
        from datetime import UTC, datetime

        return datetime.now(UTC).isoformat()
