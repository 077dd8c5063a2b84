"""``@entrypoint``: a function as a graph."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.func import entrypoint, task
from distgraph.runtime import Runtime
from distgraph.types import Command, RetryPolicy, interrupt

THREAD: Any = {"configurable": {"thread_id": "1"}}


def test_a_function_as_a_graph() -> None:
    @entrypoint()
    def add(pair: tuple[int, int]) -> int:
        return sum(pair)

    assert add.name == "add"
    assert add.invoke((1, 2)) == 3
    assert [*add.stream((1, 2))] == [{"add": 3}]
    assert [*add.stream((1, 2), stream_mode="values")] == [3]
    graph: Any = add
    assert graph.batch([(1, 2), (3, 4)]) == [3, 7]
    assert asyncio.run(add.ainvoke((1, 2))) == 3


def test_schemas_are_titled_like_those_of_graphs_without_a_name() -> None:
    @entrypoint()
    def double(value: int) -> int:
        return value * 2

    assert double.get_input_jsonschema() == {"title": "LangGraphInput", "type": "integer"}
    assert double.get_output_jsonschema() == {"title": "LangGraphOutput", "type": "integer"}
    assert (double.get_name(), double.get_name("Input", name="mine")) == ("double", "mine_input")


def test_what_was_returned_is_there_the_next_time() -> None:
    @entrypoint(checkpointer=InMemorySaver())
    def count(by: int, *, previous: int | None = None) -> int:
        return (previous or 0) + by

    assert [count.invoke(n, THREAD) for n in (1, 2, 3)] == [1, 3, 6]
    count.update_state(THREAD, 100)
    assert count.invoke(1, THREAD) == 101


def test_what_is_saved_may_differ_from_what_is_returned() -> None:
    @entrypoint(checkpointer=InMemorySaver())
    def flow(value: int, *, runtime: Runtime[Any]) -> entrypoint.final[Any, int]:
        return entrypoint.final(value=runtime.previous, save=value * 2)

    assert [flow.invoke(n, THREAD) for n in (1, 2, 3)] == [None, 2, 4]
    assert flow.get_state(THREAD).values == 4
    assert flow.channels["__previous__"].typ is int


def test_a_workflow_that_is_tried_again_keeps_its_finished_tasks() -> None:
    """The peer runs them once more."""
    calls: list[str] = []

    @task
    def step(value: int) -> int:
        calls.append("step")
        return value + 1

    @entrypoint(retry_policy=RetryPolicy(initial_interval=0, jitter=False, retry_on=ConnectionError))
    def flow(value: int) -> int:
        done: int = step(value).result()
        calls.append("flow")
        if calls.count("flow") < 3:
            raise ConnectionError
        return done

    assert flow.invoke(1) == 2
    assert calls == ["step", "flow", "flow", "flow"]


def test_answers_by_id_reach_tasks_beside_each_other() -> None:
    @task
    def ask(question: str) -> Any:
        return interrupt(question)

    @entrypoint(checkpointer=InMemorySaver())
    def flow(value: int) -> Any:
        questions = [ask("a"), ask("b")]
        return [question.result() for question in questions]

    (first,) = flow.invoke(1, THREAD)["__interrupt__"]
    assert first.value == "a"
    (second,) = flow.invoke(Command(resume={first.id: "x"}), THREAD)["__interrupt__"]
    assert second.value == "b"
    assert flow.invoke(Command(resume={second.id: "y"}), THREAD) == ["x", "y"]


def test_a_generator_is_no_workflow() -> None:
    def words(text: str) -> Any:
        yield text

    with pytest.raises(NotImplementedError, match="Generators are not supported"):
        entrypoint()(words)


def test_a_workflow_takes_an_input() -> None:
    with pytest.raises(ValueError, match="at least one parameter"):
        entrypoint()(lambda: 1)


def test_a_time_limit_needs_an_async_function() -> None:
    with pytest.raises(ValueError, match="is sync"):
        entrypoint(timeout=1)(lambda value: value)


def test_annotations_that_say_nothing_at_run_time() -> None:
    def flow(value: Unknown) -> Unknown:  # type: ignore[name-defined]  # noqa: F821
        return value

    assert entrypoint()(flow).invoke(1) == 1
