"""Joins that some of their sources have reached when a run comes to its end: their nodes would be left out silently.

A run has come to its end when no task is planned. Nothing can complete a join then, so what it has gathered is lost
work, unless the graph says that the join is optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distgraph.channels.named_barrier_value import NamedBarrierValue
from distgraph.superstep.apply import Bump, apply_writes
from distgraph.superstep.model import Checkpoint, Program, Task
from distgraph.types import MISSING


def stalled_joins(program: Program, at: Checkpoint) -> list[str]:
    """The channels of required joins that have some of their sources at ``at``, and not all."""
    return [key for key in program.joins if key in at.values and _missing(program, at, key)]


def stalled_text(program: Program, at: Checkpoint) -> str:
    """What is to be said of the joins that stalled at ``at``: who waits, for whom, and what to do."""
    told: list[str] = []
    for key in stalled_joins(program, at):
        waiting = " and ".join(map(repr, program.woken_by[key]))
        missing = _missing(program, at, key)
        arrived = sorted(_names(program, key) - set(missing))
        told.append(
            f"the join into {waiting} waits for {_listed(missing)}, which did not run, after {_listed(arrived)} did"
        )
    return (
        f"{'; '.join(told)}. No task is left that could complete it, so {'it' if len(told) == 1 else 'they'} can no longer "
        f"fire. The state is saved. Lead every way through all nodes of the join, or allow it: "
        "add_edge([...], node, optional=True)."
    )


def with_input(
    program: Program, at: Checkpoint, given: Task, discarded: Sequence[Task], bump: Bump, *, new_id: str, ts: str
) -> Checkpoint:
    """The checkpoint that a new input makes of ``at``: tasks that were planned there are given up.

    Joins that stalled when the thread's last run ended begin anew: otherwise one of their nodes alone would complete
    them, with what an earlier run had left.
    """
    if not discarded and at.source == "loop" and (stalled := stalled_joins(program, at)):
        at = at._replace(
            values={key: value for key, value in at.values.items() if key not in stalled},
            versions={key: version for key, version in at.versions.items() if key not in stalled},
        )
    return apply_writes(program, at, [*discarded, given], bump, new_id=new_id, ts=ts, source="input")


def _names(program: Program, key: str) -> frozenset[Any]:
    channel = program.channels[key]
    assert isinstance(channel, NamedBarrierValue)
    return channel.names


def _missing(program: Program, at: Checkpoint, key: str) -> list[Any]:
    channel = program.channels[key]
    assert isinstance(channel, NamedBarrierValue)
    return channel.missing(at.values.get(key, MISSING))


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(repr, names))
