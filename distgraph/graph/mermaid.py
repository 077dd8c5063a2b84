"""A graph's drawing as Mermaid text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distgraph.graph.picture import Drawing, Edge, Node

_HEAD = "---\nconfig:\n  flowchart:\n    curve: linear\n---\n"
_STYLES = {"default": "fill:#f2f0ff,line-height:1.2", "first": "fill-opacity:0", "last": "fill:#bfb6fc"}
_ESCAPES = {sign: f"#{ord(sign)};" for sign in "[](){}<>|"} | {'"': "#quot;", "#": "#35;"}
_MARKS = tuple("*_`")


class Mermaid:
    """Writes a drawing, nested graphs after the edges of the graph around them."""

    def __init__(self, drawing: Drawing, styles: bool, words: int) -> None:
        self.drawing = drawing
        self.styles = styles
        self.words = words
        first, last = drawing.first_node(), drawing.last_node()
        self.first = first.id if first is not None else None
        self.last = last.id if last is not None else None

    def lines(self) -> Iterator[str]:
        if self.styles:
            yield _HEAD
        yield "graph TD;\n"
        yield from self._graph("")
        if self.styles:
            for name, style in _STYLES.items():
                yield f"\tclassDef {name} {style}\n"

    def _graph(self, prefix: str) -> Iterator[str]:
        if self.styles:
            for key, node in self.drawing.nodes.items():
                if _within(key) == prefix:
                    yield self._node(key, node)
        here = [edge for edge in self.drawing.edges if _shared(edge) == prefix]
        # Loops of one node come last: they say least about the way.
        for edge in sorted(here, key=lambda edge: edge.source == edge.target):
            yield self._edge(edge)
        for inner in self._inside(prefix):
            yield f"\tsubgraph {inner.rpartition(':')[2]}\n"
            yield from self._graph(inner)
            yield "\tend\n"

    def _inside(self, prefix: str) -> list[str]:
        """Nested graphs directly within ``prefix``, also where a graph between holds nothing else."""
        start = f"{prefix}:" if prefix else ""
        names = (_within(key) for key in self.drawing.nodes)
        inner = (name[len(start) :].partition(":")[0] for name in names if name.startswith(start) and name != prefix)
        return [start + name for name in dict.fromkeys(inner) if name]

    def _node(self, key: str, node: Node) -> str:
        name = node.name
        label = f"<p>{name}</p>" if name.startswith(_MARKS) and name.endswith(_MARKS) else name
        facts = [_escaped(f"{fact} = {value}") for fact, value in _facts(node.metadata)]
        if facts:
            label += "<hr/><small><em>" + "\n".join(facts) + "</em></small>"
        shape = "{}([{}]):::first" if key == self.first else "{}([{}]):::last" if key == self.last else "{}({})"
        return f"\t{shape.format(_safe(key), label)}\n"

    def _edge(self, edge: Edge) -> str:
        arrow = "-.->" if edge.conditional else "-->"
        if edge.data is not None:
            label = f"&nbsp;{self._wrapped(edge.data)}&nbsp;"
            arrow = f"-. {label} .->" if edge.conditional else f"-- {label} -->"
        return f"\t{_safe(edge.source)} {arrow} {_safe(edge.target)};\n"

    def _wrapped(self, label: str) -> str:
        words, width = label.split(), self.words
        if len(words) <= width:
            return label
        return "&nbsp<br>&nbsp".join(" ".join(words[at : at + width]) for at in range(0, len(words), width))


def _within(key: str) -> str:
    """The nested graph that a node id lies in; "" at the top."""
    return key.rpartition(":")[0]


def _shared(edge: Edge) -> str:
    """The innermost graph that holds both ends."""
    shared: list[str] = []
    for left, right in zip(_within(edge.source).split(":"), _within(edge.target).split(":"), strict=False):
        if left != right:
            break
        shared.append(left)
    return ":".join(shared)


def _facts(metadata: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    for name, value in (metadata or {}).items():
        if isinstance(value, str | int | float):
            yield name, str(value)
        elif isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
            yield name, ", ".join(map(str, value))


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def _safe(key: str) -> str:
    """An id that Mermaid takes: whatever is neither letter, digit, "-" nor "_" becomes its code."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f"\\{ord(c):x}" for c in key)
