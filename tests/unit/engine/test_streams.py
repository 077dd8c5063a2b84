"""Chunks of the stream modes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import ERROR, INTERRUPT, RETURN
from distgraph.engine.streams import asked_values, keeps_state, result_of, task_chunk, update_chunk
from distgraph.superstep.model import EMPTY, Task
from distgraph.types import Command, Interrupt, interrupt
from tests.unit.engine.engines import ENGINES, stream, until_it_fails
from tests.unit.engine.small import ask, line, logs, modes, of_mode, on, side_by_side

pytestmark = pytest.mark.unit

PROGRAM = line("a")
TASK = Task(PROGRAM.nodes["a"], ("__pregel_pull", "a"), ("branch:to:a",), EMPTY._replace(id="c"))


def asking(state: Any) -> Any:
    return {"log": [interrupt("?")]}


# ------------------------------------------------------------ the functions


def test_an_update_is_what_the_node_returned() -> None:
    writes = [("n", 1), ("log", ["x"]), ("branch:to:b", None)]
    assert update_chunk(TASK, writes, ("n", "log")) == {"a": {"n": 1, "log": ["x"]}}
    assert update_chunk(TASK, writes, "n") == {"a": 1}
    assert update_chunk(TASK, writes, ("other",)) == {"a": None}
    assert update_chunk(TASK, [("n", 1), ("n", 2)], ("n",)) == {"a": [{"n": 1}, {"n": 2}]}
    assert update_chunk(TASK, [(RETURN, 5)], ("n",)) == {"a": 5}


def test_an_update_that_was_not_made_now_says_so() -> None:
    assert update_chunk(TASK, [("n", 1)], ("n",), cached=True) == {"a": {"n": 1}, "__metadata__": {"cached": True}}


def test_several_writes_to_one_key_stay_apart_in_results() -> None:
    assert result_of([("n", 1), ("n", 2), ("log", []), (ERROR, "x")], ("n", "log")) == {
        "n": {"$writes": [1, 2]},
        "log": [],
    }


def test_questions_join_the_values() -> None:
    question = (Interrupt("?", "i"),)
    at = EMPTY._replace(values={"n": 1})
    assert asked_values(PROGRAM, at, ("n",), question) == {"n": 1, INTERRUPT: question}
    assert asked_values(PROGRAM, at, "n", question) == {INTERRUPT: question}


def test_a_tasks_metadata_is_what_the_user_added() -> None:
    """Not its place, which the chunk says anyway."""
    plain = task_chunk(TASK, {"n": 1}, {"metadata": {"thread_id": "t"}})
    assert plain == {"id": TASK.id, "name": "a", "input": {"n": 1}, "triggers": ("branch:to:a",)}
    shown = task_chunk(TASK, {}, {"metadata": {"m": 1, "langgraph_step": 3}, "tags": ["x"]})
    assert shown["metadata"] == {"m": 1, "tags": ["x"]}


def test_a_graph_that_refuses_the_saver_keeps_no_state() -> None:
    assert keeps_state(SimpleNamespace(checkpointer=None))
    assert not keeps_state(SimpleNamespace(checkpointer=False))
    assert not keeps_state(None)


# ------------------------------------------------------------ runs


@ENGINES
def test_values_are_the_state_after_each_superstep(engine: str) -> None:
    """START's included; a superstep that writes no output key gives none."""
    chunks = list(stream(engine, ask(line("a", "b", "c", b=lambda s: None), {"n": 1}, modes=modes("values"))))
    assert of_mode(chunks, "values") == [{"n": 1, "log": []}, {"n": 1, "log": ["a"]}, {"n": 1, "log": ["a", "c"]}]


@ENGINES
def test_output_keys_choose_what_is_shown(engine: str) -> None:
    request = ask(line("a"), {"n": 1}, modes=modes("values", "updates"), output_keys="n")
    chunks = list(stream(engine, request))
    assert of_mode(chunks, "values") == [1]
    assert of_mode(chunks, "updates") == [{"a": None}]


@ENGINES
def test_modes_come_in_one_order(engine: str) -> None:
    """A task starts, writes, ends; then the values; then the checkpoint."""
    request = ask(line("a"), {}, on(), InMemorySaver(), modes=modes("values", "updates", "tasks", "checkpoints"))
    assert [mode for _, mode, _ in stream(engine, request)] == [
        *("checkpoints", "checkpoints"),
        *("tasks", "updates", "tasks", "values", "checkpoints"),
    ]


@ENGINES
def test_tasks_show_input_and_result(engine: str) -> None:
    chunks = of_mode(list(stream(engine, ask(line("a"), {"n": 1}, modes=modes("tasks")))), "tasks")
    assert [(chunk["name"], chunk.get("input"), chunk.get("result")) for chunk in chunks] == [
        ("a", {"n": 1, "log": []}, None),
        ("a", None, {"log": ["a"]}),
    ]
    assert chunks[1]["error"] is None
    assert chunks[0]["id"] == chunks[1]["id"]


@ENGINES
def test_a_failure_is_shown_before_it_is_raised(engine: str) -> None:
    """The exception itself, as the reader is in the same process."""

    def bad(state: Any) -> Any:
        raise ValueError("boom")

    for program in (line("a", a=bad), side_by_side(a=bad, b=logs("b"))):
        chunks, failure = until_it_fails(stream(engine, ask(program, {}, modes=modes("tasks"))))
        errors = [chunk["error"] for chunk in of_mode(chunks, "tasks") if chunk.get("error")]
        assert failure in errors
        assert isinstance(failure, ValueError)


