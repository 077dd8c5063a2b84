"""Graphs nested in nodes of a cluster: their checkpoints, their questions, and who may write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from distgraph import END, START, StateGraph
from distgraph.cluster.nested import known_answers, whose_answers
from distgraph.superstep.identity import interrupt_id
from distgraph.superstep.model import EMPTY, Task
from distgraph.testing import InProcessCluster
from distgraph.types import Placement, interrupt
from tests.unit.cluster.small import Counted, State, ask, chain, cluster_of, fan, wide

pytestmark = pytest.mark.unit
placements = pytest.mark.parametrize("placement", get_args(Placement))


def around(inner: Any, *names: str, name: str = "outer", after: Callable[[Any], Any] = lambda state: None) -> Any:
    """START -> the inner graph under these names, side by side -> after -> END."""
    names = names or ("inner",)
    builder = StateGraph(State).add_node("after", Counted("after", after))
    for one in names:
        builder.add_node(one, inner)
        builder.add_edge(START, one)
    builder.add_edge([*names], "after")
    return builder.add_edge("after", END).compile(name=name)


def nested(cluster: InProcessCluster) -> list[str]:
    """Namespaces of nested lines that are left, of all threads."""
    state = cluster.memory.state
    return sorted(
        {ns for _, ns in [*state.lines, *state.kept, *state.history] if ns}
        | {ns for names in state.nested.values() for ns in names}
    )


@placements
def test_a_question_inside_is_asked_and_answered(placement: Placement) -> None:
    first, asks, last = Counted("first"), Counted("asks", ask("go on?")), Counted("last")
    graph = around(chain(first, asks, last, name="in"))
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    asked = run.result()["__interrupt__"]
    assert [question.value for question in asked] == ["go on?"]
    assert run.interrupts() == tuple(asked)
    assert run.resume("yes").result()["trail"] == ["first", "asks:yes", "last", "after"]
    assert (first.calls, asks.calls, last.calls) == (1, 2, 1)


@placements
def test_several_questions_inside_are_answered_by_id_in_any_order(placement: Placement) -> None:
    left, right = Counted("left", ask("left?")), Counted("right", ask("right?"))
    graph = around(fan(left, right, name="in"), "one", "two")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"trail": []}, placement=placement)
    run.result()
    asked = run.interrupts()
    assert sorted(question.value for question in asked) == ["left?", "left?", "right?", "right?"]
    for number, question in enumerate(reversed(asked)):
        assert run.result()["__interrupt__"]
        run.resume({question.id: number})
        cluster.run_until_idle()
    trail = run.result()["trail"]
    assert sorted(trail) == ["after", "join", "join", "left:1", "left:3", "right:0", "right:2"] or len(trail) == 7
    assert {entry.partition(":")[2] for entry in trail} == {"", "0", "1", "2", "3"}


def test_the_node_around_asks_too() -> None:
    """Its own answers and those of the graph that it runs are told apart, also where it asks again afterwards."""
    inner = chain(Counted("asks", ask("inside?")), name="in")

    def node(state: State) -> Any:
        before = interrupt("before?")
        found = inner.invoke({"x": 1})
        return {"trail": [before, *found["trail"], interrupt("behind?")]}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile(name="asks")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1})
    for question in ("before?", "inside?", "behind?"):
        assert [asked.value for asked in run.result()["__interrupt__"]] == [question]
        run.resume(question.upper())
    assert run.result()["trail"] == ["BEFORE?", "asks:INSIDE?", "BEHIND?"]


@placements
@pytest.mark.parametrize("point", ["node", "before lines.put", "after lines.put", "after lines.hold", "before runs."])
def test_what_has_finished_inside_does_not_run_again(placement: Placement, point: str) -> None:
    """A process dies anywhere in a nested graph; a node whose superstep was stored is not called again."""
    for nth in range(1, 12):
        nodes = [Counted(name) for name in "abc"]
        graph = around(chain(*nodes, name="in"))
        cluster = cluster_of(graph)
        cluster.crash_at(point, nth)
        run = cluster.submit(graph, {"x": 1}, placement=placement)
        assert run.result()["trail"] == ["a", "b", "c", "after"]
        assert sum(node.calls for node in nodes) <= 4


def test_a_death_between_inner_nodes_keeps_what_is_done() -> None:
    calls: list[str] = []

    def die_once(state: Any) -> None:
        calls.append("b")
        if len(calls) == 1:
            cluster.slots[0].die() if cluster.slots[0].busy else cluster.slots[1].die()

    first = Counted("a")
    graph = around(chain(first, Counted("b", die_once), name="in"))
    cluster = cluster_of(graph)
    assert cluster.submit(graph, {"x": 1}).result()["trail"] == ["a", "b", "after"]
    assert (first.calls, calls, cluster.deaths) == (1, ["b", "b"], 1)


def test_a_late_attempt_forks_nothing() -> None:
    """A slot that was taken for dead wakes up inside of a nested graph: it is told that another one is at work."""
    for nth in range(1, 8):
        nodes = [Counted(name) for name in "abc"]
        graph = around(chain(*nodes, name="in"))
        cluster = cluster_of(graph, slots=2)
        cluster.stall_at("before lines.put", nth, steps=40)
        run = cluster.submit(graph, {"x": 1}, placement="spread")
        cluster.run_until_idle()
        assert run.result()["trail"] == ["a", "b", "c", "after"]
        for (_, ns), ids in cluster.memory.state.history.items():
            if ns:
                assert len(ids) == 5, ids


@placements
def test_a_nested_graph_in_a_loop(placement: Placement) -> None:
    inner = chain(Counted("asks", ask("more?")), name="in")

    def node(state: State) -> Any:
        return {"trail": [entry for n in range(3) for entry in inner.invoke({"x": n})["trail"]]}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile(name="loop")
    cluster = cluster_of(graph)
    run = cluster.submit(graph, {"x": 1}, placement=placement)
    for number in range(3):
        assert len(run.result()["__interrupt__"]) == 1
        run.resume(number)
    assert run.result()["trail"] == ["asks:0", "asks:1", "asks:2"]


@pytest.mark.parametrize("point", ["", "before lines.put", "after lines.hold", "before runs.commit"])
def test_a_history_of_its_own_takes_every_input(point: str) -> None:
    """With checkpointer=True one line serves all tasks of the thread: each gives it its input, once."""
    inner = chain(Counted("a"), name="in")
    inner = inner.builder.compile(name="in", checkpointer=True) if hasattr(inner, "builder") else inner
    builder = StateGraph(State).add_node(
        "one", lambda s: {"trail": [str(len(inner.invoke({"x": 1, "trail": ["in"]})["trail"]))]}
    )
    builder.add_node("two", lambda s: {"trail": [str(len(inner.invoke({"x": 1, "trail": ["in"]})["trail"]))]})
    graph = builder.add_edge(START, "one").add_edge("one", "two").add_edge("two", END).compile(name="own")
    cluster = cluster_of(graph)
    if point:
        cluster.crash_at(point, 2)
    assert cluster.submit(graph, {"x": 1}).result()["trail"] == ["2", "2"]


@placements
def test_items_of_a_batch(placement: Placement) -> None:
    first = Counted("first")
    graph = around(chain(first, Counted("asks", ask("go on?")), name="in"))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": n} for n in range(3)], placement=placement)
    cluster.run_until_idle()
    assert first.calls == 3
    for n in range(3):
        cluster.run(f"{batch.batch_id}:{n}").resume(n)
    cluster.run_until_idle()
    assert [row.value["trail"] for row in batch.results()] == [["first", f"asks:{n}", "after"] for n in range(3)]
    assert first.calls == 3
    assert nested(cluster) == []


@placements
@pytest.mark.parametrize("point", ["", "before lines.put", "node b", "before batches.commit", "before runs.commit"])
def test_a_batch_leaves_no_lines(placement: Placement, point: str) -> None:
    graph = around(chain(Counted("a"), Counted("b"), name="in"), "one", "two")
    for nth in range(1, 5) if point else (1,):
        cluster = cluster_of(graph)
        if point:
            cluster.crash_at(point, nth)
        batch = cluster.submit_batch(graph, [{"trail": []}] * 3, placement=placement)
        cluster.run_until_idle()
        assert [row.value["trail"] for row in batch.results()] == [["a", "b", "a", "b", "after"]] * 3
        assert nested(cluster) == []


def test_deleting_a_batch_takes_lines_of_items_that_wait() -> None:
    graph = around(chain(Counted("asks", ask("go on?")), name="in"))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": 1}])
    cluster.run_until_idle()
    assert nested(cluster)
    cluster.memory.batches.delete(batch.batch_id, 1)
    assert nested(cluster) == []


@placements
def test_a_run_that_keeps_the_latest_keeps_no_lines_of_old_supersteps(placement: Placement) -> None:
    graph = around(chain(Counted("a"), Counted("b"), name="in"), "one", "two")
    cluster = cluster_of(graph)
    cluster.bind(graph, placement=placement).submit({"trail": []}, keep="latest").result()
    assert nested(cluster) == []


def test_a_node_that_hides_that_it_is_superseded_does_not_count() -> None:
    """Another attempt takes the line while the first is inside; what the node makes of the refusal is not its outcome."""
    thieves: list[None] = []

    def steal(state: Any) -> None:
        if not thieves:
            thieves.append(None)
            state = cluster.memory.state
            ((thread, ns),) = (at for at in state.lines if at[1])
            state.lines.at((thread, ns))["holder"] = b"another attempt"

    inner = chain(Counted("a", steal), Counted("b"), name="in")

    def node(state: State) -> Any:
        try:
            return {"trail": inner.invoke({"x": 1})["trail"]}
        except Exception as exc:
            return {"trail": [type(exc).__name__]}

    graph = StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile(name="hides")
    cluster = cluster_of(graph)
    assert cluster.submit(graph, {"x": 1}).result()["trail"] == ["a", "b"]
    assert thieves


def test_many_items_beside_each_other() -> None:
    work = Counted("work")
    graph = around(wide(work, 5, name="in"))
    cluster = cluster_of(graph)
    batch = cluster.submit_batch(graph, [{"x": n} for n in range(20)])
    cluster.run_until_idle()
    assert all(row.value["trail"].count("work") == 5 for row in batch.results())
    assert work.calls == 100


def test_whose_answers() -> None:
    task = Task(None, (), (), EMPTY, name="n")
    own = interrupt_id(task.checkpoint_ns, 1)
    assert whose_answers(task, None) == ([], {})
    assert whose_answers(task, ["of an older release"]) == (["of an older release"], {})
    assert whose_answers(task, known_answers(["zero"], {own: "one", "f" * 32: 2})) == (["zero", "one"], {"f" * 32: 2})
