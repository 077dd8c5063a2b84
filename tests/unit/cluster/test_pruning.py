"""Runs that keep some checkpoints of their thread: while they go on, when they end, over several runs."""

from __future__ import annotations

import operator
from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.checkpoint.retention import SLACK, CheckpointRetention
from distgraph.cluster.options import RunOptions
from distgraph.cluster.registry import codec_for
from distgraph.testing import InProcessCluster
from distgraph.types import Command, interrupt
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit

CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 500}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[int], operator.add]


def counting(steps: int, most: list[int], look: Any) -> Any:
    """Counts, and notes how many checkpoints there are."""

    def work(state: State) -> State:
        most.append(look())
        return {"n": state["n"] + 1, "log": [state["n"]]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] % steps else END, ["work", END])
    return builder.compile(name="counting")


def held(cluster: InProcessCluster) -> tuple[int, int]:
    """(checkpoints, values) of the thread."""
    line = cluster.memory.state.lines.look(("t", ""))
    return sum(name.startswith("c:") for name in line), sum(name.startswith("v:") for name in line)


def options_of(cluster: InProcessCluster) -> RunOptions:
    """Of the one run, as stored."""
    (record,) = cluster.memory.state.records.values()
    return RunOptions.of(codec_for().decode(record["config"]))


@pytest.mark.parametrize("keep", [5, CheckpointRetention(last=5, age=timedelta(days=1))])
def test_so_many_stay(keep: Any) -> None:
    most: list[int] = []
    clusters: list[InProcessCluster] = []
    graph = counting(100, most, lambda: held(clusters[0])[0])
    clusters.append(cluster_of(graph))
    cluster = clusters[0]
    for n in range(2):
        found = cluster.submit(graph, {"n": 100 * n}, config=CONFIG, keep=keep).result()
        assert found["log"] == [*range(100 * n + 100)]
        assert held(cluster)[0] == 5
        assert len(cluster.memory.state.history.look(("t", ""))) == 5
    assert max(most) <= 5 + SLACK + 1
    assert held(cluster)[1] < 25, "values that no checkpoint names have gone"
    assert sum(len(kept) for kept in cluster.memory.state.kept.values()) <= 3 * 5


def test_a_run_that_is_driven_in_short_turns_keeps_as_few() -> None:
    most: list[int] = []
    clusters: list[InProcessCluster] = []
    graph = counting(60, most, lambda: held(clusters[0])[0])
    clusters.append(cluster_of(graph))
    cluster = clusters[0]
    run = cluster.submit(graph, {"n": 0}, config=CONFIG, keep=2, placement="spread")
    assert run.result()["n"] == 60
    assert held(cluster)[0] == 2
    assert max(most) <= 2 + SLACK + 1


def test_runs_that_keep_the_latest_lose_nothing_out_of_sight() -> None:
    """Each leaves its latest checkpoint, which the next one finds; all of them are in the history, so that they can go."""
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    for n in range(4):
        cluster.submit(graph, {"x": n}, config=CONFIG, keep="latest").result()
    line, history = cluster.memory.state.lines.look(("t", "")), cluster.memory.state.history.look(("t", ""))
    assert {name[2:] for name in line if name.startswith("c:")} == {*history, line["head"].decode()}
    assert len(history) == 3
    cluster.submit(graph, {"x": 9}, config=CONFIG, keep=1).result()
    assert held(cluster)[0] == 1


def test_a_run_that_asks_can_be_taken_back() -> None:
    """Where it began stays, whatever else goes: a rollback needs it."""

    def work(state: State) -> State:
        n = state["n"] + 1
        return {"n": n, "log": [interrupt("?")] if n == 50 else [n]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] < 60 else END, ["work", END])
    graph = builder.compile(name="asks")
    cluster = cluster_of(graph)
    first = cluster.submit(graph, {"n": 59}, config=CONFIG, keep=1).result()
    run = cluster.submit(graph, {"n": 0}, config=CONFIG, keep=1)
    run.result()
    assert run.status() == "interrupted"
    assert held(cluster)[0] == 2
    back = cluster.submit(graph, {"n": 59}, config=CONFIG, multitask_strategy="rollback", keep=1).result()
    assert back["log"] == [*first["log"], 60]
    assert held(cluster)[0] == 1


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("keep", [3, timedelta(hours=1), CheckpointRetention(last=3, age=timedelta(days=1))])
def test_a_run_that_goes_on_keeps_as_many_as_before(keep: Any, fails: bool) -> None:
    """What ``invoke`` makes go on - by an answer, or once more - has the options it was submitted with."""
    broken = fails

    def work(state: State) -> State:
        n = state["n"] + 1
        if broken and n == 10:
            raise ConnectionError("down")
        return {"n": n, "log": [n if n != 10 or fails else interrupt("?")]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] < 40 else END, ["work", END])
    graph = builder.compile(name="goes-on")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 0}, config=CONFIG, keep=keep)
    cluster.run_until_idle()
    assert run.status() == ("failed" if fails else "interrupted")
    broken, before = False, options_of(cluster)
    found = cluster.bind(graph).invoke(None if fails else Command(resume=10), CONFIG)
    assert found["log"] == [*range(1, 41)]
    after = options_of(cluster)
    assert (after.keep, after.retention) == (before.keep, before.retention)
    assert after.retention is not None
    if after.retention.age is None:
        assert held(cluster)[0] == 3
