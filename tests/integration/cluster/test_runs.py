"""One run on workers: the same results as in process, wherever its nodes run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.errors import (
    CodecError,
    ConfigError,
    GraphMismatchError,
    GraphNotFoundError,
    RunNotFoundError,
    WaitTimeoutError,
)
from distgraph.examples import chain, map_reduce, sums
from distgraph.types import Placement
from tests.graphs import growing, hard
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]

PLACEMENTS = get_args(Placement)
ITEM: sums.Item = {"index": 7, "width": 5, "rounds": 3}


@pytest.mark.parametrize("placement", PLACEMENTS)
class TestPlacements:
    """Where nodes run never changes what comes out."""

    def test_invoke(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        assert cluster.bind(sums.graph, placement=placement).invoke(ITEM) == sums.expected(ITEM)

    def test_submit_by_name_alone(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        run = cluster.bind("sums", placement=placement).submit(ITEM)
        assert run.result(20) == sums.expected(ITEM)
        assert run.status() == "done"

    @pytest.mark.parametrize("mode", ["values", "updates", ["updates", "values"]])
    def test_stream(self, cluster: EmbeddedCluster, placement: Placement, mode: Any) -> None:
        """Chunks come as in process: `updates` of one superstep in the order of its tasks, not of arrival."""
        remote = cluster.bind(sums.graph, placement=placement)
        assert list(remote.stream(ITEM, stream_mode=mode)) == list(sums.graph.stream(ITEM, stream_mode=mode))

    def test_coroutines(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        """Async nodes and async conditional edges run on workers too."""
        assert cluster.bind(hard.coroutines, placement=placement).invoke({"n": 3}) == {
            "n": 3,
            "parts": [3, 30, 100],
            "total": 133,
        }

    def test_lists_that_grow(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        """Delta channels and conversations, with items that are replaced in between."""
        given: Any = {"n": 40, "log": ["in"], "messages": []}
        found = cluster.bind(growing.graph, placement=placement).invoke(given, {"recursion_limit": 100})
        assert found == growing.graph.invoke(given, {"recursion_limit": 100})

    def test_under_an_event_loop(self, cluster: EmbeddedCluster, placement: Placement) -> None:
        remote = cluster.bind(sums.graph, placement=placement)

        async def both() -> tuple[Any, list[Any]]:
            chunks = [chunk async for chunk in remote.astream(ITEM, stream_mode="values")]
            return await remote.ainvoke(ITEM), chunks

        result, chunks = asyncio.run(both())
        assert result == sums.expected(ITEM)
        assert chunks == list(sums.graph.stream(ITEM, stream_mode="values"))

    def test_state_and_history(self, cluster: EmbeddedCluster, config: Config, placement: Placement) -> None:
        """Workers leave the checkpoints that the engine in process would leave, superstep by superstep."""
        here = sums.build().compile(checkpointer=InMemorySaver())
        remote = cluster.bind(sums.graph, placement=placement)
        where = config()
        remote.invoke(ITEM, where)
        here.invoke(ITEM, where)
        assert remote.get_state(where).values == here.get_state(where).values
        seen = [(s.values, s.next, s.metadata["step"], s.metadata["source"]) for s in remote.get_state_history(where)]
        assert seen == [
            (s.values, s.next, s.metadata["step"], s.metadata["source"]) for s in here.get_state_history(where)
        ]

    def test_a_thread_goes_on_from_its_state(
        self, cluster: EmbeddedCluster, config: Config, placement: Placement
    ) -> None:
        remote = cluster.bind(map_reduce.graph, placement=placement)
        here = map_reduce.build().compile(checkpointer=InMemorySaver())
        where = config()
        for words in ("to be or", "not to be"):
            item = {"documents": [words, "be"]}
            assert remote.invoke(item, where) == here.invoke(item, where)
        item = {"documents": ["that"]}
        chunks = list(remote.stream(item, where, stream_mode="values"))
        assert chunks == list(here.stream(item, where, stream_mode="values"))


def test_ten_runs_at_once(cluster: EmbeddedCluster) -> None:
    remote = cluster.bind(sums.graph)
    runs = [remote.submit(item) for item in sums.items(10)]
    assert [run.result(30) for run in runs] == [sums.expected(item) for item in sums.items(10)]
    wait_at_rest(cluster)


def test_attaching_by_id_from_elsewhere(cluster: EmbeddedCluster) -> None:
    """Whoever knows the id sees the run: its result, and its stream from the first event."""
    run = cluster.bind(chain.graph).submit({"text": "It rained. We stayed at home."})
    run.result(20)
    again = cluster.run(run.run_id)
    assert again.result(5)["verdict"] == "easy"
    assert [next(iter(chunk)) for chunk in again.stream("updates")] == ["split", "measure", "grade"]
    assert run.run_id in [handle.run_id for handle in cluster.runs()]


def test_waiting_can_be_given_up(cluster: EmbeddedCluster, gate: Any) -> None:
    run = cluster.bind(hard.gate).submit({"file": str(gate)})
    with pytest.raises(WaitTimeoutError, match="it goes on"):
        run.result(timeout=0.05)
    gate.touch()
    assert run.result(20)["steps"] == ["first", "wait", "last"]


def test_an_end_that_comes_while_one_begins_to_wait_is_seen(
    cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is an entry of the log: whoever looks up the log's end a moment too late would wait for another one."""
    run = cluster.bind(sums.graph).submit(ITEM)
    end_of, read = run._runs.log_end, run._runs.log

    def late(address: Any) -> str:
        wait_until(lambda: run.status() == "done")
        return end_of(address)

    def must_not_wait(address: Any, after: str, **options: Any) -> Any:
        entries = read(address, after)
        assert entries, "waits for an entry after the last one"
        return entries

    monkeypatch.setattr(run._runs, "log_end", late)
    monkeypatch.setattr(run._runs, "log", must_not_wait)
    assert run.result(20) == sums.expected(ITEM)


class TestRefusedAtSubmit:
    """What cannot run is refused before anything is stored."""

    def test_a_graph_that_nobody_served(self, cluster: EmbeddedCluster) -> None:
        graph = chain.build().compile(name="chein")
        with pytest.raises(GraphNotFoundError, match="(?s)chein.*nothing was submitted.*chain"):
            cluster.bind(graph).invoke({"text": "x"})

    def test_a_name_that_nobody_served(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(GraphNotFoundError, match="chein"):
            cluster.bind("chein")

    def test_another_version_of_a_graph(self, cluster: EmbeddedCluster) -> None:
        changed = chain.build()
        changed.add_node("more", chain.grade)
        changed.add_edge("grade", "more")
        with pytest.raises(GraphMismatchError, match="nothing was submitted"):
            cluster.bind(changed.compile(name="chain")).submit({"text": "x"})

    def test_a_graph_without_a_name(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(ConfigError, match="name"):
            cluster.bind(chain.build().compile())

    def test_input_that_cannot_be_stored(self, cluster: EmbeddedCluster) -> None:
        known = {run.run_id for run in cluster.runs()}
        with pytest.raises(CodecError, match="function"):
            cluster.bind(hard.unstorable).submit({"kind": lambda: None})
        assert {run.run_id for run in cluster.runs()} == known

    def test_a_placement_that_does_not_exist(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(ConfigError, match="auto, spread, local"):
            cluster.bind(chain.graph, placement="everywhere").submit({"text": "x"})  # type: ignore[arg-type]

    def test_a_run_that_never_was(self, cluster: EmbeddedCluster) -> None:
        with pytest.raises(RunNotFoundError, match="nobody"):
            cluster.run("nobody")
