"""A bench is worth what its work is worth: every workload comes to the right result, small as well as big."""

from __future__ import annotations

import asyncio
from operator import itemgetter

import pytest

from ops.bench.workloads import (
    ITEM_STEPS,
    WORKS,
    api_of,
    awaited,
    barrier_graph,
    batch_graph,
    burn,
    cpu_graph,
    item,
    item_step_merged,
)

pytestmark = pytest.mark.unit
API = api_of("distgraph")
#: Big enough for every workload to do what it does.
N = 12


@pytest.mark.parametrize("name", WORKS)
def test_every_workload_comes_to_its_result(name: str) -> None:
    work = WORKS[name]
    graph = work.build(API, N, lambda node: node).compile()
    assert work.right(graph.invoke(work.given(N), {"recursion_limit": 200}), N)


@pytest.mark.parametrize("name", WORKS)
def test_with_coroutine_nodes_too(name: str) -> None:
    work = WORKS[name]
    graph = work.build(API, N, awaited).compile()
    assert work.right(asyncio.run(graph.ainvoke(work.given(N), {"recursion_limit": 200})), N)


@pytest.mark.parametrize(("name", "supersteps"), [("sequential", N), ("loop", N), ("wide", 30), ("pydantic", 30)])
def test_times_are_divided_by_the_supersteps_that_ran(name: str, supersteps: int) -> None:
    work = WORKS[name]
    graph = work.build(API, N, lambda node: node).compile(checkpointer=API.InMemorySaver())
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 200}
    graph.invoke(work.given(N), config)
    assert graph.get_state(config).metadata["step"] == work.share(N) == supersteps


def test_a_batch_item_is_the_same_work_for_all() -> None:
    """The Celery chain and the floors hand on the whole state; the graph merges what its nodes return."""
    state = item(3)
    for _ in range(ITEM_STEPS):
        state = item_step_merged(state)
    assert batch_graph(API).compile().invoke(item(3)) == state
    assert (state["x"], state["log"]) == (3 + ITEM_STEPS, [3, 4, 5, 6, 7])


def test_a_barrier_graph_marks_each_round_once() -> None:
    out = barrier_graph(API).compile().invoke({"left": 4, "width": 7, "marks": []})
    assert out["left"] == 0
    assert len(out["marks"]) == 4
    assert out["marks"] == sorted(out["marks"])


def test_the_cpu_graph_burns_what_it_is_told() -> None:
    graph = cpu_graph(API).compile()
    outs = [graph.invoke({"loops": loops}) for loops in (10, 1000)]
    assert list(map(itemgetter("out"), outs)) == [burn(10), burn(1000)]
