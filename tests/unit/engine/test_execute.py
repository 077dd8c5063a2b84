"""One attempt of one task: what it returns, what it raises, what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from distgraph.constants import ERROR, INTERRUPT, NO_WRITES, RESUME, START
from distgraph.engine.context import RunContext
from distgraph.engine.execute import arun_task, failure_writes, run_task, without_ids
from distgraph.errors import GraphDrained, NodeCancelledError, NodeError, ParentCommand, RoutingError
from distgraph.runtime import _scope
from distgraph.superstep.apply import apply_writes, count_up
from distgraph.superstep.model import EMPTY, Program, Task
from distgraph.superstep.plan import plan
from distgraph.types import Command, Send, Write, interrupt
from tests.unit.engine.small import side_by_side, small

pytestmark = pytest.mark.unit


def planned(program: Program, ns: str = "") -> Task:
    """The first node's task, after START wrote n=1."""
    given = Task(None, (), (), EMPTY, name="input")
    given.writes = [(START, {"n": 1})]
    at = apply_writes(program, EMPTY, [given], count_up, new_id="c0")
    start = plan(program, at)[0]
    start.writes = run_task(RunContext(program), start)
    at = apply_writes(program, at, [start], count_up, new_id="c1")
    return plan(program, at, ns)[0]


def execute(program: Program, *, engine: str = "sync", ns: str = "", **options: Any) -> list[Write]:
    task = planned(program, ns)
    ctx = RunContext(program, stop=10, ns=ns)
    if engine == "sync":
        return run_task(ctx, task, **options)
    return asyncio.run(arun_task(ctx, task, **options))


ENGINES = pytest.mark.parametrize("engine", ["sync", "aio"])


@ENGINES
def test_a_task_returns_its_writes_in_order(engine: str) -> None:
    """The node's, then those of static edges, then what conditional edges chose."""
    program = small(
        {"a": lambda s: {"n": s["n"] + 1, "log": ["x"]}, "b": None, "c": None},
        ("a", "b"),
        branches={"a": lambda s: ["c", Send("b", s["n"])]},
    )
    expected = [("n", 2), ("log", ["x"]), ("branch:to:b", None), ("branch:to:c", None)]
    assert execute(program, engine=engine) == [*expected, ("__pregel_tasks", Send("b", 2))]


@ENGINES
def test_a_node_that_changes_nothing_has_finished_all_the_same(engine: str) -> None:
    assert execute(small({"a": lambda s: None}), engine=engine) == [(NO_WRITES, None)]


def test_a_conditional_edge_sees_its_own_nodes_writes() -> None:
    """The list has what the node added, through the reducer; nothing of anybody else's."""
    seen: list[Any] = []

    def choose(state: Any) -> str:
        seen.append(state)
        return "__end__"

    execute(small({"a": lambda s: {"log": ["mine"]}}, branches={"a": choose}))
    assert seen == [{"n": 1, "log": ["mine"]}]


def test_an_output_can_be_given_instead_of_calling_the_node() -> None:
    """As an update from outside does: edges and branches still follow."""

    def never(state: Any) -> Any:
        raise AssertionError

    program = small({"a": never, "b": None}, ("a", "b"))
    assert execute(program, returned={"n": 5}) == [("n", 5), ("branch:to:b", None)]


@ENGINES
def test_a_question_becomes_control_writes(engine: str) -> None:
    """Nothing that the node wrote before is kept: it runs again from its top."""
    writes = execute(small({"a": lambda s: {"log": [interrupt("who?")]}}), engine=engine)
    assert [channel for channel, _ in writes] == [INTERRUPT]
    assert [question.value for question in writes[0][1]] == ["who?"]


@ENGINES
def test_answers_are_matched_to_questions_by_order(engine: str) -> None:
    """The second question has another id than the first, and the answers so far travel with it."""

    def node(state: Any) -> Any:
        return {"log": [interrupt("first"), interrupt("second")]}

    program = small({"a": node})
    first = execute(program, engine=engine)
    second = execute(program, engine=engine, answers=["A"])
    assert second[0][1][0].value == "second"
    assert second[0][1][0].id != first[0][1][0].id
    assert second[1] == (RESUME, ["A"])
    assert execute(program, engine=engine, answers=["A", "B"]) == [("log", ["A", "B"])]


@ENGINES
def test_a_failure_names_its_task(engine: str) -> None:
    def node(state: Any) -> Any:
        raise ZeroDivisionError("no")

    with pytest.raises(ZeroDivisionError) as caught:
        execute(small({"a": node}), engine=engine)
    assert caught.value.__notes__[0].startswith("During task with name 'a' and id '")
    assert _scope.get() is None


