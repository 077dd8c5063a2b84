"""The sweep: hints what is overdue, frees what the dead hold, and believes in a death only for good reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from distgraph.cluster.hints import MOST_EXPECTED, BatchHint, RunHint
from distgraph.cluster.recover import DISTRUST, Sweeper
from distgraph.errors import ServerAuthError
from distgraph.testing import InProcessCluster, Slot
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit


def started(cluster: InProcessCluster) -> Slot:
    """The slot that works now."""
    return next(slot for slot in cluster.slots if slot.busy)


def test_a_run_whose_hint_was_lost_is_hinted_again() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    run = cluster.submit(graph, {"x": 1})
    cluster.broker.drop()
    cluster.sweep()
    assert not cluster.broker.hints(), "a hint that was just sent is given time"
    cluster.advance_clock(1_100)
    cluster.sweep()
    assert len(cluster.broker.hints()) == 1
    assert run.result()["trail"] == ["a"]


def test_a_long_queue_is_not_flooded() -> None:
    """While hints wait, a run's own is late and not lost."""
    cluster = cluster_of(graph := chain(Counted("a")))
    for at in range(50):
        cluster.submit(graph, {"x": at})
    for _ in range(10):
        cluster.advance_clock(1_100)
        cluster.sweep()
    assert len(cluster.broker.hints()) == 50


def test_with_the_broker_away_nothing_counts_as_hinted() -> None:
    """All of it is hinted when the broker is back: runs, retries, batches."""
    cluster = cluster_of(graph := chain(Counted("a")))
    cluster.broker.away = True
    runs = [cluster.submit(graph, {"x": at}) for at in range(3)]
    batch = cluster.bind(graph).submit_batch([{"x": 1}])
    stamps = [cluster.memory.runs.record(run._address).get("hinted") for run in runs]
    for _ in range(3):
        cluster.advance_clock(1_100)
        cluster.sweep()
    assert [cluster.memory.runs.record(run._address).get("hinted") for run in runs] == stamps
    assert not cluster.broker.hints()
    cluster.broker.away = False
    cluster.advance_clock(1_100)
    cluster.sweep()
    assert {hint[0] for hint in cluster.broker.hints()} == {*(run.run_id for run in runs), batch.batch_id}
    cluster.run_until_idle()
    assert [run.result(0)["trail"] for run in runs] == [["a"]] * 3
    assert batch.status().done == 1


def test_two_sweeps_at_once_do_no_harm() -> None:
    node = Counted("a")
    cluster = cluster_of(graph := chain(node))
    run = cluster.submit(graph, {"x": 1})
    cluster.broker.drop()
    cluster.advance_clock(1_100)
    cluster.stall_at("after runs.sweep", steps=3)
    cluster.sweep()
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a"]
    assert node.calls == 1


def test_a_sweep_that_dies_on_its_way_is_made_up_for() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    run = cluster.submit(graph, {"x": 1})
    cluster.broker.drop()
    cluster.crash_at("after runs.sweep")
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a"]


def test_a_worker_that_stops_beating_is_taken_for_dead() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    cluster.crash_at("node a", tree=True)
    run = cluster.submit(graph, {"x": 1})
    cluster.step()
    record = cluster.memory.runs.record(run._address)
    cluster.advance_clock(1_100)
    cluster.sweep()
    assert cluster.memory.runs.record(run._address)["lease"] == record["lease"], "its last beat still stands"
    cluster.advance_clock(1_100)
    cluster.sweep()
    assert cluster.memory.runs.record(run._address)["lease"] == b""
    assert run.result()["trail"] == ["a"]


def test_the_slices_of_a_worker_that_stops_beating_are_free_with_the_next_sweep() -> None:
    """Its last beat lapses between two looks at the slice: the second one is not waited for."""
    cluster = cluster_of(graph := chain(Counted("a")))
    cluster.crash_at("node a", tree=True)
    batch = cluster.bind(graph).submit_batch([{"x": 1}])
    cluster.step()

    def held() -> int:
        return sum(len(cluster.memory.batches.slices(batch.batch_id, part)) for part in range(8))

    cluster.sweep()
    cluster.advance_clock(1_100)
    cluster.sweep()
    assert held() == 1, "its last beat still stands"
    cluster.advance_clock(950)
    cluster.sweep()
    assert held() == 0
    assert [result.value["trail"] for result in batch.results()] == []
    cluster.run_until_idle()
    assert [result.value["trail"] for result in batch.results()] == [["a"]]


