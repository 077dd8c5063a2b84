"""Graphs nested in nodes, on real workers: they keep what they did, ask and are answered, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.cluster.embedded import EmbeddedCluster
from distgraph.types import Command, Placement
from tests.graphs import nested
from tests.integration.cluster.at_rest import wait_at_rest
from tests.waiting import wait_until

pytestmark = pytest.mark.integration
Config = Callable[..., Any]
placements = pytest.mark.parametrize("placement", get_args(Placement))


@placements
def test_a_question_inside_as_in_process(cluster: EmbeddedCluster, config: Config, placement: Placement) -> None:
    remote = cluster.bind(nested.nest, placement=placement)
    here = nested.build_nest("within").compile(checkpointer=InMemorySaver())
    where = config()
    turns: list[Any] = [{"ask": "sure?", "trail": []}, Command(resume="yes")]
    for given in turns:
        assert _plain(remote.invoke(given, where)) == _plain(here.invoke(given, where))
        ours, theirs = (graph.get_state(where, subgraphs=True) for graph in (remote, here))
        assert (ours.next, ours.values) == (theirs.next, theirs.values)
        assert [_state(task.state) for task in ours.tasks] == [_state(task.state) for task in theirs.tasks]
    wait_at_rest(cluster)


@placements
def test_finished_nodes_inside_run_once(cluster: EmbeddedCluster, placement: Placement, tmp_path: Path) -> None:
    """The process dies between the inner nodes, and the run asks and waits: what was done stays done."""
    log = tmp_path / "log"
    given = {"log": str(log), "kill": str(tmp_path / "kill"), "ask": "sure?", "trail": []}
    run = cluster.bind(nested.nest, placement=placement).submit(given)
    assert [asked.value for asked in run.result(60)["__interrupt__"]] == ["sure?"]
    assert run.resume("yes").result(60)["trail"] == ["first", "middle yes", "last", "behind"]
    assert log.read_text().split() == ["first", "middle", "middle", "middle", "last"]
    wait_at_rest(cluster)


@placements
def test_graphs_side_by_side_each_ask(cluster: EmbeddedCluster, placement: Placement) -> None:
    run = cluster.bind(nested.nest_pair, placement=placement).submit({"ask": "sure?", "trail": []})
    assert [asked.value for asked in run.result(60)["__interrupt__"]] == ["sure?", "sure?"]
    one, two = run.interrupts()
    assert [asked.id for asked in run.resume({two.id: 2}).result(60)["__interrupt__"]] == [one.id]
    trail = run.resume({one.id: 1}).result(60)["trail"]
    assert sorted(trail) == ["behind", "first", "first", "last", "last", "middle 1", "middle 2"]


@placements
def test_a_graph_run_in_a_loop(cluster: EmbeddedCluster, config: Config, placement: Placement) -> None:
    remote, where = cluster.bind(nested.nest_loop, placement=placement), config()
    found = remote.invoke({"trail": []}, where)
    for n in range(3):
        assert [asked.value for asked in found["__interrupt__"]] == [f"{n}?"]
        found = remote.invoke(Command(resume=n), where)
    assert found["trail"] == [word for n in range(3) for word in ("first", f"middle {n}", "last")]


@placements
def test_items_of_a_batch(cluster: EmbeddedCluster, placement: Placement, tmp_path: Path) -> None:
    log = tmp_path / "log"
    batch = cluster.bind(nested.nest, placement=placement).submit_batch(
        [{"log": str(log), "ask": "sure?" if n else "", "kill": "" if n else str(tmp_path / "kill")} for n in range(4)]
    )
    runs = [cluster.run(f"{batch.batch_id}:{n}") for n in range(1, 4)]
    for run in runs:
        wait_until(lambda run=run: run.status() == "interrupted", 60, "the item asks")  # type: ignore[misc]
        run.resume(run.run_id[-1])
    batch.wait(60)
    found = [row.value["trail"][1] for row in sorted(batch.results(), key=lambda row: row.index)]
    assert found == ["middle", "middle 1", "middle 2", "middle 3"]
    assert log.read_text().split().count("first") == 4
    wait_at_rest(cluster)
    assert _nested_keys(cluster, batch.batch_id) == []
    batch.delete()


@placements
def test_nothing_is_left_behind(cluster: EmbeddedCluster, config: Config, placement: Placement) -> None:
    remote, where = cluster.bind(nested.nest_pair, placement=placement), config()
    thread = where["configurable"]["thread_id"]
    remote.submit({"trail": []}, where, keep="latest").result(60)
    assert _nested_keys(cluster, thread) == []
    remote.invoke({"trail": []}, where)
    assert _nested_keys(cluster, thread)
    remote.checkpointer.delete_thread(thread)
    assert _nested_keys(cluster, thread) == []
    batch = remote.submit_batch([{"ask": "sure?"}])
    wait_until(lambda: cluster.run(f"{batch.batch_id}:0").status() == "interrupted", 60, "the item asks")
    assert _nested_keys(cluster, batch.batch_id)
    batch.cancel()
    batch.delete()
    assert _nested_keys(cluster, batch.batch_id) == []


def _nested_keys(cluster: EmbeddedCluster, thread: str) -> list[str]:
    """Keys of lines of nested graphs, of threads that begin so."""
    keys = [key.decode() for key in cluster.ledger.client.scan_iter(match="dg:*", count=1000)]
    kinds = ("line", "hist", "pend")
    parts = [key.partition("}:")[2].split(":") for key in keys]
    found = [part for part in parts if part[0] == "nested" or (part[0] in kinds and part[-1])]
    return [":".join(part) for part in found if part[1].replace("%3a", ":").startswith(thread)]


def _state(snapshot: Any) -> Any:
    return snapshot and (snapshot.next, snapshot.values, [asked.value for asked in snapshot.interrupts])


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    """Ids of questions differ from run to run."""
    asked = [question.value for question in found.get("__interrupt__", ())]
    return {**found, "__interrupt__": asked}
