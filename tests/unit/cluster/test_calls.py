"""Tasks that nodes on workers call."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from distgraph.errors import CodecError, PoisonTaskError
from distgraph.func import entrypoint, task
from distgraph.runtime import Runtime, get_runtime
from distgraph.testing import die
from distgraph.types import RetryPolicy, interrupt
from tests.unit.cluster.small import cluster_of

pytestmark = pytest.mark.unit


def test_a_caller_that_is_tried_again_gets_its_results_back() -> None:
    ran: list[str] = []

    @task
    def one(name: str) -> str:
        ran.append(name)
        return name

    @entrypoint(retry_policy=RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False, retry_on=ValueError))
    def flow(given: str, runtime: Runtime[Any]) -> list[str]:
        first = one("a").result()
        if runtime.execution_info is not None and runtime.execution_info.node_attempt == 1:
            raise ValueError("between")
        return [first, one("b").result()]

    cluster = cluster_of(flow)
    run = cluster.submit(flow, "x")
    assert run.result(10) == ["a", "b"]
    assert ran == ["a", "b"]


@pytest.mark.parametrize("batch", [False, True])
def test_a_caller_whose_process_died_gets_its_results_back(batch: bool) -> None:
    ran: list[int] = []

    @task
    def one(n: int) -> int:
        ran.append(n)
        return n

    @entrypoint()
    def flow(width: int) -> int:
        total = sum(one(n).result() for n in range(width - 1))
        if cluster.deaths == 0:
            cluster.crash(next(slot for slot in cluster.slots if slot.busy))
        return total + one(width - 1).result()  # type: ignore[no-any-return]

    cluster = cluster_of(flow)
    if batch:
        items = cluster.submit_batch(flow, [3])
        cluster.run_until_idle()
        assert [item.value for item in items.results()] == [3]
    else:
        assert cluster.submit(flow, 3, log=False).result(10) == 3
    assert cluster.deaths == 1
    assert ran == [0, 1, 2, 2], "the last one's result was lost with its process"


@pytest.mark.parametrize("kind", ["auto", "spread", "batch"])
@pytest.mark.parametrize("poison", [False, True])
def test_deaths_count_against_a_workflow_where_no_task_ended_in_between(kind: str, poison: bool) -> None:
    """Five deaths, each one task further, are bad luck; three at one place are poison."""

    @task
    def one(n: int) -> int:
        return n

    @entrypoint()
    def flow(width: int) -> int:
        for n in range(width):
            one(n).result()
            if cluster.deaths == n or (poison and n == 2):
                die()
        return width

    cluster = cluster_of(flow)
    if kind == "batch":
        items = cluster.submit_batch(flow, [5])
        cluster.run_until_idle()
        found = next(iter(items.results()))
        assert (found.status, found.value) == (("failed", None) if poison else ("done", 5))
    else:
        run = cluster.submit(flow, 5, log=False, placement=cast(Any, kind))
        if poison:
            with pytest.raises(PoisonTaskError, match="3 worker processes died"):
                run.result(10)
        else:
            assert run.result(10) == 5
    assert cluster.deaths == 5


def test_coroutines() -> None:
    @task
    async def one(n: int) -> int:
        await asyncio.sleep(0)
        return n

    @entrypoint()
    async def flow(width: int) -> int:
        return sum(await asyncio.gather(*(one(n) for n in range(width))))

    cluster = cluster_of(flow)
    assert cluster.submit(flow, 5).result(10) == 10


def test_arguments_and_results_are_copies() -> None:
    @task
    def add(to: list[int]) -> list[int]:
        to.append(1)
        return to

    @entrypoint()
    def flow(given: list[int]) -> list[Any]:
        first = add(given).result()
        return [given, first, add(first).result(), first]

    cluster = cluster_of(flow)
    assert cluster.submit(flow, []).result(10) == [[], [1], [1, 1], [1]]


def test_what_cannot_be_stored() -> None:
    @task
    def called(fn: Any) -> int:
        return fn()  # type: ignore[no-any-return]

    @task
    def bad() -> Any:
        return lambda: 1

    @entrypoint()
    def flow(given: str) -> Any:
        return called(lambda: 7).result() if given == "argument" else bad().result()

    cluster = cluster_of(flow)
    assert cluster.submit(flow, "argument").result(10) == 7
    with pytest.raises(CodecError, match="bad"):
        cluster.submit(flow, "result").result(10)


def test_effects_of_tasks_have_a_key_of_their_own() -> None:
    """The same for every attempt, whatever checkpoint it began at; another for each call."""
    keys: list[str] = []

    @task
    def pays(n: int) -> int:
        keys.append(get_runtime().idempotency_key)
        if cluster.deaths == 0:
            cluster.crash(next(slot for slot in cluster.slots if slot.busy))
        return get_runtime().once("paid", lambda: n)

    @entrypoint()
    def flow(n: int) -> int:
        return pays(n).result() + pays(n).result()  # type: ignore[no-any-return]

    cluster = cluster_of(flow)
    items = cluster.submit_batch(flow, [3])
    cluster.run_until_idle()
    assert [item.value for item in items.results()] == [6]
    assert keys[0] == keys[1] != keys[2]


def test_a_task_that_asks_keeps_its_answers() -> None:
    @task
    def asks() -> list[Any]:
        return [interrupt("a?"), interrupt("b?")]

    @entrypoint()
    def flow(given: str) -> list[Any]:
        return [*asks().result(), interrupt("c?")]

    cluster = cluster_of(flow)
    run = cluster.submit(flow, "x")
    for answer in (1, 2, 3):
        assert len(run.result(10)["__interrupt__"]) == 1
        run.resume(answer)
    assert run.result(10) == [1, 2, 3]
