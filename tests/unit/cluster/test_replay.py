"""The log of a run, read as streams: chunk by chunk what the graph in process sends."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster import node_task
from distgraph.graph.chunks import STREAM_MODES
from distgraph.testing import InProcessCluster
from distgraph.types import Command
from tests.graphs.streamed import GRAPHS, comparable, flow, here, told_flow

pytestmark = pytest.mark.unit

ALL: Any = sorted(STREAM_MODES)
CONFIG: Any = {"configurable": {"thread_id": "t", "mine": 3}, "tags": ["tag"], "metadata": {"about": 1}}


def streamed(graph: Any, given: Any, **options: Any) -> list[Any]:
    """Chunks of all modes; the last is the error, if there was one."""
    chunks: list[Any] = []
    try:
        chunks.extend(graph.stream(given, CONFIG, stream_mode=ALL, **{"subgraphs": True, **options}))
    except ValueError as exc:
        chunks.append(repr(exc))
    return chunks


def inputs(name: str) -> Any:
    return {"messages": [{"role": "user", "content": "hi", "id": "m0"}]} if name == "told_talks" else {"x": 2}


@pytest.mark.parametrize("name", GRAPHS)
def test_all_modes_at_once(name: str) -> None:
    cluster = InProcessCluster(GRAPHS.values())
    ours = streamed(cluster.bind(GRAPHS[name]), inputs(name))
    assert comparable(ours) == comparable(streamed(here(name), inputs(name)))


@pytest.mark.parametrize("name", GRAPHS)
def test_tasks_that_travel_and_are_told_as_they_settle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_task, "WORTH_TELLING", 0.0)
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS[name], placement="spread"), here(name)
    ours = streamed(remote, inputs(name))
    assert comparable(ours) == comparable(streamed(local, inputs(name)))
    if name in ("told_asks", "told_nested"):
        ours = streamed(remote, Command(resume="yes"))
        assert comparable(ours) == comparable(streamed(local, Command(resume="yes")))


@pytest.mark.parametrize("n", [1, 6, 8])
def test_tasks_that_a_workflow_calls(n: int) -> None:
    """Also where it is answered, and where one fails."""
    remote, local = InProcessCluster([told_flow]).bind(told_flow), flow(checkpointer=InMemorySaver())
    givens: list[Any] = [n, Command(resume="yes")]
    for given in givens if n > 5 else givens[:1]:
        ours = streamed(remote, given)
        assert comparable(ours) == comparable(streamed(local, given))


@pytest.mark.parametrize("name", ["told_asks", "told_nested"])
def test_after_an_answer(name: str) -> None:
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS[name]), here(name)
    for graph in (remote, local):
        streamed(graph, {"x": 2})
    ours = streamed(remote, Command(resume="yes"))
    assert comparable(ours) == comparable(streamed(local, Command(resume="yes")))


@pytest.mark.parametrize("mode", ALL)
def test_each_mode_alone(mode: Any) -> None:
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS["told_asks"]), here("told_asks")
    given: Any
    for given in ({"x": 2}, Command(resume="yes")):
        ours = list(remote.stream(given, CONFIG, stream_mode=mode))
        assert comparable(ours) == comparable(local.stream(given, CONFIG, stream_mode=mode))


def test_parts() -> None:
    options: Any = {"stream_mode": ["values", "updates"], "version": "v2", "subgraphs": True}
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS["told_nested"]), here("told_nested")
    ours = list(remote.stream({"x": 2}, CONFIG, **options))
    assert comparable(ours) == comparable(local.stream({"x": 2}, CONFIG, **options))


@pytest.mark.parametrize("stops", [{"interrupt_before": ["join"]}, {"interrupt_after": "*"}])
def test_breakpoints(stops: Any) -> None:
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS["told_fan"]), here("told_fan")
    given: Any
    for given in ({"x": 2}, None, None):
        ours = streamed(remote, given, **stops)
        assert comparable(ours) == comparable(streamed(local, given, **stops))


def test_no_superstep_is_left() -> None:
    remote, local = InProcessCluster(GRAPHS.values()).bind(GRAPHS["told_fan"]), here("told_fan")
    config = {**CONFIG, "recursion_limit": 2}
    chunks: list[list[Any]] = [[], []]
    for graph, found in zip((remote, local), chunks, strict=True):
        with pytest.raises(RecursionError):
            found.extend(graph.stream({"x": 2}, config, stream_mode=ALL))
    assert comparable(chunks[0]) == comparable(chunks[1])


@pytest.mark.parametrize("name", sorted({*GRAPHS} - {"told_talks"}))
def test_a_graph_that_is_known_by_its_name_alone(name: str) -> None:
    cluster = InProcessCluster(GRAPHS.values())
    run = cluster.bind(GRAPHS[name]).submit(inputs(name), CONFIG, log="full")
    known = read(run, subgraphs=True)
    cluster._graphs.clear()
    assert read(cluster.run(run.run_id), subgraphs=True) == known


def read(run: Any, **options: Any) -> list[str]:
    found = []
    try:
        for event in run.events(**options):
            found.append(repr(event[:3]))
    except ValueError as exc:
        found.append(repr(exc))
    return found
