"""Retries that do not become a storm: a budget for each run, and longer waits where a node does nothing but fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.cluster.failing import FORGET_MS, FREE, MOST, STEP, at_least, named
from distgraph.cluster.failures import rebuild
from distgraph.errors import ConfigError
from distgraph.func import entrypoint, task
from distgraph.testing import InProcessCluster
from distgraph.types import RetryPolicy
from tests.unit.cluster.small import Counted, chain, cluster_of, fan

pytestmark = pytest.mark.unit

#: As impatient as a policy can be.
HASTY = RetryPolicy(initial_interval=0.1, backoff_factor=1.0, jitter=False, max_attempts=100_000)


def fail(state: Any) -> None:
    raise ConnectionError("down")


def items(count: int) -> list[dict[str, Any]]:
    return [{"x": at, "trail": []} for at in range(count)]


def in_a_minute(cluster: InProcessCluster, seconds: float = 60.0) -> None:
    """Let the cluster work until so much of its time has passed."""
    end = cluster.clock.seconds() + seconds
    while cluster.clock.seconds() < end:
        if not cluster.turn():
            cluster.advance_clock(50)


class TestBudget:
    @pytest.mark.parametrize("placement", ["auto", "spread", "local"])
    def test_of_a_run(self, placement: Any) -> None:
        node = Counted("down", fail)
        graph = chain(node, retry_policy=HASTY)
        run = cluster_of(graph).submit(graph, {"x": 1}, placement=placement, retry_budget=3)
        with pytest.raises(ConnectionError, match="down") as caught:
            run.result(30)
        assert node.calls == 4
        assert "has used up its budget of 3 retries" in "".join(caught.value.__notes__)

    def test_of_an_item(self) -> None:
        """Each has its own."""
        node = Counted("down", lambda state: fail(state) if state["x"] else None)
        graph = chain(node, retry_policy=HASTY)
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(3), retry_budget=2)
        cluster.run_until_idle()
        rows = list(batch.results())
        assert [row.status for row in rows] == ["done", "failed", "failed"]
        assert "item" in "".join(rebuild(rows[1].error or {}).__notes__)
        assert node.calls == 1 + 3 + 3

    def test_of_all_its_tasks_together(self) -> None:
        """Those that run at the same time may each have one more."""
        nodes = [Counted(name, fail) for name in "abcdefghij"]
        graph = fan(*nodes, retry_policy=HASTY)
        cluster = cluster_of(graph, slots=1)
        with pytest.raises(ConnectionError, match="down"):
            cluster.submit(graph, {"x": 1}, placement="spread", retry_budget=5).result(30)
        assert 10 < sum(node.calls for node in nodes) <= 10 + 5

    def test_what_is_retried_by_hand_has_another_one(self) -> None:
        node = Counted("down", fail)
        graph = chain(node, retry_policy=HASTY)
        run = cluster_of(graph).submit(graph, {"x": 1}, retry_budget=1)
        with pytest.raises(ConnectionError):
            run.result(30)
        with pytest.raises(ConnectionError):
            run.retry().result(30)
        assert node.calls == 4

    def test_without_one_the_policies_decide(self) -> None:
        node = Counted("down", fail)
        graph = chain(node, retry_policy=HASTY._replace(max_attempts=7))
        run = cluster_of(graph).submit(graph, {"x": 1}, retry_budget=None)
        with pytest.raises(ConnectionError):
            run.result(30)
        assert node.calls == 7

    @pytest.mark.parametrize("placement", ["auto", "spread", "local"])
    def test_each_retry_counts_once(self, placement: Any) -> None:
        """Of several nodes that one slot runs, one after the other, each with retries of tasks that it calls."""
        policy = HASTY._replace(initial_interval=0.0)

        def of(name: str) -> Counted:
            tries: list[int] = []

            @task(retry_policy=policy)
            def shaky() -> None:
                tries.append(1)
                if len(tries) <= 2:
                    fail(None)

            def does(state: Any) -> None:
                shaky().result()
                if node.calls == 1:
                    fail(state)

            node = Counted(name, does)
            return node

        graph = fan(*map(of, "abc"), retry_policy=policy)
        run = cluster_of(graph, slots=1).submit(graph, {"x": 1}, placement=placement, retry_budget=3 * 3)
        assert run.result(30)["trail"] == ["a", "b", "c", "join"]

    @pytest.mark.parametrize("wrong", [-1, 1.5, True, "3"])
    def test_what_is_none_is_refused(self, wrong: Any) -> None:
        graph = chain(Counted("a"))
        with pytest.raises(ConfigError, match="retry_budget .* is wrong"):
            cluster_of(graph).submit(graph, {"x": 1}, retry_budget=wrong)


class TestWhereANodeDoesNothingButFail:
    def test_waits_grow_and_end(self) -> None:
        waits = [at_least(failures) for failures in range(0, 2000)]
        assert not any(waits[: FREE + 1])
        assert waits[FREE + 1] > 5
        assert waits == sorted(waits)
        assert max(waits) == MOST

    def test_a_minute_of_failures_makes_no_storm(self) -> None:
        """A hundred items would make 60,000 attempts; others go on, and when the service is back all are done."""
        down, up = Counted("down"), Counted("up")
        graph, healthy = chain(down, name="calls", retry_policy=HASTY), chain(up, name="healthy", retry_policy=HASTY)
        cluster = cluster_of(graph, healthy)
        back = cluster.clock.seconds() + 60
        down.does = lambda state: fail(state) if cluster.clock.seconds() < back else None
        batch = cluster.submit_batch(graph, items(100))
        in_a_minute(cluster, 5)
        others = cluster.submit_batch(healthy, items(50))
        in_a_minute(cluster, 1)
        assert others.status().done == 50
        in_a_minute(cluster, 54)
        budget = 100 + FREE + 60 / STEP
        assert 200 < down.calls <= budget
        found = cluster.failing()
        assert [(node.graph, node.node, node.failures) for node in found] == [("calls", "down", down.calls)]
        assert 5 < found[0].seconds <= MOST
        in_a_minute(cluster, 2 * MOST)
        assert batch.status().done == 100
        assert down.calls <= budget + 200
        assert cluster.failing() == []

    def test_a_node_that_fails_for_some_is_not_down(self) -> None:
        """Its failures are those of its items: theirs wait no longer than their policy says, but for a moment."""
        node = Counted("picky", lambda state: fail(state) if state["x"] % 2 else None)
        graph = chain(node, retry_policy=HASTY._replace(max_attempts=3))
        cluster = cluster_of(graph, slots=1)
        batch = cluster.submit_batch(graph, items(200))
        in_a_minute(cluster, 45)
        assert (batch.status().done, batch.status().failed) == (100, 100)

    def test_a_node_that_works_costs_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        graph = chain(Counted("a"), Counted("b"), retry_policy=HASTY)
        cluster = cluster_of(graph)
        asked: list[Any] = []
        monkeypatch.setattr(cluster.memory.fleet, "failed", asked.append)
        monkeypatch.setattr(cluster.memory.fleet, "worked", asked.append)
        cluster.submit_batch(graph, items(20))
        cluster.run_until_idle()
        assert asked == []

    def test_what_came_of_an_attempt_outlives_an_outage_of_the_counts(self) -> None:
        node = Counted("shaky", lambda state: fail(state) if node.calls % 2 else None)
        graph = chain(node, retry_policy=HASTY._replace(max_attempts=2))
        cluster = cluster_of(graph, slots=1)
        for _ in range(FREE):
            cluster.memory.fleet.failed(named("chain", "shaky"), forget_ms=FORGET_MS)
        cluster.fail_at("before fleet.worked")
        cluster.submit(graph, {"x": 1}).result(60)
        assert node.calls == 2
        cluster.fail_at("before fleet.failed")
        cluster.submit(graph, {"x": 1}).result(60)
        assert node.calls == 4
        assert cluster.failing() == []

    def test_nodes_are_told_apart(self) -> None:
        assert len({named("a", "b"), named("a.b", "c"), named("a", "b.c")}) == 3


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("kind", ["auto", "spread", "batch"])
class TestBudgetOfTasksThatNodesCall:
    """They are tried again in their caller's slot."""

    def flow(self, calls: list[int], *, waits: bool, tasks: int = 1, caller: int = 1, attempts: int = 1000) -> Any:
        policy = HASTY._replace(initial_interval=0.0, max_attempts=attempts)

        @task(retry_policy=policy)
        def down(n: int) -> None:
            calls.append(n)
            raise ConnectionError("down")

        @task(retry_policy=policy)
        async def adown(n: int) -> None:
            calls.append(n)
            raise ConnectionError("down")

        @entrypoint(retry_policy=HASTY._replace(max_attempts=caller))
        def flow(given: int) -> None:
            for future in [down(n) for n in range(tasks)]:
                future.result()

        @entrypoint(retry_policy=HASTY._replace(max_attempts=caller))
        async def aflow(given: int) -> None:
            await asyncio.gather(*(adown(n) for n in range(tasks)))

        return aflow if waits else flow

    def failed(self, graph: Any, kind: Any, **options: Any) -> BaseException:
        cluster = cluster_of(graph)
        if kind == "batch":
            batch = cluster.submit_batch(graph, [1], **options)
            cluster.run_until_idle()
            return rebuild(next(iter(batch.results())).error or {})
        with pytest.raises(ConnectionError) as caught:
            cluster.submit(graph, 1, placement=kind, **options).result(30)
        return caught.value

    def test_it_is_the_runs(self, kind: Any, waits: bool) -> None:
        calls: list[int] = []
        error = self.failed(self.flow(calls, waits=waits), kind, retry_budget=3)
        assert len(calls) == 4
        assert "has used up its budget of 3 retries" in "".join(error.__notes__)

    def test_of_all_of_them_together(self, kind: Any, waits: bool) -> None:
        calls: list[int] = []
        self.failed(self.flow(calls, waits=waits, tasks=4), kind, retry_budget=6)
        # What runs at the same time may have one more each; the first failure gives the others up.
        assert 7 <= len(calls) <= 4 + 6 + 4

    def test_their_caller_is_not_tried_again_either(self, kind: Any, waits: bool) -> None:
        calls: list[int] = []
        error = self.failed(self.flow(calls, waits=waits, caller=100), kind, retry_budget=3)
        assert len(calls) == 4
        assert "has used up its budget" in "".join(error.__notes__)

    def test_it_is_kept_while_their_caller_waits_for_its_next_attempt(self, kind: Any, waits: bool) -> None:
        """Two retries of tasks, and one of the caller between them."""
        calls: list[int] = []
        error = self.failed(self.flow(calls, waits=waits, caller=100, attempts=2), kind, retry_budget=3)
        assert len(calls) == 4
        assert "has used up its budget" in "".join(error.__notes__)

    def test_without_one_the_policy_decides(self, kind: Any, waits: bool) -> None:
        calls: list[int] = []
        self.failed(self.flow(calls, waits=waits, attempts=7), kind, retry_budget=None)
        assert len(calls) == 7
