"""Lists that grow, on workers: stored by their ends, whole for every reader, with nothing left behind."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.testing import InProcessCluster
from distgraph.types import Overwrite
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]
    words: Annotated[list[str], operator.add]


def loop(name: str = "loop", replace: int = 0) -> Any:
    """Appends a dict and a word each time round, ``n`` times; replaces its words at ``replace``."""

    def work(state: State) -> dict[str, Any]:
        n = state["n"] - 1
        assert len(state.get("log", [])) == len({id(item) for item in state.get("log", [])})
        words: Any = Overwrite(["anew"]) if n and n == replace else [f"word {n}"]
        return {"n": n, "log": [{"n": n}], "words": words}

    builder = StateGraph(State).add_node("work", work)
    builder.add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] else END, ["work", END])
    return builder.compile(name=name)


def fields(cluster: InProcessCluster, thread: str) -> dict[str, bytes]:
    return {
        name: data for name, data in cluster.memory.state.lines.look((thread, "")).items() if name[:2] in ("v:", "c:")
    }


@pytest.mark.parametrize("replace", [0, 40])
@pytest.mark.parametrize("keep", ["all", "latest"])
def test_a_long_run_has_the_state_of_one_process(keep: Any, replace: int) -> None:
    graph = loop(replace=replace)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 120, "log": []}, {"recursion_limit": 500}, keep=keep)
    cluster.run_until_idle()
    assert run.result(0) == graph.invoke({"n": 120, "log": []}, {"recursion_limit": 500})


def test_the_latest_checkpoint_alone_leaves_few_fields() -> None:
    graph = loop(replace=50)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 300, "log": []}, {"recursion_limit": 500}, keep="latest")
    cluster.run_until_idle()
    found = fields(cluster, run.thread_id)
    assert sum(name.startswith("c:") for name in found) == 1
    assert len(found) < 25
    assert sum(map(len, found.values())) < 300 * 60


def test_a_history_stores_no_list_twice_over() -> None:
    graph = loop()
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 400, "log": []}, {"recursion_limit": 500}, keep="all")
    cluster.run_until_idle()
    values = sum(len(data) for name, data in fields(cluster, run.thread_id).items() if name.startswith("v:"))
    assert values < 400 * 800, "whole lists would be 400 * 400 * 20 bytes, for each of the two"


@pytest.mark.parametrize("seed", range(4))
def test_growth_survives_crashes_and_lost_replies(seed: int) -> None:
    graph = loop(replace=33)
    cluster = cluster_of(graph, seed=seed, slots=2)
    for nth in (3, 20, 41):
        cluster.crash_at("before runs.commit", nth=nth + seed)
        cluster.crash_at("after runs.commit", nth=nth + 5 + seed)
    run = cluster.submit(graph, {"n": 80, "log": []}, {"recursion_limit": 500}, keep="latest" if seed % 2 else "all")
    cluster.run_until_idle()
    assert run.result(0) == graph.invoke({"n": 80, "log": []}, {"recursion_limit": 500})


def test_items_of_a_batch_grow_too() -> None:
    graph = loop()
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"n": 40 + at, "log": []} for at in range(4)], config={"recursion_limit": 500})
    cluster.run_until_idle()
    assert [len(row.value["log"]) for row in batch.results()] == [40, 41, 42, 43]


def test_a_stream_of_a_run_shows_whole_lists() -> None:
    graph = loop(replace=20)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 40, "log": []}, {"recursion_limit": 500}, keep="all")
    cluster.run_until_idle()
    found = [chunk for chunk in run.stream("values")]
    assert found == [*graph.stream({"n": 40, "log": []}, {"recursion_limit": 500}, stream_mode="values")]


def test_a_node_that_keeps_what_it_returned_cannot_change_the_state() -> None:
    kept: list[Any] = []

    def work(state: State) -> dict[str, Any]:
        for item in kept:
            item["n"] = "changed"
        kept.append({"n": state["n"]})
        return {"n": state["n"] - 1, "log": [kept[-1]]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] else END, ["work", END])
    graph = builder.compile(name="keeps")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 30}, {"recursion_limit": 500})
    cluster.run_until_idle()
    assert [item["n"] for item in run.result(0)["log"]] == list(range(30, 0, -1))
