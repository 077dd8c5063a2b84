"""Graphs run by nodes: namespaces, savers, questions, streams, commands for the parent, retries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import START
from distgraph.engine import aio, sync
from distgraph.engine.states import States
from distgraph.errors import ParentCommand
from distgraph.runtime import Runtime
from distgraph.superstep.model import Program
from distgraph.types import Command, RetryPolicy, StateUpdate, interrupt
from tests.unit.engine.engines import ENGINES, run, stream
from tests.unit.engine.small import ask, line, logs, modes, on, side_by_side, small

pytestmark = pytest.mark.unit


def graph(program: Program, saver: Any = None) -> Any:
    """What a compiled graph looks like to its parent: something to call, with a program."""

    def invoke(value: Any, config: Any) -> Any:
        return sync.run(ask(program, value, config, saver)).value

    async def ainvoke(value: Any, config: Any) -> Any:
        return (await aio.run(ask(program, value, config, saver))).value

    return SimpleNamespace(invoke=invoke, ainvoke=ainvoke, program=program, name="inner", checkpointer=saver)


def around(inner: Any, **settings: Any) -> Program:
    """Nodes p, sub and r in a row; what comes out of ``inner`` replaces the list's additions."""

    def only_new(state: Any) -> Any:
        return {**state, "log": []}

    nodes = {"p": logs("p"), "sub": Narrowed(inner, only_new), "r": logs("r")}
    return small(nodes, ("p", "sub"), ("sub", "r"), settings={"sub": {"subgraph": inner, **settings}})


class Narrowed:
    """``inner`` with its input changed."""

    def __init__(self, inner: Any, change: Any) -> None:
        self.inner = inner
        self.change = change

    def invoke(self, value: Any, config: Any) -> Any:
        return self.inner.invoke(self.change(value), config)

    async def ainvoke(self, value: Any, config: Any) -> Any:
        return await self.inner.ainvoke(self.change(value), config)


def namespaces(saver: InMemorySaver) -> list[str]:
    import re

    return sorted(re.sub(r":[0-9a-f-]{36}", ":ID", ns) for ns in saver.storage["t"])


def question(state: Any) -> Any:
    return {"log": [interrupt("inner?")]}


@ENGINES
def test_a_nested_graph_has_its_own_line_of_checkpoints(engine: str) -> None:
    """In the parent's thread and saver, in the namespace of the parent's task; each knows its parent."""
    saver = InMemorySaver()
    assert run(engine, ask(around(graph(line("x", "y"))), {}, on(), saver)).value["log"] == ["p", "x", "y", "r"]
    assert namespaces(saver) == ["", "sub:ID"]
    (ns,) = [ns for ns in saver.storage["t"] if ns]
    inner = saver.get_tuple(on("t", checkpoint_ns=ns))
    assert inner is not None
    parent = inner.metadata["parents"][""]
    assert saver.storage["t"][""][parent].metadata["step"] == 1


@ENGINES
def test_without_a_saver_nested_graphs_store_nothing(engine: str) -> None:
    assert run(engine, ask(around(graph(line("x"))), {})).value["log"] == ["p", "x", "r"]


@ENGINES
@pytest.mark.parametrize("inner_saver", [None, True, False])
def test_a_question_of_a_nested_graph_stops_and_resumes_both(engine: str, inner_saver: Any) -> None:
    """Without checkpoints of its own the nested graph starts again, and finds its answer all the same."""
    calls: list[str] = []

    def x(state: Any) -> Any:
        calls.append("x")
        return {"log": ["x"]}

    saver = InMemorySaver()
    program = around(graph(line("x", "q", x=x, q=question), inner_saver))
    asked = run(engine, ask(program, {}, on(), saver))
    assert [each.value for each in asked.interrupts] == ["inner?"]
    waiting = States(program, saver).get(on())
    assert (waiting.next, waiting.interrupts) == (("sub",), asked.interrupts)
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["p", "x", "!", "r"]
    assert calls == (["x", "x"] if inner_saver is False else ["x"])


@ENGINES
def test_questions_of_several_levels_are_answered_by_id(engine: str) -> None:
    inner = graph(side_by_side(x=lambda s: {"log": [interrupt("x?")]}, y=lambda s: {"log": [interrupt("y?")]}))
    program = small(
        {"own": lambda s: {"log": [interrupt("own?")]}, "sub": inner},
        (START, "own"),
        (START, "sub"),
        settings={"sub": {"subgraph": inner}},
    )
    saver = InMemorySaver()
    asked = run(engine, ask(program, {}, on(), saver)).interrupts
    ids = {each.value: each.id for each in asked}
    assert set(ids) == {"own?", "x?", "y?"}
    left = run(engine, ask(program, Command(resume={ids["x?"]: "X"}), on(), saver)).interrupts
    assert {each.value for each in left} == {"own?", "y?"}
    done = run(engine, ask(program, Command(resume={ids["y?"]: "Y", ids["own?"]: "O"}), on(), saver))
    assert done.value["log"] == ["O", "X", "Y"]


