"""The checks of a whole graph: errors refuse it, lints warn. All of them are found in one go.

An error is what cannot run or would silently lose work. A lint is what runs, but probably not as meant. Lints are
careful: what a function may do at run time (return a Command, go anywhere) counts as done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR, CO_VARARGS
from types import CodeType
from typing import TYPE_CHECKING, Any

from distgraph.channels import BinaryOperatorAggregate, LastValue
from distgraph.constants import END, RESERVED, START
from distgraph.engine.call import NodeCall
from distgraph.graph.declarations import DEFAULT_HANDLER
from distgraph.graph.hints import plain_function
from distgraph.graph.problems import Place, Problem, some
from distgraph.graph.specs import NodeSpec
from distgraph.superstep.routing import did_you_mean
from distgraph.types import Command, Send

if TYPE_CHECKING:
    from distgraph.graph.state import StateGraph

    Builder = StateGraph[Any, Any, Any, Any]


def find_problems(builder: Builder, interrupt: Sequence[str] = ()) -> list[Problem]:
    """All errors, then all lints; each kind in the order of the declarations.

    Args:
        builder: the graph.
        interrupt: names given as ``interrupt_before`` and ``interrupt_after``.
    """
    errors = [*_edge_errors(builder), *_interrupt_errors(builder, interrupt), *_node_errors(builder)]
    lints = [*_node_lints(builder), *_state_lints(builder), *_repeated(builder)]
    if not errors:
        # Ways through the graph mean something only where every edge leads from a node to a node.
        lints += _Ways(builder).lints()
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


_NO_SYNC_TIMEOUT = (
    "Node timeouts are only supported for async nodes because a running sync function cannot be stopped without its "
    "process. Node {name!r} is sync."
)


def _node_errors(builder: Builder) -> Iterator[Problem]:
    timeout = builder._defaults.timeout
    for name, spec in builder.nodes.items():
        if name in RESERVED:
            yield Problem("node-name", f"Node name '{name}' is reserved.", "Choose another name.", spec.place)
        # A node that was told how to travel is meant for workers, whose processes can be stopped.
        limited = (spec.timeout or timeout) is not None and spec.queue is None and spec.placement is None
        if limited and not NodeCall(spec.runnable, name=name).is_async:
            fix = 'Make it async, or set placement="spread" to run it on workers only.'
            yield Problem("sync-timeout", _NO_SYNC_TIMEOUT.format(name=name), fix, spec.place)
    if builder._defaults.error_handler is not None and DEFAULT_HANDLER in builder.nodes:
        text = f"Auto-generated default error handler node `{DEFAULT_HANDLER}` already exists."
        yield Problem("node-name", text, place=builder.nodes[DEFAULT_HANDLER].place)
    for key in (*builder.channels, *builder.managed):
        if key in RESERVED:
            yield Problem("state-key", f"Channel name '{key}' is reserved.", "Choose another key.", builder.place)


# ------------------------------------------------------------ lints of one part


def _lint(code: str, text: str, fix: str = "", place: Place | None = None) -> Problem:
    return Problem(code, text, fix, place, "lint")


def _node_lints(builder: Builder) -> Iterator[Problem]:
    channels = builder.channels
    for name, spec in builder.nodes.items():
        if not (len(name) <= 64 and name.isidentifier()) and not _is_tidy(name):
            text = f"Node name {name!r} is empty, padded, longer than 256 bytes, or has control or pattern characters."
            yield _lint("node-name-unusual", text, "Use letters, digits, '-', '_', '.' and inner spaces.", spec.place)
        if name in channels:
            text = f"Node {name!r} is named like a key of the state."
            yield _lint("node-named-like-key", text, "Different names read better in streams.", spec.place)
        function, position = plain_function(spec.runnable)
        if function is not None:
            yield from _function_lints(name, spec, function.__code__, position)


def _is_tidy(name: str) -> bool:
    return (
        name == name.strip()
        and 0 < len(name.encode("utf-8", "replace")) <= 256
        and name.isprintable()
        and not any(sign in "{}*" for sign in name)
    )


def _function_lints(name: str, spec: NodeSpec, code: CodeType, position: int) -> Iterator[Problem]:
    if code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
        text = f"Node {name!r} is a generator: only the last dict it yields becomes its update."
        yield _lint("generator-node", text, "Return the update; stream with a writer.", spec.place)
    if code.co_argcount <= position and not code.co_flags & CO_VARARGS:
        text = f"Node {name!r} takes no positional parameter, so it cannot be called with the state."
        yield _lint("node-arity", text, "Give it one parameter for the state.", spec.place)


def _state_lints(builder: Builder) -> Iterator[Problem]:
    for key, channel in builder.channels.items():
        operator = channel.operator if isinstance(channel, BinaryOperatorAggregate) else None
        if getattr(operator, "__name__", "") == "<lambda>":
            text = f"The reducer of key {key!r} is a lambda: graphs that differ only in it look equal to workers."
            yield _lint("lambda-reducer", text, "Name it with def.", builder.place)


def _repeated(builder: Builder) -> Iterator[Problem]:
    for start, end, place in builder._edges.repeated:
        text = f"The edge from {start!r} to {end!r} was declared before; it counts once."
        yield _lint("duplicate-edge", text, "Remove one of them.", place)


# ------------------------------------------------------------ lints of the ways through the graph


class _Ways:
    """Which node leads where."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.nodes = builder.nodes
        self.next: dict[str, set[str]] = {name: set() for name in (START, *self.nodes)}
        for start, end in builder._edges.plain:
            self.next[start].add(end)
        for starts, end in builder._edges.joins:
            for start in starts:
                self.next[start].add(end)
        for source, branches in builder.branches.items():
            for branch in branches.values():
                self.next[source].update(branch.ends.values() if branch.ends else (*self.nodes, END))
        for name, spec in self.nodes.items():
            self.next[name].update(spec.ends)
            if spec.error_handler_node is not None:
                self.next[name].add(spec.error_handler_node)

    def lints(self) -> Iterator[Problem]:
        reached = self._reached()
        yield from self._unreachable(reached)
        yield from self._endless(reached)
        yield from self._stuck_joins(reached)
        yield from self._parallel_writers()

    def _reached(self) -> set[str]:
        """Nodes that a run can come to; all of them as soon as one of these may go anywhere."""
        reached = _closure([START], self.next)
        if len(reached - {START, END}) < len(self.nodes) and any(
            may_route(self.nodes[name]) for name in reached if name in self.nodes
        ):
            return {START, *self.nodes}
        return reached

    def _unreachable(self, reached: set[str]) -> Iterator[Problem]:
        for name, spec in self.nodes.items():
            if name not in reached and not spec.is_error_handler:
                text = f"No way leads from START to node {name!r}."
                fix = "Add an edge, or declare the Commands that lead to it with destinations=."
                yield _lint("unreachable-node", text, fix, spec.place)

    def _endless(self, reached: set[str]) -> Iterator[Problem]:
        """Nodes from which no way leads to END or to a node where ways end."""
        before: dict[str, set[str]] = {}
        for name, targets in self.next.items():
            for target in targets or (END,):
                before.setdefault(target, set()).add(name)
        ending = _closure([END], before)
        stuck = [name for name in self.nodes if name in reached and name not in ending]
        if stuck and not any(may_route(self.nodes[name]) for name in stuck):
            text = f"No way leads from {some(stuck)} to END: a run that comes there ends at its recursion limit."
            yield _lint("endless-loop", text, "Add a way out of the loop.", self.nodes[stuck[0]].place)

    def _stuck_joins(self, reached: set[str]) -> Iterator[Problem]:
        for (starts, end), place in self.builder._edges.joins.items():
            missing = [name for name in starts if name not in reached]
            if missing:
                text = f"The join of {some(starts)} into {end!r} waits for {some(missing)}, which no way leads to."
                yield _lint("join-never-fires", text, "Lead a way there, or join without it.", place)

    def _parallel_writers(self) -> Iterator[Problem]:
        """Nodes that one node always starts together and whose annotated results share a key without reducer."""
        together: dict[str, list[str]] = {}
        for start, end in self.builder._edges.plain:
            if end != END and not self.nodes[end].defer:
                together.setdefault(start, []).append(end)
        for names in together.values():
            if len(names) > 1:
                yield from self._clashes(names)

    def _clashes(self, names: Sequence[str]) -> Iterator[Problem]:
        writers: dict[str, list[str]] = {}
        for name in names:
            for key in self._always_written(self.nodes[name].returned):
                writers.setdefault(key, []).append(name)
        for key, found in writers.items():
            if len(found) > 1:
                text = f"Nodes {some(found)} run in one superstep and all write key {key!r}, which takes one value."
                place = self.nodes[found[-1]].place
                yield _lint("parallel-writers", text, "Give the key a reducer: Annotated[T, reducer].", place)

    def _always_written(self, returned: Any) -> list[str]:
        if returned in self.builder.schemas:
            # An annotation with a whole schema is a habit and does not say which keys are written.
            return []
        keys = getattr(returned, "__required_keys__", ())
        return [key for key in keys if type(self.builder.channels.get(key)) is LastValue]


def _closure(start: Iterable[str], following: dict[str, set[str]]) -> set[str]:
    found = set(start)
    front = list(found)
    while front:
        for name in following.get(front.pop(), ()):
            if name not in found:
                found.add(name)
                front.append(name)
    return found


def may_route(spec: NodeSpec) -> bool:
    """Whether the node may return a Command or Send whose targets it did not declare."""
    if spec.ends:
        return False
    function, _ = plain_function(spec.runnable)
    if function is None or hasattr(spec.runnable, "program"):
        return True
    space = function.__globals__
    return any(
        name in ("Command", "Send", "goto") or space.get(name) in (Command, Send) for name in _names(function.__code__)
    )


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for const in code.co_consts:
        if isinstance(const, CodeType):
            yield from _names(const)


def check(graph: Any) -> list[Problem]:
    """Everything that is wrong with a builder or a compiled graph, errors and lints."""
    return find_problems(getattr(graph, "builder", graph))