def test_an_input_that_cannot_be_built_says_before_which_task() -> None:
    program = small({"a": lambda s: None}, settings={"a": {"mapper": lambda view: view["missing"]}})
    with pytest.raises(KeyError) as caught:
        execute(program)
    assert caught.value.__notes__[0] == "Before task with name 'a' and path '('__pregel_pull', 'a')'"


def test_a_wrong_destination_is_an_error_of_the_task() -> None:
    program = small({"a": lambda s: None}, branches={"a": lambda s: "nowhere"})
    with pytest.raises(RoutingError, match="goes to unknown node 'nowhere'"):
        execute(program)


@ENGINES
def test_a_node_that_cancels_itself_fails(engine: str) -> None:
    """Else its run would end without a word."""

    def node(state: Any) -> Any:
        raise asyncio.CancelledError

    with pytest.raises(NodeCancelledError, match="it cancelled itself"):
        execute(small({"a": node}), engine=engine)


def test_a_node_that_is_cancelled_is_no_failure() -> None:
    async def node(state: Any) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        program = small({"a": node})
        running = asyncio.create_task(arun_task(RunContext(program, stop=5), planned(program)))
        await asyncio.sleep(0)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_a_drain_passes() -> None:
    def node(state: Any) -> Any:
        raise GraphDrained("bye")

    with pytest.raises(GraphDrained):
        execute(small({"a": node}))


# ------------------------------------------------------------ commands for a parent


def raising(command: Command[Any]) -> Program:
    def node(state: Any) -> Any:
        raise ParentCommand(command)

    return small({"a": node, "b": None})


def test_a_command_for_the_parent_learns_which_one() -> None:
    """On its way out of a nested graph it names the task that runs the graph; call numbers do not count."""
    for ns in ("outer:id", "outer:id|1"):
        with pytest.raises(ParentCommand) as caught:
            execute(raising(Command(graph=Command.PARENT, goto="x")), ns=ns)
        assert caught.value.args[0].graph == "outer:id"


def test_a_command_for_the_parent_at_the_root_stays_what_it_is() -> None:
    with pytest.raises(ParentCommand) as caught:
        execute(raising(Command(graph=Command.PARENT)))
    assert caught.value.args[0].graph == Command.PARENT


@pytest.mark.parametrize("name", ["own namespace", "node name"])
def test_a_command_that_arrived_is_followed(name: str) -> None:
    """It counts as what the node returned: conditional edges follow."""
    program = raising(Command())
    task = planned(program)
    command: Command[Any] = Command(
        graph=task.checkpoint_ns if name == "own namespace" else "a", update={"n": 7}, goto="b"
    )

    def node(state: Any) -> Any:
        raise ParentCommand(command)

    program = small({"a": node, "b": None, "c": None}, branches={"a": lambda s: "c"})
    expected = [("n", 7), ("branch:to:b", None), ("branch:to:c", None)]
    assert run_task(RunContext(program, stop=5), planned(program)) == expected


# ------------------------------------------------------------ the rest


def test_a_failure_is_recorded_as_text() -> None:
    """Text outlives the exception's class."""
    assert failure_writes(ValueError("no")) == [(ERROR, "ValueError('no')")]


def test_an_error_handler_gets_the_error() -> None:
    def handler(state: Any, error: NodeError) -> Any:
        return {"log": [error.node, str(error.error)]}

    assert execute(small({"a": handler}), error=NodeError("b", ValueError("no"))) == [("log", ["b", "no"])]


def test_tasks_side_by_side_share_no_scope() -> None:
    """Each sees its own config."""
    from distgraph.config import get_config
    from distgraph.engine import sync
    from tests.unit.engine.small import ask

    def node(state: Any) -> Any:
        return {"log": [get_config()["metadata"]["langgraph_node"]]}

    assert sync.run(ask(side_by_side(a=node, b=node), {})).value == {"log": ["a", "b"]}


def test_namespaces_without_ids() -> None:
    assert without_ids("a:1|2|b:3") == "a|b"


def test_a_failure_holds_no_frame_that_holds_it() -> None:
    """It would keep all that the task knew of its run, until a garbage collection."""

    class Failure(Exception):
        """One that can be referred to weakly."""

    def fails(state: Any) -> None:
        raise Failure

    gc.disable()
    try:
        try:
            execute(small({"a": fails}))
        except Failure as exc:
            failure = weakref.ref(exc)
        assert failure() is None
    finally:
        gc.enable()
