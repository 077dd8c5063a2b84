"""The in-process cluster that tests are written with: deterministic, honest, and only as kind as it is told to be."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from distgraph.cluster.hints import BatchHint, NodeHint, RunHint
from distgraph.errors import WaitTimeoutError
from distgraph.testing import Broker, Clock, Faults, InProcessCluster, die
from tests.unit.cluster.small import Counted, ask, chain, cluster_of, fan

pytestmark = pytest.mark.unit

HINT = RunHint("r", "t", "g", "f")


class TestClock:
    def test_it_moves_when_told_and_never_back(self) -> None:
        clock = Clock(1_000)
        clock.advance(1.5)
        assert (clock.ms(), clock.seconds()) == (1_001, 1.0015)
        with pytest.raises(ValueError, match="does not go back"):
            clock.advance(-1)


class TestBroker:
    def broker(self, **faults: Any) -> Broker:
        return Broker(Clock(), Random(1), Faults(**faults))

    def test_hints_come_in_order_and_once(self) -> None:
        broker = self.broker()
        broker.publish([HINT, BatchHint("b", "g", "f")])
        broker.publish([HINT._replace(run_id="urgent")], first=True)
        assert [hint[0] for hint in broker.hints()] == ["urgent", "r", "b"]
        assert [broker.take() for _ in range(4)][-1] is None

    def test_what_arrives_is_plain_json(self) -> None:
        """Tuples come as lists, as they do through a real broker."""
        broker = self.broker()
        sent = NodeHint("r", "t", "g", "f", 1, "h", [("id", ("pull", "a"))], "a", 0)
        broker.publish([sent])
        found = broker.take()
        assert isinstance(found, NodeHint)
        assert found.tasks == json.loads(json.dumps(sent.tasks)) == [["id", ["pull", "a"]]]

    def test_hints_can_be_lost_and_repeated(self) -> None:
        lossy = self.broker(lose=1.0)
        lossy.publish([HINT] * 3)
        assert (lossy.lost, lossy.take()) == (3, None)
        twice = self.broker(repeat=1.0)
        twice.publish([HINT])
        assert (twice.repeated, twice.waiting()) == (1, 2)

    def test_a_late_hint_arrives_when_its_time_has_come(self) -> None:
        broker = self.broker(delay=1.0, delay_ms=500)
        broker.publish([HINT])
        assert (broker.take(), broker.waiting()) == (None, 1)
        assert broker.next_ms() == broker.clock.ms() + 500
        broker.clock.advance(500)
        assert broker.take() == HINT

    def test_queues_of_nodes_are_counted_apart(self) -> None:
        broker = self.broker()
        broker.publish([HINT, NodeHint("r", "t", "g", "f", 1, "h", [], "a", 0, "gpu")])
        assert (broker.waiting(), broker.waiting("gpu"), broker.waiting("cpu")) == (1, 1, 0)


class TestCluster:
    def test_nothing_happens_unless_somebody_asks(self) -> None:
        node = Counted("a")
        cluster = cluster_of(graph := chain(node))
        run = cluster.submit(graph, {"x": 1})
        assert (node.calls, run.status()) == (0, "queued")
        assert cluster.step()
        assert (node.calls, run.status()) == (1, "done")
        assert not cluster.turn()

    def test_the_same_seed_is_the_same_story(self) -> None:
        def story(seed: int) -> list[Any]:
            graph = fan(Counted("a"), Counted("b"), Counted("c"))
            faults = Faults(lose=0.3, repeat=0.3, delay=0.3, shuffle=True, node_ms=20)
            cluster = InProcessCluster([graph], slots=3, seed=seed, faults=faults)
            cluster.crash_at(nth=9)
            run = cluster.submit(graph, {"x": 1}, placement="spread")
            seen = []
            while cluster.turn():
                seen.append((cluster.now_ms(), cluster.broker.hints()))
            assert run.result(0)["trail"] == ["a", "b", "c", "join"]
            return seen

        assert story(4) == story(4)
        assert story(4) != story(5)

    def test_it_says_when_there_is_nothing_left_to_wait_for(self) -> None:
        cluster = cluster_of(graph := chain(Counted("a")))
        batch = cluster.submit_batch(graph, [{"x": 1}])
        batch.pause()
        with pytest.raises(WaitTimeoutError, match="Nothing is left to happen"):
            batch.wait()

    def test_an_unanswered_question_is_a_rest(self) -> None:
        cluster = cluster_of(graph := chain(Counted("asks", ask("sure?"))))
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        assert run.status() == "interrupted"

    def test_a_story_without_end_is_told_so(self) -> None:
        cluster = cluster_of(graph := chain(*(Counted(f"n{at}") for at in range(9))), faults=Faults(node_ms=900))
        cluster.submit(graph, {"x": 1})
        with pytest.raises(WaitTimeoutError, match="not idle after 2 steps"):
            cluster.run_until_idle(most=2)

    def test_time_can_be_let_pass(self) -> None:
        cluster = cluster_of(chain(Counted("a")))
        before = cluster.now_ms()
        cluster.advance_clock(5_000)
        assert cluster.now_ms() == before + 5_000
        assert len(cluster.workers()) == 2, "who lives goes on beating"


class TestDeaths:
    def test_a_dead_process_does_nothing_more(self) -> None:
        """Not even what its driver tries on its way out, having caught whatever ended it."""
        effects = []

        def does(_: Any) -> None:
            try:
                die()
            finally:
                effects.append(len(cluster.broker.hints()))

        cluster = cluster_of(graph := chain(Counted("a", does), name="dies"))
        run = cluster.submit(graph, {"x": 1})
        cluster.step()
        assert cluster.deaths == 1
        assert effects == [0]
        assert cluster.memory.runs.record(run._address)["lease"] != b"", "it gave nothing back"
        assert cluster.broker.hints() == []

    def test_die_outside_of_a_cluster_is_a_mistake(self) -> None:
        with pytest.raises(RuntimeError, match="this code runs outside of one"):
            die()

    def test_the_nth_point_with_a_label(self) -> None:
        nodes = [Counted("a"), Counted("b"), Counted("c")]
        cluster = cluster_of(graph := chain(*nodes))
        cluster.crash_at("node ", nth=2)
        run = cluster.submit(graph, {"x": 1})
        assert run.result()["trail"] == ["a", "b", "c"]
        assert [node.calls for node in nodes] == [1, 1, 1], "it died before the second was called"
        assert cluster.deaths == 1

    def test_an_idle_slot_can_die_too(self) -> None:
        cluster = cluster_of(graph := chain(Counted("a")))
        names = [slot.name for slot in cluster.slots]
        cluster.crash(cluster.slots[0])
        cluster.crash(cluster.slots[1], tree=True)
        assert all(slot.name not in names for slot in cluster.slots), "new processes in their places"
        assert cluster.submit(graph, {"x": 1}).result()["trail"] == ["a"]

    def test_a_slot_that_stalls_comes_back(self) -> None:
        node = Counted("a")
        cluster = cluster_of(graph := chain(node))
        cluster.stall_at("node a", steps=40)
        run = cluster.submit(graph, {"x": 1})
        cluster.run_until_idle()
        assert run.result(0)["trail"] == ["a"]
        assert node.calls == 2, "another slot ran it meanwhile"
        assert cluster.deaths == 0

    def test_a_drained_slot_takes_no_more(self) -> None:
        cluster = cluster_of(graph := chain(Counted("a")), slots=1)
        cluster.drain(cluster.slots[0])
        run = cluster.submit(graph, {"x": 1})
        assert not cluster.step()
        cluster.add_slot()
        assert run.result()["trail"] == ["a"]
