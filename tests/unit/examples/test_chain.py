"""One node after the other."""

from __future__ import annotations

import pytest

from distgraph.examples.chain import graph

pytestmark = pytest.mark.unit


def test_each_node_adds_to_what_the_ones_before_it_found() -> None:
    assert graph.invoke({"text": "It rained. We stayed!"}) == {
        "text": "It rained. We stayed!",
        "sentences": ["It rained", "We stayed"],
        "words": 4,
        "letters": 16,
        "verdict": "easy",
    }


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("", "empty"), ("...", "empty"), ("a " * 21, "hard"), ("Incomprehensibilities abound.", "hard")],
)
def test_the_verdict_follows_the_text(text: str, verdict: str) -> None:
    assert graph.invoke({"text": text})["verdict"] == verdict
