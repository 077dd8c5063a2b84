"""Drawings as data and as text."""

from __future__ import annotations

import pytest

from distgraph.graph.picture import Drawing, Edge, Node

pytestmark = pytest.mark.unit


def action() -> None: ...


START, END = "__start__", "__end__"
NODES = [Node(START, START), Node("a", "a", action, {"k": 1}), Node("b", "b", action), Node(END, END), Node("z", "z")]
EDGES = [Edge(START, "a"), Edge("a", "b", "maybe", True), Edge("b", END)]
DRAWING = Drawing({node.id: node for node in NODES}, EDGES)


def test_as_plain_data() -> None:
    drawn = DRAWING.to_json()
    assert drawn["nodes"][1] == {
        "id": "a",
        "type": "runnable",
        "data": {"id": [*__name__.split("."), "action"], "name": "a"},
        "metadata": {"k": 1},
    }
    assert drawn["nodes"][3] == {"id": END}
    assert drawn["edges"] == [
        {"source": START, "target": "a"},
        {"source": "a", "target": "b", "data": "maybe", "conditional": True},
        {"source": "b", "target": END},
    ]


def test_as_text_in_the_order_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert DRAWING.draw_ascii() == "__start__ --> a\na ..> b  [maybe]\nb --> __end__\nz"
    DRAWING.print_ascii()
    assert capsys.readouterr().out == DRAWING.draw_ascii() + "\n"


def test_first_and_last_node_are_the_only_ones_without_edges() -> None:
    assert DRAWING.first_node() is None
    lone = Drawing({node.id: node for node in NODES[:4]}, EDGES)
    assert (lone.first_node(), lone.last_node()) == (NODES[0], NODES[3])
