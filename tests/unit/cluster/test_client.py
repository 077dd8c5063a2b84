"""The cluster, as a client sees it: graphs, workers, ids, conflicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

from distgraph import START, StateGraph
from distgraph.cluster import Cluster
from distgraph.errors import ConfigError, GraphMismatchError, GraphNotFoundError, RunExistsError, ThreadBusyError
from distgraph.testing import InProcessCluster
from tests.unit.cluster.small import Counted, chain, cluster_of

pytestmark = pytest.mark.unit


@dataclass
class Place:
    floor: int


class Typed(TypedDict, total=False):
    at: Place


@pytest.fixture
def graph() -> Any:
    return chain(Counted("a"), name="letters")


@pytest.fixture
def cluster(graph: Any) -> InProcessCluster:
    return cluster_of(graph)


def test_no_server_given() -> None:
    with pytest.raises(ConfigError, match="No server given: pass redis://host:port/db"):
        Cluster.connect()


def test_a_graph_that_was_never_served_is_refused_with_a_guess(cluster: InProcessCluster) -> None:
    with pytest.raises(GraphNotFoundError, match=r"named 'leters'.*nothing was submitted.*letters"):
        cluster.bind(chain(Counted("a"), name="leters")).submit({"x": 1})
    assert cluster.runs() == []


def test_another_version_of_a_graph_is_refused(cluster: InProcessCluster) -> None:
    with pytest.raises(GraphMismatchError, match=r"Workers serve graph 'letters' in version .* yours is"):
        cluster.bind(chain(Counted("b"), name="letters")).submit({"x": 1})


def test_a_submit_asks_for_its_own_version_alone(
    cluster: InProcessCluster, graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A namespace remembers every version that was ever served; what they are must not be read for every run."""
    monkeypatch.setattr(cluster.ledger.fleet, "served", lambda: pytest.fail("all versions were read"))
    assert cluster.bind(graph).invoke({"x": 1})["trail"] == ["a"]


def test_only_named_graphs_can_be_bound(cluster: InProcessCluster) -> None:
    with pytest.raises(ConfigError, match="Cannot bind a dict"):
        cluster.bind({})
    with pytest.raises(ConfigError, match="placement 'far' does not exist"):
        cluster.bind("letters", placement="far")  # type: ignore[arg-type]


def test_a_graph_can_be_run_by_its_name_alone(cluster: InProcessCluster) -> None:
    assert cluster.bind("letters").invoke({"x": 1})["trail"] == ["a"]


def test_a_bound_graph_has_the_methods_of_the_graph(cluster: InProcessCluster, graph: Any) -> None:
    bound: Any = cluster.bind(graph)
    assert bound.invoke({"x": 1}) == graph.invoke({"x": 1})
    assert list(bound.stream({"x": 1}, stream_mode="updates")) == list(graph.stream({"x": 1}, stream_mode="updates"))
    assert bound.batch([{"x": 1}, {"x": 2}]) == graph.batch([{"x": 1}, {"x": 2}])


def test_the_schemas_of_a_graph_are_walked_once_and_not_for_every_run(cluster: InProcessCluster, graph: Any) -> None:
    codec = cluster.codec(graph)
    cluster.bind(graph).invoke({"x": 1})
    assert cluster.codec_of("letters") is cluster.codec(graph) is codec
    assert cluster.codec(chain(Counted("a"), name="letters")) is not codec


def test_the_same_run_again_is_the_same_run(cluster: InProcessCluster, graph: Any) -> None:
    first, again = (cluster.submit(graph, {"x": 1}, run_id="mine") for _ in range(2))
    assert first.result() == again.result()
    assert [run.run_id for run in cluster.runs()] == ["mine"]