@ENGINES
def test_questions_are_shown_in_every_mode(engine: str) -> None:
    request = ask(
        side_by_side(a=logs("a"), q=asking), {}, on(), InMemorySaver(), modes=modes("values", "updates", "tasks")
    )
    chunks = list(stream(engine, request))
    (asked,) = [chunk[INTERRUPT] for chunk in of_mode(chunks, "updates") if INTERRUPT in chunk]
    assert asked[0].value == "?"
    assert of_mode(chunks, "values") == [{"log": [], INTERRUPT: asked}, {"log": ["a"]}]
    results = {chunk["name"]: chunk for chunk in of_mode(chunks, "tasks") if "result" in chunk}
    assert results["q"]["interrupts"] == [{"value": "?", "id": asked[0].id, "response_schema": None}]
    assert results["q"]["result"] == {}


@ENGINES
def test_a_breakpoint_is_an_empty_question(engine: str) -> None:
    chunks = list(stream(engine, ask(line("a"), {"n": 1}, modes=modes("updates"), interrupt_before="*")))
    assert of_mode(chunks, "updates") == [{INTERRUPT: ()}]


@ENGINES
def test_what_finished_before_a_resume_is_marked(engine: str) -> None:
    program, saver = side_by_side(a=logs("a"), q=asking), InMemorySaver()
    list(stream(engine, ask(program, {}, on(), saver)))
    request = ask(program, Command(resume="!"), on(), saver, modes=modes("updates", "tasks", "values"))
    chunks = list(stream(engine, request))
    assert of_mode(chunks, "updates") == [
        {"a": {"log": ["a"]}, "__metadata__": {"cached": True}},
        {"q": {"log": ["!"]}},
    ]
    assert [chunk["name"] for chunk in of_mode(chunks, "tasks") if "result" in chunk] == ["q"]
    assert of_mode(chunks, "values")[0] == {"log": []}


@ENGINES
def test_checkpoints_show_what_is_next_and_what_has_settled(engine: str) -> None:
    program, saver = side_by_side(a=logs("a"), q=asking), InMemorySaver()
    first = of_mode(list(stream(engine, ask(program, {}, on(), saver, modes=modes("checkpoints")))), "checkpoints")
    assert [(chunk["metadata"]["step"], chunk["next"]) for chunk in first] == [(-1, ["__start__"]), (0, ["a", "q"])]
    assert first[1]["parent_config"] == first[0]["config"]
    assert first[1]["config"]["configurable"]["thread_id"] == "t"
    request = ask(program, None, on(), saver, modes=modes("checkpoints"))
    again = of_mode(list(stream(engine, request)), "checkpoints")[0]
    assert again["config"] == first[1]["config"]
    assert again["tasks"][0]["result"] == {"log": ["a"]}
    assert again["tasks"][1]["interrupts"][0]["value"] == "?"


@ENGINES
def test_checkpoints_show_the_failure_that_stopped_the_last_run(engine: str) -> None:
    def bad(state: Any) -> Any:
        raise ValueError("boom")

    program, saver = line("a", a=bad), InMemorySaver()
    until_it_fails(stream(engine, ask(program, {"n": 1}, on(), saver)))
    chunks, _ = until_it_fails(stream(engine, ask(program, None, on(), saver, modes=modes("checkpoints"))))
    (task,) = of_mode(chunks, "checkpoints")[0]["tasks"]
    assert (task["name"], task["error"]) == ("a", "ValueError('boom')")


@ENGINES
def test_debug_is_checkpoints_and_tasks_in_an_envelope(engine: str) -> None:
    request = ask(line("a"), {"n": 1}, on(), InMemorySaver(), modes=modes("debug"))
    chunks = of_mode(list(stream(engine, request)), "debug")
    assert [(chunk["step"], chunk["type"]) for chunk in chunks] == [
        (-1, "checkpoint"),
        (0, "checkpoint"),
        (1, "task"),
        (1, "task_result"),
        (1, "checkpoint"),
    ]
    assert {"config", "values", "next"} <= set(chunks[0]["payload"])


@ENGINES
def test_a_run_without_a_saver_has_no_checkpoints_to_show(engine: str) -> None:
    assert list(stream(engine, ask(line("a"), {}, modes=modes("checkpoints")))) == []


@ENGINES
def test_an_input_that_cannot_be_built_is_shown_as_none(engine: str) -> None:
    """The task meets the same error when it runs, and raises it."""
    from tests.unit.engine.small import small

    program = small({"a": logs("a")}, settings={"a": {"mapper": lambda view: view["missing"]}})
    chunks, failure = until_it_fails(stream(engine, ask(program, {"n": 1}, modes=modes("tasks"))))
    assert isinstance(failure, KeyError)
    assert of_mode(chunks, "tasks")[0]["input"] is None


class Text:
    """A message as an object."""

    type = "ai"

    def __init__(self, content: str, id: str | None) -> None:
        self.content = content
        self.id = id


@ENGINES
def test_messages_come_once_each_with_their_nodes_metadata(engine: str) -> None:
    """New ones that a node returns; not those it read."""
    new, old = Text("new", "1"), Text("old", "2")
    a = {"log": [new, old, {"role": "user", "content": "hi"}]}
    program = line("a", "b", a=lambda s: a, b=lambda s: {"log": [new]})
    chunks = list(stream(engine, ask(program, {"log": [old]}, modes=modes("messages"))))
    payloads = of_mode(chunks, "messages")
    assert [message for message, _ in payloads] == [new, {"role": "user", "content": "hi"}]
    assert {metadata["langgraph_node"] for _, metadata in payloads} == {"a"}