def test_so_are_its_runs_and_its_tasks() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    for placement in ("auto", "spread"):
        run = cluster.bind(graph, placement=placement).submit({"x": 1})
        before = cluster.deaths
        cluster.crash_at("node a", tree=True)
        while cluster.deaths == before:
            cluster.step()
        held = cluster.memory.runs.record(run._address)["lease"], cluster.memory.runs.claims(run._address)
        assert held[0] or held[1]
        cluster.sweep()
        cluster.advance_clock(1_100)
        cluster.sweep()
        cluster.advance_clock(950)
        cluster.sweep()
        assert (cluster.memory.runs.record(run._address)["lease"], cluster.memory.runs.claims(run._address)) == (
            b"",
            {},
        )
        assert run.result()["trail"] == ["a"]


def test_who_comes_after_an_outage_of_the_server_waits_too() -> None:
    """It never knew the server from before: what it finds without a beat may only have had no time to beat."""
    seen: list[str] = []

    def look(_: object) -> None:
        slot = started(cluster)
        slot.frozen = True
        cluster.memory.restart()
        for ms in (2_100, DISTRUST * 1000):
            # This sweeper's first: it has seen no beat of that slot.
            cluster.advance_clock(ms)
            cluster.sweep()
            seen.append(cluster.memory.runs.record(run._address)["lease"].decode())
        slot.frozen = False

    cluster = cluster_of(graph := chain(Counted("a", look), Counted("b"), name="looks"))
    run = cluster.submit(graph, {"x": 1})
    assert run.result()["trail"] == ["a", "b"]
    assert seen[0] != ""
    assert seen[1] == ""


def test_an_outage_of_the_server_is_not_the_death_of_the_workers() -> None:
    """A server that came back without its beats: for one time to live nobody is taken for dead."""
    seen: list[str] = []

    def look(_: object) -> None:
        slot = started(cluster)
        cluster.sweep()
        slot.frozen = True
        cluster.advance_clock(2_100)
        cluster.memory.restart()
        cluster.sweep()
        seen.append(cluster.memory.runs.record(run._address)["lease"].decode())
        cluster.advance_clock(DISTRUST * 1000 + 100)
        cluster.sweep()
        seen.append(cluster.memory.runs.record(run._address)["lease"].decode())
        slot.frozen = False

    cluster = cluster_of(graph := chain(Counted("a", look), Counted("b"), name="looks"))
    run = cluster.submit(graph, {"x": 1})
    assert run.result()["trail"] == ["a", "b"]
    assert seen[0] != ""
    assert seen[1] == ""


def test_what_a_child_died_of_is_named_at_once() -> None:
    """Its worker noticed: nobody waits for beats to be forgotten."""
    cluster = cluster_of(graph := chain(Counted("a")))
    cluster.crash_at("node a")
    run = cluster.submit(graph, {"x": 1})
    cluster.step()
    cluster.sweep()
    record = cluster.memory.runs.record(run._address)
    assert (record["lease"], record["x"]) == (b"", b"1")


def test_what_is_at_rest_is_forgotten() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    cluster.memory.state.due.at(cluster.memory.keys.partition(run.thread_id))[f"r:{run.run_id}"] = 0
    cluster.sweep()
    assert not any(cluster.memory.state.due.values())


def test_a_paused_batch_is_left_alone_and_goes_on() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(5)])
    batch.pause()
    cluster.run_until_idle()
    assert batch.status().queued == 5
    batch.unpause()
    cluster.run_until_idle()
    assert batch.status().done == 5


def rolled_back(cluster: InProcessCluster, saved: object) -> None:
    """The server lost power: it remembers what was, and the workers live on."""
    cluster.memory.restore(saved)  # type: ignore[arg-type]
    cluster.broker.drop()


