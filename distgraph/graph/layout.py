"""Where the parts of a drawn graph stand: the layered layout of Sugiyama, Tagawa and Toda (1981), by grandalf."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import dist, hypot
from typing import TYPE_CHECKING, Any, NamedTuple

from distgraph.errors import ConfigError

if TYPE_CHECKING:
    from distgraph.graph.picture import Drawing, Edge

#: Pixels: a letter's width at 14 px, a box around one line of text, the room between boxes, and around all.
_LETTER, _PADDING, _HEIGHT, _GAP, _MARGIN = 8.0, 28.0, 36.0, 44.0, 16.0
#: How far an edge is bent that has one beside it which leads back. Pixels.
_BOW = 16.0

#: What brings the libraries that pictures need.
INSTALL = "pip install 'distgraph[draw]'"

Point = tuple[float, float]


class Box(NamedTuple):
    """A node: its centre and its size, in pixels."""

    id: str
    text: str
    x: float
    y: float
    width: float
    height: float = _HEIGHT


class Route(NamedTuple):
    """An edge: the corners of its line, from border to border, the last one with the arrow; the middle of its label."""

    points: Sequence[Point]
    label: str
    at: Point
    conditional: bool


class Layout(NamedTuple):
    """A picture's size and parts, in pixels."""

    width: float
    height: float
    boxes: Sequence[Box]
    routes: Sequence[Route]


def arrange(drawing: Drawing) -> Layout:
    """Layer by layer, from the start down; parts that hang together side by side.

    Raises:
        ConfigError: grandalf is not installed.
    """
    try:
        from grandalf.graphs import Edge as Line
        from grandalf.graphs import Graph, Vertex
        from grandalf.layouts import SugiyamaLayout, VertexViewer
        from grandalf.routing import EdgeViewer, route_with_lines
    except ImportError as error:
        raise ConfigError(f"Pictures of graphs need {error.name}. Install it: {INSTALL}") from error
    texts = {key: text_of(key) for key in drawing.nodes}
    vertices = {key: Vertex(key) for key in drawing.nodes}
    for key, vertex in vertices.items():
        vertex.view = VertexViewer(w=len(texts[key]) * _LETTER + _PADDING, h=_HEIGHT)
    drawn = [edge for edge in drawing.edges if edge.source != edge.target]
    lines: list[Any] = [Line(vertices[edge.source], vertices[edge.target], data=edge) for edge in drawn]
    for line in lines:
        line.view = EdgeViewer()
    pairs = {(edge.source, edge.target) for edge in drawn}
    left = _MARGIN
    boxes: list[Box] = []
    routes: list[tuple[Edge, Route]] = []
    for part in Graph(list(vertices.values()), lines).C:
        if len(part.sV) > 1:
            sugiyama = SugiyamaLayout(part)
            sugiyama.route_edge, sugiyama.yspace, sugiyama.xspace = route_with_lines, _GAP, _GAP / 2
            first = [vertex for vertex in part.sV if not any(edge.v[1] is vertex for edge in vertex.e)]
            sugiyama.init_all(roots=first or None)
            sugiyama.draw(9)
        else:
            next(iter(part.sV)).view.xy = (0.0, 0.0)
        found = {v.data: Box(v.data, texts[v.data], v.view.xy[0], v.view.xy[1], v.view.w) for v in part.sV}
        paths = [(line.data, _path(line, found, (line.data.target, line.data.source) in pairs)) for line in part.sE]
        edges = [box.x - box.width / 2 for box in found.values()] + [x for _, path in paths for x, _ in path]
        dx = left - min(edges)
        dy = _MARGIN - min(box.y - box.height / 2 for box in found.values())
        moved = [box._replace(x=box.x + dx, y=box.y + dy) for box in found.values()]
        boxes += moved
        routes += [(edge, _route(edge, [(x + dx, y + dy) for x, y in path])) for edge, path in paths]
        right = max([box.x + box.width / 2 for box in moved] + [x + dx for _, path in paths for x, _ in path])
        left = right + _GAP
    at = {box.id: box for box in boxes}
    routes += [(edge, _loop(edge, at[edge.source])) for edge in drawing.edges if edge.source == edge.target]
    points = [point for _, route in routes for point in route.points]
    labels = [route.at[0] + len(route.label) * _LETTER / 2 for _, route in routes]
    width = max([box.x + box.width / 2 for box in boxes] + [x for x, _ in points] + labels) + _MARGIN
    height = max([box.y + box.height / 2 for box in boxes] + [y for _, y in points]) + _MARGIN
    order = {edge: n for n, edge in enumerate(drawing.edges)}
    return Layout(width, height, sorted(boxes), [route for _, route in sorted(routes, key=lambda each: order[each[0]])])


def text_of(key: str) -> str:
    """What stands in a node's box; within a nested graph with the way to it."""
    return key.strip("_") if key in ("__start__", "__end__") else key.replace(":", " / ")


def _route(edge: Edge, points: Sequence[Point]) -> Route:
    return Route(points, _label(edge), _middle(points), edge.conditional)


def _label(edge: Edge) -> str:
    return "" if edge.data is None else str(edge.data)


def _path(line: Any, boxes: dict[str, Box], both_ways: bool) -> list[Point]:
    """The corners of an edge, cut at the borders of the boxes that it joins, in the direction of the drawn edge."""
    edge = line.data
    source, target = boxes[edge.source], boxes[edge.target]
    inner = [(float(x), float(y)) for x, y in line.view._pts[1:-1]]
    points = [(source.x, source.y), *inner, (target.x, target.y)]
    if inner and abs(inner[0][1] - source.y) > abs(inner[-1][1] - source.y):
        # the layout turned an edge of a cycle round
        points = [points[0], *reversed(inner), points[-1]]
    if both_ways and not inner:
        # beside the edge that leads back
        dx, dy = target.x - source.x, target.y - source.y
        aside = _BOW / hypot(dx, dy)
        points.insert(1, ((source.x + target.x) / 2 - dy * aside, (source.y + target.y) / 2 + dx * aside))
    return [_border(source, points[1]), *points[1:-1], _border(target, points[-2])]


def _border(box: Box, towards: Point) -> Point:
    """Where the line from a box's centre to a point leaves the box."""
    dx, dy = towards[0] - box.x, towards[1] - box.y
    shares = [abs(size / 2 / way) for size, way in ((box.width, dx), (box.height, dy)) if way]
    share = min([*shares, 1.0])
    return box.x + dx * share, box.y + dy * share


def _loop(edge: Edge, box: Box) -> Route:
    right, reach = box.x + box.width / 2, _GAP / 2
    points = [(right, box.y - 8), (right + reach, box.y - 8), (right + reach, box.y + 8), (right, box.y + 8)]
    label = _label(edge)
    return Route(points, label, (right + reach + len(label) * _LETTER / 2 + 4, box.y), edge.conditional)


def _middle(points: Sequence[Point]) -> Point:
    """The point half way along a line."""
    parts = [(a, b, dist(a, b)) for a, b in pairwise(points)]
    left = sum(length for *_, length in parts) / 2
    for (ax, ay), (bx, by), length in parts:
        if length >= left > 0:
            return ax + (bx - ax) * left / length, ay + (by - ay) * left / length
        left -= length
    return points[0]
