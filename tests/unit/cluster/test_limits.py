"""Time limits of runs and of supersteps, kept whoever dies."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.failures import rebuild
from distgraph.cluster.limits import BETWEEN, Ends, ends_of, late_field, seconds_of
from distgraph.errors import ConfigError, RunTimeoutError, StepTimeoutError
from distgraph.ledger.replies import Address
from distgraph.runtime import get_runtime
from distgraph.testing import die
from distgraph.types import RetryPolicy
from tests.unit.cluster.small import Counted, chain, cluster_of, fan

pytestmark = pytest.mark.unit

#: What a slot's row said, and what it said while a reducer ran.
SAID: list[Any] = []
MERGED: list[Any] = []
HASTY = RetryPolicy(initial_interval=1.0, backoff_factor=1.0, jitter=False, max_attempts=1000)
PLACEMENTS: list[Any] = ["auto", "spread", "local"]


@pytest.mark.parametrize("placement", PLACEMENTS)
class TestOfARun:
    def test_a_node_that_takes_too_long(self, placement: Any) -> None:
        """Its process is ended by whoever watches it; no crash is counted, and the node is no further attempt."""
        node = Counted("slow", lambda state: cluster.clock.advance(5_000))
        graph = chain(Counted("a"), node)
        cluster = cluster_of(graph)
        cluster.overrun_at("node slow")
        run = cluster.submit(graph, {"x": 1}, placement=placement, time_limit=3)
        cluster.clock.advance(60_000)  # what it waits for its turn does not count
        with pytest.raises(
            RunTimeoutError, match=r"time_limit of 3 s, in run 'run-1', at step 1\. Its last checkpoint"
        ):
            cluster.advance_clock(0)
            _overrun(cluster, run, 3_100)
        assert node.calls == 0
        assert cluster.deaths == 1

    def test_what_no_one_stopped(self, placement: Any) -> None:
        """As in a pool of threads: it ends when the node returns."""
        node = Counted("slow", lambda state: cluster.clock.advance(5_000))
        graph = chain(Counted("a"), node, Counted("b"))
        cluster = cluster_of(graph)
        with pytest.raises(RunTimeoutError):
            cluster.submit(graph, {"x": 1}, placement=placement, time_limit=timedelta(seconds=3)).result(30)
        assert node.calls == 1

    def test_retries_and_deaths_take_of_its_time(self, placement: Any) -> None:
        """It fails once a second, and its process dies now and then, whole worker and all."""
        deaths = iter([False, True, False, False, True, *[False] * 1000])

        def does(state: Any) -> None:
            if next(deaths):
                next(slot for slot in cluster.slots if slot.busy).frozen = True
                die()
            raise ConnectionError("down")

        graph = chain(node := Counted("down", does), retry_policy=HASTY)
        cluster = cluster_of(graph)
        began = cluster.clock.seconds()
        run = cluster.submit(graph, {"x": 1}, placement=placement, time_limit=20)
        with pytest.raises(RunTimeoutError):
            run.result(60)
        assert 20 <= cluster.clock.seconds() - began < 24
        assert 5 < node.calls <= 21
        assert cluster.deaths == 2

    def test_a_sleep_does_not_outlast_it(self, placement: Any) -> None:
        graph = chain(Counted("nap", lambda state: get_runtime().sleep(3600)))
        cluster = cluster_of(graph)
        began = cluster.clock.seconds()
        with pytest.raises(RunTimeoutError):
            cluster.submit(graph, {"x": 1}, placement=placement, time_limit=10).result(60)
        assert 10 <= cluster.clock.seconds() - began < 13

    def test_who_goes_on_by_hand_has_all_of_it_again(self, placement: Any) -> None:
        slow = [True]
        node = Counted("slow", lambda state: cluster.clock.advance(5_000 if slow[0] else 2_000))
        graph = chain(first := Counted("a"), node)
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement=placement, time_limit=3)
        with pytest.raises(RunTimeoutError):
            run.result(30)
        slow.clear()
        slow.append(False)
        assert run.retry().result(30)["trail"] == ["a", "slow"]
        assert first.calls == 1

    def test_one_that_did_not_come_to_its_input_begins_with_it(self, placement: Any) -> None:
        """Whoever took it died with it; what its thread had before is not what it goes on from."""
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        on: Any = {"configurable": {"thread_id": "t"}}
        bound = cluster.bind(graph, placement=placement)
        bound.invoke({"x": 1}, on)
        run = bound.submit({"x": 2}, on, time_limit=3)
        assert cluster.memory.runs.claim(Address(run.run_id, "t"), "gone:1.0", sweep_ms=1000).kind == "ok"
        cluster.clock.advance(5_000)
        with pytest.raises(RunTimeoutError):
            run.result(30)
        assert run.retry().result(30) == {"x": 2, "trail": ["a", "a"]}

    def test_in_time(self, placement: Any) -> None:
        graph = chain(*[Counted(name, lambda state: cluster.clock.advance(500)) for name in "abc"])
        cluster = cluster_of(graph)
        assert cluster.submit(graph, {"x": 1}, placement=placement, time_limit=10).result(30)["trail"] == [
            "a",
            "b",
            "c",
        ]

    def test_items_of_a_batch(self, placement: Any) -> None:
        node = Counted("slow", lambda state: cluster.clock.advance(5_000 if state["x"] == 2 else 1))
        graph = chain(Counted("a"), node)
        cluster = cluster_of(graph)
        items = [{"x": at, "trail": []} for at in range(5)]
        batch = cluster.submit_batch(graph, items, placement=placement, time_limit=3)
        cluster.run_until_idle()
        rows = list(batch.results())
        if placement != "spread":  # there all have begun when the clock jumps
            assert [row.status for row in rows] == ["done", "done", "failed", "done", "done"]
        assert isinstance(rebuild(rows[2].error or {}), RunTimeoutError)
        assert batch.status().finished
        assert not any(cluster.memory.state.due.values())


def test_a_handle_says_when_the_time_is_over() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    assert cluster.submit(graph, {"x": 1}).time_limit() is None
    run = cluster.submit(graph, {"x": 1}, time_limit=90)
    assert run.time_limit() == (timedelta(seconds=90), None)
    cluster.run_until_idle()
    length, ends = run.time_limit() or pytest.fail("it has a limit")
    assert length == timedelta(seconds=90)
    assert ends is not None


def _overrun(cluster: Any, run: Any, ms: float) -> None:
    """Let the time pass in which the node that was ended had run."""
    while cluster.deaths == 0:
        cluster.turn()
    cluster.clock.advance(ms)
    run.result(30)


@pytest.mark.parametrize("placement", PLACEMENTS)
class TestOfASuperstep:
    def limited(self, *nodes: Counted, seconds: float = 3.0, **options: Any) -> Any:
        graph = chain(*nodes, **options)
        graph.step_timeout = seconds
        return graph

    def test_one_that_takes_too_long(self, placement: Any) -> None:
        node = Counted("slow", lambda state: cluster.clock.advance(5_000))
        graph = self.limited(Counted("a", lambda state: cluster.clock.advance(2_000)), node, Counted("c"))
        cluster = cluster_of(graph)
        with pytest.raises(StepTimeoutError, match=r"step_timeout of 3 s, in run 'run-1', at step 1"):
            cluster.submit(graph, {"x": 1}, placement=placement).result(30)

    def test_each_has_its_own_time(self, placement: Any) -> None:
        graph = self.limited(*[Counted(name, lambda state: cluster.clock.advance(2_000)) for name in "abcde"])
        cluster = cluster_of(graph)
        assert len(cluster.submit(graph, {"x": 1}, placement=placement).result(30)["trail"]) == 5

    def test_a_death_does_not_prolong_it(self, placement: Any) -> None:
        def does(state: Any) -> None:
            cluster.clock.advance(2_000)
            if cluster.deaths < 2:
                die()

        graph = self.limited(Counted("a"), node := Counted("dies", does))
        cluster = cluster_of(graph)
        with pytest.raises(StepTimeoutError):
            cluster.submit(graph, {"x": 1}, placement=placement).result(30)
        assert node.calls == 2

    def test_known_by_name_alone_it_is_that_of_the_graph(self, placement: Any) -> None:
        graph = self.limited(Counted("slow", lambda state: cluster.clock.advance(5_000)))
        cluster = cluster_of(graph)
        with pytest.raises(StepTimeoutError):
            cluster.bind("chain", placement=placement).submit({"x": 1}).result(30)

    def test_items_of_a_batch(self, placement: Any) -> None:
        graph = self.limited(Counted("slow", lambda state: cluster.clock.advance(5_000 if state["x"] == 1 else 1)))
        cluster = cluster_of(graph)
        items = [{"x": at, "trail": []} for at in range(3)]
        batch = cluster.submit_batch(graph, items, placement=placement)
        cluster.run_until_idle()
        rows = [row.status for row in batch.results()]
        assert rows == ["done", "failed", "done"] or (placement == "spread" and rows[1] == "failed")

    def test_what_settled_elsewhere_does_not_run_again(self, placement: Any) -> None:
        slow = Counted("slow", lambda state: cluster.clock.advance(5_000 if slow.calls == 1 else 1))
        graph = fan(quick := Counted("quick"), slow)
        graph.step_timeout = 3
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement=placement)
        with pytest.raises(StepTimeoutError):
            run.result(30)
        assert sorted(run.retry().result(30)["trail"]) == ["join", "quick", "slow"]
        assert quick.calls <= 2 - (placement == "spread")


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), True, "3", timedelta(0)])
def test_what_is_no_length_of_time_is_refused(wrong: Any) -> None:
    graph = chain(Counted("a"))
    with pytest.raises(ConfigError, match="time_limit .* is wrong"):
        cluster_of(graph).submit(graph, {"x": 1}, time_limit=wrong)


def test_lengths_of_time() -> None:
    assert [seconds_of("x", value) for value in (None, 2, 0.5, timedelta(minutes=1))] == [None, 2.0, 0.5, 60.0]


def test_which_is_over() -> None:
    ends = ends_of({"ends_in": b"2000", "step_in": b"-5"}, 100.0)
    assert (ends, ends.first) == (Ends(102.0, 99.995), 99.995)
    assert [Ends(2, 1).over(at) for at in (0.5, 1, 2)] == ["", "step", "run"]
    assert [late_field(10, *fields) for fields in (("", ""), ("11", "12"), ("11", "9"), ("10", "9"))] == [
        ("", 0),
        ("", 0),
        ("step", 9),
        ("run", 10),
    ]


def _merged(old: int, new: int) -> int:
    MERGED.append(SAID[-1:])
    return old + new


class Summed(TypedDict, total=False):
    x: Annotated[int, _merged]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_what_runs_between_nodes_ends_with_its_run(placement: Any) -> None:
    """A reducer has no node's limit; whoever watches the slot is told that of its run."""
    builder = StateGraph(Summed).add_node("a", lambda state: {"x": 1}).add_edge(START, "a").add_edge("a", END)
    graph: Any = builder.compile(name="summed")
    cluster = cluster_of(graph)
    for slot in cluster.slots:
        slot.place.watch = lambda what, seconds: SAID.append((what, seconds))
    for limit, told in ((30.0, [("", pytest.approx(30.0 + BETWEEN, abs=1.0))]), (None, [("", None)])):
        SAID.clear()
        run = cluster.submit(graph, {"x": 1}, placement=placement, time_limit=limit)
        MERGED.clear()
        assert run.result(30)["x"] == 2
        assert MERGED[-1] == told
        assert SAID[-1] == ("", None), "what comes next is not the run's"
