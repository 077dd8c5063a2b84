"""Checkpoints that are too old go by themselves, where no run comes by any more; and none that is needed."""

from __future__ import annotations

import logging
import operator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.checkpoint.keeper import LineKeeper
from distgraph.checkpoint.lines import encode_record
from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.cluster import aging
from distgraph.cluster.aging import Rule
from distgraph.cluster.options import RunOptions, options_from
from distgraph.cluster.registry import codec_for
from distgraph.ledger.keys import Keys
from distgraph.ledger.memory import MemoryLedger
from distgraph.ledger.places import Change, Place
from distgraph.runtime import Runtime
from distgraph.superstep.identity import checkpoint_id
from distgraph.superstep.model import EMPTY
from distgraph.testing import InProcessCluster
from distgraph.types import interrupt
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit

CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 1000}
HOUR = timedelta(hours=1)
HOUR_MS = 3_600_000


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[int], operator.add]


def counting(steps: int = 10, act: Any = None) -> Any:
    """Counts up to a multiple of ``steps``; ``act`` is given the number and the runtime."""

    def work(state: State, runtime: Runtime[None]) -> State:
        n = state["n"] + 1
        if act is not None:
            act(n, runtime)
        return {"n": n, "log": [n]}

    builder = StateGraph(State).add_node("work", work).add_edge(START, "work")
    builder.add_conditional_edges("work", lambda state: "work" if state["n"] % steps else END, ["work", END])
    return builder.compile(name="counting")


def ran(cluster: InProcessCluster, graph: Any, n: int = 0, **options: Any) -> Any:
    run = cluster.submit(graph, {"n": n}, config=CONFIG, **options)
    run.result()
    return run


def held(cluster: InProcessCluster, thread: str = "t") -> int:
    """How many checkpoints the thread has."""
    return sum(name.startswith("c:") for name in cluster.memory.state.lines.look((thread, "")))


def noted(cluster: InProcessCluster) -> list[str]:
    """Threads that are to be looked at."""
    return sorted(thread for ages in cluster.memory.state.ages.values() for thread in ages)


def pass_by(cluster: InProcessCluster, ms: int, looks: int = 3) -> None:
    """Time passes, and workers look."""
    cluster.advance_clock(ms)
    for _ in range(looks):
        cluster.advance_clock(int(aging.EVERY * 1000))
        cluster.sweep()


def test_old_checkpoints_go_though_no_run_comes_by() -> None:
    graph = counting()
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    before = held(cluster)
    assert before > 10
    pass_by(cluster, HOUR_MS - 10_000)
    assert held(cluster) == before, "none is too old yet"
    pass_by(cluster, 10_000)
    assert held(cluster) == 1
    assert noted(cluster) == [], "what is left never goes"
    assert ran(cluster, graph, 10).result()["log"] == [*range(1, 21)]


def test_each_goes_when_its_own_time_has_come() -> None:
    clusters: list[InProcessCluster] = []
    graph = counting(10, lambda n, runtime: clusters[0].advance_clock(600_000))
    clusters.append(cluster := cluster_of(graph))
    ran(cluster, graph, keep=timedelta(hours=2))
    left = [held(cluster)]
    for _ in range(6):
        pass_by(cluster, 1_200_000)
        left.append(held(cluster))
    assert left == sorted(left, reverse=True)
    assert len(set(left)) > 4, left
    assert (left[-1], noted(cluster)) == (1, [])


def test_the_rule_outlives_its_run() -> None:
    graph = counting()
    cluster = cluster_of(graph)
    run = ran(cluster, graph, keep=HOUR)
    run.delete()
    pass_by(cluster, HOUR_MS + 1)
    assert held(cluster) == 1


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("all", 24),
        (CheckpointRetention(last=5), 5),
        (timedelta(days=2), 24),
        (CheckpointRetention(last=3, age=HOUR), 1),
    ],
)
def test_the_last_run_of_a_thread_says_what_it_keeps(keep: Any, left: int) -> None:
    graph = counting()
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    ran(cluster, graph, 10, keep=keep)
    pass_by(cluster, HOUR_MS + 1)
    assert held(cluster) == left


