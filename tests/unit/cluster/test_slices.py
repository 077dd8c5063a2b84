"""Batches: items are taken late, advanced in lockstep, and each comes to exactly one row."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.cluster import slices as module
from distgraph.cluster.deliver import deliver
from distgraph.cluster.failures import rebuild
from distgraph.cluster.lane import Lane
from distgraph.errors import CheckpointCorruptError, PoisonTaskError
from distgraph.testing import Faults, die
from distgraph.types import Placement, RetryPolicy
from tests.unit.cluster.small import Counted, ask, chain, cluster_of, fan, skipping, wide

pytestmark = pytest.mark.unit


def items(count: int) -> list[dict[str, Any]]:
    return [{"x": at} for at in range(count)]


def test_every_item_has_one_row() -> None:
    node = Counted("a", lambda state: state["x"])
    graph = chain(node, Counted("b"))
    cluster = cluster_of(graph, slots=3)
    batch = cluster.submit_batch(graph, items(300))
    cluster.run_until_idle()
    assert [row.value for row in batch.results()] == [{"x": at, "trail": [f"a:{at}", "b"]} for at in range(300)]
    assert node.calls == 300
    assert not cluster.memory.state.records, "an item that stays in its slice needs no run of its own"


def test_what_items_leave_does_not_wait_for_a_garbage_collection() -> None:
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    cluster.submit_batch(graph, items(20))
    gc.collect()
    gc.disable()
    try:
        cluster.run_until_idle()
        lanes = [found for found in gc.get_objects() if type(found) is Lane]
        # A slot of another test may keep its last run for as long as the loop lives that it was the first to use.
        assert not [lane for lane in lanes if lane.served.graph is graph]
    finally:
        gc.enable()


def test_a_bad_item_does_not_stop_the_others() -> None:
    def does(state: Any) -> None:
        if state["x"] == 3:
            raise ValueError("three")

    graph = chain(Counted("a", does))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, items(8))
    cluster.run_until_idle()
    assert [row.status for row in batch.results()] == ["done"] * 3 + ["failed"] + ["done"] * 4
    (failure,) = batch.failures()
    assert failure.error is not None
    assert (failure.index, failure.error["message"], failure.error["node"]) == (3, "three", "a")


def test_an_item_whose_join_can_no_longer_fire_fails() -> None:
    graph = skipping()
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, items(4))
    cluster.run_until_idle()
    assert [row.status for row in batch.results()] == ["done", "failed"] * 2
    told = [row.error["message"] for row in batch.failures() if row.error is not None]
    assert [text.split(":")[0] for text in told] == ["In item 1", "In item 3"]
    assert all("waits for 'b', which did not run" in text for text in told)


def test_with_the_broker_away_whoever_has_a_hint_goes_on() -> None:
    """Nobody else would come for the rest; what travels has to wait in any case."""
    cases: list[tuple[Placement, int]] = [("auto", 300), ("spread", 0)]
    for placement, done in cases:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph, faults=Faults(node_ms=40), slots=1)
        batch = cluster.submit_batch(graph, items(300), placement=placement)
        hint = cluster.broker.take()
        assert hint is not None
        cluster.broker.away = True
        deliver(cluster.slots[0].place, hint, lambda: None)
        status = batch.status()
        assert (status.done, status.failed) == (done, 0)
        assert status.queued > 0 or placement == "auto", "it does not make runs of more than its quantum's share"
        cluster.broker.away = False
        cluster.run_until_idle()
        assert batch.status().done == 300


class TestLeavingTheSlice:
    """What cannot be finished in lockstep goes on as a run of its own; its row is the same."""

    def test_tasks_that_travel(self) -> None:
        graph = fan(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(3), placement="spread")
        assert [row.value["trail"] for row in after(cluster, batch)] == [["a", "b", "join"]] * 3

    def test_a_wide_superstep_that_takes_long(self) -> None:
        work = Counted("work")
        graph = wide(work, 40)
        cluster = cluster_of(graph, slots=3, faults=Faults(node_ms=20))
        batch = cluster.submit_batch(graph, items(2))
        assert [len(row.value["trail"]) for row in after(cluster, batch)] == [40, 40]
        assert work.calls == 80, "what was run before it left is not run again"

    def test_a_node_that_waits_for_another_attempt(self) -> None:
        work = Counted("work")

        def does(state: Any) -> None:
            if work.calls <= 2:
                raise ValueError("not yet")

        work.does = does
        graph = chain(
            Counted("before"),
            work,
            retry_policy=RetryPolicy(initial_interval=5.0, jitter=False, max_attempts=4, retry_on=ValueError),
        )
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(1))
        began = cluster.now_ms()
        assert [row.value["trail"] for row in after(cluster, batch)] == [["before", "work"]]
        assert work.calls == 3
        assert cluster.now_ms() - began >= 15_000

    def test_a_question(self) -> None:
        graph = chain(Counted("asks", ask("how many?")))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(2))
        cluster.run_until_idle()
        assert (batch.status().done, batch.status().interrupted) == (0, 2)
        for at in range(2):
            cluster.run(f"{batch.batch_id}:{at}").resume(at)
        assert [row.value["trail"] for row in after(cluster, batch)] == [["asks:0"], ["asks:1"]]

    def test_a_step_too_many(self) -> None:
        graph = chain(*(Counted(f"n{at}") for at in range(5)))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(2), config={"recursion_limit": 3})
        rows = after(cluster, batch)
        assert [row.error["type"].rpartition(":")[2] for row in rows] == ["GraphRecursionError"] * 2


class TestDeaths:
    @pytest.mark.parametrize("tree", [False, True], ids=["child", "worker"])
    @pytest.mark.parametrize(
        "point", ["after batches.take", "node a", "before batches.commit", "after batches.commit", "before publish"]
    )
    def test_a_batch_ends_after_a_death_anywhere(self, point: str, tree: bool) -> None:
        graph = chain(Counted("a"), Counted("b"))
        cluster = cluster_of(graph)
        cluster.crash_at(point, tree=tree)
        batch = cluster.submit_batch(graph, items(20))
        assert [row.value["trail"] for row in after(cluster, batch)] == [["a", "b"]] * 20

    @pytest.mark.parametrize("placement", ["auto", "spread"])
    def test_an_item_that_kills_its_process_three_times_is_quarantined(self, placement: Placement) -> None:
        deadly = Counted("deadly", lambda state: die() if state["x"] == 2 else None)
        graph = chain(deadly)
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(6), placement=placement)
        rows = after(cluster, batch)
        assert [row.status for row in rows] == ["done", "done", "failed", "done", "done", "done"]
        assert isinstance(rebuild(rows[2].error or {}), PoisonTaskError)
        assert cluster.deaths == 3

    @pytest.mark.parametrize("tree", [False, True])
    def test_deaths_count_where_an_item_has_not_got_on_in_between(self, tree: bool) -> None:
        """Two deaths in each of three supersteps are six, and none of them is the third at one place."""

        def does(state: Any) -> None:
            at = len(state.get("trail", ()))
            if cluster.deaths < 2 * (at + 1):
                next(slot for slot in cluster.slots if slot.busy).frozen = tree
                die()

        graph = chain(*[Counted(name, does) for name in "abc"])
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(1))
        assert [row.value["trail"] for row in after(cluster, batch)] == [["a", "b", "c"]]
        assert cluster.deaths == 6

    def test_when_a_whole_worker_dies_its_items_are_suspects_and_run_alone(self) -> None:
        """Nobody tells who did it: only the one that dies alone is counted."""

        def does(state: Any) -> None:
            if state["x"] == 2:
                next(slot for slot in cluster.slots if slot.busy).frozen = True
                die()

        graph = chain(Counted("deadly", does))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(6))
        assert [row.status for row in after(cluster, batch)] == ["done", "done", "failed", "done", "done", "done"]

    @pytest.mark.parametrize("nth", range(3))
    def test_a_death_of_a_whole_worker_is_one_of_its_three(self, nth: int) -> None:
        """Nobody is named then; but it dies alone and named too, which tells who it was."""

        def does(state: Any) -> None:
            if state["x"] == 2:
                next(slot for slot in cluster.slots if slot.busy).frozen = cluster.deaths == nth
                die()

        graph = chain(Counted("deadly", does))
        cluster = cluster_of(graph)
        batch = cluster.submit_batch(graph, items(6))
        rows = after(cluster, batch)
        assert [row.status for row in rows] == ["done", "done", "failed", "done", "done", "done"]
        assert cluster.deaths == 3

    @pytest.mark.parametrize(("point", "nth"), [("after runs.claim", 2), ("after runs.read_line", 1)])
    def test_whoever_lost_an_item_that_ended_meanwhile_goes_on_with_the_others(self, point: str, nth: int) -> None:
        """It comes back after its claim, or in the middle of reading a line that is gone: lost to it, not damaged."""
        seen: set[int] = set()

        def does(state: Any) -> None:
            if state["x"] not in seen:
                seen.add(state["x"])
                raise ValueError("not yet")

        policy = RetryPolicy(initial_interval=0.05, jitter=False, max_attempts=2, retry_on=ValueError)
        cluster = cluster_of(graph := chain(Counted("work", does), retry_policy=policy))
        cluster.stall_at(point, nth=nth, steps=200)
        batch = cluster.submit_batch(graph, items(3))
        assert [row.value["trail"] for row in after(cluster, batch)] == [["work"]] * 3

    def test_a_drained_slot_hands_its_items_back_and_counts_no_crash(self) -> None:
        node = Counted("a")
        graph = chain(node)
        cluster = cluster_of(graph)

        def drain(state: Any) -> None:
            if node.calls == 2:
                cluster.drain(next(slot for slot in cluster.slots if slot.busy))

        node.does = drain
        batch = cluster.submit_batch(graph, items(12))
        assert [row.status for row in after(cluster, batch)] == ["done"] * 12
        assert not any(cluster.memory.state.crashes.values())


def after(cluster: Any, batch: Any) -> list[Any]:
    """The rows once nothing is left to happen."""
    cluster.run_until_idle()
    assert batch.status().finished
    return list(batch.results())


@pytest.mark.parametrize("how", ["drained", "dead"])
def test_what_of_a_slice_is_left_the_ledger_decides_when_it_ends(how: str) -> None:
    """The server is rolled back in the very moment in which somebody gives the slice back: he could not know."""
    node = Counted("a")
    cluster = cluster_of(graph := chain(node), slots=1)
    saved: list[int] = []

    def does(state: Any) -> None:
        if state["x"] in (0, 2):
            cluster.advance_clock(50)  # more than lies between two flushes
        if state["x"] == 1 and not saved:
            saved.append(cluster.memory.snapshot())
        if state["x"] == 3 and node.calls == 4:
            cluster.drain(next(slot for slot in cluster.slots if slot.busy)) if how == "drained" else die()

    node.does = does
    cluster._plan("before batches.give_back", 1, None, lambda _: cluster.memory.restore(saved[0]))
    batch = cluster.submit_batch(graph, items(4))
    cluster.step()
    if how == "drained":
        cluster.add_slot()
    assert [row.value["trail"] for row in after(cluster, batch)] == [["a"]] * 4
    assert node.calls == 7, "items 1 to 3 ran again: what they had come to was forgotten"


def test_an_item_whose_head_is_damaged_when_it_leaves_its_slice_fails_alone() -> None:
    """Its driver reads it again to wait for the next attempt. What is damaged is nobody's crash."""
    work = Counted("work")

    def does(state: Any) -> None:
        if work.calls <= 2:
            raise ValueError("not yet")

    def damage(_: Any) -> None:
        line = cluster.memory.state.lines.at((f"{batch.batch_id}:0", ""))
        line.write([(f"c:{line['head'].decode()}", b"rust")])

    work.does = does
    policy = RetryPolicy(initial_interval=5.0, jitter=False, max_attempts=4, retry_on=ValueError)
    cluster = cluster_of(graph := chain(Counted("before"), work, retry_policy=policy))
    batch = cluster.submit_batch(graph, items(2))
    cluster._plan("before runs.claim", 1, None, damage)
    cluster.step()
    records = cluster.memory.state.records.values()
    assert [record.get("x", b"0") for record in records] == [b"0"], "the other waits, and is not suspected"
    rows = after(cluster, batch)
    assert [row.status for row in rows] == ["failed", "done"]
    assert isinstance(rebuild(rows[0].error or {}), CheckpointCorruptError)
    assert cluster.deaths == 0


