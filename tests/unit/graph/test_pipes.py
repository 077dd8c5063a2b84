"""``graph | other``: steps known by their shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from distgraph.errors import ConfigError
from distgraph.graph.pipes import Pipe
from tests.graphs.streamed import GRAPHS

pytestmark = pytest.mark.unit

graph: Any = GRAPHS["told_retried"]


def trail(state: Any) -> list[str]:
    found: list[str] = state["trail"]
    return found


async def later(found: list[str]) -> int:
    return len(found)


class Step:
    """As the runnables of other libraries."""

    def invoke(self, input: Any, config: Any = None) -> Any:
        return {"x": input, "hold": config and config["tags"][0] * 0}


def test_functions_graphs_and_what_has_invoke() -> None:
    assert (graph | trail | len).invoke({"x": 1}) == 2
    assert ((lambda n: {"x": n}) | graph | trail).invoke(1) == ["attempt 2", "last"]
    assert Pipe(Step(), graph).pipe(trail).invoke(3, {"tags": ["t"]}) == ["attempt 2", "last"]
    assert (graph | {"all": trail, "count": trail | Pipe(len)}).invoke({"x": 1}) == {
        "all": ["attempt 2", "last"],
        "count": 2,
    }


def test_under_an_event_loop() -> None:
    async def both() -> Any:
        pipe = graph | trail | {"all": later, "plain": len}
        return await pipe.ainvoke({"x": 1}), [chunk async for chunk in pipe.astream({"x": 1})]

    assert asyncio.run(both()) == ({"all": 2, "plain": 2}, [{"all": 2, "plain": 2}])


def test_the_last_step_streams() -> None:
    pipe = (lambda n: {"x": n}) | graph
    assert list(pipe.stream(1, stream_mode="updates")) == list(graph.stream({"x": 1}))
    assert list((graph | trail).stream({"x": 1})) == [["attempt 2", "last"]]

    async def chunks() -> list[Any]:
        return [chunk async for chunk in pipe.astream(1, stream_mode="updates")]

    assert asyncio.run(chunks()) == list(graph.stream({"x": 1}))


def test_steps_of_pieces_hand_on_what_a_graph_streams() -> None:
    runnables = pytest.importorskip("langchain_core.runnables")

    def counted(chunks: Iterator[Any]) -> Iterator[Any]:
        yield from enumerate(chunks)

    async def acounted(chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        number = 0
        async for chunk in chunks:
            yield number, chunk
            number += 1

    pipe = (
        (lambda n: {"x": n}) | graph | runnables.RunnablePassthrough() | runnables.RunnableGenerator(counted, acounted)
    )
    states = list(graph.stream({"x": 1}, stream_mode="values"))
    assert len(states) > 1
    assert list(pipe.stream(1, stream_mode="values")) == list(enumerate(states))
    # A function gets all of it, not its last piece.
    whole = runnables.RunnableLambda(trail)
    assert list((graph | whole).stream({"x": 1})) == [["attempt 2", "last"]]

    async def chunks() -> list[Any]:
        return [chunk async for chunk in pipe.astream(1, stream_mode="values")]

    assert asyncio.run(chunks()) == list(enumerate(states))


def test_many() -> None:
    pipe = (lambda n: {"x": n}) | graph | trail | len
    assert pipe.batch([1, 2]) == [2, 2]
    assert (pipe.name, len(pipe.steps)) == ("<lambda>|told_retried|trail|len", 4)


def test_what_cannot_stand_in_a_pipe() -> None:
    with pytest.raises(ConfigError, match="A int cannot stand in a pipe"):
        graph | {"a": 7}


def test_a_runnable_of_langchain_takes_over() -> None:
    runnables = pytest.importorskip("langchain_core.runnables")
    assert (graph | runnables.RunnableLambda(trail)).invoke({"x": 1}) == ["attempt 2", "last"]