def test_a_run_that_asks_keeps_where_it_began_and_what_it_asks() -> None:
    graph = counting(10, lambda n, runtime: interrupt("?") if n == 15 else None)
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    run = ran(cluster, graph, 10, keep=HOUR)
    assert run.status() == "interrupted"
    pass_by(cluster, 2 * HOUR_MS, looks=5)
    assert held(cluster) == 2
    assert noted(cluster) == ["t"], "where it began may go when it has its answer"
    run.resume("yes")
    assert run.result()["n"] == 20
    pass_by(cluster, 2 * HOUR_MS)
    assert (held(cluster), noted(cluster)) == (1, [])


def test_a_run_that_sleeps_for_long_is_pruned_as_it_lies() -> None:
    graph = counting(10, lambda n, runtime: runtime.sleep(timedelta(days=3)) if n == 5 else None)
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"n": 0}, config=CONFIG, keep=HOUR)
    while run.status() != "sleeping":
        cluster.turn()
    before = held(cluster)
    pass_by(cluster, HOUR_MS + 1)
    assert before > 2 >= held(cluster)
    cluster.advance_clock(3 * 24 * HOUR_MS)
    cluster.run_until_idle()
    assert run.result()["log"] == [*range(1, 11)]


def test_a_run_in_hand_is_left_alone() -> None:
    """Its driver deletes what is too old, as it commits."""
    seen: list[int] = []

    def act(n: int, runtime: Any) -> None:
        if n == 5:
            before = held(cluster)
            pass_by(cluster, HOUR_MS + 1)
            seen.append(before - held(cluster))

    graph = counting(10, act)
    cluster = cluster_of(graph, slots=1)
    ran(cluster, graph, keep=HOUR)
    assert seen == [0]
    assert held(cluster) < 10


def test_much_is_deleted_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aging, "BUDGET", 0.0)
    monkeypatch.setattr("distgraph.checkpoint.keeper.PAGE", 10)
    monkeypatch.setattr("distgraph.checkpoint.keeper.MOST_IDS", 10)
    graph = counting(100)
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    ran(cluster, graph, 100, keep=HOUR)
    cluster.advance_clock(HOUR_MS + 1)
    counts = []
    while held(cluster) > 1:
        cluster.advance_clock(100)
        cluster.sweep()
        counts.append(held(cluster))
        assert len(counts) < 200
    assert len(counts) > 30
    assert max(a - b for a, b in pairwise(counts)) <= 10


@pytest.mark.parametrize("point", ["after lines.note_age", "before runs.commit", "after runs.commit"])
def test_a_death_leaves_no_thread_that_nobody_looks_at(point: str) -> None:
    graph = counting(1)
    cluster = cluster_of(graph, slots=2)
    run = cluster.submit(graph, {"n": 0}, config=CONFIG, keep=HOUR)
    cluster.crash_at(point)
    assert run.result()["n"] == 1
    assert held(cluster) > 1
    pass_by(cluster, HOUR_MS + 1)
    assert (held(cluster), noted(cluster)) == (1, [])


@pytest.mark.parametrize("point", ["after lines.aged", "after lines.cut", "before lines.looked_at"])
def test_whoever_deletes_may_die(point: str) -> None:
    graph = counting()
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    cluster.advance_clock(HOUR_MS + 1)
    cluster.crash_at(point)
    cluster.sweep()
    pass_by(cluster, aging.CLAIM_MS)
    assert (held(cluster), noted(cluster)) == (1, [])


def test_what_cannot_be_read_is_said_and_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    graph = counting()
    cluster = cluster_of(graph)
    for thread in ("t", "u"):
        config = {**CONFIG, "configurable": {"thread_id": thread}}
        cluster.submit(graph, {"n": 0}, config=config, keep=HOUR).result()
    line = cluster.memory.state.lines["t", ""]
    line[next(name for name in line if name.startswith("c:"))] = b"damaged"
    with caplog.at_level(logging.WARNING):
        pass_by(cluster, HOUR_MS + 1)
    assert held(cluster, "t") > 1 == held(cluster, "u")
    assert "old checkpoints of thread t stay" in caplog.text


