"""Sleeps in one process: really waited for, on no event loop's time, and not slept again after a restart."""

from __future__ import annotations

import asyncio
import operator
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypedDict

import pytest

from distgraph import END, START, StateGraph
from distgraph.checkpoint.memory import InMemorySaver
from distgraph.engine.naps import stable_name
from distgraph.runtime import Runtime, get_runtime
from distgraph.superstep.model import EMPTY, Task
from distgraph.types import RetryPolicy

pytestmark = pytest.mark.unit

SHORT = 0.05


class State(TypedDict, total=False):
    trail: Annotated[list[str], operator.add]


def graph_of(*nodes: tuple[str, Any], saver: Any = None, **options: Any) -> Any:
    """All nodes beside each other."""
    builder = StateGraph(State)
    for name, node in nodes:
        builder.add_node(name, node, **options).add_edge(START, name).add_edge(name, END)
    return builder.compile(checkpointer=saver)


def test_a_node_sleeps_and_starts_again() -> None:
    calls: list[float] = []

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        calls.append(time.monotonic())
        runtime.sleep(SHORT)
        return {"trail": ["nap"]}

    assert graph_of(("nap", nap)).invoke({"trail": []}) == {"trail": ["nap"]}
    assert len(calls) == 2
    assert calls[1] - calls[0] >= SHORT * 0.9


def test_an_async_node_sleeps_without_blocking_the_loop() -> None:
    ticks: list[float] = []

    async def nap(state: State, runtime: Runtime[Any]) -> Any:
        runtime.sleep(timedelta(seconds=10 * SHORT))
        return {"trail": ["nap"]}

    async def main() -> Any:
        async def tick() -> None:
            while True:
                ticks.append(time.monotonic())
                await asyncio.sleep(SHORT / 5)

        ticking = asyncio.create_task(tick())
        try:
            return await graph_of(("nap", nap)).ainvoke({"trail": []})
        finally:
            ticking.cancel()

    assert asyncio.run(main()) == {"trail": ["nap"]}
    assert len(ticks) > 4


def test_sleepers_beside_each_other_sleep_at_the_same_time() -> None:
    began: list[str] = []

    def sleeper(name: str) -> Any:
        async def nap(state: State) -> Any:
            began.append(name)
            get_runtime().sleep(SHORT)
            # here it has slept: all others had begun before
            return {"trail": [f"{name}: {len(set(began))}"]}

        return nap

    graph = graph_of(*((f"n{at}", sleeper(f"n{at}")) for at in range(20)))
    found = asyncio.run(graph.ainvoke({"trail": []}))["trail"]
    assert sorted(found) == sorted(f"n{at}: 20" for at in range(20))


@pytest.mark.parametrize("color", ["sync", "async"])
def test_what_was_slept_before_a_kill_is_not_slept_again(color: str) -> None:
    """A run is killed after its sleep, and continued from its checkpoint."""
    saver, fail, began = InMemorySaver(), [True], list[str]()
    config = {"configurable": {"thread_id": "t"}}

    def body(runtime: Runtime[Any]) -> Any:
        began.append("nap")
        runtime.sleep(SHORT, key="first")
        if fail.pop() if fail else False:
            raise KeyboardInterrupt
        return {"trail": ["nap"]}

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        return body(runtime)

    async def anap(state: State, runtime: Runtime[Any]) -> Any:
        return body(runtime)

    graph = graph_of(("nap", nap if color == "sync" else anap), saver=saver)

    def run(given: Any) -> Any:
        return graph.invoke(given, config) if color == "sync" else asyncio.run(graph.ainvoke(given, config))

    with pytest.raises(KeyboardInterrupt):
        run({"trail": []})
    assert began == ["nap", "nap"], "it sleeps, and begins anew when it wakes"
    began.clear()
    assert run(None) == {"trail": ["nap"]}
    assert began == ["nap"]