class TestListsOfRuns:
    def test_what_each_is(self, cluster: InProcessCluster, graph: Any) -> None:
        run = cluster.submit(graph, {"x": 1}, {"configurable": {"thread_id": "t"}}, run_id="mine")
        (listed,) = cluster.runs()
        info = listed.info()
        assert (info.run_id, info.thread_id, info.graph, info.status) == ("mine", "t", graph.name, "queued")
        assert info.submitted.timestamp() == pytest.approx(cluster.clock.seconds(), abs=1)
        run.result()
        assert listed.info().status == "done"

    def test_an_item_of_a_batch(self, cluster: InProcessCluster, graph: Any) -> None:
        batch = cluster.submit_batch(graph, [{"x": 1}], batch_id="b")
        info = cluster.run("b:0").info()
        assert (info.graph, info.status, info.submitted) == (graph.name, "queued", batch.submitted)
        batch.wait()
        assert cluster.run("b:0").info().status == "done"

    def test_only_of_one_graph_or_with_one_status(self) -> None:
        """However far back they are."""
        good, bad = chain(Counted("a"), name="good"), chain(Counted("b", lambda _: 1 / 0), name="bad")
        cluster = cluster_of(good, bad)
        cluster.submit(bad, {"x": 1}, run_id="oldest")
        for n in range(30):
            cluster.clock.advance(1)
            cluster.submit(good, {"x": n}, run_id=f"good {n}")
        cluster.run_until_idle()
        cluster.submit(bad, {"x": 1}, run_id="newest")
        assert [run.run_id for run in cluster.runs(2, graph="bad")] == ["newest", "oldest"]
        assert [run.run_id for run in cluster.runs(5, status="failed")] == ["oldest"]
        assert [run.run_id for run in cluster.runs(2, status="done")] == ["good 29", "good 28"]
        assert [run.run_id for run in cluster.runs(5, graph="bad", status="queued")] == ["newest"]
        assert cluster.runs(graph="none") == []
        with pytest.raises(ConfigError, match="no status 'fialed' of runs. Did you mean 'failed'"):
            cluster.runs(status="fialed")

    @pytest.mark.parametrize("damage", [{"status": b"\xff"}, {"graph": b"\xff"}, {"wake": b"soon"}])
    def test_one_that_is_damaged_is_not_in_the_way(
        self, cluster: InProcessCluster, graph: Any, damage: dict[str, bytes]
    ) -> None:
        cluster.submit(graph, {"x": 1}, run_id="fine")
        broken = cluster.submit(graph, {"x": 1}, run_id="broken")
        cluster.memory.state.records[cluster.memory.state.key(broken._address)].update(damage)
        assert [run.run_id for run in cluster.runs(status="queued")] == ["fine"]
        assert len(cluster.runs()) == 2

    def test_their_results_are_read_as_their_graphs_were_written(self) -> None:
        """Types of a graph's state that was bound here."""
        graph = (
            StateGraph(Typed).add_node("a", lambda state: {"at": Place(1)}).add_edge(START, "a").compile(name="typed")
        )
        cluster = cluster_of(graph)
        cluster.submit(graph, {}).result()
        (listed,) = cluster.runs()
        assert listed.result() == {"at": Place(1)}


def test_another_input_under_the_same_id_is_refused(cluster: InProcessCluster, graph: Any) -> None:
    cluster.submit(graph, {"x": 1}, run_id="mine")
    with pytest.raises(RunExistsError, match="taken by a run with another input"):
        cluster.submit(graph, {"x": 2}, run_id="mine")
    with pytest.raises(RunExistsError, match="taken by a run"):
        cluster.submit(graph, {"x": 1}, {"configurable": {"thread_id": "t"}}, run_id="mine")


def test_a_thread_runs_one_run_at_a_time(cluster: InProcessCluster, graph: Any) -> None:
    config = {"configurable": {"thread_id": "t"}}
    first = cluster.submit(graph, {"x": 1}, config, run_id="first")
    with pytest.raises(ThreadBusyError, match="busy with run 'first'"):
        cluster.submit(graph, {"x": 2}, config, run_id="second")
    first.result()
    assert cluster.submit(graph, {"x": 2}, config, run_id="second").result()["trail"] == ["a", "a"]


def test_workers_and_graphs_are_listed(cluster: InProcessCluster) -> None:
    assert [(worker.name, worker.slots, worker.busy, worker.graphs) for worker in cluster.workers()] == [
        ("worker-0", 1, 0, ("letters",)),
        ("worker-1", 1, 0, ("letters",)),
    ]
    assert cluster.slot_count() == 2
    assert [(found["name"], found["workers"]) for found in cluster.graphs()] == [("letters", 2)]


def test_a_graph_without_a_live_worker_waits_for_one(cluster: InProcessCluster, graph: Any) -> None:
    for slot in cluster.slots:
        slot.frozen = True
    cluster.advance_clock(3_000)
    assert cluster.submit(graph, {"x": 1}).status() == "waiting_for_worker"
