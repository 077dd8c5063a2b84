"""Versions of one graph side by side: pinned, taken over, forced; what differs; what becomes of the state."""

from __future__ import annotations

import operator
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.versions import accepts, check_policy, differences, parts_of
from distgraph.errors import ConfigError, GraphMismatchError
from distgraph.types import interrupt
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit

THREAD: Any = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    x: int
    trail: Annotated[list[str], operator.add]


class Wider(State, total=False):
    y: int


def version(*nodes: str, schema: Any = State, asks: str = "", **options: Any) -> Any:
    """START -> nodes -> END, under one name; the node `asks` asks."""

    def node(name: str) -> Any:
        def call(state: Any) -> Any:
            return {"trail": [f"{name}:{interrupt('sure?')}" if name == asks else name]}

        return call

    builder = StateGraph(schema)
    for name in nodes:
        builder.add_node(name, node(name))
    for before, after in zip([START, *nodes], [*nodes, END], strict=True):
        builder.add_edge(before, after)
    return builder.compile(name="orders", **options)


ONE = version("a", "b")


def half_done(cluster: Any) -> Any:
    """A run of version one whose first superstep is stored, and whose second one never was."""
    run = cluster.submit(ONE, {"x": 1}, THREAD)
    cluster.fail_at("before runs.commit", 4)
    cluster.step()
    assert run.status() == "running"
    return run


class TestDeclarations:
    def test_a_fingerprint_or_its_shown_part_or_a_function(self) -> None:
        assert accepts([ONE.fingerprint], ONE.fingerprint)
        assert accepts([ONE.fingerprint[:12]], ONE.fingerprint)
        assert not accepts([ONE.fingerprint[:6]], ONE.fingerprint), "too short to tell versions apart"
        assert accepts(lambda found: found == ONE.fingerprint, ONE.fingerprint)
        assert not accepts((), ONE.fingerprint)

    def test_a_policy_that_does_not_exist(self) -> None:
        with pytest.raises(ConfigError, match="pin, compatible, force"):
            check_policy("any")


def test_what_differs_is_told_by_name() -> None:
    class Other(TypedDict, total=False):
        x: Annotated[int, operator.add]
        z: int

    new = version("a", "c", schema=Other)
    assert differences(parts_of(ONE.program), parts_of(new.program)) == [
        "node 'b' removed",
        "node 'c' added",
        "key 'trail' removed",
        "key 'z' added",
        "reducer of key 'x' changed",
    ]
    assert differences(parts_of(ONE.program), parts_of(ONE.program)) == ["edges, or conditional edges, changed"]


class TestMidRun:
    def test_a_run_waits_for_its_own_version(self) -> None:
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        cluster.deploy(version("a", "b", "c"))
        cluster.run_until_idle()
        assert run.status() == "waiting_for_worker"
        assert ONE.fingerprint[:12] in run.waits_for()
        assert "node 'c' added" in run.waits_for()
        assert cluster.memory.runs.record(run._address).get("x", b"0") == b"0", "no crash is counted"
        cluster.deploy(ONE)
        assert run.result()["trail"] == ["a", "b"]

    @pytest.mark.parametrize("policy", ["compatible", "force"])
    def test_another_version_takes_it_over(self, policy: str) -> None:
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        declared = [ONE.fingerprint] if policy == "compatible" else []
        cluster.deploy(version("a", "b", "c", compatible_with=declared), versions=policy)
        assert run.result()["trail"] == ["a", "b", "c"]

    def test_a_worker_may_be_told_to_take_over_nothing(self) -> None:
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        cluster.deploy(version("a", "b", "c", compatible_with=[ONE.fingerprint]), versions="pin")
        cluster.run_until_idle()
        assert run.status() == "waiting_for_worker"

    def test_an_old_worker_that_comes_back_does_not_run_what_was_taken_over(self) -> None:
        """Its hint of before is passed to who has the run now."""
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        new = version("a", "b", "c", asks="c", compatible_with=[ONE.fingerprint])
        cluster.deploy(new)
        run.result()
        cluster.deploy(ONE)
        run.resume("yes")
        cluster.run_until_idle()
        assert run.status() == "waiting_for_worker"
        cluster.deploy(new)
        assert run.result()["trail"] == ["a", "b", "c:yes"]

    def test_a_node_that_comes_next_must_be_there(self) -> None:
        """Else the run would end as if it were done."""
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        cluster.deploy(version("a", "z"), versions="force")
        with pytest.raises(GraphMismatchError, match="has no node 'b'"):
            run.result()

    def test_a_batch_is_taken_over(self) -> None:
        cluster = cluster_of(ONE)
        batch = cluster.submit_batch(ONE, [{"x": n} for n in range(20)])
        cluster.deploy(version("a", "b", "c"))
        cluster.run_until_idle()
        assert batch.status().done == 0
        cluster.deploy(version("a", "b", "c", compatible_with=[ONE.fingerprint]))
        cluster.run_until_idle()
        assert {tuple(result.value["trail"]) for result in batch.results()} == {("a", "b", "c")}


class TestMigration:
    def new(self, migrate: Any, **options: Any) -> Any:
        return version("a", "b", "c", schema=Wider, migrate=migrate, **options)

    def test_a_thread_of_the_old_version_is_continued_by_the_new_one(self) -> None:
        seen: list[Any] = []

        def migrate(state: dict[str, Any]) -> dict[str, Any]:
            seen.append(state)
            return {**state, "y": state["x"] + 1, "trail": ["migrated"]}

        new = self.new(migrate)
        cluster = cluster_of(ONE)
        cluster.submit(ONE, {"x": 1}, THREAD).result()
        cluster.deploy(new)
        assert cluster.submit(new, {"x": 5}, THREAD).result() == {"x": 5, "y": 2, "trail": ["migrated", "a", "b", "c"]}
        assert cluster.submit(new, {"x": 6}, THREAD).result()["trail"] == ["migrated", *"abcabc"]
        assert seen == [{"x": 1, "trail": ["a", "b"]}], "once, for the thread's old head"

    def test_in_mid_run_too(self) -> None:
        new = self.new(lambda state: {**state, "y": 7}, compatible_with=[ONE.fingerprint])
        cluster = cluster_of(ONE)
        run = half_done(cluster)
        cluster.deploy(new)
        assert run.result() == {"x": 1, "y": 7, "trail": ["a", "b", "c"]}

    def test_a_key_may_go(self) -> None:
        new = self.new(lambda state: {"y": state["x"]})
        cluster = cluster_of(ONE)
        cluster.submit(ONE, {"x": 1}, THREAD).result()
        cluster.deploy(new)
        assert cluster.submit(new, {"y": 2}, THREAD).result() == {"y": 2, "trail": ["a", "b", "c"]}

    @pytest.mark.parametrize(
        ("migrate", "told"),
        [
            (lambda state: state["nothing"], "raised KeyError"),
            (lambda state: None, "returned a NoneType"),
            (lambda state: {"q": 1}, "key 'q', which the graph does not have"),
        ],
    )
    def test_a_migration_that_fails_fails_the_run_and_changes_nothing(self, migrate: Any, told: str) -> None:
        new = self.new(migrate)
        cluster = cluster_of(ONE)
        cluster.submit(ONE, {"x": 1}, THREAD).result()
        cluster.deploy(new)
        with pytest.raises(GraphMismatchError, match=told):
            cluster.submit(new, {"x": 5}, THREAD).result()
        good = self.new(lambda state: {**state, "y": 0})
        cluster.deploy(good)
        assert cluster.submit(good, {"x": 5}, THREAD).result()["trail"] == ["a", "b", "a", "b", "c"]
