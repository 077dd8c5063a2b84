"""Checkpoint -> the tasks it activates."""

from __future__ import annotations

from collections.abc import Iterable

from distgraph.constants import PULL, PUSH, TASKS
from distgraph.errors import RoutingError
from distgraph.superstep.model import Checkpoint, Program, Task
from distgraph.superstep.routing import unknown_node
from distgraph.types import MISSING, Send

_PUSHED = (PUSH,)
#: What an error handler's path has after the failed task's.
HANDLER_PATH = "node_error_handler"


def plan(program: Program, at: Checkpoint, ns: str = "") -> list[Task]:
    """The tasks of the superstep after ``at``: one for each Send, one for each node whose channels woke it.

    Raises:
        RoutingError: a Send names a node the program does not have (a checkpoint of another graph).
    """
    tasks: list[Task] = []
    sends = at.values.get(TASKS)
    if sends:
        tasks = [_pushed(program, at, ns, index, send) for index, send in enumerate(sends)]
    for name in _candidates(program, at):
        node = program.nodes[name]
        if _woken(program, at, name, node.triggers):
            tasks.append(Task(node, (PULL, name), node.triggers, at, ns))
    return tasks


def _pushed(program: Program, at: Checkpoint, ns: str, index: int, send: Send) -> Task:
    node = program.nodes.get(send.node)
    if node is None:
        raise RoutingError(unknown_node(f"The Send at index {index} of step {at.step}", send.node, program.nodes))
    return Task(node, (PUSH, index, False), _PUSHED, at, ns, send.arg, timeout=send.timeout)


def task_at(program: Program, at: Checkpoint, path: tuple[object, ...], ns: str = "") -> Task | None:
    """The one task at ``path``, or None if ``at`` does not plan it: what a worker runs, without planning the rest."""
    if path[0] == PUSH:
        index, sends = path[1], at.values.get(TASKS) or ()
        if not isinstance(index, int) or index >= len(sends):
            return None
        return _pushed(program, at, ns, index, sends[index])
    node = program.nodes.get(str(path[1]))
    if node is None or not _woken(program, at, node.name, node.triggers):
        return None
    return Task(node, (PULL, node.name), node.triggers, at, ns)


def handler_task(program: Program, failed: Task) -> Task | None:
    """The task that takes over from one that failed for good, with the same input; None if its node has no handler.

    It belongs to the same superstep, and its writes are applied in the place of the failed task's.
    """
    node = program.nodes.get(failed.node.error_handler or "")
    if node is None:
        return None
    return Task(node, (*failed.path, HANDLER_PATH, False), _PUSHED, failed.at, failed.ns, failed.arg)


def _candidates(program: Program, at: Checkpoint) -> Iterable[str]:
    if at.updated is None:
        return sorted(program.nodes)
    woken_by = program.woken_by
    hits = [woken_by[channel] for channel in at.updated if channel in woken_by]
    if len(hits) == 1:
        return hits[0]
    return sorted({name for names in hits for name in names})


def _woken(program: Program, at: Checkpoint, name: str, triggers: tuple[str, ...]) -> bool:
    values, versions = at.values, at.versions
    seen = at.seen.get(name)
    for trigger in triggers:
        value = values.get(trigger, MISSING)
        if value is MISSING:
            continue
        channel = program.channels[trigger]
        if not (channel.plain or channel.is_available(value)):
            continue
        if seen is None or trigger not in seen or versions[trigger] > seen[trigger]:
            return True
    return False
