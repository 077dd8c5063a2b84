"""Builder -> Program: what the algebra and the shells work with.

Every node is woken by a channel of its own, ``branch:to:<node>``, that edges, branches, gotos and START write; a join
adds a barrier channel. A deferred node's channels open only when nothing else is left to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from distgraph.channels import (
    BaseChannel,
    EphemeralValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
    Topic,
)
from distgraph.constants import BRANCH_TO, END, ROOT, START, TAG_HIDDEN, TASKS
from distgraph.engine.call import NodeCall
from distgraph.graph.declarations import policies_of
from distgraph.graph.inside import graph_in
from distgraph.graph.nodes import Writer, naming_writer, root_writer, state_writers
from distgraph.graph.specs import BranchSpec, NodeSpec
from distgraph.superstep.identity import digest_of
from distgraph.superstep.model import Branch, Node, Program, make_program
from distgraph.types import Write

if TYPE_CHECKING:
    from distgraph.graph.state import StateGraph

Stops = tuple[str, ...] | Literal["*"]


def build_program(
    builder: StateGraph[Any, Any, Any, Any],
    specs: Mapping[str, NodeSpec],
    name: str,
    before: Stops,
    after: Stops,
    *,
    strict: bool = False,
) -> Program:
    """The program of a checked graph."""
    return _Build(builder, specs, strict).program(name, before, after)


def join_channel(starts: tuple[str, ...], end: str) -> str:
    """The channel of the join of ``starts`` into ``end``."""
    return f"join:{'+'.join(starts)}:{end}"


class _Build:
    def __init__(self, builder: StateGraph[Any, Any, Any, Any], specs: Mapping[str, NodeSpec], strict: bool) -> None:
        self.builder = builder
        self.specs = specs
        self.strict = strict
        self.state_keys = frozenset(builder.channels)
        self.conversations = frozenset(key for key, rule in builder.channels.items() if merges_messages(rule))
        self.nodes: dict[str, Node] = {}
        self.writing = self._writers(self.state_keys)
        self.reading = self._writers(self.state_keys, reported=False)
        self.channels: dict[str, BaseChannel[Any, Any]] = dict(builder.channels)
        self.edges: dict[str, list[Write]] = {}
        self.triggers: dict[str, list[str]] = {}
        #: Channels of joins that must not be left half complete, and of those that may.
        self.joins: list[str] = []
        self.optional: list[str] = []

    def program(self, name: str, before: Stops, after: Stops) -> Program:
        builder = self.builder
        self.channels[START] = EphemeralValue(builder.input_schema, key=START)
        self.channels[TASKS] = Topic(key=TASKS)
        self._wire()
        self.nodes[START] = self._start()
        for node, spec in self.specs.items():
            self.nodes[node] = self._node(node, spec)
        return make_program(
            name,
            self.nodes,
            self.channels,
            inputs=START,
            outputs=builder.schema(builder.output_schema).writable,
            streamed=ROOT if self.state_keys == {ROOT} else tuple(builder.channels),
            managed=builder.managed,
            interrupt_before=before,
            interrupt_after=after,
            fingerprint=self._fingerprint(),
            joins=self.joins,
        )

    # ------------------------------------------------------------ channels of the graph's own

    def _wire(self) -> None:
        channels, triggers, edges = self.channels, self.triggers, self.edges
        for node, spec in self.specs.items():
            if spec.is_error_handler:
                triggers[node] = []
                continue
            wake = BRANCH_TO + node
            triggers[node] = [wake]
            channels[wake] = LastValueAfterFinish(key=wake) if spec.defer else EphemeralValue(guard=False, key=wake)
        # Sorted: the order of a node's writes must not depend on the order of declarations.
        for start, end in sorted(self.builder._edges.plain):
            if end != END:
                edges.setdefault(start, []).append((BRANCH_TO + end, None))
        for starts, end in sorted(self.builder._edges.joins):
            if end != END:
                self._join(starts, end)

    def _join(self, starts: tuple[str, ...], end: str) -> None:
        key = join_channel(starts, end)
        barrier = NamedBarrierValueAfterFinish if self.specs[end].defer else NamedBarrierValue
        self.channels[key] = barrier(str, set(starts), key=key)
        self.triggers[end].append(key)
        (self.optional if (starts, end) in self.builder._edges.optional else self.joins).append(key)
        for start in starts:
            self.edges.setdefault(start, []).append((key, start))

    # ------------------------------------------------------------ nodes

    def _start(self) -> Node:
        schema = self.builder.schema(self.builder.input_schema)
        return Node(
            name=START,
            triggers=(START,),
            reads=START,
            action=None,
            writer=self._writers(frozenset(schema.channels))(START),
            edges=tuple(self.edges.get(START, ())),
            branches=self._branches(START, self.builder.state_schema),
            tags=(TAG_HIDDEN,),
            hidden=True,
        )

    def _node(self, name: str, spec: NodeSpec) -> Node:
        schema = self.builder.schema(spec.input_schema)
        return Node(
            name=name,
            triggers=tuple(self.triggers[name]),
            reads=schema.reads,
            action=NodeCall(spec.action, name=name),
            writer=(self.reading if self._reads_output(name) else self.writing)(name),
            mapper=schema.mapper,
            edges=tuple(self.edges.get(name, ())),
            branches=self._branches(name, spec.input_schema) if name in self.builder.branches else (),
            retry=policies_of(spec.retry_policy),
            cache=spec.cache_policy,
            timeout=spec.timeout,
            error_handler=spec.error_handler_node,
            metadata=spec.metadata or {},
            defer=spec.defer,
            queue=spec.queue,
            placement=spec.placement,
            subgraph=graph_in(spec.action),
            trace_policy=spec.trace_policy,
        )

    def _writers(self, keys: frozenset[str], *, reported: bool = True) -> Callable[[str], Writer]:
        """Makes the writer of a node out of its name; ``reported``: keys that are dropped are told of."""
        if keys == {ROOT}:
            make: Callable[[str], Writer] = partial(root_writer, nodes=self.nodes)
        else:
            make = state_writers(keys, self.nodes, self.state_keys if reported else None, self.strict)
        if not self.conversations:
            return make
        return lambda name: naming_writer(make(name), self.conversations)

    def _reads_output(self, name: str) -> bool:
        """Whether a conditional edge reads the node's output, what it holds beyond the state too: that is not lost."""
        branches = self.builder.branches.get(name)
        return branches is not None and any(spec.input_schema is None for spec in branches.values())

    def _branches(self, source: str, view: Any) -> tuple[Branch, ...]:
        return tuple(self._branch(name, spec, view) for name, spec in self.builder.branches.get(source, {}).items())

    def _branch(self, name: str, spec: BranchSpec, view: Any) -> Branch:
        schema = self.builder.schema(spec.input_schema if spec.input_schema is not None else view)
        return Branch(
            name,
            NodeCall(spec.path, name=name),
            spec.ends or None,
            schema.reads,
            schema.mapper,
            sees_output=spec.input_schema is None,
        )

    # ------------------------------------------------------------ identity

    def _fingerprint(self) -> str:
        # The graph's own channels follow from its nodes and edges.
        nodes = [f"{node}{'~' if spec.defer else ''}" for node, spec in sorted(self.specs.items(), key=_name)]
        edges = [f"{start}>{','.join([key for key, _ in self.edges[start]])}" for start in sorted(self.edges)]
        branches = [
            f"{source}?{name}={sorted((spec.ends or {}).values())}"
            for source, named in sorted(self.builder.branches.items())
            for name, spec in sorted(named.items())
        ]
        channels = [f"{key}:{channel.spec()}" for key, channel in sorted(self.builder.channels.items(), key=_name)]
        optional = [f"{key}?" for key in self.optional]
        return digest_of("\n".join([*nodes, *edges, *branches, *channels, *optional]))


def _name(item: tuple[str, Any]) -> str:
    return item[0]


def merges_messages(rule: BaseChannel[Any, Any]) -> bool:
    """Whether a key's reducer is ``add_messages``, in any of its forms."""
    operator = getattr(rule, "operator", None)
    return getattr(getattr(operator, "func", operator), "__module__", "") == "distgraph.graph.message"
