"""One attempt of a task on a worker: time limits kept from outside, and error handlers."""

from __future__ import annotations

from concurrent.futures import wait
from typing import Any

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.home_loop import HomeLoop, Running
from distgraph.errors import NodeError, NodeTimeoutError
from distgraph.runtime import Runtime
from distgraph.testing import InProcessCluster
from distgraph.types import Command, Placement, RetryPolicy, TimeoutPolicy, interrupt
from tests.unit.cluster.small import Counted, State, cluster_of

pytestmark = pytest.mark.unit

PLACEMENTS: list[Placement] = ["auto", "spread", "local"]
AGAIN = RetryPolicy(max_attempts=3, initial_interval=0.1, jitter=False, retry_on=Exception)


# ---------------------------------------------------------------- time limits


class Awaited(Counted):
    """A coroutine: the one kind of node that may have a time limit and run where its driver does."""

    async def __call__(self, state: State) -> Any:
        return super().__call__(state)


def limited(*nodes: str, placement: Placement = "auto", timeout: Any = 60.0, **options: Any) -> tuple[Any, Counted]:
    """A chain whose last node has a time limit, and that node."""
    kind = Counted if placement == "spread" else Awaited
    slow = kind(nodes[-1])
    builder = StateGraph(State)
    for name in nodes[:-1]:
        builder.add_node(name, Counted(name))
    own: Any = placement if placement == "spread" else None
    builder.add_node(slow.name, slow, timeout=timeout, placement=own, **options)
    for before, after in zip([START, *nodes], [*nodes, END], strict=True):
        builder.add_edge(before, after)
    return builder.compile(name="limited"), slow


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_node_that_was_stopped_at_its_limit_has_timed_out(placement: Placement) -> None:
    """No crash is counted, however often: its retry policy says how often it is tried."""
    graph, slow = limited("first", "slow", placement=placement)
    cluster = cluster_of(graph)
    cluster.overrun_at("node slow")
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    cluster.run_until_idle()
    with pytest.raises(NodeTimeoutError, match="Node 'slow' exceeded its run timeout of 60.000s"):
        run.result(0)
    assert slow.calls == 0
    assert cluster.deaths == 1


def test_what_a_node_left_behind_cannot_say_that_it_goes_on() -> None:
    """The slot's row is the next one's, or nobody's."""
    beats: list[Any] = []

    def node(state: State, runtime: Runtime[Any]) -> Any:
        beats.append(runtime.heartbeat)
        runtime.heartbeat()
        return {}

    builder = StateGraph(State).add_edge(START, "node").add_edge("node", END)
    builder.add_node("node", node, placement="spread", timeout=TimeoutPolicy(idle_timeout=60))
    graph = builder.compile(name="beats")
    cluster = cluster_of(graph)
    said: list[str] = []
    for slot in cluster.slots:
        slot.place.renew = lambda what, seconds: said.append(what)
    cluster.bind(graph).invoke({"x": 1})
    assert len(said) == 1
    beats[0]()
    assert len(said) == 1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_its_retry_policy_applies(placement: Placement) -> None:
    graph, slow = limited("slow", placement=placement, retry_policy=AGAIN)
    cluster = cluster_of(graph)
    cluster.overrun_at("node slow")
    cluster.overrun_at("node slow", 2)
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["slow"]
    assert slow.calls == 1, "the third attempt"


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_item_of_a_batch_alone_has_timed_out(placement: Placement) -> None:
    graph, _ = limited("first", "slow", placement=placement)
    cluster = cluster_of(graph)
    if placement != "spread":
        # They wait beside each other, and nobody is named.
        cluster.overrun_at("nodes slow")
    cluster.overrun_at("node slow")
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(8)], placement=placement)
    cluster.run_until_idle()
    assert (batch.status().done, batch.status().failed) == (7, 1)
    [failure] = batch.failures()
    assert failure.error is not None
    assert failure.error["type"].endswith("NodeTimeoutError")
    assert batch.retry_failed() == 1
    cluster.run_until_idle()
    assert batch.status().done == 8, "the note was of that attempt alone"


def test_more_deaths_at_the_limit_than_crashes_allowed_are_no_poison() -> None:
    graph, _ = limited("slow", retry_policy=AGAIN._replace(max_attempts=6))
    cluster = cluster_of(graph)
    for nth in range(1, 6):
        cluster.overrun_at("node slow", nth)
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["slow"]