def test_a_lease_that_only_the_server_remembers_is_taken_away_from_a_slot_that_lives() -> None:
    saved: list[object] = []
    node = Counted("a", lambda state: saved.append(cluster.memory.snapshot()))
    cluster = cluster_of(graph := chain(node))
    run = cluster.submit(graph, {"x": 1})
    cluster.run_until_idle()
    rolled_back(cluster, saved[0])
    assert cluster.memory.runs.record(run._address)["lease"] != b""
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["a"]
    assert node.calls == 2
    assert cluster.memory.runs.record(run._address)["x"] == b"0", "nobody died"


def test_a_slice_that_only_the_server_remembers_is_made_ready_again() -> None:
    saved: list[object] = []
    node = Counted("a", lambda state: saved.append(cluster.memory.snapshot()))
    cluster = cluster_of(graph := chain(node))
    batch = cluster.submit_batch(graph, [{"x": at} for at in range(3)])
    cluster.run_until_idle()
    rolled_back(cluster, saved[0])
    assert batch.status().done == 0
    cluster.run_until_idle()
    assert batch.status().done == 3


def test_claims_that_only_the_server_remembers_are_taken_away() -> None:
    saved: list[object] = []
    node = Counted("work", lambda state: saved.append(cluster.memory.snapshot()))
    cluster = cluster_of(graph := chain(node))
    run = cluster.submit(graph, {"x": 1}, placement="spread")
    cluster.run_until_idle()
    rolled_back(cluster, saved[0])
    cluster.run_until_idle()
    assert run.result(0)["trail"] == ["work"]


def test_who_works_at_it_keeps_it() -> None:
    """However long the node takes, and however often somebody sweeps meanwhile."""

    def look(_: object) -> None:
        for _turn in range(5):
            cluster.advance_clock(1_100)
            cluster.sweep()

    node = Counted("a", look)
    cluster = cluster_of(graph := chain(node))
    run = cluster.submit(graph, {"x": 1})
    assert run.result()["trail"] == ["a"]
    assert node.calls == 1


class Record(dict[str, object]):
    """A worker's beat; anything a sweep asks for is there."""

    def __init__(self, beat: float) -> None:
        super().__init__(name="w", host="h", beat=beat, graphs={}, dead=[], works={}, concurrency=1, idle=1, slots=[])


def watching(cluster: InProcessCluster, died: Callable[[Any], bool] = lambda record: False) -> Sweeper:
    memory = cluster.memory
    parts: tuple[Any, ...] = (
        *(memory.runs, memory.batches, memory.fleet, memory.lines),
        *(cluster.registry, cluster.broker),
    )
    made: Callable[..., Sweeper] = Sweeper
    return made(*parts, cluster.clock.seconds, died)


def test_a_death_that_can_be_seen_is_not_waited_for() -> None:
    """Not even right after an outage: it is no guess."""
    cluster = cluster_of(graph := chain(Counted("a")))
    fallen: set[str] = set()
    sweeper = watching(cluster, lambda record: record["boot"] in fallen)
    sweeper.sweep()
    cluster.crash_at("node a", tree=True)
    run = cluster.submit(graph, {"x": 1})
    cluster.step()
    boot = cluster.memory.runs.record(run._address)["lease"].decode().partition(":")[0]
    assert boot in cluster.memory.fleet.workers()
    fallen.add(boot)
    sweeper.distrust()
    sweeper.sweep()
    assert cluster.memory.runs.record(run._address)["lease"] == b""
    assert boot not in cluster.memory.fleet.workers(), "nobody else waits for it either"
    assert run.result()["trail"] == ["a"]


def test_whoever_misses_beats_is_looked_at_more_often() -> None:
    """The moment in which its last beat lapses is not missed by half a second."""
    cluster = cluster_of(chain(Counted("a")))
    sweeper = watching(cluster)
    fleet = cluster.memory.fleet
    fleet.beat("other", Record(1.0), ttl_ms=2000)
    assert sweeper.sweep() > 0.4
    cluster.advance_clock(1_000)
    fleet.beat("other", Record(2.0), ttl_ms=2000)
    assert sweeper.sweep() > 0.4
    cluster.advance_clock(1_300)
    assert sweeper.sweep() <= 0.15


