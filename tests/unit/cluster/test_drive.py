"""Drivers: who advances a run, what they keep, and who is refused."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.drive import drive
from distgraph.cluster.handle import RunHandle
from distgraph.cluster.hints import RunHint
from distgraph.errors import CheckpointCorruptError, GraphRecursionError, JoinStalledError, PoisonTaskError
from distgraph.testing import Faults, die
from distgraph.types import Placement, RetryPolicy
from tests.unit.cluster.small import Counted, ask, chain, cluster_of, fan, offered, skipping, wide

pytestmark = pytest.mark.unit


def fails(times: int, exc: type[Exception] = ValueError) -> Counted:
    """A node that fails so often before it works."""
    node = Counted("work")

    def does(_: object) -> None:
        if node.calls <= times:
            raise exc(f"attempt {node.calls}")

    node.does = does
    return node


class TestInPlace:
    def test_a_chain_runs_to_its_end_for_one_hint(self) -> None:
        graph = chain(Counted("a"), Counted("b"), Counted("c"))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        assert cluster.step()
        assert run.result(0) == {"x": 1, "trail": ["a", "b", "c"]}
        assert not cluster.step(), "and needs no other hint"

    def test_a_driver_works_for_a_quantum_and_goes_to_the_end_of_the_queue(self) -> None:
        graph = chain(*(Counted(f"n{at}") for at in range(8)))
        cluster = cluster_of(graph, faults=Faults(node_ms=400), slots=1)
        long, short = (cluster.submit(graph, {"x": at}) for at in range(2))
        cluster.step()
        assert long.status() == "running"
        assert [hint[0] for hint in cluster.broker.hints()] == [short.run_id, long.run_id]
        cluster.run_until_idle()
        assert len(long.result(0)["trail"]) == 8

    def test_with_the_broker_away_it_goes_on(self) -> None:
        """Whoever handed its run back would hand it to nobody."""
        graph = chain(*(Counted(f"n{at}") for at in range(8)))
        cluster = cluster_of(graph, faults=Faults(node_ms=400), slots=1)
        run = cluster.submit(graph, {"x": 1})
        hint = cluster.broker.take()
        assert isinstance(hint, RunHint)
        cluster.broker.away = True
        drive(cluster.slots[0].place, hint)
        assert len(run.result(0)["trail"]) == 8

    def test_a_repeated_hint_does_no_harm(self) -> None:
        node = Counted("a")
        graph = chain(node)
        cluster = cluster_of(graph, faults=Faults(repeat=1.0))
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["a"]
        assert node.calls == 1
        assert cluster.broker.repeated

    def test_a_loop_without_end_is_stopped_with_its_state_saved(self) -> None:
        graph = chain(*(Counted(f"n{at}") for at in range(5)))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, {"recursion_limit": 3})
        cluster.run_until_idle()
        with pytest.raises(GraphRecursionError, match="Recursion limit of 3 reached"):
            run.result(0)

    @pytest.mark.parametrize("placement", ["auto", "spread"])
    def test_a_join_that_can_no_longer_fire_fails_the_run(self, placement: Placement) -> None:
        graph = skipping()
        cluster = cluster_of(graph)
        stalled, whole = (cluster.submit(graph, {"x": x}, placement=placement) for x in (1, 2))
        cluster.run_until_idle()
        assert whole.result(0)["trail"] == ["a", "b", "join"]
        with pytest.raises(JoinStalledError, match="the join into 'join' waits for 'b', which did not run"):
            stalled.result(0)
        allowed = skipping(optional=True)
        cluster = cluster_of(allowed)
        run = cluster.submit(allowed, {"x": 1}, placement=placement)
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["a"]

    def test_a_graph_that_nobody_here_serves_is_passed_on_a_while(self) -> None:
        """Hints do not go round for ever; what is due is hinted again by a sweep."""
        graph, other = chain(Counted("a"), name="one"), chain(Counted("b"), name="two")
        cluster = cluster_of(graph, slots=1)
        cluster.add_slot([other])
        cluster.slots[0].frozen = True
        cluster.advance_clock(3_000)
        run = cluster.submit(graph, {"x": 1})
        while cluster.step():
            pass
        assert run.status() == "waiting_for_worker"
        assert not cluster.broker.hints()
        cluster.slots[0].frozen = False
        assert run.result()["trail"] == ["a"]


class TestOffering:
    def test_the_tasks_of_a_spread_superstep_travel_one_by_one(self) -> None:
        graph = fan(*(Counted(f"arm{at}") for at in range(3)))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement="spread")
        cluster.step()
        assert sorted(hint.node for hint in offered(cluster)) == ["arm0", "arm1", "arm2"]
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["arm0", "arm1", "arm2", "join"]

    def test_a_node_with_a_queue_of_its_own_always_travels_there(self) -> None:
        graph = chain(Counted("heavy"), queue="gpu")
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement="local")
        cluster.step()
        assert [hint.queue for hint in offered(cluster)] == ["gpu"]
        assert cluster.broker.waiting() == 0, "it does not wait in the queue of the others"
        assert run.result()["trail"] == ["heavy"]

    def test_a_wide_superstep_is_shared_when_it_takes_long_and_others_idle(self) -> None:
        work = Counted("work")
        graph = wide(work, 40)
        cluster = cluster_of(graph, slots=3, faults=Faults(node_ms=20))
        run = cluster.submit(graph, {"x": 1})
        cluster.step()
        assert 0 < work.calls < 40
        assert sum(len(hint.tasks) for hint in offered(cluster)) == 40 - work.calls
        assert len(run.result()["trail"]) == 40
        assert work.calls == 40

    @pytest.mark.parametrize(("slots", "node_ms"), [(1, 20), (3, 0)], ids=["nobody idles", "it is quick"])
    def test_otherwise_it_stays(self, slots: int, node_ms: int) -> None:
        graph = wide(Counted("work"), 40)
        cluster = cluster_of(graph, slots=slots, faults=Faults(node_ms=node_ms))
        run = cluster.submit(graph, {"x": 1})
        while cluster.step():
            pass
        assert len(run.result(0)["trail"]) == 40

    def test_placement_never_changes_results(self) -> None:
        graph = wide(Counted("work"), 5)
        results = []
        placements: list[Placement] = ["auto", "spread", "local"]
        for placement in placements:
            cluster = cluster_of(graph, faults=Faults(node_ms=20, shuffle=True))
            results.append(cluster.submit(graph, {"x": 1}, placement=placement).result())
        assert results == [graph.invoke({"x": 1})] * 3


class TestFailures:
    @pytest.mark.parametrize("placement", ["local", "spread"])
    def test_a_failed_run_keeps_what_its_siblings_did(self, placement: Placement) -> None:
        """The failed node alone runs again when the run is retried."""
        good, bad = Counted("good"), fails(1)
        graph = fan(good, bad)
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement=placement)
        cluster.run_until_idle()
        with pytest.raises(ValueError, match="attempt 1"):
            run.result(0)
        assert run.status() == "failed"
        run.retry()
        assert run.result()["trail"] == ["good", "work", "join"]
        assert (good.calls, bad.calls) == (1, 2)

    @pytest.mark.parametrize("placement", ["local", "spread"])
    def test_a_retry_waits_in_the_ledger_not_in_a_worker(self, placement: Placement) -> None:
        work = fails(2)
        policy = RetryPolicy(
            initial_interval=10.0, backoff_factor=2.0, jitter=False, max_attempts=3, retry_on=ValueError
        )
        graph = chain(work, retry_policy=policy)
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement=placement)
        began = cluster.now_ms()
        while cluster.step():
            pass
        assert work.calls == 1
        cluster.advance_clock(9_000)
        cluster.sweep()
        assert not offered(cluster), "not yet"
        assert run.result()["trail"] == ["work"]
        assert work.calls == 3
        assert cluster.now_ms() - began >= 30_000

    def test_a_run_that_kills_its_process_three_times_is_quarantined(self) -> None:
        deadly = Counted("deadly", lambda state: die())
        graph = chain(deadly)
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        with pytest.raises(PoisonTaskError, match="was quarantined: 3 worker processes died while it ran"):
            run.result(0)
        assert deadly.calls == cluster.deaths == 3

    def test_a_task_that_kills_its_process_is_quarantined_and_its_siblings_are_kept(self) -> None:
        deadly, good = Counted("deadly", lambda state: die()), Counted("good")
        graph = fan(good, deadly)
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement="spread")
        cluster.run_until_idle()
        with pytest.raises(PoisonTaskError, match="Task 'deadly' of run .* was quarantined: 3 worker processes"):
            run.result(0)
        assert (good.calls, deadly.calls) == (1, 3)

    @pytest.mark.parametrize("rust", [b"rust", None], ids=["damaged", "missing"])
    def test_a_checkpoint_that_cannot_be_read_fails_the_run(self, rust: bytes | None) -> None:
        """Trying again would end the same way."""
        graph = fan(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1}, placement="spread")
        cluster.step()
        line = cluster.memory.state.lines.at((run.thread_id, ""))
        record = f"c:{line['head'].decode()}"
        line.drop(record)
        line.write([(record, rust)] if rust else [])
        cluster.run_until_idle()
        with pytest.raises(CheckpointCorruptError):
            run.result(0)


class TestStopping:
    def test_a_drained_slot_hands_its_run_back(self) -> None:
        def drain(_: object) -> None:
            cluster.drain(next(slot for slot in cluster.slots if slot.busy))

        graph = chain(Counted("first", drain), *(Counted(f"n{at}") for at in range(4)), name="drained")
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        cluster.step()
        assert run.status() == "running"
        assert cluster.memory.runs.record(run._address)["lease"] == b""
        assert run.result()["trail"] == ["first", "n0", "n1", "n2", "n3"]
        assert cluster.deaths == 0

    def test_a_cancelled_run_takes_no_further_step(self) -> None:
        handles: list[RunHandle] = []
        never = Counted("never")
        graph = chain(Counted("a", lambda state: handles[0].cancel() and None), never)
        cluster = cluster_of(graph)
        handles.append(cluster.submit(graph, {"x": 1}))
        cluster.run_until_idle()
        assert handles[0].status() == "cancelled"
        assert never.calls == 0
        assert cluster.run_until_idle() == 0, "and nobody owes it anything"

    def test_a_question_waits_for_its_answer(self) -> None:
        before = Counted("before")
        graph = chain(before, Counted("asks", ask("how many?")))
        cluster = cluster_of(graph)
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        (asked,) = run.interrupts()
        assert (run.status(), asked.value) == ("interrupted", "how many?")
        assert run.resume(7).result()["trail"] == ["before", "asks:7"]
        assert before.calls == 1


class Awaited(Counted):
    """A coroutine."""

    async def __call__(self, state: Any) -> Any:
        return super().__call__(state)


def test_nothing_more_begins_of_a_superstep_whose_run_was_cancelled() -> None:
    """Its nodes wait beside each other, as many as there is room for."""

    def cancel(state: Any) -> None:
        run.cancel()
        cluster.clock.advance(1_000)

    others = [Awaited(name) for name in "bcd"]
    graph = fan(Awaited("a", cancel), *others)
    cluster = cluster_of(graph)
    for slot in cluster.slots:
        slot.place.overlap = 1
    run = cluster.submit(graph, {"x": 1}, placement="local")
    cluster.run_until_idle()
    assert run.status() == "cancelled"
    assert [node.calls for node in others] == [0, 0, 0]


class TestZombies:
    def test_a_driver_that_was_taken_for_dead_is_refused(self) -> None:
        """Its node ran twice; its superstep counts once."""
        node = Counted("a")
        graph = chain(node, Counted("b"))
        cluster = cluster_of(graph)
        cluster.stall_at("before runs.commit", nth=2, steps=50)
        run = cluster.submit(graph, {"x": 1}, keep="latest")
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["a", "b"]
        assert node.calls == 2

    @pytest.mark.parametrize("nth", [2, 4], ids=["task", "run"])
    def test_whoever_lost_a_run_before_it_read_it_finds_nothing_damaged(
        self, nth: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What the run has left is not kept: it is missing, and rightly so."""
        graph = fan(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        cluster.stall_at("after runs.claim", nth=nth, steps=60)  # of the run, of its two tasks, of the run
        run = cluster.submit(graph, {"x": 1}, keep="latest", placement="spread")
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["a", "b", "join"]
        assert "cannot go on" not in caplog.text

    @pytest.mark.parametrize("point", ["before runs.commit", "after runs.commit", "node a", "after runs.claim"])
    @pytest.mark.parametrize("tree", [False, True], ids=["child", "worker"])
    def test_a_run_goes_on_after_a_death_anywhere(self, point: str, tree: bool) -> None:
        graph = chain(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        cluster.crash_at(point, tree=tree)
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        assert cluster.deaths == 1
        assert run.result(0)["trail"] == ["a", "b"]


def test_a_hint_that_nobody_can_follow_does_not_go_round() -> None:
    """Whoever comes to serve it finds the run due."""
    cluster = cluster_of(chain(Counted("a")))
    place: Any = cluster.slots[0].place
    hint = RunHint("r", "t", "unknown", "f")
    for served, hops, sent in [(True, 0, 1), (True, 20, 0), (False, 0, 0)]:
        place.served = lambda name, fingerprint, served=served: served
        drive(place, hint._replace(hops=hops))
        assert cluster.broker.drop() == sent
