"""Error handlers: nodes that take over from one that failed for good."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import START
from distgraph.engine.states import States
from distgraph.errors import NodeError
from distgraph.superstep.model import Program
from distgraph.types import Command, RetryPolicy, Send, interrupt
from tests.unit.engine.engines import ENGINES, run, stream
from tests.unit.engine.small import ask, logs, modes, of_mode, on, small

pytestmark = pytest.mark.unit


def bad(state: Any) -> Any:
    raise ValueError("boom")


def heals(state: Any, error: NodeError) -> Any:
    return {"log": [f"{error.node}: {error.error}"]}


def handled(handler: Any, node: Any = bad, *, siblings: tuple[str, ...] = (), **settings: Any) -> Program:
    """``node`` with a handler, beside ``siblings``; a static edge leads from it to "after"."""
    nodes = {"bad": node, "handler": handler, "after": logs("after"), **{name: logs(name) for name in siblings}}
    starts = [(START, name) for name in ("bad", *siblings)]
    return small(nodes, *starts, ("bad", "after"), settings={"bad": {"error_handler": "handler", **settings}})


@ENGINES
@pytest.mark.parametrize("siblings", [(), ("a", "bada", "c")])
def test_a_handler_writes_in_the_place_of_the_node_that_failed(engine: str, siblings: tuple[str, ...]) -> None:
    """In the same superstep; the node's own edges are not followed."""
    value = run(engine, ask(handled(heals, siblings=siblings), {}, on(), InMemorySaver())).value
    expected = ["bad: boom", *siblings] if not siblings else ["a", "bad: boom", "bada", "c"]
    assert value["log"] == expected


@ENGINES
def test_a_handler_takes_over_after_the_last_attempt(engine: str) -> None:
    calls: list[int] = []

    def flaky(state: Any) -> Any:
        calls.append(1)
        raise ConnectionError("gone")

    policy = RetryPolicy(max_attempts=3, initial_interval=0, jitter=False)
    assert run(engine, ask(handled(heals, flaky, retry=(policy,)), {})).value["log"] == ["bad: gone"]
    assert len(calls) == 3


@ENGINES
def test_a_handler_decides_where_to_go(engine: str) -> None:
    def reroutes(state: Any) -> Any:
        return Command(update={"log": ["handled"]}, goto="after")

    assert run(engine, ask(handled(reroutes), {})).value["log"] == ["handled", "after"]


@ENGINES
def test_a_handler_that_fails_fails_the_run_and_goes_on_from_there(engine: str) -> None:
    """The node that failed first does not run again; its error comes back as text."""
    calls: list[str] = []

    def node(state: Any) -> Any:
        calls.append("node")
        raise ValueError("boom")

    def handler(state: Any, error: NodeError) -> Any:
        calls.append(f"handler: {error.error}")
        if len(calls) < 3:
            raise KeyError("handler too")
        return {"log": ["handled"]}

    program, saver = handled(handler, node), InMemorySaver()
    with pytest.raises(KeyError, match="handler too"):
        run(engine, ask(program, {}, on(), saver))
    (task,) = States(program, saver).get(on()).tasks
    assert (task.name, task.error) == ("bad", "ValueError('boom')")
    assert run(engine, ask(program, None, on(), saver)).value["log"] == ["handled"]
    assert calls == ["node", "handler: boom", "handler: ValueError('boom')"]


@ENGINES
def test_a_handler_that_has_finished_does_not_run_again(engine: str) -> None:
    """When its siblings are resumed."""
    calls: list[str] = []

    def handler(state: Any) -> Any:
        calls.append("handler")
        return {"log": ["handled"]}

    def q(state: Any) -> Any:
        return {"log": [interrupt("?")]}

    program = small(
        {"bad": bad, "handler": handler, "q": q},
        (START, "bad"),
        (START, "q"),
        settings={"bad": {"error_handler": "handler"}},
    )
    saver = InMemorySaver()
    assert run(engine, ask(program, {}, on(), saver)).interrupts[0].value == "?"
    assert run(engine, ask(program, Command(resume="!"), on(), saver)).value["log"] == ["handled", "!"]
    assert calls == ["handler"]


@ENGINES
def test_a_handler_may_ask(engine: str) -> None:
    def asks(state: Any) -> Any:
        return {"log": [interrupt("what now?")]}

    program, saver = handled(asks), InMemorySaver()
    assert run(engine, ask(program, {}, on(), saver)).interrupts[0].value == "what now?"
    assert run(engine, ask(program, Command(resume="go on"), on(), saver)).value["log"] == ["go on"]


@ENGINES
def test_a_failed_send_is_handled_with_its_own_input(engine: str) -> None:
    program = small(
        {"a": lambda s: None, "bad": bad, "handler": lambda s: {"log": [s]}},
        branches={"a": lambda s: [Send("bad", 1), Send("bad", 2)]},
        settings={"bad": {"error_handler": "handler"}},
    )
    assert run(engine, ask(program, {})).value["log"] == [1, 2]


@ENGINES
def test_streams_show_the_failure_and_who_handled_it(engine: str) -> None:
    chunks = list(stream(engine, ask(handled(heals), {}, modes=modes("updates", "tasks"))))
    assert of_mode(chunks, "updates") == [{"handler": {"log": ["bad: boom"]}}]
    results = [chunk for chunk in of_mode(chunks, "tasks") if "result" in chunk]
    assert [(chunk["name"], str(chunk["error"])) for chunk in results] == [("bad", "boom"), ("handler", "None")]


@ENGINES
def test_a_question_is_no_failure_to_handle(engine: str) -> None:
    def q(state: Any) -> Any:
        return {"log": [interrupt("?")]}

    assert run(engine, ask(handled(heals, q), {})).interrupts[0].value == "?"