def test_who_stood_still_since_it_looked_takes_nobody_for_dead() -> None:
    """It has not seen who came meanwhile."""
    cluster = cluster_of(chain(Counted("a")))
    sweeper = cluster._watch[1]
    sweeper.sweep()
    assert sweeper.dead("nobody:1.0")
    cluster.advance_clock(1_500)
    assert not sweeper.dead("nobody:1.0")
    sweeper.sweep()
    assert sweeper.dead("nobody:1.0")


def other_work(cluster: InProcessCluster, count: int) -> None:
    """Hints of something that is always in the queue."""
    cluster.broker.publish([BatchHint("no-such", "g", "f") for _ in range(count)])


@pytest.mark.parametrize(("others", "again"), [(5, True), (MOST_EXPECTED + 1, False)])
def test_a_lost_hint_is_missed_in_a_short_queue(others: int, again: bool) -> None:
    """It is not seen there. In a long one it may be anywhere, and is given half a minute."""
    cluster = cluster_of(graph := chain(Counted("a")))
    run = cluster.submit(graph, {"x": 1})
    cluster.broker.drop()
    other_work(cluster, others)
    for _ in range(3):
        cluster.advance_clock(1_100)
        cluster.sweep()
    assert (RunHint(run.run_id, run.thread_id, graph.name, graph.fingerprint) in cluster.broker.hints()) is again


def test_a_hint_that_is_seen_in_the_queue_is_not_repeated() -> None:
    cluster = cluster_of(graph := chain(Counted("a")))
    other_work(cluster, 5)
    cluster.submit(graph, {"x": 1})
    for _ in range(5):
        cluster.advance_clock(1_100)
        cluster.sweep()
    assert len(cluster.broker.hints()) == 6


def test_a_batch_is_not_forgotten_while_others_fill_the_queue() -> None:
    """Its hints are lost, and those of another batch always wait."""
    cluster = cluster_of(graph := chain(Counted("a")))
    batch = cluster.bind(graph).submit_batch([{"x": 1}, {"x": 2}])
    cluster.broker.drop()
    other_work(cluster, 3)
    for _ in range(6):
        cluster.advance_clock(1_100)
        cluster.sweep()
    mine = [hint for hint in cluster.broker.hints() if hint[0] == batch.batch_id]
    assert 1 <= len(mine) <= 2


def test_runs_are_hinted_when_their_version_is_served_again() -> None:
    """What was hinted while nobody served it may have been dropped: the length of the queue tells nothing."""
    cluster = cluster_of(graph := chain(Counted("a")))
    sweeper = watching(cluster)
    for slot in cluster.slots:
        slot.frozen = True
    cluster.advance_clock(2_500)
    sweeper.sweep()
    run = cluster.submit(graph, {"x": 1})
    cluster.broker.drop()
    other_work(cluster, MOST_EXPECTED + 1)
    cluster.advance_clock(1_100)
    sweeper.sweep()
    hint = RunHint(run.run_id, run.thread_id, graph.name, graph.fingerprint)
    assert hint not in cluster.broker.hints()
    for slot in cluster.slots:
        slot.frozen = False
    for _ in range(4):
        cluster.advance_clock(1_100)
        sweeper.sweep()
    assert 1 <= cluster.broker.hints().count(hint) <= 2, "once, and once more for those who did not know of it at first"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_server_that_has_started_is_to_write_its_file_anew(
    allowed: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every worker says so once for each start; where it may not, its log says what to do, and it goes on."""
    cluster = cluster_of(chain(Counted("a")))
    asked: list[str] = []

    def renew(server: str) -> None:
        asked.append(server)
        if not allowed:
            raise ServerAuthError("this user has no permissions to run the 'bgrewriteaof' command")

    monkeypatch.setattr(cluster.memory.fleet, "renew_file", renew)
    sweeper = watching(cluster)
    for _ in range(2):
        for _ in range(2):
            sweeper.sweep()
        cluster.memory.restart()
    assert len(asked) == len(set(asked)) == 2
    assert ("by hand, with BGREWRITEAOF" in caplog.text) is not allowed
