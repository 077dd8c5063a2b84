"""A superstep's barrier: n tasks that do nothing, then a join, round after round, on two worker slots.

Beside it a Celery chord of the same width with results in Redis, redis-py in two processes, and the peer in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from distgraph.ledger.server import EmbeddedServer
from ops.bench import floors
from ops.bench.common import Case, Numbers, quantile
from ops.bench.machine import TWO_SLOTS, CallCounter, ServerMeter, celery_workers
from ops.bench.workloads import api_of, barrier_graph

UNIT = "ms, p50"
BETTER = "lower"
BASELINES = ("celery prefork", "celery solo", "langgraph memory")
COLUMNS = (
    ("p99", "p99 ms"),
    ("tasks_s", "tasks/s"),
    ("calls", "calls/task"),
    ("all_calls", "with scripts'"),
    ("kb_in", "KB in/task"),
    ("server_us", "server us/task"),
)

#: Width -> rounds of one measurement.
_ROUNDS = {1: 100, 10: 50, 100: 15, 1000: 5}
_ENGINES = [
    *(f"distgraph {placement}" for placement in ("auto", "local", "spread")),
    *("celery prefork", "celery solo", "floor naive", "floor batched", "langgraph memory"),
]

#: (width, rounds) -> seconds of each round; of a run that does them all, from the second one on.
Run = Callable[[int, int], list[float]]


def cases() -> list[Case]:
    """Widths 1 to 1,000; and a run of one round from its submission to its result."""
    found = [Case(f"n={n}", engine, {"n": n, "rounds": rounds}) for n, rounds in _ROUNDS.items() for engine in _ENGINES]
    whole = {"n": 1, "rounds": 50, "whole": True}
    return [*found, *(Case("n=1, submit to result", engine, whole) for engine in ("distgraph auto", "celery prefork"))]


def measure(case: Case) -> Numbers:
    """Milliseconds of a round."""
    n, rounds, (engine, kind) = case.options["n"], case.options["rounds"], case.engine.split()
    rig = {"distgraph": _distgraph, "celery": _celery, "floor": _floor, "langgraph": _in_process}[engine]
    with rig(kind, bool(case.options.get("whole"))) as (url, run):
        run(n, 3)  # warm
        if not url:
            return _summed(run(n, rounds), n)
        with ServerMeter(url) as meter:
            seconds = run(n, rounds)
        with CallCounter(url) as counter:
            run(n, counted := max(2, rounds // 5))
    return {**_summed(seconds, n), **meter.per(rounds * (n + 1)), **counter.per(counted * (n + 1))}


def _summed(seconds: list[float], n: int) -> Numbers:
    return {
        "value": quantile(seconds, 0.5) * 1e3,
        "p99": quantile(seconds, 0.99) * 1e3,
        "tasks_s": len(seconds) * (n + 1) / sum(seconds),
    }


@contextmanager
def _distgraph(placement: Any, whole: bool) -> Iterator[tuple[str, Run]]:
    from distgraph.cluster import Cluster
    from ops.bench.graphs import barrier as graph

    cluster = Cluster.embedded(workers=1, concurrency=2, graphs=["ops.bench.graphs"], persistence="memory")
    with cluster:
        remote = cluster.bind(graph, placement=placement)

        def one_run(n: int, rounds: int) -> list[float]:
            return _between(remote, n, rounds, {"recursion_limit": 2 * rounds + 10})

        def many_runs(n: int, rounds: int) -> list[float]:
            return _timed(lambda: remote.invoke({"left": 1, "width": n, "marks": []}), rounds)

        yield cluster.server.url, many_runs if whole else one_run


@contextmanager
def _celery(pool: str, _: bool) -> Iterator[tuple[str, Run]]:
    from celery import chord

    processes, slots = TWO_SLOTS[pool]
    with EmbeddedServer(persistence="memory") as server, celery_workers(server.url, pool, processes, slots) as app:

        def once(n: int) -> None:
            found = chord([app.noop.s(index) for index in range(n)])(app.join.s()).get(timeout=100)
            assert found == n

        yield server.url, lambda n, rounds: _timed(lambda: once(n), rounds)


@contextmanager
def _floor(kind: str, _: bool) -> Iterator[tuple[str, Run]]:
    with (
        EmbeddedServer(persistence="memory") as server,
        floors.workers(server.url, floors.run_barriers, kind) as client,
    ):

        def once(n: int) -> None:
            with client.pipeline(transaction=False) as pipe:
                pipe.set(floors.OPEN, n)
                pipe.lpush(floors.QUEUE, *range(n))
                pipe.execute()
            client.brpop([floors.JOINED])

        yield server.url, lambda n, rounds: _timed(lambda: once(n), rounds)


@contextmanager
def _in_process(_: str, __: bool) -> Iterator[tuple[str, Run]]:
    api = api_of("langgraph")
    graph = barrier_graph(api).compile(checkpointer=api.InMemorySaver())

    def run(n: int, rounds: int) -> list[float]:
        config: Any = {"configurable": {"thread_id": f"{n}-{rounds}"}, "recursion_limit": 2 * rounds + 10}
        return _between(graph, n, rounds, config)

    yield "", run


def _between(graph: Any, n: int, rounds: int, config: Any) -> list[float]:
    """From join to join, on the clock of whoever joins: the first round has the way to the worker in it."""
    marks = graph.invoke({"left": rounds, "width": n, "marks": []}, config)["marks"]
    assert len(marks) == rounds
    return [after - before for before, after in pairwise(marks)]


def _timed(once: Callable[[], Any], rounds: int) -> list[float]:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - began)
    return seconds
