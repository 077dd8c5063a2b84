"""A graph as a picture, SVG or PNG, made here: nothing is sent anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from itertools import pairwise
from math import atan2, cos, hypot, sin
from typing import TYPE_CHECKING

from distgraph.constants import END, START
from distgraph.errors import ConfigError
from distgraph.graph.layout import INSTALL, Box, Layout, Point, Route, arrange

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from distgraph.graph.picture import Drawing

_FILL, _EDGE, _BORDER, _TEXT, _END = "#f2f0ff", "#555555", "#9a8cd6", "#1d1b26", "#e3dcff"
_FONT = 14
#: The arrow: its length and half its width, in pixels.
_ARROW = (9.0, 4.0)
#: Pixels of a dash, and of the gap after it.
_DASH = 5.0


def svg(drawing: Drawing) -> str:
    """An SVG document.

    Raises:
        ConfigError: the library for the layout is not installed.
    """
    return "".join(f"{line}\n" for line in _svg(arrange(drawing)))


def _svg(layout: Layout) -> Iterator[str]:
    width, height = round(layout.width), round(layout.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' font-family="Helvetica, Arial, sans-serif" font-size="{_FONT}">'
    )
    yield f'<rect width="{width}" height="{height}" fill="white"/>'
    for route in layout.routes:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in route.points)
        dashed = f' stroke-dasharray="{_DASH:g}"' if route.conditional else ""
        yield f'<polyline points="{points}" fill="none" stroke="{_EDGE}"{dashed}/>'
        head = " ".join(f"{x:.1f},{y:.1f}" for x, y in _arrow(route.points))
        yield f'<polygon points="{head}" fill="{_EDGE}"/>'
    for box in layout.boxes:
        yield (
            f'<rect x="{box.x - box.width / 2:.1f}" y="{box.y - box.height / 2:.1f}" width="{box.width:.1f}"'
            f' height="{box.height:.1f}" rx="{_radius(box):g}" fill="{_fill(box)}" stroke="{_BORDER}"/>'
        )
        yield _svg_text((box.x, box.y), box.text)
    for route in layout.routes:
        if route.label:
            yield _svg_text(route.at, route.label, ' stroke="white" stroke-width="4" paint-order="stroke"')
    yield "</svg>"


def _svg_text(at: Point, text: str, style: str = "") -> str:
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="middle" dominant-baseline="central"'
        f' fill="{_TEXT}"{style}>{escape(text)}</text>'
    )


def png(drawing: Drawing, *, scale: float = 2.0) -> bytes:
    """A PNG image, with a font of its own.

    Args:
        drawing: what to draw.
        scale: pixels of the image for one of the SVG.

    Raises:
        ConfigError: the library for the layout or for the image is not installed.
    """
    layout = arrange(drawing)
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ConfigError(f"PNG pictures of graphs need Pillow. Install it: {INSTALL}") from error
    image = Image.new("RGB", (round(layout.width * scale), round(layout.height * scale)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(_FONT * scale)
    line = round(scale)

    def grown(points: Sequence[Point]) -> list[Point]:
        return [(x * scale, y * scale) for x, y in points]

    for route in layout.routes:
        for piece in _pieces(route):
            pen.line(grown(piece), fill=_EDGE, width=line)
        pen.polygon(grown(_arrow(route.points)), fill=_EDGE)
    for box in layout.boxes:
        corners = ((box.x - box.width / 2, box.y - box.height / 2), (box.x + box.width / 2, box.y + box.height / 2))
        pen.rounded_rectangle(grown(corners), _radius(box) * scale, _fill(box), _BORDER, line)
        _write(pen, grown([(box.x, box.y)])[0], box.text, font)
    for route in layout.routes:
        if route.label:
            _write(pen, grown([route.at])[0], route.label, font, around=3 * line)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _write(pen: ImageDraw, at: Point, text: str, font: object, around: int = 0) -> None:
    pen.text(at, text, _TEXT, font, anchor="mm", stroke_width=around, stroke_fill="white")  # type: ignore[arg-type]


def _fill(box: Box) -> str:
    return _END if box.id in (START, END) else _FILL


def _radius(box: Box) -> float:
    return box.height / 2 if box.id in (START, END) else 6.0


def _arrow(points: Sequence[Point]) -> list[Point]:
    (fx, fy), (x, y) = points[-2], points[-1]
    length, half = _ARROW
    way = atan2(y - fy, x - fx)
    bx, by = x - length * cos(way), y - length * sin(way)
    return [(x, y), (bx - half * sin(way), by + half * cos(way)), (bx + half * sin(way), by - half * cos(way))]


def _pieces(route: Route) -> Iterator[Sequence[Point]]:
    """What is drawn of a line: all of it, or its dashes."""
    if not route.conditional:
        yield route.points
        return
    for (ax, ay), (bx, by) in pairwise(route.points):
        length = hypot(bx - ax, by - ay)
        for n in range(int(length / _DASH / 2) + 1):
            start, stop = 2 * n * _DASH, min((2 * n + 1) * _DASH, length)
            if start < stop:
                yield [(ax + (bx - ax) * at / length, ay + (by - ay) * at / length) for at in (start, stop)]
