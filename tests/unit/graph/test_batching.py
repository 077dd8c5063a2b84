"""Many inputs in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import START
from distgraph.errors import ConfigError
from distgraph.graph.batching import items_of, lines_of
from distgraph.graph.state import StateGraph

pytestmark = pytest.mark.unit


def graph_of(node: Callable[[int], int], **options: Any) -> Any:
    return StateGraph(int).add_node("n", node).add_edge(START, "n").compile(**options)


def tenfold(value: int) -> int:
    if value == 2:
        raise KeyError("two")
    return value * 10


GRAPH = graph_of(tenfold)


def test_results_come_in_the_order_of_the_inputs_whatever_iterable_they_are_in() -> None:
    assert GRAPH.batch(value for value in (3, 1, 4)) == [30, 10, 40]
    assert GRAPH.batch([]) == []


def test_the_first_failed_item_is_raised_when_nothing_runs_any_more() -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyError, match="two"):
        GRAPH.batch([1, 2, 3])
    assert set(threading.enumerate()) <= before


def test_failures_can_be_returned_in_their_places() -> None:
    results = GRAPH.batch([1, 2, 3], return_exceptions=True)
    assert results[0::2] == [10, 30]
    assert isinstance(results[1], KeyError)


def test_items_come_with_their_places_as_they_finish() -> None:
    assert sorted(GRAPH.batch_as_completed([3, 1, 4])) == [(0, 30), (1, 10), (2, 40)]
    with pytest.raises(KeyError):
        list(GRAPH.batch_as_completed([2]))


def test_several_items_run_at_a_time_and_no_more_than_allowed() -> None:
    """A barrier of two opens only if two items are inside at once; a counter shows that there were never three."""
    inside = 0
    most = 0
    lock = threading.Lock()
    barrier = threading.Barrier(2, timeout=20)

    def node(value: int) -> int:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        barrier.wait()
        with lock:
            inside -= 1
        return value

    assert graph_of(node).batch(range(4), {"max_concurrency": 2}) == [0, 1, 2, 3]
    assert most == 2


def test_each_item_may_have_its_own_config() -> None:
    with pytest.raises(ConfigError, match="got 1 configs for 2 inputs"):
        GRAPH.batch([1, 3], [{}])
    assert GRAPH.batch([1, 3], [{"tags": ["a"]}, {}]) == [10, 30]


def test_items_of_one_thread_run_one_after_the_other() -> None:
    """Side by side they would each continue from a state that the other is about to replace."""
    seen: list[int] = []

    def node(value: int) -> int:
        seen.append(value)
        return value

    graph = graph_of(node, checkpointer=InMemorySaver())
    graph.batch(range(20), {"configurable": {"thread_id": "one"}})
    assert seen == list(range(20))
    assert graph.get_state({"configurable": {"thread_id": "one"}}).values == 19


def test_lines_keep_what_belongs_together_in_order() -> None:
    same: Any = {"configurable": {"thread_id": "x"}}
    items = items_of("abcd", [same, {}, same, {}])
    kept = graph_of(tenfold, checkpointer=InMemorySaver())
    assert [[item[1] for item in line] for line in lines_of(kept, items)] == [["a", "c"], ["b"], ["d"]]
    assert [len(line) for line in lines_of(GRAPH, items)] == [1, 1, 1, 1]


def test_async_batches_do_the_same() -> None:
    async def run() -> Any:
        plain = await GRAPH.abatch([3, 1])
        kept = await GRAPH.abatch([1, 2], return_exceptions=True)
        pairs = [pair async for pair in GRAPH.abatch_as_completed([3, 1], {"max_concurrency": 1})]
        return plain, kept, pairs

    plain, kept, pairs = asyncio.run(run())
    assert plain == [30, 10]
    assert kept[0] == 10
    assert isinstance(kept[1], KeyError)
    assert pairs == [(0, 30), (1, 10)]
    with pytest.raises(KeyError):
        asyncio.run(GRAPH.abatch([2, 1]))


def test_a_graph_can_be_mapped_over_a_list() -> None:
    assert GRAPH.map().invoke([1, 3]) == [10, 30]
    assert asyncio.run(GRAPH.map().ainvoke([1, 3])) == [10, 30]


def test_who_stops_reading_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    results = GRAPH.batch_as_completed([1, 3, 4, 5])
    next(results)
    results.close()
    assert set(threading.enumerate()) <= before
