"""The result row of one module."""

from __future__ import annotations

import random

import pytest

from distgraph.examples.census import analyse, corpus, hotspots, score
from distgraph.examples.census.measure import measure
from distgraph.examples.census.model import CensusState, merge
from distgraph.examples.census.summary import summarise

pytestmark = pytest.mark.unit


def test_a_broken_module_has_a_row_with_the_reason() -> None:
    row = summarise(
        {
            "module": "m",
            "kind": "broken",
            "problem": "missing",
            "notes": [{"rule": "broken source", "where": "", "value": 1}],
        }
    )
    assert (row["kind"], row["problem"], row["notes"]) == ("broken", "missing", {"broken source": 1})
    assert (row["planned"], row["measured"], row["hotspots"]) == (0, 0, [])


def _state(path: str, order: random.Random) -> CensusState:
    """The state before the summary, updates merged in the given order."""
    text = corpus.read(path)
    outline = analyse.outline(analyse.parse(text), text, "m", package=False)
    portions = analyse.portions(outline["definitions"], 8)
    order.shuffle(portions)
    state: CensusState = {"module": "m", "kind": "module", "outline": outline, "facts": {}, "measured": 0}
    for portion in portions:
        state["facts"] = merge(state["facts"], measure(text.split("\n"), portion))
        state["measured"] += len(portion)
    facts = state["facts"]
    scored = [
        ("size", score.size(outline, facts)),
        ("complexity", score.complexity(facts)),
        ("naming", score.naming(outline, facts)),
        ("imports", score.imports(outline)),
    ]
    order.shuffle(scored)
    state["scores"] = {metric: numbers for metric, (numbers, _) in scored}
    state["notes"] = [note for _, (_, notes) in scored for note in notes]
    state["search"] = hotspots.refine(hotspots.start(facts), facts)
    return state


def test_the_row_is_the_same_in_any_order_of_arrival() -> None:
    rows = [summarise(_state("argparse.py", random.Random(seed))) for seed in range(3)]
    assert all(row == rows[0] for row in rows)
    assert [list(row["scores"]) for row in rows] == [["complexity", "imports", "naming", "size"]] * 3
    assert rows[0]["planned"] == rows[0]["measured"] > 20
    assert len(rows[0]["hotspots"]) >= 1