def test_a_node_that_cannot_be_stopped_is_too_late_when_it_returns() -> None:
    cluster: InProcessCluster

    def takes_long(state: Any) -> None:
        cluster.clock.advance(2000)

    graph, slow = limited("slow", placement="spread", timeout=1.0)
    slow.does = takes_long
    cluster = cluster_of(graph)
    with pytest.raises(NodeTimeoutError, match="run timeout of 1.000s"):
        cluster.bind(graph).invoke({"x": 1})


def test_a_node_that_holds_up_its_event_loop_is_too_late_when_it_returns() -> None:
    cluster: InProcessCluster
    graph, slow = limited("slow", timeout=1.0)
    slow.does = lambda state: cluster.clock.advance(2000)
    cluster = cluster_of(graph)
    with pytest.raises(NodeTimeoutError, match="run timeout of 1.000s"):
        cluster.bind(graph).invoke({"x": 1})


def test_an_async_nodes_time_is_what_passes_on_its_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop may be busy when it is to begin; and when it has ended, its slot may be storing what another one came to."""
    graph, slow = limited("slow", timeout=1.0)
    cluster, begin = cluster_of(graph), HomeLoop.begin

    def between_others(loop: HomeLoop, work: Any) -> Running:
        cluster.clock.advance(5000)
        running = begin(loop, work)
        wait([running.future])
        cluster.clock.advance(5000)
        return running

    monkeypatch.setattr(HomeLoop, "begin", between_others)
    assert cluster.bind(graph).invoke({"x": 1})["trail"] == ["slow"]
    assert slow.calls == 1


def test_the_time_a_slot_lets_others_pass_is_not_the_nodes_own() -> None:
    """A suspect of a worker's death runs alone there: the next node of another slot waits for it."""
    graph, _ = limited("slow", placement="spread", timeout=1.0)
    cluster = cluster_of(graph)
    for slot in cluster.slots:

        def watch(what: str, seconds: float | None, inner: Any = slot.watch) -> None:
            cluster.clock.advance(5000 if what else 0)
            inner(what, seconds)

        slot.place.watch = watch
    assert cluster.bind(graph).invoke({"x": 1})["trail"] == ["slow"]


def test_an_idle_limit_begins_anew_with_every_sign_of_life() -> None:
    told: list[tuple[str, float]] = []

    def slow(state: State, runtime: Runtime[Any]) -> State:
        cluster.clock.advance(700)
        runtime.heartbeat()
        cluster.clock.advance(700)
        runtime.heartbeat()
        return {"trail": ["slow"]}

    builder = StateGraph(State)
    builder.add_node("slow", slow, placement="spread", timeout=TimeoutPolicy(idle_timeout=1.0, run_timeout=1.5))
    graph = builder.add_edge(START, "slow").add_edge("slow", END).compile(name="idles")
    cluster = cluster_of(graph)
    for slot in cluster.slots:
        slot.place.renew = lambda what, seconds: told.append((what.split("\n")[-2], round(seconds, 1)))
    assert cluster.bind(graph).invoke({"x": 1})["trail"] == ["slow"]
    assert told == [("run", 0.8), ("run", 0.1)]


# ---------------------------------------------------------------- error handlers


def heals(state: State, error: NodeError) -> State:
    return {"trail": [f"{error.node}: {error.error}"]}


def handled(bad: Counted, handler: Any = heals, **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node(bad.name, bad, error_handler=handler, **options)
    builder.add_node("beside", Counted("beside"))
    builder.add_node("after", Counted("after"))
    for start in (bad.name, "beside"):
        builder.add_edge(START, start)
    builder.add_edge(bad.name, "after")
    return builder.compile(name="handled")


def fails(state: Any) -> Any:
    raise ValueError("boom")


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_handler_takes_over_as_in_one_process(placement: Placement) -> None:
    """In the same superstep, in the place of the node that failed, whose edges are not followed."""
    graph = handled(Counted("bad", fails))
    cluster = cluster_of(graph)
    local = graph.invoke({"x": 1})
    assert local["trail"] == ["bad: boom", "beside"]
    assert cluster.bind(graph, placement=placement).invoke({"x": 1}) == local
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(5)], placement=placement)
    cluster.run_until_idle()
    assert [result.value["trail"] for result in batch.results()] == [local["trail"]] * 5


