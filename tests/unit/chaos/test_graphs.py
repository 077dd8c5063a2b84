"""The storm's graph, in one process, gives what its model says; every execution is in the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from distgraph.chaos import graphs
from distgraph.chaos.facts import split_mark
from distgraph.chaos.history import read
from distgraph.chaos.service import Service


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
@pytest.mark.parametrize("index", [0, 1, 2, 7, 32])
def test_the_model_is_right(index: int, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs._journal.cache_clear()
    monkeypatch.setenv(graphs.FOLDER_VARIABLE, str(tmp_path))
    item = graphs.item(index, steps=steps)
    with Service() as service:
        monkeypatch.setenv(graphs.SERVICE_VARIABLE, service.address)
        state = graphs.graph.invoke(item, {"configurable": {"thread_id": "t"}})
        assert sum(service.applied[item["effect"]].values()) == 1 if item["effect"] != "none" else True
    assert state["total"] == graphs.total(item)
    names = [f"{step}.{at}" for step, at in graphs.tasks(item)]
    assert [split_mark(mark)[0] for mark in state["marks"]] == names
    nodes = [event for event in read(tmp_path) if event["op"] == "node"]
    # Tasks of one superstep run side by side, and may end in any order.
    assert {event["uid"] for event in nodes if event["f"] == "ok"} == {split_mark(mark)[1] for mark in state["marks"]}
    assert len(nodes) == 2 * len(names)
    graphs._journal.cache_clear()


def test_a_loss_a_repeat_and_a_swap_come_to_different_totals() -> None:
    item = graphs.item(7)
    values = [graphs.value(7, step, at) for step, at in graphs.tasks(item)]
    assert len(set(values)) == len(values)
    totals = {sum(values) - value for value in values} | {sum(values) + value for value in values}
    assert len(totals) == 2 * len(values)
    assert graphs.total(item) == sum(values)


def test_items_of_all_kinds() -> None:
    items = [graphs.item(index) for index in range(100)]
    assert {item["effect"] for item in items} == {"none", "keyed", "once"}
    assert sum(item["width"] > 1 for item in items) == 4
