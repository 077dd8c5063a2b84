"""Whether, and how long after a failure, a task is tried again."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from distgraph.engine import aio, sync
from distgraph.engine.retry import next_delay
from distgraph.errors import GraphInterrupt, NodeCancelledError
from distgraph.runtime import Runtime
from distgraph.types import RetryPolicy
from tests.unit.engine.small import ask, small

pytestmark = pytest.mark.unit

QUICK = RetryPolicy(initial_interval=0.0, jitter=False)


def test_waits_grow_up_to_a_limit() -> None:
    policy = RetryPolicy(initial_interval=1, backoff_factor=3, max_interval=5, max_attempts=10, jitter=False)
    waits = [next_delay([policy], ConnectionError(), attempt, 0.9) for attempt in (1, 2, 3, 4)]
    assert waits == [1, 3, 5, 5]


def test_waits_that_no_clock_can_wait_are_the_longest_or_none() -> None:
    """A float has an end after 1,024 doublings; a wait below nothing would fail in the node's place."""
    often = RetryPolicy(max_attempts=10_000, max_interval=0.5, jitter=False)
    assert next_delay([often], ConnectionError(), 2000, 0) == 0.5
    assert next_delay([RetryPolicy(initial_interval=-1, jitter=False)], ConnectionError(), 1, 0) == 0.0


def test_jitter_adds_the_callers_noise() -> None:
    """So that many failures do not come back together; up to a second."""
    assert next_delay([RetryPolicy(initial_interval=1)], ConnectionError(), 1, 0.25) == 1.25


def test_attempts_are_limited() -> None:
    assert next_delay([QUICK], ConnectionError(), 2, 0) == 0
    assert next_delay([QUICK], ConnectionError(), 3, 0) is None


def test_the_first_policy_that_covers_the_error_decides() -> None:
    """They share one count of attempts, as the failures of one task do."""
    keys = RetryPolicy(max_attempts=5, initial_interval=5, jitter=False, retry_on=KeyError)
    links = RetryPolicy(max_attempts=3, initial_interval=3, jitter=False, retry_on=[ConnectionError])
    assert next_delay([keys, links], KeyError(), 3, 0) == 20
    assert next_delay([keys, links], ConnectionError(), 3, 0) is None
    assert next_delay([keys, links], OSError(), 1, 0) is None


@pytest.mark.parametrize(
    "exc", [GraphInterrupt(), NodeCancelledError("n"), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_what_is_no_failure_is_never_retried(exc: BaseException) -> None:
    """Not even by a policy for everything."""
    assert next_delay([RetryPolicy(retry_on=lambda _: True)], exc, 1, 0) is None


def flaky(failures: int, seen: list[Any]) -> Any:
    def node(state: Any, runtime: Runtime[None]) -> Any:
        info = runtime.execution_info
        assert info is not None
        seen.append((info.node_attempt, info.node_first_attempt_time, runtime.idempotency_key))
        if len(seen) <= failures:
            raise ConnectionError(f"failure {len(seen)}")
        return {"n": len(seen)}

    return node


def run_both(program: Any, engine: str) -> Any:
    request = ask(program, {"n": 0})
    return sync.run(request) if engine == "sync" else asyncio.run(aio.run(request))


@pytest.mark.parametrize("engine", ["sync", "aio"])
def test_a_node_that_recovers_is_a_success(engine: str) -> None:
    """Every attempt knows its number, when the first began, and has the same idempotency key."""
    seen: list[Any] = []
    result = run_both(small({"a": flaky(2, seen)}, settings={"a": {"retry": (QUICK,)}}), engine)
    assert result.value["n"] == 3
    assert [attempt for attempt, _, _ in seen] == [1, 2, 3]
    assert len({(first, key) for _, first, key in seen}) == 1


@pytest.mark.parametrize("engine", ["sync", "aio"])
def test_a_node_that_does_not_recover_fails_with_its_last_error(engine: str) -> None:
    seen: list[Any] = []
    with pytest.raises(ConnectionError, match="failure 3"):
        run_both(small({"a": flaky(9, seen)}, settings={"a": {"retry": (QUICK,)}}), engine)
    assert len(seen) == 3


@pytest.mark.parametrize("engine", ["sync", "aio"])
def test_the_wait_is_as_long_as_the_policy_says(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(asyncio, "sleep", asleep)
    policy = RetryPolicy(initial_interval=7, backoff_factor=2, jitter=False)
    run_both(small({"a": flaky(2, [])}, settings={"a": {"retry": (policy,)}}), engine)
    assert slept == [7, 14]


def test_without_a_policy_there_is_one_attempt() -> None:
    seen: list[Any] = []
    with pytest.raises(ConnectionError):
        sync.run(ask(small({"a": flaky(1, seen)}), {"n": 0}))
    assert len(seen) == 1


def test_a_conditional_edge_that_fails_retries_its_node() -> None:
    """The edge is part of the task: the node's body runs again."""
    calls: list[str] = []

    def node(state: Any) -> Any:
        calls.append("node")

    def choose(state: Any) -> str:
        calls.append("choose")
        if len(calls) < 3:
            raise ConnectionError
        return "__end__"

    sync.run(ask(small({"a": node}, branches={"a": choose}, settings={"a": {"retry": (QUICK,)}}), {"n": 0}))
    assert calls == ["node", "choose", "node", "choose"]
