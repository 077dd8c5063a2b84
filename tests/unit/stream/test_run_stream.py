"""Runs as objects: what they have, and failures that Python would take for something else."""

from __future__ import annotations

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import START, StateGraph
from distgraph.checkpoint.memory import InMemorySaver
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
    with pytest.raises(AttributeError, match=r"Give transformers=\[UpdatesTransformer\], of distgraph.stream"):
        run.updates
    with pytest.raises(AttributeError, match=r"values\)\. Others come of transformers=\[...\]\.$"):
        run.nothing_like_it
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
    errors: list[BaseException] = []

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
        with pytest.raises(RunCancelledError) as kept:
            await run.output()
        errors.append(kept.value)
        return first.cancelled(), second.cancelled(), ran

    for _ in range(2):
        assert asyncio.run(program()) == (True, True, ["begun", "ended"])
    # An error holds the frames that it went through: each run has its own.
    assert errors[0] is not errors[1]


class Refusing(InMemorySaver):
    """Takes nothing any more from when it is told so."""

    refuses = False

    def put(self, *args: Any, **more: Any) -> Any:
        return self._refused() if self.refuses else super().put(*args, **more)

    def _refused(self) -> Any:
        raise OSError("the disk is full")

    async def aput(self, *args: Any, **more: Any) -> Any:
        return self._refused() if self.refuses else await super().aput(*args, **more)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_that_cannot_be_left_well_has_ended_all_the_same(is_async: bool) -> None:
    """What it was to store is told to who leaves it, and nobody goes on waiting."""
    saver = Refusing()
    built = StateGraph(State).add_sequence([("one", add), ("two", add)]).add_edge(START, "one").compile(saver)
    call: Any = ({"n": 1}, {"configurable": {"thread_id": "t"}})

    def leave() -> Any:
        run = built.stream_events(*call, version="v3", durability="exit")
        values = iter(run.values)
        seen = [next(values)]
        saver.refuses = True
        with pytest.raises(OSError, match="the disk is full"):
            run.abort()
        run.abort()
        return seen, list(values), run.extensions["lifecycle"].closed

    async def aleave() -> Any:
        run = await built.astream_events(*call, version="v3", durability="exit")
        values = aiter(run.values)
        seen = [await anext(values)]
        saver.refuses = True
        with pytest.raises(OSError, match="the disk is full"):
            await run.abort()
        await run.abort()
        return seen, [value async for value in values], run.extensions["lifecycle"].closed

    assert (asyncio.run(aleave()) if is_async else leave()) == ([{"n": 1}], [], True)


def test_a_transformer_that_would_wait_for_itself_is_refused() -> None:
    class Selfish(Own):
        def registered(self, mux: Any) -> None:
            self.values = mux.extensions["values"]

        async def aprocess(self, event: Any) -> bool:
            return bool([value async for value in self.values])

    async def program() -> None:
        run = await graph(add).astream_events({"n": 1}, version="v3", transformers=[Selfish])
        with pytest.raises(RuntimeError, match=r"would wait for itself: .*self\.schedule"):
            await asyncio.wait_for(run.output(), 10)

    asyncio.run(program())


class Beside(StreamTransformer):
    """Reads the values of its graph beside the run, to their end."""

    requires_async = True
    required_stream_modes = ("updates",)

    def init(self) -> dict[str, Any]:
        self.seen: list[Any] = []
        return {"beside": self.seen}

    def registered(self, mux: Any) -> None:
        self.schedule(self.read(aiter(mux.extensions["values"])))

    def process(self, event: Any) -> bool:
        return True

    async def read(self, values: Any) -> None:
        async for value in values:
            self.seen.append(value["n"])
        self.seen.append("end")


@pytest.mark.parametrize("others", [True, False])
def test_what_is_scheduled_may_read_the_run_to_its_end(others: bool) -> None:
    """Which waits for it: the end of what there is to read comes first. So in nested graphs, and where nobody else reads."""

    async def program() -> Any:
        built = graph(add, ("inner", graph(add)))
        run = await built.astream_events({"n": 1}, version="v3", transformers=[Beside])
        handle = await anext(aiter(run.subgraphs))
        output = await run.output() if others else None
        while not run._mux.log.closed:
            await asyncio.sleep(0)
        return output, run.extensions["beside"], handle.extensions["beside"]

    found = asyncio.run(asyncio.wait_for(program(), 10))
    assert found == ({"n": 5} if others else None, [1, 2, 5, "end"], [3, "end"])