@pytest.mark.parametrize("drained", [False, True])
def test_items_that_a_rolled_back_server_forgot_are_not_lost_with_their_slice(drained: bool) -> None:
    """Their driver goes on and takes them for done; the slice it ends, or hands back, is all that still knows of them."""

    def roll_back(state: Any) -> None:
        if state["x"] in (0, 2):
            cluster.advance_clock(50)  # more than lies between two flushes
        if state["x"] == 1:
            saved.append(cluster.memory.snapshot())
        if state["x"] == 3 and len(saved) == 1:
            cluster.memory.restore(saved[0])
            saved.append(None)
            if drained:
                cluster.drain(next(slot for slot in cluster.slots if slot.busy))

    saved: list[Any] = []
    cluster = cluster_of(graph := chain(Counted("a", roll_back)), slots=1 + drained)
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(6)])
    cluster.run_until_idle()
    assert batch.status().done == 6


def test_an_item_that_a_rolled_back_server_put_back_is_not_lost_where_its_slot_is_drained() -> None:
    """Its end is refused, as if another driver had moved it; but nobody else has it."""

    def save(state: Any) -> None:
        saved.append(cluster.memory.snapshot())

    def roll_back(state: Any) -> None:
        if again.calls == 1:
            cluster.memory.restore(saved[0])
            cluster.drain(next(slot for slot in cluster.slots if slot.busy))

    saved: list[int] = []
    again = Counted("b", roll_back)
    cluster = cluster_of(graph := chain(Counted("a", save), again))
    batch = cluster.submit_batch(graph, items(1))
    assert [row.status for row in after(cluster, batch)] == ["done"]


