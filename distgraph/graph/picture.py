"""A graph as nodes and edges to look at: as Mermaid, plain text, JSON or a picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from distgraph.constants import END, START
from distgraph.errors import ConfigError
from distgraph.graph.mermaid import Mermaid


class Node(NamedTuple):
    """A drawn node. Within a nested graph its id starts with the nested graph's node: ``parent:child``."""

    id: str
    name: str
    data: Any = None
    metadata: Mapping[str, Any] | None = None


class Edge(NamedTuple):
    """A drawn edge; ``data`` is its label."""

    source: str
    target: str
    data: str | None = None
    conditional: bool = False


class Drawing:
    """A graph as nodes and edges.

    Attributes:
        nodes: id -> node, in the order of their declaration.
        edges: at most one from a node to another.
    """

    def __init__(self, nodes: Mapping[str, Node], edges: Iterable[Edge]) -> None:
        self.nodes = dict(nodes)
        self.edges = list(edges)

    def first_node(self) -> Node | None:
        """The one node that no edge leads to, if there is just one."""
        return self._first()

    def last_node(self) -> Node | None:
        """The one node that no edge leads from, if there is just one."""
        return self._last()

    def trim_first_node(self) -> None:
        """Leave out the first node, if one edge leads from it, and without it there is a first node still."""
        first = self._first()
        leaving = [edge for edge in self.edges if first is not None and edge.source == first.id]
        if first is not None and len(leaving) == 1 and self._first(without=first.id) is not None:
            self._remove(first.id)

    def trim_last_node(self) -> None:
        """Leave out the last node, if one edge leads to it, and without it there is a last node still."""
        last = self._last()
        coming = [edge for edge in self.edges if last is not None and edge.target == last.id]
        if last is not None and len(coming) == 1 and self._last(without=last.id) is not None:
            self._remove(last.id)

    def _first(self, without: str | None = None) -> Node | None:
        return self._only({edge.target for edge in self.edges if edge.source != without}, without)

    def _last(self, without: str | None = None) -> Node | None:
        return self._only({edge.source for edge in self.edges if edge.target != without}, without)

    def _only(self, others: set[str], without: str | None) -> Node | None:
        found = [node for key, node in self.nodes.items() if key not in others and key != without]
        return found[0] if len(found) == 1 else None

    def _remove(self, key: str) -> None:
        del self.nodes[key]
        self.edges = [edge for edge in self.edges if key not in (edge.source, edge.target)]

    def to_json(self) -> dict[str, Any]:
        """Nodes and edges as plain data."""
        return {"nodes": [_node_json(node) for node in self.nodes.values()], "edges": [*map(_edge_json, self.edges)]}

    def draw_ascii(self) -> str:
        """One line an edge, nodes in the order in which a run comes to them: ``-->`` always, ``..>`` conditional."""
        lines = []
        for name in self._in_order():
            leaving = [edge for edge in self.edges if edge.source == name]
            for edge in leaving:
                label = f"  [{edge.data}]" if edge.data is not None else ""
                lines.append(f"{name} {'..>' if edge.conditional else '-->'} {edge.target}{label}")
            if not leaving and not any(edge.target == name for edge in self.edges):
                lines.append(name)
        return "\n".join(lines)

    def print_ascii(self) -> None:
        """``draw_ascii`` on standard output."""
        print(self.draw_ascii())  # noqa: T201 - what it is for

    def _in_order(self) -> list[str]:
        order = [START] if START in self.nodes else []
        for name in order:
            order += [edge.target for edge in self.edges if edge.source == name and edge.target not in order]
        return order + [name for name in self.nodes if name not in order]

    def draw_mermaid(self, *, with_styles: bool = True, wrap_label_n_words: int = 9) -> str:
        """Mermaid text; nested graphs as subgraphs."""
        return "".join(Mermaid(self, with_styles, wrap_label_n_words).lines())

    def draw_svg(self) -> str:
        """An SVG document, laid out here.

        Raises:
            ConfigError: the extra ``draw`` is not installed.
        """
        from distgraph.graph.pictures import svg

        return svg(self)

    def draw_png(self, output_file_path: str | None = None) -> bytes:
        """A PNG image, laid out and drawn here; also written to a file, if one is named.

        Raises:
            ConfigError: the extra ``draw`` is not installed.
        """
        from distgraph.graph.pictures import png

        image = png(self)
        if output_file_path is not None:
            Path(output_file_path).write_bytes(image)
        return image

    def draw_mermaid_png(self, *, output_file_path: str | None = None, **_: Any) -> bytes:
        """``draw_png``, under the name that notebooks know: no service on the network is asked, options are for such."""
        return self.draw_png(output_file_path)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """What a notebook shows: the picture where it can be drawn, the text else."""
        shown: dict[str, Any] = {"text/plain": self.draw_ascii(), "text/vnd.mermaid": self.draw_mermaid()}
        with suppress(ConfigError):
            shown["image/svg+xml"] = self.draw_svg()
        return shown


def _node_json(node: Node) -> dict[str, Any]:
    if node.id == END:
        return {"id": END}
    action = node.data
    kind = action if hasattr(action, "__qualname__") else type(action)
    where = [] if action is None else [*kind.__module__.split("."), kind.__qualname__]
    drawn: dict[str, Any] = {"id": node.id, "type": "runnable", "data": {"id": where, "name": node.name}}
    if node.metadata is not None:
        drawn["metadata"] = dict(node.metadata)
    return drawn


def _edge_json(edge: Edge) -> dict[str, Any]:
    drawn: dict[str, Any] = {"source": edge.source, "target": edge.target}
    if edge.data is not None:
        drawn["data"] = edge.data
    if edge.conditional:
        drawn["conditional"] = True
    return drawn