@ENGINES
def test_one_node_may_run_a_graph_several_times(engine: str) -> None:
    """Every call has its namespace, so that each finds its own question again."""
    program = line("q", q=lambda s: {"log": [interrupt(f"question {s['n']}")]})

    def twice(state: Any) -> Any:
        return {"log": [part for n in (1, 2) for part in sync.run(ask(program, {"n": n})).value["log"]]}

    async def atwice(state: Any) -> Any:
        return {"log": [part for n in (1, 2) for part in (await aio.run(ask(program, {"n": n}))).value["log"]]}

    outer, saver = line("n", n=twice if engine == "sync" else atwice), InMemorySaver()
    assert run(engine, ask(outer, {}, on(), saver)).interrupts[0].value == "question 1"
    assert run(engine, ask(outer, Command(resume="A"), on(), saver)).interrupts[0].value == "question 2"
    assert run(engine, ask(outer, Command(resume="B"), on(), saver)).value["log"] == ["A", "B"]
    assert namespaces(saver) == ["", "n:ID", "n:ID|1"]


@ENGINES
def test_a_history_of_its_own_grows_from_run_to_run(engine: str) -> None:
    """Its namespace has no task id; other nested graphs start anew each time."""
    lengths: list[int] = []

    def count(state: Any) -> Any:
        lengths.append(len(state["log"]))
        return {"log": ["x"]}

    for own, expected in ((True, [0, 1]), (None, [0, 0])):
        lengths.clear()
        program, saver = around(graph(line("x", x=count), own)), InMemorySaver()
        for _ in range(2):
            run(engine, ask(program, {}, on(), saver))
        assert lengths == expected


@ENGINES
def test_only_the_superstep_that_is_resumed_resumes_nested_graphs(engine: str) -> None:
    """One that runs later in the same run gets its input."""
    lengths: list[int] = []

    def count(state: Any) -> Any:
        lengths.append(len(state["log"]))
        return {"log": ["x"]}

    inner = graph(line("x", x=count), True)
    program = small({"q": question, "sub": inner}, ("q", "sub"), settings={"sub": {"subgraph": inner}})
    saver = InMemorySaver()
    for _ in range(2):
        run(engine, ask(program, {}, on(), saver))
        run(engine, ask(program, Command(resume="!"), on(), saver))
    assert len(lengths) == 2


@ENGINES
def test_exit_durability_stores_nested_graphs_only_where_they_stopped(engine: str) -> None:
    """What a finished one came to is in its parent's state."""
    program, saver = around(graph(line("x"))), InMemorySaver()
    run(engine, ask(program, {}, on(), saver, durability="exit"))
    assert namespaces(saver) == [""]
    program, saver = around(graph(line("q", q=question))), InMemorySaver()
    run(engine, ask(program, {}, on(), saver, durability="exit"))
    assert namespaces(saver) == ["", "sub:ID"]
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["p", "!", "r"]


@ENGINES
def test_chunks_of_nested_graphs_come_with_their_namespace(engine: str) -> None:
    """Only where they were asked for."""
    program = around(graph(line("x")))
    without = list(stream(engine, ask(program, {}, modes=modes("updates"))))
    assert [next(iter(payload)) for _, _, payload in without] == ["p", "sub", "r"]
    chunks = list(stream(engine, ask(program, {}, modes=modes("updates"), subgraphs=True)))
    assert [(ns and ns[0].split(":")[0], next(iter(payload))) for ns, _, payload in chunks] == [
        ((), "p"),
        ("sub", "x"),
        ((), "sub"),
        ((), "r"),
    ]


@ENGINES
def test_a_command_for_the_parent_is_followed_there(engine: str) -> None:
    """Past as many levels as it names; the nested graph's own output is not waited for."""

    def up(state: Any) -> Any:
        raise ParentCommand(Command(graph=Command.PARENT, update={"log": ["up"]}, goto="r"))

    program = around(graph(line("x", x=up)))
    assert run(engine, ask(program, {}, on(), InMemorySaver())).value["log"] == ["p", "up", "r"]
    with pytest.raises(ParentCommand):
        run(engine, ask(line("x", x=up), {}))


