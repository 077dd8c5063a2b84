"""Commands given to runs: what they bring stays with the head until a superstep takes it up, and nobody applies it twice."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph import END, START, StateGraph
from distgraph.checkpoint.base import NULL_TASK_ID
from distgraph.checkpoint.line_saver import LineSaver
from distgraph.cluster.outside import FIELD, beside, recorded, stored_outside
from distgraph.cluster.registry import codec_for
from distgraph.errors import CheckpointCorruptError, EmptyInputError, InputError, InvalidUpdateError
from distgraph.ledger.places import Place
from distgraph.ledger.replies import Address
from distgraph.testing import InProcessCluster
from distgraph.types import Command
from tests.unit.cluster.small import Counted, State, ask, chain, cluster_of

pytestmark = pytest.mark.unit

ON: Any = {"configurable": {"thread_id": "t"}}


def asking() -> Any:
    return chain(Counted("a"), Counted("b", ask("sure?")), Counted("c"))


def fails_below_zero(state: Any) -> None:
    if state["x"] < 0:
        raise ValueError("too small")


def beside_head(cluster: InProcessCluster) -> list[Any]:
    lines = cluster.ledger.lines
    return stored_outside(lines, codec_for(), "t", lines.look(Place("t")))


def test_it_is_beside_the_head_until_a_superstep_takes_it_up() -> None:
    with cluster_of(asking()) as cluster:
        bound = cluster.bind("chain")
        run = bound.submit({"x": 1}, ON)
        run.result()
        run.resume(Command(update={"x": 5})).result()
        assert beside_head(cluster) == [("x", 5)]
        run.resume(Command(update={"trail": ["told"]})).result()
        assert beside_head(cluster) == [("x", 5), ("trail", ["told"])]
        assert run.resume("yes").result() == {"x": 5, "trail": ["a", "told", "b:yes", "c"]}
        assert beside_head(cluster) == []
        assert cluster.ledger.runs.record(Address(run.run_id, "t"))[FIELD] == b""


def test_an_answer_a_change_and_a_way_in_one() -> None:
    with cluster_of(asking()) as cluster:
        run = cluster.bind("chain").submit({"x": 1}, ON)
        run.result()
        done = run.resume(Command(resume="yes", update={"x": 2}, goto="c")).result()
        assert (done["x"], done["trail"][:3]) == (2, ["a", "b:yes", "c"])


def test_a_new_input_goes_on_from_what_a_command_left() -> None:
    graph = chain(Counted("a"))
    with cluster_of(graph) as cluster:
        bound = cluster.bind(graph)
        bound.invoke({"x": 1}, ON)
        assert bound.invoke(Command(update={"x": 7}), ON)["x"] == 7
        assert bound.invoke({"trail": ["new"]}, ON) == {"x": 7, "trail": ["a", "new", "a"]}


def test_a_run_without_input_goes_on_from_it_too() -> None:
    graph = chain(Counted("a"))
    with cluster_of(graph) as cluster:
        bound = cluster.bind(graph)
        bound.invoke({"x": 1}, ON)
        bound.invoke(Command(update={"x": 7}), ON)
        assert bound.submit(None, ON).result()["x"] == 7


def test_after_a_failure() -> None:
    graph = chain(Counted("a"), Counted("b", fails_below_zero))
    with cluster_of(graph) as cluster:
        bound = cluster.bind(graph)
        with pytest.raises(ValueError, match="too small"):
            bound.invoke({"x": -1}, ON)
        assert bound.invoke(Command(update={"x": 1}), ON) == {"x": 1, "trail": ["a", "b"]}


def test_what_cannot_be_applied_fails_the_run_and_stays_nowhere() -> None:
    """Two updates of one superstep, of a key without a reducer; then the thread goes on as it was."""
    with cluster_of(asking()) as cluster:
        run = cluster.bind("chain").submit({"x": 1}, ON)
        run.result()
        run.resume(Command(update={"x": 5})).result()
        with pytest.raises(InvalidUpdateError, match="only one value"):
            run.resume(Command(update={"x": 6})).result()
        assert beside_head(cluster) == [("x", 5)]
        assert "__interrupt__" in run.retry().result()
        assert run.resume("yes").result()["x"] == 5


def test_the_thread_was_changed_in_the_moment_between() -> None:
    with cluster_of(asking()) as cluster:
        run = cluster.bind("chain").submit({"x": 1}, ON)
        run.result()
        run.resume(Command(resume="yes", update={"x": 5}))
        address = Address(run.run_id, "t")
        record = cluster.memory.state.records[cluster.memory.state.key(address)]
        assert record[FIELD]
        record[FIELD], record["go"] = recorded(codec_for(), "1" * 20, [("x", 5)]), b"1" * 20
        with pytest.raises(InvalidUpdateError, match="Nothing of it was applied"):
            run.result()


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        (Command(), EmptyInputError, "has no resume, no goto to a node, and no update of a key"),
        (Command(goto="nowhere"), Exception, "nowhere"),
        (Command(update={"x": 1}, graph=Command.PARENT), InvalidUpdateError, "no parent graph"),
    ],
)
def test_what_is_refused_before_anything_happens(command: Any, error: type[Exception], text: str) -> None:
    graph = asking()
    with cluster_of(graph) as cluster:
        run = cluster.bind(graph).submit({"x": 1}, ON)
        run.result()
        for given in (lambda: run.resume(command), lambda: cluster.bind(graph).invoke(command, ON)):
            with pytest.raises(error, match=text):
                given()
        assert run.status() == "interrupted"


def test_a_graph_that_is_known_by_its_name_takes_no_commands() -> None:
    graph = asking()
    with (
        cluster_of(graph) as cluster,
        pytest.raises(InvalidUpdateError, match=r"cluster\.bind\(graph\), and not its name"),
    ):
        cluster.bind(graph.name).invoke(Command(resume=1), ON)


def test_a_run_that_came_to_no_checkpoint_has_nothing_to_change() -> None:
    graph = StateGraph(State).add_node("a", Counted("a")).add_edge(START, "a").add_edge("a", END).compile(name="g")
    with cluster_of(graph) as cluster:
        run = cluster.bind(graph).submit({"x": 1}, ON)
        with pytest.raises(InputError, match="no checkpoint"):
            run.retry(writes=[("x", 1)])


def test_it_is_numbered_after_what_savers_left() -> None:
    with cluster_of(asking()) as cluster:
        run = cluster.bind("chain").submit({"x": 1}, ON)
        run.result()
        lines, codec = cluster.ledger.lines, codec_for()
        head = lines.look(Place("t")).checkpoint_id  # type: ignore[union-attr]
        where = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": head}}
        LineSaver(lines, codec).put_writes(where, [("x", 3)], NULL_TASK_ID)
        assert beside(lines, codec, "t", head, [("x", 3)]) == []
        new = beside(lines, codec, "t", head, [("x", 3), ("trail", ["b"])])
        assert [name.rpartition("|")[2] for name, _ in new] == ["w1", "2", head]
        assert run.resume("yes").result()["x"] == 3


def test_an_outage_where_it_is_looked_for_is_no_failure_of_the_run() -> None:
    graph = chain(Counted("a"))
    with cluster_of(graph) as cluster:
        bound = cluster.bind(graph)
        bound.invoke({"x": 1}, ON)
        bound.invoke(Command(update={"x": 7}), ON)
        cluster.fail_at("before lines.look")
        assert bound.invoke({"trail": ["new"]}, ON) == {"x": 7, "trail": ["a", "new", "a"]}


def test_a_change_that_is_damaged_fails_its_run() -> None:
    """It would be tried again and again else, by one worker after the other."""
    with cluster_of(asking()) as cluster:
        run = cluster.bind("chain").submit({"x": 1}, ON)
        run.result()
        run.resume(Command(resume="yes", update={"x": 5}))
        state = cluster.memory.state
        key = state.key(Address(run.run_id, "t"))
        state.records[key][FIELD] = b"damaged"
        with pytest.raises(CheckpointCorruptError, match="^Change from outside: Stored value"):
            run.result(30)
        assert run.retry().result(30) == {"x": 1, "trail": ["a", "b:yes", "c"]}, "and goes on without it"
