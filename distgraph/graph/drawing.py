"""Compiled graph -> drawing.

Solid arrows are edges that are always taken; dashed ones are conditional edges and declared destinations of Commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from distgraph.constants import END, START
from distgraph.graph.picture import Drawing, Edge, Node
from distgraph.graph.specs import NodeSpec

if TYPE_CHECKING:
    from distgraph.graph.channel_graph import Pregel
    from distgraph.graph.compiled import CompiledGraph


def draw(graph: CompiledGraph[Any, Any, Any, Any], xray: int | bool = False) -> Drawing:
    """The drawing of a compiled graph; with ``xray`` nested graphs are opened, to that depth."""
    specs = graph.specs
    edges = sorted(_edges(graph), key=_place)
    unique: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        unique.setdefault((edge.source, edge.target), edge)
    sources = {edge.source for edge in edges}
    for name in sorted({edge.target for edge in edges} - sources - {END}):
        unique[name, END] = Edge(name, END)
    nodes = {START: Node(START, START)}
    nodes |= {name: Node(name, name, spec.action, _metadata(graph, name, spec)) for name, spec in specs.items()}
    if any(edge.target == END for edge in unique.values()):
        nodes[END] = Node(END, END)
    drawing = Drawing(nodes, unique.values())
    if xray:
        for name, nested in graph.get_subgraphs():
            _open(drawing, name, nested.get_graph(xray=xray if xray is True else xray - 1))
    return drawing


def draw_channels(graph: Pregel[Any, Any, Any, Any]) -> Drawing:
    """The drawing of a graph of channels and nodes: an edge leads to whom a node's writes wake."""
    program = graph.program
    given = (program.inputs,) if isinstance(program.inputs, str) else program.inputs
    first = dict.fromkeys(name for channel in given for name in program.woken_by.get(channel, ()))
    pairs = sorted(
        {
            (source, target)
            for source, node in program.nodes.items()
            for channel in getattr(node.writer, "channels", ())
            for target in program.woken_by.get(channel, ())
        }
    )
    last = sorted({target for _, target in pairs} - {source for source, _ in pairs})
    nodes = {name: Node(name, name, None, dict(node.metadata) or None) for name, node in program.nodes.items()}
    edges = [*(Edge(START, name) for name in first), *(Edge(*pair) for pair in pairs)]
    # Where nothing leads on, a workflow among it, it is the node's own doing that the run ends.
    edges += [Edge(name, END) for name in last] or [Edge(name, END, None, True) for name in first if not pairs]
    ends = {START: Node(START, START), END: Node(END, END)}
    return Drawing(nodes | {name: ends[name] for name in ends if any(name in edge[:2] for edge in edges)}, edges)


def _edges(graph: CompiledGraph[Any, Any, Any, Any]) -> Iterator[Edge]:
    builder = graph.builder
    for start, end in builder.edges:
        yield Edge(start, end)
    for starts, end in builder.waiting_edges:
        for start in starts:
            yield Edge(start, end)
    for source, branches in builder.branches.items():
        for branch in branches.values():
            for label, end in (branch.ends or {}).items():
                yield _conditional(source, end, str(label))
    for name, spec in graph.specs.items():
        if isinstance(spec.ends, Mapping):
            for end, label in spec.ends.items():
                yield _conditional(name, end, label)
        else:
            for end in spec.ends:
                yield Edge(name, end, None, True)
        if spec.error_handler_node is not None:
            yield Edge(name, spec.error_handler_node, "error", True)


def _place(edge: Edge) -> tuple[Any, ...]:
    """Where an edge is drawn: by its nodes' names, those that just end a path after all others."""
    return edge.target == END and not edge.conditional, edge.source, edge.target, edge.conditional, edge.data or ""


def _conditional(source: str, end: str, label: str) -> Edge:
    return Edge(source, end, label if label != end else None, True)


def _metadata(graph: CompiledGraph[Any, Any, Any, Any], name: str, spec: NodeSpec) -> dict[str, Any] | None:
    found = dict(spec.metadata or {})
    if spec.defer:
        found["defer"] = True
    stops = (("before", graph.interrupt_before_nodes), ("after", graph.interrupt_after_nodes))
    when = [moment for moment, names in stops if names and name in names]
    if when:
        found["__interrupt"] = ",".join(when)
    return found or None


def _open(drawing: Drawing, name: str, inner: Drawing) -> None:
    """Replace node ``name`` by the nested drawing, without its START and END where one node stands for each."""
    inner.trim_first_node()
    inner.trim_last_node()
    first, last = inner.first_node(), inner.last_node()
    if first is None or last is None:
        # A graph that never ends: there is no single node that the outer edges could be bent to.
        return
    del drawing.nodes[name]
    for node in inner.nodes.values():
        drawing.nodes[f"{name}:{node.id}"] = node._replace(id=f"{name}:{node.id}")
    drawing.edges = [
        edge._replace(
            source=f"{name}:{last.id}" if edge.source == name else edge.source,
            target=f"{name}:{first.id}" if edge.target == name else edge.target,
        )
        for edge in drawing.edges
    ]
    drawing.edges += [
        edge._replace(source=f"{name}:{edge.source}", target=f"{name}:{edge.target}") for edge in inner.edges
    ]