@ENGINES
@pytest.mark.parametrize("how", ["retry", "resume"])
def test_a_nested_graph_goes_on_where_it_failed(engine: str, how: str) -> None:
    """Whether its parent's task is tried again at once or resumed later: what it had done stays done."""
    calls: list[str] = []

    def x(state: Any) -> Any:
        calls.append("x")
        return {"log": ["x"]}

    def y(state: Any) -> Any:
        calls.append("y")
        if calls.count("y") == 1:
            raise ConnectionError
        return {"log": ["y"]}

    policy = RetryPolicy(initial_interval=0, jitter=False)
    program = around(graph(line("x", "y", x=x, y=y)), **({"retry": (policy,)} if how == "retry" else {}))
    saver = InMemorySaver()
    if how == "resume":
        with pytest.raises(ConnectionError):
            run(engine, ask(program, {}, on(), saver))
        value = run(engine, ask(program, None, on(), saver)).value
    else:
        value = run(engine, ask(program, {}, on(), saver)).value
    assert value["log"] == ["p", "x", "y", "r"]
    assert calls == ["x", "y", "y"]


@ENGINES
def test_nested_nodes_see_the_parents_context_and_store(engine: str) -> None:
    seen: list[Any] = []

    def x(state: Any, runtime: Runtime[Any]) -> None:
        seen.append((runtime.context, runtime.store))

    run(engine, ask(around(graph(line("x", x=x))), {}, context="ctx", store="shelf"))
    assert seen == [("ctx", "shelf")]


@ENGINES
def test_a_graph_with_a_thread_of_its_own_is_no_part_of_the_run(engine: str) -> None:
    """Its questions stop it alone; the node gets its result so far."""
    own = InMemorySaver()
    inner = line("q", q=question)

    def node(state: Any) -> Any:
        return {"log": [each.value for each in sync.run(ask(inner, {}, on("other"), own)).interrupts]}

    async def anode(state: Any) -> Any:
        return {"log": [each.value for each in (await aio.run(ask(inner, {}, on("other"), own))).interrupts]}

    saver = InMemorySaver()
    result = run(engine, ask(line("n", n=node if engine == "sync" else anode), {}, on(), saver))
    assert (result.value["log"], result.interrupts) == (["inner?"], ())
    assert States(inner, own).get(on("other")).next == ("q",)


@ENGINES
def test_a_breakpoint_in_a_nested_graph_stops_the_parent(engine: str) -> None:
    inner = line("x", "y")

    def with_stop(value: Any, config: Any) -> Any:
        return sync.run(ask(inner, value, config, interrupt_before=["y"])).value

    async def awith_stop(value: Any, config: Any) -> Any:
        return (await aio.run(ask(inner, value, config, interrupt_before=["y"]))).value

    halting = SimpleNamespace(invoke=with_stop, ainvoke=awith_stop, program=inner, name="inner", checkpointer=None)
    program, saver = around(halting), InMemorySaver()
    first = run(engine, ask(program, {}, on(), saver))
    assert (first.value["log"], first.interrupts) == (["p"], ())
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["p", "x", "y", "r"]


@ENGINES
def test_the_state_of_a_waiting_nested_graph_can_be_read_and_changed(engine: str) -> None:
    inner = graph(line("x", "q", q=question))
    program, saver = around(inner), InMemorySaver()
    run(engine, ask(program, {}, on(), saver))
    states = States(program, saver)
    (task,) = states.get(on()).tasks
    assert task.state["configurable"]["checkpoint_ns"] == f"sub:{task.id}"
    (deep,) = states.get(on(), subgraphs=True).tasks
    assert (deep.state.values["log"], deep.state.next) == (["x"], ("q",))
    assert states.get(task.state).values == deep.state.values
    assert len(list(states.history(task.state))) == 3
    states.update(task.state, [[StateUpdate({"log": ["changed"]}, "x")]])
    asked = run(engine, ask(program, None, on(), saver))
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["p", "x", "changed", "!", "r"]
    assert [each.value for each in asked.interrupts] == ["inner?"]


@ENGINES
def test_an_edited_graph_takes_the_answer_to_what_it_asked_and_no_other(engine: str) -> None:
    """What it asks has another id now; the graph beside it waits on."""
    program = small(
        {name: graph(line("q", q=question)) for name in ("s", "t")},
        *((START, name) for name in ("s", "t")),
        settings={name: {"subgraph": graph(line("q", q=question))} for name in ("s", "t")},
    )
    saver = InMemorySaver()
    states = States(program, saver)
    run(engine, ask(program, {}, on(), saver))
    first, second = states.get(on()).tasks
    for task in (first, second):
        states.update(task.state, [[StateUpdate({"log": []}, None)]])
    asked = run(engine, ask(program, Command(resume={second.interrupts[0].id: "!"}), on(), saver)).interrupts
    assert len(asked) == 1
    assert states.get(on()).next == ("s",)
    done = run(engine, ask(program, Command(resume="?"), on(), saver)).value
    assert (sorted(done["log"]), states.get(on()).next) == (["!", "?"], ())
