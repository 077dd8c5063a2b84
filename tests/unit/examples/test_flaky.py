"""What is tried again and what is not."""

from __future__ import annotations

import pytest

from distgraph.examples.flaky import Item, expected, graph, items

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("item", items(10), ids=lambda item: f"item {item['index']}")
def test_every_item_ends_as_it_says(item: Item) -> None:
    outcome = expected(item)
    if isinstance(outcome, str):
        assert graph.invoke(item)["stored"] == outcome
    else:
        with pytest.raises(outcome, match=f"item {item['index']}"):
            graph.invoke(item)


def test_a_batch_has_items_of_every_kind() -> None:
    outcomes = [expected(item) for item in items(10)]
    assert outcomes.count(ConnectionError) == 1
    assert outcomes.count(ValueError) == 1
    assert sum(1 for outcome in outcomes if isinstance(outcome, str) and not outcome.endswith("1")) == 3