def test_a_sleep_that_was_cut_off_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill comes in the middle of a sleep of a day; continued a day later nobody waits."""
    saver = InMemorySaver()
    config = {"configurable": {"thread_id": "t"}}

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        runtime.sleep(86_400)
        return {"trail": ["nap"]}

    graph = graph_of(("nap", nap), saver=saver)
    waited: list[float] = []

    def killed(seconds: float) -> None:
        waited.append(seconds)
        raise KeyboardInterrupt

    monkeypatch.setattr("distgraph.engine.retry.time.sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"trail": []}, config)
    assert 86_000 < waited[0] <= 86_400
    now = time.time()
    monkeypatch.setattr("distgraph.engine.naps.time", lambda: now + 86_401)
    assert graph.invoke(None, config) == {"trail": ["nap"]}
    assert len(waited) == 1
    assert saver.get_tuple(config).checkpoint["channel_values"]["trail"] == ["nap"]  # type: ignore[union-attr]


def test_a_snapshot_of_a_sleeper_shows_a_task_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        runtime.sleep(86_400)
        return {}

    def seen(seconds: float) -> None:
        snapshot = graph.get_state(config)
        assert snapshot.next == ("nap",)
        assert [(task.error, task.interrupts) for task in snapshot.tasks] == [(None, ())]
        raise KeyboardInterrupt

    graph = graph_of(("nap", nap), saver=saver)
    monkeypatch.setattr("distgraph.engine.retry.time.sleep", seen)
    with pytest.raises(KeyboardInterrupt):
        graph.invoke({"trail": []}, config)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_sleeps_are_no_part_of_the_state(durability: Any) -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        runtime.sleep(0.001)
        runtime.sleep(0.001)
        return {"trail": ["nap"]}

    graph = graph_of(("nap", nap), saver=saver)
    assert graph.invoke({"trail": []}, config, durability=durability) == {"trail": ["nap"]}
    assert graph.get_state(config).values == {"trail": ["nap"]}


def test_a_sleep_is_no_failed_attempt() -> None:
    attempts: list[int] = []

    def nap(state: State, runtime: Runtime[Any]) -> Any:
        assert runtime.execution_info is not None
        attempts.append(runtime.execution_info.node_attempt)
        runtime.sleep(0.001)
        if len(attempts) == 2:
            raise ConnectionError("once")
        return {"trail": ["nap"]}

    retry = RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=2)
    assert graph_of(("nap", nap), retry_policy=retry).invoke({"trail": []}) == {"trail": ["nap"]}
    assert attempts == [1, 1, 2]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda runtime: runtime.sleep("1"), TypeError),
        (lambda runtime: runtime.sleep(True), TypeError),
        (lambda runtime: runtime.sleep(float("inf")), ValueError),
        (lambda runtime: runtime.sleep(float("nan")), ValueError),
        (lambda runtime: runtime.sleep_until(1_700_000_000), TypeError),
        (lambda runtime: runtime.sleep_until(datetime(2030, 1, 1)), ValueError),  # noqa: DTZ001 - the point
    ],
)
def test_what_is_no_time_is_refused(call: Any, error: type[Exception]) -> None:
    def nap(state: State, runtime: Runtime[Any]) -> Any:
        call(runtime)

    with pytest.raises(error):
        graph_of(("nap", nap)).invoke({"trail": []})


def test_what_has_passed_is_not_waited_for() -> None:
    def nap(state: State, runtime: Runtime[Any]) -> Any:
        runtime.sleep(0)
        runtime.sleep(-5)
        runtime.sleep_until(datetime.now(UTC) - timedelta(days=1))
        return {"trail": ["nap"]}

    began = time.monotonic()
    assert graph_of(("nap", nap)).invoke({"trail": []}) == {"trail": ["nap"]}
    assert time.monotonic() - began < 5


def test_names_of_sleeps_hold_for_every_attempt() -> None:
    """Ids of nested tasks are new with each attempt; all else of their place is not."""
    at = EMPTY._replace(step=1)
    one = stable_name(Task(None, ("pull", "n"), (), at, "outer:root-id|mid:1111", name="n"), "#0")
    two = stable_name(Task(None, ("pull", "n"), (), at, "outer:root-id|mid:2222", name="n"), "#0")
    other = stable_name(Task(None, ("pull", "n"), (), at, "outer:other-id|mid:1111", name="n"), "#0")
    assert one == two != other
