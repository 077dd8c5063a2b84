"""The checks of a whole graph: errors refuse it, lints warn. All of them are found in one go.

An error is what cannot run or would silently lose work. A lint is what runs, but probably not as meant. Lints are
careful: what a function may do at run time (return a Command, go anywhere) counts as done.

    errors   no-entry, unknown-node, node-name, state-key, sync-timeout
    lints    unreachable-node, endless-loop, join-never-fires, parallel-writers, duplicate-edge, empty-path-map,
             lambda-reducer, generator-node, node-arity, handler-parameter, node-named-like-key, node-name-unusual,
             node-name-lookalike, odd-retry-policy
    lints of what is stored or served (``storable.py``)    unstorable-type, partial-reducer, node-in-main
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR, CO_VARARGS
from types import FunctionType
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from distgraph.channels import BinaryOperatorAggregate, DeltaChannel
from distgraph.constants import END, RESERVED, START
from distgraph.engine.call import NodeCall, injected_into
from distgraph.graph.declarations import DEFAULT_HANDLER, DEFAULT_NAME, NO_SYNC_TIMEOUT, handler_name
from distgraph.graph.hints import plain_function
from distgraph.graph.problems import Place, Problem, lint
from distgraph.graph.specs import NodeSpec
from distgraph.graph.storable import reach_lints, storage_lints
from distgraph.graph.ways import Ways
from distgraph.suggestions import did_you_mean
from distgraph.types import RetryPolicy

if TYPE_CHECKING:
    from distgraph.graph.state import StateGraph

    Builder = StateGraph[Any, Any, Any, Any]


def find_problems(
    builder: Builder, interrupt: Sequence[str] = (), *, stored: bool = False, served: str = ""
) -> list[Problem]:
    """All errors, then all lints; each kind in the order of the declarations.

    Args:
        builder: the graph.
        interrupt: names given as ``interrupt_before`` and ``interrupt_after``.
        stored: checkpoints are kept, or the graph is to be fit for that.
        served: by which name workers are to know it; "" if they need not.
    """
    errors = [*_edge_errors(builder), *_interrupt_errors(builder, interrupt), *_node_errors(builder)]
    lints = [
        *_node_lints(builder),
        *_lookalikes(builder),
        *_retry_lints(builder),
        *_state_lints(builder),
        *_edge_lints(builder),
    ]
    if stored:
        lints += storage_lints(builder)
    if served:
        lints += reach_lints(builder, served)
    if not errors:
        # Ways through the graph mean something only where every edge leads from a node to a node.
        lints += Ways(builder).lints()
    return errors + lints


# ------------------------------------------------------------ errors


def _edge_errors(builder: Builder) -> Iterator[Problem]:
    nodes = builder.nodes
    edges = builder._edges
    for source, place in _sources(builder):
        if source not in nodes and source != START:
            text = f"Found edge starting at unknown node '{source}'.{did_you_mean(source, nodes)}"
            yield Problem("unknown-node", text, place=place)
    if not _has_entry(builder):
        text = "Graph must have an entrypoint: add at least one edge from START to another node."
        yield Problem("no-entry", text, place=builder.place)
    for source, branches in builder.branches.items():
        for name, branch in branches.items():
            for target in (branch.ends or {}).values():
                if target not in nodes and target != END:
                    text = f"At '{source}' node, '{name}' branch found unknown target '{target}'."
                    yield Problem("unknown-node", text + did_you_mean(target, nodes), place=branch.place)
    for (_, target), place in edges.plain.items():
        if target not in nodes and target != END:
            yield _unknown_end(target, nodes, place)
    for spec in nodes.values():
        for target in spec.ends:
            if target not in nodes and target != END:
                yield _unknown_end(target, nodes, spec.place)


def _unknown_end(target: str, nodes: Iterable[str], place: Place | None) -> Problem:
    text = f"Found edge ending at unknown node `{target}`.{did_you_mean(target, nodes)}"
    return Problem("unknown-node", text, place=place)


def _sources(builder: Builder) -> Iterator[tuple[str, Place | None]]:
    seen: set[str] = set()
    for (source, _), place in builder._edges.plain.items():
        if source not in seen:
            seen.add(source)
            yield source, place
    for source, branches in builder.branches.items():
        if source not in seen:
            yield source, next(iter(branches.values())).place


def _has_entry(builder: Builder) -> bool:
    return bool(builder.branches.get(START)) or any(source == START for source, _ in builder._edges.plain)


def _interrupt_errors(builder: Builder, interrupt: Sequence[str]) -> Iterator[Problem]:
    for name in dict.fromkeys(interrupt):
        if name not in builder.nodes:
            text = f"Interrupt node `{name}` not found.{did_you_mean(name, builder.nodes)}"
            yield Problem("unknown-node", text, place=builder.place)


def _node_errors(builder: Builder) -> Iterator[Problem]:
    timeout = builder._defaults.timeout
    for name, spec in builder.nodes.items():
        if name in RESERVED:
            yield Problem("node-name", f"Node name '{name}' is reserved.", "Choose another name.", spec.place)
        # A node that was told how to travel is meant for workers, whose processes can be stopped.
        limited = (spec.timeout or timeout) is not None and spec.queue is None and spec.placement is None
        if limited and not NodeCall(spec.action, name=name).is_async:
            fix = 'Make it async, or set placement="spread" to run it on workers only.'
            yield Problem("sync-timeout", NO_SYNC_TIMEOUT.format(name=name), fix, spec.place)
    if builder._defaults.error_handler is not None and DEFAULT_HANDLER in builder.nodes:
        text = f"Auto-generated default error handler node `{DEFAULT_HANDLER}` already exists."
        yield Problem("node-name", text, place=builder.nodes[DEFAULT_HANDLER].place)
    for key in (*builder.channels, *builder.managed):
        if key in RESERVED:
            yield Problem("state-key", f"Channel name '{key}' is reserved.", "Choose another key.", builder.place)


# ------------------------------------------------------------ lints of one part


def _node_lints(builder: Builder) -> Iterator[Problem]:
    channels = builder.channels
    handler = builder._defaults.error_handler
    every = NodeSpec(handler, None, builder.state_schema, is_error_handler=True, place=builder.place)
    for name, spec in (*builder.nodes.items(), *([(DEFAULT_HANDLER, every)] if handler is not None else ())):
        if not (len(name) <= 64 and name.isidentifier()) and not _is_tidy(name):
            text = f"Node name {name!r} is empty, padded, longer than 256 bytes, or has control or pattern characters."
            yield lint("node-name-unusual", text, "Use letters, digits, '-', '_', '.' and inner spaces.", spec.place)
        if name in channels:
            text = f"Node {name!r} is named like a key of the state."
            yield lint("node-named-like-key", text, "Different names read better in streams.", spec.place)
        function, position = plain_function(spec.action)
        if function is not None:
            yield from _function_lints(name, spec, function, position)


def _retry_lints(builder: Builder) -> Iterator[Problem]:
    """Numbers of retry policies that cannot be meant, each policy once."""
    of_nodes = ((f"of node {name!r}", spec.retry_policy, spec.place) for name, spec in builder.nodes.items())
    for whose, policies, place in (*of_nodes, ("of all nodes", builder._defaults.retry_policy, builder.place)):
        for policy in (policies,) if isinstance(policies, RetryPolicy) else policies or ():
            if odd := policy.oddities():
                text = f"The retry policy {whose} has {' and '.join(odd)}."
                yield lint(
                    "odd-retry-policy", text, "Intervals are seconds from 0 on; 1 attempt means no retry.", place
                )


def _lookalikes(builder: Builder) -> Iterator[Problem]:
    """Names that look the same and are not: one letter with an accent, and a letter followed by an accent."""
    seen: dict[str, str] = {}
    for name, spec in builder.nodes.items():
        if name.isascii():
            continue
        first = seen.setdefault(normalize("NFC", name), name)
        if first != name:
            text = f"Node {name!r} looks like node {first!r}, but is written with other characters."
            yield lint("node-name-lookalike", text, "Write both in one way, or rename one.", spec.place)


def _is_tidy(name: str) -> bool:
    return (
        name == name.strip()
        and 0 < len(name.encode("utf-8", "replace")) <= 256
        and name.isprintable()
        and not any(sign in "{}*" for sign in name)
    )


def _function_lints(name: str, spec: NodeSpec, function: FunctionType, position: int) -> Iterator[Problem]:
    code = function.__code__
    if code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        text = f"Node {name!r} is a generator: only the last dict it yields becomes its update."
        yield lint("generator-node", text, "Return the update; stream with a writer.", spec.place)
    if code.co_argcount <= position and not code.co_flags & CO_VARARGS:
        text = f"Node {name!r} takes no positional parameter, so it cannot be called with the state."
        yield lint("node-arity", text, "Give it one parameter for the state.", spec.place)
    elif code.co_argcount > position + 1 + len(function.__defaults__ or ()):
        yield from _more_parameters(name, spec, function, position + 1)


def _more_parameters(name: str, spec: NodeSpec, function: FunctionType, first: int) -> Iterator[Problem]:
    """Parameters after the state's that nobody gives a value to."""
    if hasattr(spec.action, "__wrapped__"):
        # Its decorator may give them.
        return
    required = function.__code__.co_varnames[first : function.__code__.co_argcount - len(function.__defaults__ or ())]
    with warnings.catch_warnings():
        # Of a ``config`` with another annotation was told where the node was added.
        warnings.simplefilter("ignore")
        given = injected_into(spec.action, name)
    for parameter in required:
        if parameter in given:
            continue
        if spec.is_error_handler:
            text = f"Parameter {parameter!r} of the error handler {handler_name(name)} is given no value: calling it fails."
            yield lint("handler-parameter", text, "Write error: NodeError; only that annotation gets it.", spec.place)
        else:
            text = f"Node {name!r} has a parameter {parameter!r}, which nothing gives a value to: calling it fails."
            fix = "Nodes are given the state, and config, runtime, store, writer or previous by name; default it, or bind it."
            yield lint("node-arity", text, fix, spec.place)