@pytest.mark.parametrize("field", ["head", aging.RULE, "run"])
def test_a_line_that_is_damaged_holds_up_nobody(field: str, caplog: pytest.LogCaptureFixture) -> None:
    graph = counting()
    cluster = cluster_of(graph)
    for thread in ("t", "u"):
        config = {**CONFIG, "configurable": {"thread_id": thread}}
        cluster.submit(graph, {"n": 0}, config=config, keep=HOUR).result()
    cluster.memory.state.lines["t", ""][field] = b"\xff"
    with caplog.at_level(logging.WARNING):
        pass_by(cluster, HOUR_MS + 1)
    assert held(cluster, "t") > 1 == held(cluster, "u")
    assert "old checkpoints of thread t stay" in caplog.text


@pytest.mark.parametrize("how", ["delete_thread", "no rule", "nonsense"])
def test_what_has_no_rule_is_taken_off_the_list(how: str) -> None:
    graph = counting()
    cluster = cluster_of(graph)
    ran(cluster, graph, keep=HOUR)
    before = held(cluster)
    if how == "delete_thread":
        cluster.memory.lines.delete("t")
        cluster.memory.lines.note_age("t", 0)
    else:
        cluster.memory.state.lines["t", ""][aging.RULE] = b"" if how == "no rule" else b"nonsense"
    pass_by(cluster, HOUR_MS + 1)
    assert held(cluster) == (0 if how == "delete_thread" else before)
    assert noted(cluster) == []


def test_what_says_nothing_of_age_costs_nothing() -> None:
    graph = counting()
    cluster = cluster_of(graph)
    for keep in ("all", 5):
        ran(cluster, graph, keep=keep)
    assert noted(cluster) == []
    assert aging.RULE not in cluster.memory.state.lines["t", ""]


@pytest.mark.parametrize("keep", [HOUR, CheckpointRetention(last=7, age=timedelta(milliseconds=1500))])
@pytest.mark.parametrize("graph", ["plain", "a/b: c/"])
def test_a_rule_is_read_as_it_was_written(keep: Any, graph: str) -> None:
    options = options_from({}, placement="auto", keep=keep)
    rule = Rule.of(options, graph)
    assert rule is not None
    assert Rule.parse(rule.text) == rule
    assert rule.graph == graph
    assert rule.retention == options.retention


def test_there_is_no_rule_without_an_age() -> None:
    assert Rule.of(RunOptions(prune=(5, None)), "g") is None
    assert [Rule.parse(text) for text in ("", "x/1/g", "/1/g", "-5//g")] == [None] * 4


def test_a_graph_that_has_just_begun_in_a_task_keeps_its_line() -> None:
    """The thread goes on between the deleting of its own checkpoints and the look at those of graphs nested in it."""
    codec = codec_for()
    lines = MemoryLedger(Keys("n"), lambda: 0).lines
    old, head, new = (checkpoint_id(hour * HOUR_MS * 1000, 1) for hour in (1, 5, 6))

    def put(place: Place, name: str, parent: str = "") -> None:
        ts = datetime.fromtimestamp(int(name.replace("-", "")[:12], 16) / 1e6, UTC).isoformat()
        at = EMPTY._replace(id=name, ts=ts)
        record = encode_record(codec, at, {"parents": {"": parent}} if parent else {})
        lines.put([Change(place, name, [(f"c:{name}", record)])])

    for name in (old, head):
        put(Place("t"), name)
    put(Place("t", "inner:1"), old, old)
    now = datetime.fromtimestamp(5 * 3600, UTC)
    steps = LineKeeper(lines, codec).pruning("t", CheckpointRetention(age=HOUR), now)
    while lines.history(Place("t"), most=9) != [head]:
        next(steps)
    assert lines.history(Place("t"), most=9) == [head]
    put(Place("t"), new)
    put(Place("t", "inner:2"), new, new)
    assert len(list(steps)) > 0
    assert lines.nested("t") == ["inner:2"]
