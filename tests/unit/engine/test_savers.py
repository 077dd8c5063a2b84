"""Calls that a decision needs, in either colour."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, cast

import pytest
from typing_extensions import TypedDict

from distgraph.checkpoint.memory import InMemorySaver
from distgraph.constants import START
from distgraph.engine.context import RunContext
from distgraph.engine.savers import Calls, Op, adrive, drive
from distgraph.graph.state import StateGraph
from distgraph.superstep.model import EMPTY, Task
from tests.unit.engine.small import line

pytestmark = pytest.mark.unit


class Recorder:
    """Answers every call with its name, whether it is awaited or not."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def get_tuple(self, config: Any) -> str:
        self.calls.append(config)
        return "found"

    async def aget_tuple(self, config: Any) -> str:
        return self.get_tuple(config)

    def list(self, config: Any, *, filter: Any, before: Any, limit: Any) -> Any:
        self.calls.append((config, filter, before, limit))
        yield from ("one", "two")

    async def alist(self, config: Any, **options: Any) -> Any:
        for each in self.list(config, **options):
            yield each


def decision() -> Calls[Any]:
    got = yield ("get_tuple", ("config",))
    listed = yield ("list", ("config", "before", 3, {"a": 1}))
    program = line("a")
    task = Task(program.nodes["a"], ("__pregel_pull", "a"), (), EMPTY)
    writes = yield ("run_task", (RunContext(program), task, {"n": 1}))
    return got, listed, writes


def test_a_decision_is_the_same_in_both_colours() -> None:
    for engine in ("sync", "aio"):
        saver = Recorder()
        result = drive(decision(), saver) if engine == "sync" else asyncio.run(adrive(decision(), saver))
        assert result == ("found", ["one", "two"], [("n", 1)])
        assert saver.calls == ["config", ("config", {"a": 1}, "before", 3)]


def test_errors_of_the_saver_pass() -> None:
    with pytest.raises(AttributeError):
        drive(decision(), object())
    with pytest.raises(AttributeError):
        asyncio.run(adrive(decision(), object()))


MENDED: list[int] = []


def shaky(left: int, right: int) -> int:
    """A reducer that fails until it is mended."""
    if right > 1 and not MENDED:
        raise ValueError("not yet")
    return left + right


class State(TypedDict):
    n: Annotated[int, shaky]


class Whole(InMemorySaver):
    """Takes several calls at once, and remembers how they came."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: list[list[str]] = []

    def put_all(self, ops: Sequence[Op]) -> None:
        self.portions.append([name for name, _ in ops])
        for name, args in ops:
            getattr(self, name)(*args)

    async def aput_all(self, ops: Sequence[Op]) -> None:
        self.put_all(ops)


def test_a_task_and_the_checkpoint_that_follows_are_stored_together() -> None:
    """One round trip for each superstep of one task."""

    def count(state: State) -> State:
        return {"n": 1}

    for colour in ("sync", "async"):
        saver = Whole()
        builder = StateGraph(State).add_sequence([("one", count), ("two", count)]).add_edge(START, "one")
        graph, config = builder.compile(checkpointer=saver), cast(Any, {"configurable": {"thread_id": "t"}})
        if colour == "sync":
            graph.invoke({"n": 0}, config)
        else:
            asyncio.run(graph.ainvoke({"n": 0}, config))
        assert saver.portions[-2:] == [["put_writes", "put"]] * 2
        assert graph.get_state(config).values == {"n": 2}


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_of_a_fan_out_what_came_last_is_stored_with_the_checkpoint_that_follows(colour: str) -> None:
    saver, names = Whole(), [f"n{index}" for index in range(5)]
    builder = StateGraph(State)
    for name in names:
        builder.add_node(name, lambda _: {"n": 1}).add_edge(START, name)
    MENDED.append(1)
    graph, config = builder.compile(checkpointer=saver), cast(Any, {"configurable": {"thread_id": "t"}})
    if colour == "sync":
        graph.invoke({"n": 0}, config)
    else:
        asyncio.run(graph.ainvoke({"n": 0}, config))
    assert saver.portions[-1][-2:] == ["put_writes", "put"]
    assert graph.get_state(config).values == {"n": 5}
    before = saver.get_tuple(graph.get_state(config).parent_config)
    assert before is not None
    assert len({task for task, _, _ in before.pending_writes or ()}) == 5


class Later(Whole):
    """Answers later: what is stored is there when somebody waits for it."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.fails = fails
        self.threads: list[str] = []
        self.behind: list[Op] = []

    def ahead(self, thread_id: str) -> Later:
        self.threads.append(thread_id)
        return self

    def put_all(self, ops: Sequence[Op]) -> None:
        self.behind += ops

    def wait(self) -> None:
        due, self.behind = self.behind, []
        if due:
            super().put_all(due)
        if self.fails and len(self.portions) > 1:
            raise ValueError("refused")


def three(saver: InMemorySaver) -> Any:
    steps: Any = [(name, lambda _: {"n": 1}) for name in ("one", "two", "three")]
    MENDED.append(1)
    return StateGraph(State).add_sequence(steps).add_edge(START, "one").compile(checkpointer=saver)


LATER: Any = {"configurable": {"thread_id": "t"}}


def test_with_async_the_answers_are_waited_for_before_the_first_node_and_after_the_last() -> None:
    saver = Later()
    assert three(saver).invoke({"n": 0}, LATER) == {"n": 3}
    assert saver.threads == ["t"]
    assert [len(portion) for portion in saver.portions] == [1, 8], "the input; START and three nodes"
    assert three(saver).get_state(LATER).values == {"n": 3}


def test_with_async_they_are_waited_for_before_a_chunk_is_read() -> None:
    saver = Later()
    for chunk in three(saver).stream({"n": 0}, LATER, stream_mode="values"):
        assert three(saver).get_state(LATER).values == chunk
    assert len(saver.portions) == 5


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_otherwise_nothing_is_ahead(durability: Any) -> None:
    saver = Later()
    three(saver).invoke({"n": 0}, LATER, durability=durability)
    assert saver.threads == []


def test_what_is_refused_later_ends_the_run() -> None:
    with pytest.raises(ValueError, match="refused"):
        three(Later(fails=True)).invoke({"n": 0}, LATER)


def test_what_was_done_is_kept_when_it_cannot_be_applied() -> None:
    """A reducer that fails undoes nothing: the finished task is not run again."""
    ran: list[int] = []

    def work(state: State) -> State:
        ran.append(1)
        return {"n": 2}

    MENDED.clear()
    graph = StateGraph(State).add_node("work", work).add_edge(START, "work").compile(checkpointer=Whole())
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(Exception, match="not yet"):
        graph.invoke({"n": 0}, config)
    MENDED.append(1)
    assert graph.invoke(None, config) == {"n": 2}
    assert len(ran) == 1
