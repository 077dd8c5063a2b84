"""Several runs on one thread: what the newcomer's strategy makes of them, whoever dies on the way."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.turns import STRATEGIES, check_strategy
from distgraph.constants import INTERRUPT
from distgraph.errors import ConfigError, RunCancelledError, RunExistsError, ThreadBusyError, UnknownInterruptError
from distgraph.testing import InProcessCluster
from distgraph.types import MultitaskStrategy
from tests.unit.cluster.small import Counted, ask, chain, cluster_of

pytestmark = pytest.mark.unit

THREAD: Any = {"configurable": {"thread_id": "t"}}


def come(cluster: InProcessCluster, graph: Any, strategy: MultitaskStrategy = "reject", **more: Any) -> Any:
    return cluster.submit(graph, {"x": 1}, THREAD, multitask_strategy=strategy, **more)


def test_a_strategy_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'enqueue'"):
        check_strategy("enqueu")
    assert [check_strategy(name) for name in STRATEGIES] == ["reject", "enqueue", "interrupt", "rollback"]


def test_in_process_there_is_nothing_to_choose() -> None:
    with pytest.raises(ConfigError, match="on a cluster"):
        chain(Counted("a")).invoke({"x": 1}, multitask_strategy="enqueue")


def test_runs_in_line_go_one_after_the_other() -> None:
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph)
    runs = [come(cluster, graph, "enqueue") for _ in range(4)]
    with pytest.raises(ThreadBusyError, match="run-1") as caught:
        come(cluster, graph)
    assert caught.value.run_id == "run-1"
    assert [run.status() for run in runs] == ["queued"] * 4
    assert [len(run.result()["trail"]) for run in runs] == [2, 4, 6, 8]


def test_a_run_in_line_can_be_cancelled() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    runs = [come(cluster, graph, "enqueue") for _ in range(3)]
    assert runs[1].cancel()
    assert runs[2].result()["trail"] == ["a", "a"]
    assert [run.status() for run in runs] == ["done", "cancelled", "done"]


@pytest.mark.parametrize("point", ["before runs.commit", "after runs.commit", "before publish"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_death_at_the_change_of_hands(point: str, nth: int) -> None:
    graph = chain(Counted("a"), Counted("b"))
    cluster = cluster_of(graph, seed=nth)
    runs = [come(cluster, graph, "enqueue") for _ in range(3)]
    cluster.crash_at(point, nth)
    cluster.run_until_idle()
    assert [len(run.result()["trail"]) for run in runs] == [2, 4, 6]


def test_a_failed_run_lets_the_next_one_go_on() -> None:
    def bad(_: Any) -> None:
        raise LookupError("no such thing")

    good, broken = chain(Counted("a"), name="good"), chain(Counted("bad", bad), name="broken")
    cluster = cluster_of(good, broken)
    failing, after = come(cluster, broken, "enqueue"), come(cluster, good, "enqueue")
    assert after.result()["trail"] == ["a"]
    with pytest.raises(LookupError):
        failing.result()
    with pytest.raises(UnknownInterruptError, match="has gone on with run 'run-2'"):
        failing.retry()


class TestInPlaceOfAnother:
    def _two(self, strategy: MultitaskStrategy) -> tuple[InProcessCluster, Any, Any]:
        """A run whose second node is reached when another one comes."""
        late: list[Any] = []

        def second(_: Any) -> None:
            if not late:
                late.append(come(cluster, graph, strategy))

        graph = chain(Counted("a"), Counted("b", second))
        cluster = cluster_of(graph)
        first = come(cluster, graph)
        cluster.run_until_idle()
        return cluster, first, late[0]

    @pytest.mark.parametrize(("strategy", "kept"), [("interrupt", ["a"]), ("rollback", [])])
    def test_the_active_run_ends_at_once(self, strategy: MultitaskStrategy, kept: list[str]) -> None:
        _, first, second = self._two(strategy)
        assert first.status() == "cancelled"
        with pytest.raises(RunCancelledError, match="run 'run-2' took its thread"):
            first.result()
        assert second.result()["trail"] == [*kept, "a", "b"]

    def test_what_was_there_before_stays(self) -> None:
        graph = chain(Counted("a"), Counted("asks", ask("sure?")))
        before = chain(Counted("before"), name="before")
        cluster = cluster_of(graph, before)
        come(cluster, before).result()
        come(cluster, graph).result()
        assert come(cluster, before, "rollback").result()["trail"] == ["before", "before"]

    def test_runs_in_line_stay_there(self) -> None:
        graph = chain(Counted("a"))
        cluster = cluster_of(graph)
        first, waits = come(cluster, graph), come(cluster, graph, "enqueue")
        newcomer = come(cluster, graph, "interrupt")
        assert waits.result()["trail"] == ["a", "a"]
        assert [run.status() for run in (first, newcomer, waits)] == ["cancelled", "done", "done"]


class TestWhileAQuestionWaits:
    def _asking(self) -> tuple[InProcessCluster, Any, Any]:
        graph = chain(Counted("a"), Counted("asks", ask("sure?")))
        cluster = cluster_of(graph)
        run = come(cluster, graph)
        assert INTERRUPT in run.result()
        return cluster, graph, run

    def test_reject_passes_it_over(self) -> None:
        """As new input does in process: the graph begins anew."""
        cluster, graph, run = self._asking()
        assert come(cluster, graph).result()["trail"] == ["a", "a"]
        with pytest.raises(UnknownInterruptError, match="passed over"):
            run.resume("yes")

    def test_enqueue_waits_for_the_answer(self) -> None:
        cluster, graph, run = self._asking()
        after = come(cluster, graph, "enqueue")
        cluster.run_until_idle()
        assert after.status() == "queued"
        run.resume("yes")
        assert after.result()["trail"] == ["a", "asks:yes", "a"]
        assert run.status() == "done"

    def test_enqueue_goes_on_where_the_question_is_withdrawn(self) -> None:
        cluster, graph, run = self._asking()
        after = come(cluster, graph, "enqueue")
        run.cancel()
        assert after.result()["trail"] == ["a", "a"]

    @pytest.mark.parametrize(("strategy", "kept"), [("interrupt", ["a"]), ("rollback", [])])
    def test_the_others_end_it(self, strategy: MultitaskStrategy, kept: list[str]) -> None:
        cluster, graph, run = self._asking()
        assert come(cluster, graph, strategy).result()["trail"] == [*kept, "a"]
        assert run.status() == "cancelled"


def test_a_refused_run_may_come_again_anywhere() -> None:
    graph = chain(Counted("a"))
    cluster = cluster_of(graph)
    first = come(cluster, graph)
    with pytest.raises(ThreadBusyError):
        come(cluster, graph, run_id="mine")
    elsewhere: Any = {"configurable": {"thread_id": "u"}}
    assert cluster.submit(graph, {"x": 1}, elsewhere, run_id="mine").result()["trail"] == ["a"]
    first.result()
    with pytest.raises(RunExistsError, match="on thread 'u'"):
        come(cluster, graph, run_id="mine")