def test_a_stream_shows_it_as_one_process_does() -> None:
    graph = handled(Counted("bad", fails))
    local = sorted(map(str, graph.stream({"x": 1}, stream_mode="updates")))
    assert sorted(map(str, cluster_of(graph).bind(graph).stream({"x": 1}, stream_mode="updates"))) == local


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_it_takes_over_after_the_last_attempt_and_has_attempts_of_its_own(placement: Placement) -> None:
    bad, tries = Counted("bad", fails), []

    def flaky(state: State, error: NodeError, runtime: Runtime[Any]) -> State:
        assert runtime.execution_info is not None
        tries.append(runtime.execution_info.node_attempt)
        if len(tries) < 3:
            raise ConnectionError("not yet")
        return {"trail": ["healed"]}

    builder = StateGraph(State).set_node_defaults(retry_policy=AGAIN)
    builder.add_node("bad", bad, error_handler=flaky)
    graph = builder.add_edge(START, "bad").compile(name="twice")
    assert cluster_of(graph).bind(graph, placement=placement).invoke({"x": 1})["trail"] == ["healed"]
    assert bad.calls == 3
    assert tries == [1, 2, 3]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_node_does_not_run_again_when_its_handler_dies(placement: Placement) -> None:
    bad = Counted("bad", fails)
    graph = handled(bad)
    cluster = cluster_of(graph)
    cluster.crash_at("node __error_handler__bad")
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["bad: boom", "beside"]
    assert bad.calls == 1
    assert cluster.deaths == 1


def test_a_handler_may_ask_and_choose_where_to_go() -> None:
    def reroutes(state: State) -> Command[Any]:
        return Command(goto="after", update={"trail": [interrupt("what now?")]})

    bad = Counted("bad", fails)
    graph = handled(bad, reroutes)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    [asked] = run.interrupts()
    assert asked.value == "what now?"
    assert run.resume("go on").result()["trail"] == ["go on", "beside", "after"]
    assert bad.calls == 1


def test_what_a_person_answered_the_node_is_no_answer_to_its_handler() -> None:
    def asks(state: Any) -> Any:
        interrupt("sure?")
        raise ValueError("no")

    def asks_too(state: State) -> State:
        return {"trail": [interrupt("really?")]}

    graph = handled(Counted("bad", asks), asks_too)
    run = cluster_of(graph).submit(graph, {"x": 1})
    assert [asked.value for asked in run.result()["__interrupt__"]] == ["sure?"]
    assert [asked.value for asked in run.resume("yes").result()["__interrupt__"]] == ["really?"]
    assert run.resume("indeed").result()["trail"] == ["indeed", "beside"]


def test_a_handler_that_fails_fails_the_run() -> None:
    def worse(state: State) -> State:
        raise KeyError("worse")

    graph = handled(Counted("bad", fails), worse)
    with pytest.raises(KeyError, match="worse"):
        cluster_of(graph).bind(graph).invoke({"x": 1})


def test_a_handler_hears_of_a_time_limit() -> None:
    graph = handled(Counted("bad"), timeout=60.0, placement="spread")
    cluster = cluster_of(graph)
    cluster.overrun_at("node bad")
    run = cluster.submit(graph, {"x": 1})
    assert run.result()["trail"][0].startswith("bad: Node 'bad' exceeded its run timeout")


@pytest.mark.parametrize("point", ["before runs.effect", "after runs.effect"])
@pytest.mark.parametrize("batch", [False, True])
def test_a_server_out_of_reach_is_no_failure_of_a_node_that_needed_it(point: str, batch: bool) -> None:
    """An effect that cannot be looked up or recorded fails nobody: the node runs again."""

    def act(state: State, runtime: Runtime[Any]) -> State:
        return {"trail": [runtime.once("deed", lambda: "deed")]}

    graph = StateGraph(State).add_node("act", act).add_edge(START, "act").add_edge("act", END).compile(name="act")
    cluster = cluster_of(graph)
    cluster.fail_at(point)
    if batch:
        made = cluster.submit_batch(graph, [{"x": 1}])
        assert made.wait().done == 1
        assert [row.value["trail"] for row in made.results()] == [["deed"]]
    else:
        assert cluster.submit(graph, {"x": 1}).result()["trail"] == ["deed"]
