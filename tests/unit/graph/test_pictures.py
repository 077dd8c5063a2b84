"""Pictures of graphs, made without any network."""

from __future__ import annotations

import io
import socket
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from distgraph.errors import ConfigError
from distgraph.graph.picture import Drawing, Edge, Node
from tests.unit.graph.test_picture import DRAWING

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is asked of the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_svg_has_all_nodes_edges_and_labels() -> None:
    root = ElementTree.fromstring(DRAWING.draw_svg())
    assert sorted(text.text or "" for text in root.iter(f"{SVG}text")) == ["a", "b", "end", "maybe", "start", "z"]
    lines = [*root.iter(f"{SVG}polyline")]
    assert len(lines) == 3
    assert sum("stroke-dasharray" in line.attrib for line in lines) == 1


def test_names_are_escaped() -> None:
    root = ElementTree.fromstring(Drawing({"<&>": Node("<&>", "<&>")}, []).draw_svg())
    assert [text.text for text in root.iter(f"{SVG}text")] == ["<&>"]


def test_png_is_drawn_with_text(tmp_path: Path) -> None:
    """The same graph with longer names gives another picture: there is ink for letters."""
    image = Image.open(io.BytesIO(DRAWING.draw_png(str(tmp_path / "graph.png"))))
    assert (tmp_path / "graph.png").read_bytes()[:4] == b"\x89PNG"
    assert image.width > 100
    assert image.height > 200

    def ink(name: str) -> int:
        drawn = Drawing({name: Node(name, name)}, [])
        grey = Image.open(io.BytesIO(drawn.draw_mermaid_png())).convert("L")
        return sum(grey.histogram()[:64])

    assert ink("mmmm") > ink("iiii") > 0


def test_a_conditional_edge_is_dashed() -> None:
    def ink(conditional: bool) -> int:
        nodes = {name: Node(name, name) for name in "ab"}
        image = Image.open(io.BytesIO(Drawing(nodes, [Edge("a", "b", None, conditional)]).draw_png())).convert("L")
        return sum(image.histogram()[:128])

    assert ink(True) < ink(False)


def test_a_notebook_shows_the_picture_where_it_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = DRAWING._repr_mimebundle_()
    assert shown["image/svg+xml"] == DRAWING.draw_svg()
    assert shown["text/plain"] == DRAWING.draw_ascii()
    monkeypatch.setitem(sys.modules, "grandalf.graphs", None)
    assert "image/svg+xml" not in DRAWING._repr_mimebundle_()


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"Pillow.*pip install 'distgraph\[draw\]'"):
        DRAWING.draw_png()
