"""Runs as objects: what they have, and failures that Python would take for something else."""

from __future__ import annotations

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import START, StateGraph
from distgraph.errors import RunCancelledError
from distgraph.stream import StreamChannel, StreamTransformer
from tests.waiting import wait_until

pytestmark = pytest.mark.unit


class State(TypedDict, total=False):
    n: Annotated[int, operator.add]


def graph(node: Any, *more: Any) -> Any:
    return StateGraph(State).add_sequence([("node", node), *more]).add_edge(START, "node").compile()


def add(state: State) -> State:
    return {"n": 1}


class Own(StreamTransformer):
    def init(self) -> dict[str, Any]:
        return {"own": StreamChannel(), "plain": 3}

    def process(self, event: Any) -> bool:
        return True


def test_what_is_no_projection() -> None:
    run = graph(add).stream_events({"n": 1}, version="v3", transformers=[Own])
    with pytest.raises(AttributeError, match=r"no attribute 'value' .*lifecycle, messages.*Did you mean 'values'"):
        run.value
    with pytest.raises(AttributeError, match=r"extensions\['own'\]"):
        run.own
    with pytest.raises(KeyError, match="no projection 'vales'"):
        next(run.interleave("vales"))
    with pytest.raises(TypeError, match="'plain' is a int"):
        next(run.interleave("values", "plain"))
    assert list(run.values) == [{"n": 1}, {"n": 2}]  # interleave gave it back


def test_a_node_that_fails_with_an_attribute_error() -> None:
    def wrong(state: State) -> State:
        return state.nothing  # type: ignore[attr-defined, no-any-return]

    run = graph(wrong).stream_events({"n": 1}, version="v3")
    with pytest.raises(AttributeError, match="'dict' object has no attribute 'nothing'"):
        run.output


def test_a_transformer_that_fails_ends_the_run_and_nothing_runs_on() -> None:
    ran: list[str] = []

    def late(state: State) -> State:
        ran.append("late")
        return {}

    class Failing(Own):
        required_stream_modes = ("updates",)

        def process(self, event: Any) -> bool:
            if event["method"] == "updates":
                raise ValueError("I cannot")
            return True

    run = graph(add, ("late", late)).stream_events({"n": 1}, version="v3", transformers=[Failing])
    with pytest.raises(ValueError, match="I cannot"):
        list(run.values)
    with pytest.raises(ValueError, match="I cannot"):
        run.output
    assert ran == []


def test_ctrl_c_reaches_the_caller_and_ends_the_run() -> None:
    def interrupted(state: State) -> State:
        raise KeyboardInterrupt

    run = graph(interrupted).stream_events({"n": 1}, version="v3")
    values = iter(run.values)
    with pytest.raises(KeyboardInterrupt):
        list(values)
    assert not run._mux.more()


def test_several_os_threads_read_their_own_projections() -> None:
    """Who wants more while another one's step is made waits for it."""
    pulling: list[None] = []

    def wait(state: State) -> State:
        wait_until(lambda: len(pulling) == 2, what="both want more")
        return {"n": 1}

    run = graph(wait).stream_events({"n": 1}, version="v3")
    pump: Any = run._pump

    def pull() -> Any:
        pulling.append(None)
        try:
            return pump.pull()
        finally:
            pulling.pop()

    run._mux.drive_by(pull)
    with ThreadPoolExecutor(2) as pool:
        values, log = pool.submit(list, iter(run.values)), pool.submit(list, iter(run))
        assert values.result(10) == [{"n": 1}, {"n": 2}]
        assert [event["method"] for event in log.result(10)] == ["values"] * 2


def test_a_nested_run_can_be_left_alone() -> None:
    outer = graph(graph(add), ("after", add))
    run = outer.stream_events({"n": 1}, version="v3")
    handle = next(iter(run.subgraphs))
    handle.abort()
    assert list(handle.values) == []
    assert run.output == {"n": 4}


def test_a_reader_that_is_cancelled_ends_the_run() -> None:
    """But not that of another reader: they wait for the same thing."""

    async def program() -> Any:
        ran: list[str] = []

        async def waits(state: State) -> State:
            ran.append("begun")
            try:
                await asyncio.sleep(600)
            finally:
                ran.append("ended")
            return {}

        run = await graph(waits).astream_events({"n": 1}, version="v3")
        messages = aiter(run.messages)
        first, second = asyncio.ensure_future(anext(messages)), asyncio.create_task(run.output())
        pump: Any = run._pump
        while pump._waiting != 2 or not ran:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait({first})
        assert not second.done() and not run._mux.log.closed
        second.cancel()
        await asyncio.wait({second})
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(RunCancelledError):
            await run.output()
        return first.cancelled(), second.cancelled(), ran

    assert asyncio.run(program()) == (True, True, ["begun", "ended"])
