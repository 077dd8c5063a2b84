"""The ways through a graph: what a run can come to, whether it can end, and what is surely written side by side.

What a function may do at run time counts as done: a node that may return a Command may lead anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any

from distgraph.channels import LastValue
from distgraph.constants import END, START
from distgraph.graph.hints import plain_function
from distgraph.graph.problems import Problem, lint, some
from distgraph.graph.specs import NodeSpec
from distgraph.types import Command, Send

if TYPE_CHECKING:
    from distgraph.graph.state import StateGraph


class Ways:
    """Which node leads where."""

    def __init__(self, builder: StateGraph[Any, Any, Any, Any]) -> None:
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
                yield lint("unreachable-node", text, fix, spec.place)

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
            yield lint("endless-loop", text, "Add a way out of the loop.", self.nodes[stuck[0]].place)

    def _stuck_joins(self, reached: set[str]) -> Iterator[Problem]:
        for (starts, end), place in self.builder._edges.joins.items():
            missing = [name for name in starts if name not in reached]
            if missing:
                text = f"The join of {some(starts)} into {end!r} waits for {some(missing)}, which no way leads to."
                yield lint("join-never-fires", text, "Lead a way there, or join without it.", place)

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
                yield lint("parallel-writers", text, "Give the key a reducer: Annotated[T, reducer].", place)

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
    function, _ = plain_function(spec.action)
    if function is None or hasattr(spec.action, "program"):
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
