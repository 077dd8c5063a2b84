"""What nodes, branches, streams and callers see of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.constants import RETURN
from distgraph.errors import EmptyChannelError
from distgraph.superstep.model import Branch, Checkpoint, Program, Task
from distgraph.types import MISSING, Write


def read_channel(program: Program, values: Mapping[str, Any], name: str) -> Any:
    """What a task sees of one channel; MISSING if it is empty."""
    value = values.get(name, MISSING)
    rule = program.channels[name]
    if value is MISSING:
        # A reducer's key exists from the first superstep on with its empty value.
        return rule.initial()
    if rule.plain:
        return value
    return rule.read(value) if rule.is_available(value) else MISSING


def read_channels(program: Program, values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The channels among ``names`` that have a value, in that order."""
    view: dict[str, Any] = {}
    channels = program.channels
    for name in names:
        value = values.get(name, MISSING)
        if value is MISSING or not channels[name].plain:
            value = read_channel(program, values, name)
            if value is MISSING:
                continue
        view[name] = value
    return view


def task_input(program: Program, task: Task, stop: int) -> Any:
    """The input of ``task``: a Send's argument whole, else the node's view of the state.

    Raises:
        EmptyChannelError: a node that reads a single channel was woken while that channel is empty.
        Exception: whatever the schema's own validation raises.
    """
    node = task.node
    if task.arg is not MISSING:
        return task.arg
    view = _view(program, task.at.values, node.reads, program.managed, task.step, stop)
    return node.mapper(view) if node.mapper is not None else view


def _view(
    program: Program,
    values: Mapping[str, Any],
    reads: tuple[str, ...] | str,
    managed: Mapping[str, Any],
    step: int,
    stop: int,
) -> Any:
    if isinstance(reads, str):
        value = read_channel(program, values, reads)
        if value is MISSING:
            raise EmptyChannelError(f"Channel {reads!r} is empty: nothing was written to it yet.")
        return value
    if not managed:
        return read_channels(program, values, reads)
    view = read_channels(program, values, [name for name in reads if name not in managed])
    view.update({name: managed[name].get(step, stop) for name in reads if name in managed})
    return view


def branch_view(program: Program, task: Task, branch: Branch, stop: int, output: Any = None) -> Any:
    """What a conditional edge sees: the snapshot plus its own node's writes, not its siblings'."""
    values = dict(task.at.values)
    fresh: dict[str, list[Any]] = {}
    for channel, value in task.writes:
        fresh.setdefault(channel, []).append(value)
    wanted = (branch.reads,) if isinstance(branch.reads, str) else branch.reads
    for channel in wanted:
        if channel in fresh:
            rule = program.channels[channel]
            before = values.get(channel, MISSING)
            values[channel] = rule.reduce(rule.initial() if before is MISSING else before, fresh[channel])
    view = _view(program, values, branch.reads, program.managed, task.step, stop)
    if branch.mapper is not None:
        return branch.mapper(view)
    if branch.sees_output and isinstance(view, dict) and isinstance(output, dict):
        return {**output, **view}
    return view


def output_values(program: Program, at: Checkpoint, keys: Sequence[str] | str) -> Any:
    """The value(s) of the output channel(s) ``keys``; None where a single one is empty."""
    if isinstance(keys, str):
        value = read_channel(program, at.values, keys)
        return None if value is MISSING else value
    return read_channels(program, at.values, keys)


def wrote_any(keys: Sequence[str] | str, tasks: Sequence[Task]) -> bool:
    """Whether these tasks wrote an output channel: only then is there a new ``values`` chunk."""
    wanted = {keys} if isinstance(keys, str) else set(keys)
    return any(channel in wanted for task in tasks for channel, _ in task.writes)


def update_of(writes: Sequence[Write], keys: Sequence[str] | str) -> Any:
    """One finished task's part of an ``updates`` chunk: its output writes, as the node returned them.

    Several writes to one key become a list of single-key dicts; a task that wrote no output key gives None.
    """
    for channel, value in writes:
        if channel == RETURN:
            return value
    if isinstance(keys, str):
        found = [value for channel, value in writes if channel == keys]
        return None if not found else found[0] if len(found) == 1 else found
    wanted = keys if isinstance(keys, set | frozenset) else set(keys)
    pairs = [(channel, value) for channel, value in writes if channel in wanted]
    if not pairs:
        return None
    names = [channel for channel, _ in pairs]
    if len(set(names)) == len(names):
        return dict(pairs)
    return [{channel: value} for channel, value in pairs]