@pytest.mark.parametrize(
    ("total", "pace", "taken"), [(10, None, 3), (10, 1e-6, 3), (10_000, None, 100), (None, None, 2), (None, 1e-6, 100)]
)
def test_a_slot_takes_no_more_than_its_share_of_items_that_wait(total: Any, pace: Any, taken: int) -> None:
    """What waits in one slot, the others cannot begin."""
    plan: Any = SimpleNamespace(batch_id="b", waits=True, total=total)
    place: Any = SimpleNamespace(pace={"b": pace} if pace else {}, overlap=100, slots=lambda: 4)
    assert module._size(place, plan) == taken


def test_what_failed_for_good_does_not_run_again_beside_what_is_retried() -> None:
    """The item leaves its slice for the one that waits, with what the other has come to."""

    def flaky(state: Any) -> None:
        if others.calls == 1:
            raise ConnectionError("down")

    def bad(state: Any) -> None:
        raise ValueError("for good")

    worse, others = Counted("a", bad), Counted("b", flaky)
    graph = fan(worse, others, retry_policy=RetryPolicy(max_attempts=3, jitter=False, retry_on=ConnectionError))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, items(1))
    cluster.run_until_idle()
    assert [rebuild(row.error or {}).args for row in batch.failures()] == [("for good",)]
    assert (worse.calls, others.calls) == (1, 2)