def _state_lints(builder: Builder) -> Iterator[Problem]:
    for key, channel in builder.channels.items():
        reducer: Any = None
        if isinstance(channel, BinaryOperatorAggregate):
            reducer = channel.operator
        elif isinstance(channel, DeltaChannel):
            reducer = channel.reducer
        if getattr(reducer, "__name__", "") == "<lambda>":
            text = f"The reducer of key {key!r} is a lambda: graphs that differ only in it look equal to workers."
            yield lint("lambda-reducer", text, "Name it with def.", builder.place)


def _edge_lints(builder: Builder) -> Iterator[Problem]:
    for source, branches in builder.branches.items():
        for name, branch in branches.items():
            if branch.ends is not None and not branch.ends:
                text = f"The mapping of conditional edge {name!r} of node {source!r} is empty, so it is not used."
                yield lint("empty-path-map", text, "Name its targets, or leave the mapping out.", branch.place)
    for start, end, place in builder._edges.repeated:
        text = f"The edge from {start!r} to {end!r} was declared before; it counts once."
        yield lint("duplicate-edge", text, "Remove one of them.", place)


def check(graph: Any) -> list[Problem]:
    """Everything that is wrong with a builder or a compiled graph, errors and lints."""
    name = getattr(graph, "name", DEFAULT_NAME)
    return find_problems(
        getattr(graph, "builder", graph), stored=True, served="" if name == DEFAULT_NAME else name or ""
    )
