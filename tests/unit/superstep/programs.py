"""Programs for tests of the algebra: nodes that exist by name only, and writes given by hand."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

from distgraph.channels import BaseChannel, BinaryOperatorAggregate, EphemeralValue, LastValue, Topic
from distgraph.constants import BRANCH_TO, TASKS
from distgraph.superstep.apply import apply_writes, count_up
from distgraph.superstep.model import EMPTY, Checkpoint, Node, Program, Task, make_program
from distgraph.types import Write


def program(
    *names: str, extra: Mapping[str, BaseChannel[Any, Any]] | None = None, **triggers: Sequence[str]
) -> Program:
    """Nodes ``names``, each woken by its own channel, and by those in ``triggers``; state keys n and log."""
    nodes = {name: node(name, BRANCH_TO + name, *triggers.get(name, ())) for name in names}
    wakes: dict[str, BaseChannel[Any, Any]] = {BRANCH_TO + name: EphemeralValue(guard=False) for name in names}
    state: dict[str, BaseChannel[Any, Any]] = {"n": LastValue(int), "log": BinaryOperatorAggregate(list, operator.add)}
    return make_program(
        "p",
        nodes,
        {**state, TASKS: Topic(), **wakes, **(extra or {})},
        inputs=("n", "log"),
        outputs=("n", "log"),
        streamed=("n", "log"),
    )


def node(name: str, *triggers: str, **options: Any) -> Node:
    return Node(name=name, triggers=triggers, reads=("n", "log"), action=None, writer=lambda output: [], **options)


def wrote(task: Task, *writes: Write) -> Task:
    """``task``, settled."""
    task.writes = list(writes)
    return task


def begun(of: Program, *writes: Write) -> Checkpoint:
    """The checkpoint after an input that wrote ``writes``."""
    given = wrote(Task(None, (), (), EMPTY, name="input"), *writes)
    return apply_writes(of, EMPTY, [given], count_up, new_id="c0")


def wake(*names: str) -> list[Write]:
    """Writes that wake nodes."""
    return [(BRANCH_TO + name, None) for name in names]
