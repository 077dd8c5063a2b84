"""Small programs put together by hand: what the engine's tests run without the graph builder."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from distgraph.channels import BaseChannel, BinaryOperatorAggregate, EphemeralValue, LastValue, Topic
from distgraph.constants import BRANCH_TO, END, START, TASKS
from distgraph.engine.call import NodeCall
from distgraph.engine.request import Request
from distgraph.superstep.model import Branch, Node, Program, make_program
from distgraph.superstep.routing import goto_writes
from distgraph.types import Command, Write

#: Keys of the state: a number, and a list that grows.
STATE: dict[str, BaseChannel[Any, Any]] = {"n": LastValue(int), "log": BinaryOperatorAggregate(list, operator.add)}
KEYS = tuple(STATE)


def write(output: Any, nodes: Mapping[str, Any]) -> list[Write]:
    """A node returns None, a dict of changes, or a Command."""
    if isinstance(output, Command):
        return [*write(output.update, nodes), *goto_writes(output.goto, nodes, "A node")]
    return list(output.items()) if output else []


def small(
    nodes: Mapping[str, Any],
    *edges: tuple[str, str],
    branches: Mapping[str, Callable[..., Any]] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    state: Mapping[str, BaseChannel[Any, Any]] | None = None,
    **options: Any,
) -> Program:
    """A program over STATE with ``nodes``; the first one starts it, unless edges from START say otherwise."""
    channels = dict(state or STATE)
    keys = tuple(channels)
    made: dict[str, Node] = {}

    def node(name: str, action: Any, wake: str, reads: tuple[str, ...] | str) -> Node:
        ends = [(BRANCH_TO + to, None) for start, to in given if start == name and to != END]
        path = (branches or {}).get(name)
        branch = (Branch("choose", NodeCall(path, name="choose"), None, keys),) if path else ()
        return Node(
            name=name,
            triggers=(wake,),
            reads=reads,
            action=NodeCall(action, name=name) if action is not None else None,
            writer=lambda output: write(output, made),
            edges=tuple(ends),
            branches=branch,
            hidden=name == START,
            **(settings or {}).get(name, {}),
        )

    given = edges if any(start == START for start, _ in edges) else ((START, next(iter(nodes))), *edges)
    made[START] = node(START, None, START, START)
    for name, action in nodes.items():
        made[name] = node(name, action, BRANCH_TO + name, keys)
    wakes: dict[str, BaseChannel[Any, Any]] = {BRANCH_TO + name: EphemeralValue(guard=False) for name in nodes}
    return make_program(
        "small",
        made,
        {**channels, START: EphemeralValue(), TASKS: Topic(), **wakes},
        inputs=START,
        outputs=keys,
        streamed=keys,
        **options,
    )


def line(*names: str, **actions: Any) -> Program:
    """Nodes one after the other; each logs its name, unless ``actions`` has something better for it."""
    nodes = {name: actions.get(name) or logs(name) for name in names}
    return small(nodes, *pairwise(names))


def side_by_side(**actions: Any) -> Program:
    """Nodes that all run in the first superstep."""
    return small(actions, *((START, name) for name in actions))


def logs(name: str) -> Callable[[Any], Any]:
    """A node that logs its name."""
    return lambda state: {"log": [name]}


def on(thread: str = "t", **more: Any) -> dict[str, Any]:
    """A config for ``thread``."""
    return {"configurable": {"thread_id": thread, **more}}


def ask(program: Program, given: Any = None, config: Any = None, saver: Any = None, **options: Any) -> Request:
    """A request for one run."""
    return Request(program, given, config=config, saver=saver, **options)


def modes(*names: str) -> frozenset[str]:
    """Stream modes."""
    return frozenset(names)


def of_mode(chunks: Sequence[tuple[Any, str, Any]], mode: str) -> list[Any]:
    """The payloads of one mode."""
    return [payload for _, name, payload in chunks if name == mode]
