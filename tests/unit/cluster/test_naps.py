"""Runs that sleep on a cluster: they hold nothing, wake on time, and sleep once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distgraph import END, START, StateGraph
from distgraph.errors import GraphSleep
from distgraph.runtime import Runtime, get_runtime
from distgraph.testing import Faults
from distgraph.types import RetryPolicy
from tests.unit.cluster.small import Counted, State, chain, cluster_of, fan, wide

pytestmark = pytest.mark.unit

DAYS = timedelta(days=3)
DAY_MS = 86_400_000


def sleeper(name: str = "nap", length: Any = DAYS, then: Any = lambda state: None) -> Counted:
    """A node that sleeps first."""

    def does(state: Any) -> Any:
        get_runtime().sleep(length)
        return then(state)

    return Counted(name, does)


def until_asleep(cluster: Any, run: Any) -> None:
    for _ in range(50):
        if run.status() == "sleeping":
            return
        cluster.turn()
    raise AssertionError(f"it is {run.status()}")


def test_a_run_sleeps_for_days_and_holds_nothing() -> None:
    nap = sleeper()
    graph = chain(Counted("a"), nap, Counted("b"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    assert cluster.broker.waiting() == 0
    assert cluster.memory.runs.claims(run._address) == {}
    assert cluster.memory.runs.record(run._address)["lease"] == b""
    wakes = run.wakes_at()
    assert wakes is not None and abs(wakes.timestamp() - cluster.clock.seconds() - DAYS.total_seconds()) < 60
    before = cluster.clock.ms()
    cluster.run_until_idle()
    assert cluster.clock.ms() - before >= 3 * DAY_MS - 60_000
    assert run.result(0)["trail"] == ["a", "nap", "b"]
    assert nap.calls == 2, "once to the sleep, once from its top"
    assert run.wakes_at() is None


def test_nobody_looks_at_a_sleeper_while_it_sleeps() -> None:
    graph = chain(sleeper())
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    looked: list[int] = []
    sweep = cluster.memory.runs.sweep

    def counted(*args: Any, **more: Any) -> Any:
        found = sweep(*args, **more)
        looked.append(len(found.due))
        return found

    cluster.memory.runs.sweep = counted  # type: ignore[method-assign]
    for _ in range(100):
        cluster.advance_clock(60_000)
        cluster.sweep()
    assert sum(looked) == 0
    assert run.status() == "sleeping"


def test_several_sleeps_of_a_node_are_slept_one_after_the_other() -> None:
    def does(_: Any) -> None:
        runtime: Runtime[Any] = get_runtime()
        runtime.sleep(3600)
        runtime.sleep(7200, key="second")
        runtime.sleep(0)

    node = Counted("nap", does)
    graph = chain(node)
    cluster = cluster_of(graph)
    began = cluster.clock.ms()
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["nap"]
    assert node.calls == 3
    assert 3 * 3_600_000 <= cluster.clock.ms() - began


def test_sleep_until_a_time_of_the_server() -> None:
    cluster_at: list[float] = []
    when = datetime.fromtimestamp(1_800_000_000 + 3600, UTC)

    def does(_: Any) -> None:
        get_runtime().sleep_until(when)
        cluster_at.append(cluster.clock.seconds())

    graph = chain(Counted("nap", does))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    assert run.wakes_at() == when
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["nap"]
    assert cluster_at[0] >= when.timestamp()


def test_siblings_of_a_sleeper_go_on() -> None:
    nap, other = sleeper(), Counted("other")
    graph = fan(nap, other)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    assert other.calls == 1
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["nap", "other", "join"]
    assert other.calls == 1


def test_many_sleepers_of_one_superstep_wake_each_in_its_time() -> None:
    woke: dict[int, float] = {}

    def does(state: Any) -> None:
        get_runtime().sleep(3600 * (1 + state["x"] % 3))
        woke[state["x"]] = cluster.clock.seconds()

    node = Counted("nap", does)
    graph = wide(node, 200)
    cluster = cluster_of(graph, slots=4)
    began = cluster.clock.seconds()
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert len(run.result(0)["trail"]) == 200
    assert node.calls == 400
    assert all(3600 * (1 + at % 3) <= woke[at] - began < 3600 * (1 + at % 3) + 60 for at in range(200))


def test_a_sleep_is_no_failed_attempt() -> None:
    seen: list[int] = []

    def does(_: Any) -> None:
        info = get_runtime().execution_info
        assert info is not None
        seen.append(info.node_attempt)
        get_runtime().sleep(60)
        if len(seen) == 2:
            raise ConnectionError("once")

    graph = chain(Counted("nap", does), retry_policy=RetryPolicy(max_attempts=2))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["nap"]
    assert seen == [1, 1, 2], "the later attempt does not sleep again"


def test_a_cancelled_sleeper_is_gone_at_once() -> None:
    nap = sleeper()
    graph = chain(nap)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    assert run.cancel()
    assert run.status() == "cancelled"
    assert not any(cluster.memory.state.due.values())
    assert not any(cluster.memory.state.naps.values())
    cluster.run_until_idle()
    assert nap.calls == 1


@pytest.mark.parametrize("seed", range(8))
def test_sleep_survives_whatever_happens_to_hints_and_workers(seed: int) -> None:
    naps = [sleeper(f"nap{at}", 3600 * at) for at in range(1, 4)]
    graph = fan(*naps)
    cluster = cluster_of(graph, seed=seed, slots=3, faults=Faults(lose=0.3, repeat=0.3, delay=0.3, shuffle=True))
    run = cluster.submit(graph, {"x": 1})
    cluster.crash_at("node nap1", nth=1 + seed % 2)
    cluster.crash_at("after runs.sleep_task", nth=1 + seed % 3, tree=bool(seed % 2))
    cluster.crash_at("before runs.sleep_task", nth=2)
    began = cluster.clock.seconds()
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["nap1", "nap2", "nap3", "join"]
    assert 3 * 3600 <= cluster.clock.seconds() - began < 4 * 3600, "no sleep is slept twice"


def test_a_sleeping_batch_item_frees_its_slice() -> None:
    def does(state: Any) -> None:
        if state["x"] % 10 == 0:
            get_runtime().sleep(DAYS)

    graph = chain(Counted("a"), Counted("nap", does))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(50)])
    for _ in range(200):
        if batch.status().done == 45:
            break
        cluster.turn()
    assert batch.status().done == 45
    assert not any(cluster.memory.state.slices.values())
    assert cluster.clock.seconds() < 1_800_000_000 + 3600
    cluster.run_until_idle()
    assert batch.status().done == 50
    assert not any(cluster.memory.state.naps.values())


def test_a_cancelled_batch_wakes_nobody() -> None:
    nap = sleeper()
    graph = chain(nap)
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(5)])
    for _ in range(100):
        if nap.calls == 5:
            break
        cluster.turn()
    batch.cancel()
    cluster.run_until_idle()
    assert nap.calls == 5
    assert not any(cluster.memory.state.due.values())
    assert cluster.clock.seconds() < 1_800_000_000 + 86_400, "nobody waited for them"


def test_a_graph_nested_in_a_node_sleeps_without_holding_a_worker() -> None:
    calls: list[str] = []

    def inner_node(state: State, runtime: Runtime[Any]) -> Any:
        calls.append("inner")
        runtime.sleep(DAYS)
        return {"trail": ["inner"]}

    inner = StateGraph(State).add_node("inner", inner_node)
    inner.add_edge(START, "inner").add_edge("inner", END)
    nested = inner.compile()

    def outer_node(state: State) -> Any:
        return {"trail": nested.invoke({"x": 1})["trail"]}

    outer = StateGraph(State).add_node("outer", outer_node)
    graph = outer.add_edge(START, "outer").add_edge("outer", END).compile(name="outer")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    until_asleep(cluster, run)
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["inner"]
    assert calls == ["inner", "inner"]


def test_siblings_in_a_nested_graph_sleep_beside_each_other() -> None:
    def inner_node(name: str) -> Any:
        def node(state: State, runtime: Runtime[Any]) -> Any:
            runtime.sleep(DAYS)
            return {"trail": [name]}

        return node

    inner = StateGraph(State)
    for name in ("p", "q", "r"):
        inner.add_node(name, inner_node(name)).add_edge(START, name).add_edge(name, END)
    outer = StateGraph(State).add_node("outer", inner.compile())
    graph = outer.add_edge(START, "outer").add_edge("outer", END).compile(name="outer")
    cluster = cluster_of(graph)
    began = cluster.clock.seconds()
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert sorted(run.result(0)["trail"]) == ["p", "q", "r"]
    assert cluster.clock.seconds() - began < 1.5 * DAYS.total_seconds()


def test_outside_of_a_node_nobody_sleeps() -> None:
    with pytest.raises(RuntimeError, match="only inside a node"):
        Runtime().sleep(1)
    assert issubclass(GraphSleep, Exception)
