"""Time limits of one attempt of an async node."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from distgraph.engine import aio, sync
from distgraph.engine.limits import limits_of
from distgraph.errors import ConfigError, NodeTimeoutError
from distgraph.runtime import Runtime
from distgraph.superstep.model import EMPTY, Program, Task
from distgraph.types import RetryPolicy, Send, TimeoutPolicy
from tests.unit.engine.leaping import leaping_run
from tests.unit.engine.small import ask, line, logs, modes, small

pytestmark = pytest.mark.unit

#: Seconds, by the clock of a loop that waits for nothing.
SOON, LATER = 0.05, 5.0


async def hangs(state: Any) -> Any:
    await asyncio.Event().wait()


def limited(node: Any, timeout: Any, **settings: Any) -> Program:
    return small({"a": node}, settings={"a": {"timeout": TimeoutPolicy.coerce(timeout), **settings}})


def arun(program: Program, **options: Any) -> Any:
    return leaping_run(aio.run(ask(program, {}, **options))).value


@pytest.mark.parametrize(
    ("timeout", "kind"),
    [
        (SOON, "run"),
        (TimeoutPolicy(idle_timeout=SOON), "idle"),
        (TimeoutPolicy(run_timeout=LATER, idle_timeout=SOON), "idle"),
        (TimeoutPolicy(run_timeout=SOON, idle_timeout=LATER), "run"),
    ],
)
def test_a_node_that_takes_too_long_is_cancelled(timeout: Any, kind: str) -> None:
    """The error says which node, which limit, and how long it was."""
    with pytest.raises(NodeTimeoutError, match=f"Node 'a' exceeded its {kind} timeout of 0.050s") as caught:
        arun(limited(hangs, timeout))
    assert (caught.value.node, caught.value.kind, caught.value.timeout) == ("a", kind, SOON)
    assert caught.value.__notes__[0].startswith("During task with name 'a'")


def test_a_node_in_time_is_not_disturbed() -> None:
    async def node(state: Any) -> Any:
        await asyncio.sleep(0)
        return {"log": ["a"]}

    assert arun(limited(node, LATER))["log"] == ["a"]


def beats(times: int, how: str) -> Any:
    async def node(state: Any, runtime: Runtime[None]) -> Any:
        for _ in range(times):
            await asyncio.sleep(SOON)
            runtime.heartbeat() if how == "heartbeat" else runtime.stream_writer("chunk")
        return {"log": ["a"]}

    return node


@pytest.mark.parametrize(
    ("how", "refresh_on", "in_time"),
    [
        ("heartbeat", "auto", True),
        ("heartbeat", "heartbeat", True),
        ("writer", "auto", True),
        ("writer", "heartbeat", False),
    ],
)
def test_an_idle_limit_starts_anew_on_progress(how: str, refresh_on: Any, in_time: bool) -> None:
    """Output counts unless only heartbeats are to."""
    program = limited(beats(20, how), TimeoutPolicy(idle_timeout=SOON * 2, refresh_on=refresh_on))
    if in_time:
        assert arun(program)["log"] == ["a"]
    else:
        with pytest.raises(NodeTimeoutError, match="idle timeout"):
            arun(program)


def test_progress_does_not_move_the_limit_of_the_whole_attempt() -> None:
    policy = TimeoutPolicy(run_timeout=SOON, idle_timeout=LATER)
    with pytest.raises(NodeTimeoutError, match="run timeout"):
        arun(limited(beats(20, "heartbeat"), policy))


def test_the_supersteps_of_a_nested_graph_are_progress() -> None:
    async def slow(state: Any) -> Any:
        await asyncio.sleep(SOON / 2)

    inner = line(*"uvwxyz", **dict.fromkeys("uvwxyz", slow))

    async def node(state: Any) -> Any:
        await aio.run(ask(inner, {"n": 1}))
        return {"log": ["a"]}

    assert arun(limited(node, TimeoutPolicy(idle_timeout=SOON * 2)))["log"] == ["a"]


def test_another_attempt_has_its_own_limit() -> None:
    attempts: list[int] = []

    async def node(state: Any) -> Any:
        attempts.append(1)
        if len(attempts) == 1:
            await hangs(state)
        return {"log": [len(attempts)]}

    policy = RetryPolicy(initial_interval=0, jitter=False)
    assert arun(limited(node, SOON, retry=(policy,)))["log"] == [2]


def test_what_a_node_does_after_its_time_is_not_looked_at() -> None:
    """Also if it swallows the cancellation and returns something."""

    async def node(state: Any) -> Any:
        try:
            await hangs(state)
        except asyncio.CancelledError:
            return {"log": ["too late"]}

    with pytest.raises(NodeTimeoutError):
        arun(limited(node, SOON))


def test_a_nodes_own_timeout_error_is_its_own() -> None:
    async def node(state: Any) -> Any:
        raise TimeoutError("the node's")

    with pytest.raises(TimeoutError, match="the node's") as caught:
        arun(limited(node, LATER))
    assert not isinstance(caught.value, NodeTimeoutError)


def test_a_send_may_bring_its_own_limit() -> None:
    async def maybe(state: Any) -> Any:
        if state == "hang":
            await hangs(state)
        return {"log": [state]}

    program = small(
        {"a": lambda s: None, "w": maybe},
        branches={"a": lambda s: [Send("w", "quick"), Send("w", "hang", timeout=SOON)]},
        settings={"w": {"timeout": TimeoutPolicy(run_timeout=LATER)}},
    )
    with pytest.raises(NodeTimeoutError, match=r"0\.050s"):
        arun(program)
    node = program.nodes["w"]
    assert limits_of(Task(node, ("p",), (), EMPTY, timeout=3)) == TimeoutPolicy(run_timeout=3.0)
    assert limits_of(Task(node, ("p",), (), EMPTY)) == TimeoutPolicy(run_timeout=LATER)
    assert limits_of(Task(program.nodes["a"], ("p",), (), EMPTY)) is None


def test_without_an_event_loop_a_limit_is_refused() -> None:
    """Nothing could stop the node, and a limit that does not limit is worse than none."""
    with pytest.raises(ConfigError, match="Node timeouts are only supported for async nodes"):
        sync.run(ask(limited(logs("a"), LATER), {}))


def test_heartbeats_may_come_from_other_threads() -> None:
    async def node(state: Any, runtime: Runtime[None]) -> Any:
        for _ in range(6):
            await asyncio.sleep(SOON / 2)
            thread = threading.Thread(target=runtime.heartbeat)
            thread.start()
            thread.join()
        return {"log": ["a"]}

    assert arun(limited(node, TimeoutPolicy(idle_timeout=SOON * 2)))["log"] == ["a"]


def test_chunks_still_reach_the_reader() -> None:
    async def main() -> Any:
        program = limited(beats(2, "writer"), TimeoutPolicy(idle_timeout=LATER))
        return [chunk async for chunk in aio.stream(ask(program, {}, modes=modes("custom")))]

    assert leaping_run(main()) == [((), "custom", "chunk")] * 2
