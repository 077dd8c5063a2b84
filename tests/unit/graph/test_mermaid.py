"""Mermaid text."""

from __future__ import annotations

import pytest

from distgraph.graph.picture import Drawing, Edge, Node

pytestmark = pytest.mark.unit


def drawing(*edges: Edge, **metadata: object) -> Drawing:
    names = dict.fromkeys(name for edge in edges for name in (edge.source, edge.target))
    return Drawing({name: Node(name, name.rpartition(":")[2], None, metadata or None) for name in names}, edges)


def test_edges_solid_dashed_and_labelled() -> None:
    made = drawing(Edge("a", "b"), Edge("a", "c", None, True), Edge("a", "d", "x y"), Edge("a", "e", "z", True))
    assert made.draw_mermaid(with_styles=False) == (
        "graph TD;\n\ta --> b;\n\ta -.-> c;\n\ta -- &nbsp;x y&nbsp; --> d;\n\ta -. &nbsp;z&nbsp; .-> e;\n"
    )


def test_long_labels_are_wrapped_by_words() -> None:
    made = drawing(Edge("a", "b", "1 2 3 4 5")).draw_mermaid(with_styles=False, wrap_label_n_words=2)
    assert "1 2&nbsp<br>&nbsp3 4&nbsp<br>&nbsp5" in made


def test_ids_are_made_safe() -> None:
    assert "\ta\\20b --> c\\e9;\n" in drawing(Edge("a b", "cé")).draw_mermaid(with_styles=False)


def test_first_and_last_node_have_their_shapes_and_metadata_its_lines() -> None:
    made = drawing(Edge("__start__", "a"), Edge("a", "b"), owner="me|you", nested={"left": "out"}, list=[1, 2])
    text = made.draw_mermaid()
    assert text.startswith("---\nconfig:\n  flowchart:\n    curve: linear\n---\ngraph TD;\n")
    assert "\t__start__([<p>__start__</p><hr/><small><em>owner = me#124;you\nlist = 1, 2</em></small>]):::first" in text
    assert "\tb([b<hr/>" in text
    assert text.endswith(
        "\tclassDef default fill:#f2f0ff,line-height:1.2\n\tclassDef first fill-opacity:0\n\tclassDef last fill:#bfb6fc\n"
    )


def test_nested_graphs_are_subgraphs_within_subgraphs() -> None:
    made = drawing(Edge("a", "s:x"), Edge("s:x", "s:t:y"), Edge("s:t:y", "s:t:z")).draw_mermaid(with_styles=False)
    assert made == (
        "graph TD;\n\ta --> s\\3ax;\n\tsubgraph s\n\ts\\3ax --> s\\3at\\3ay;\n"
        "\tsubgraph t\n\ts\\3at\\3ay --> s\\3at\\3az;\n\tend\n\tend\n"
    )
