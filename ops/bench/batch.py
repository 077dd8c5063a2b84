"""A batch on two worker slots: items of about 1 KB through five supersteps, a durable checkpoint after each.

Beside it a Celery chain of five with the same work (each result in the backend is its checkpoint), what redis-py can do
in two processes, and the peer's batch in one process with checkpoints in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distgraph.ledger.server import EmbeddedServer
from ops.bench import floors
from ops.bench.common import Case, Numbers, Skip
from ops.bench.machine import TWO_SLOTS, CallCounter, Persistence, ServerMeter, await_count, celery_workers
from ops.bench.workloads import ITEM_STEPS, api_of, batch_graph, item

UNIT = "steps/s"
BETTER = "higher"
BASELINES = ("celery prefork", "celery solo")
COLUMNS = (
    ("submit_s", "submit s"),
    ("calls", "calls/step"),
    ("all_calls", "with scripts'"),
    ("kb_in", "KB in/step"),
    ("kb_kept", "KB kept/step"),
    ("server_us", "server us/step"),
)

#: Submits so many items; what comes back counts those that are done, and looks at the results.
Submit = Callable[[int], tuple[Callable[[], int], Callable[[], None]]]
#: Commands are counted over so many items, apart from what is timed.
_COUNTED = 500

_ON_SERVER = [
    *(f"distgraph {pool}" for pool in TWO_SLOTS),
    *(f"celery {pool}" for pool in TWO_SLOTS),
    *(f"floor {kind}" for kind in ("naive", "sticky", "batched")),
]


def cases() -> list[Case]:
    """1,000 and 10,000 items, without and with an append-only file."""
    found = []
    for items in (1000, 10_000):
        for label, persistence in (("", "memory"), (", AOF", "standard")):
            engines = [*_ON_SERVER, "langgraph memory"] if persistence == "memory" else _ON_SERVER
            options = {"items": items, "persistence": persistence}
            found += [Case(f"{items:,} items{label}", engine, options) for engine in engines]
    return found


def measure(case: Case) -> Numbers:
    """Steps per second from the first submission to the last result, and what they cost the server."""
    items, (engine, kind) = case.options["items"], case.engine.split()
    if engine == "langgraph":
        return _in_process(items)
    rig = {"distgraph": _distgraph, "celery": _celery, "floor": _floor}[engine]
    with rig(kind, case.options["persistence"]) as (url, submit):
        warm, _ = submit(200)
        await_count(warm, 200)
        with ServerMeter(url) as meter:
            began = time.perf_counter()
            done, check = submit(items)
            submitted = time.perf_counter() - began
            await_count(done, items)
            seconds = time.perf_counter() - began
        check()
        with CallCounter(url) as counter:
            done, _ = submit(_COUNTED)
            # looking costs calls: one look when it is over, as near as can be
            time.sleep(2 * seconds * _COUNTED / items + 0.5)
            if (found := done()) < _COUNTED:
                raise Skip(f"{found} of {_COUNTED} items done in the counted run: the machine is too busy")
    steps = items * ITEM_STEPS
    return {
        "value": steps / seconds,
        "submit_s": submitted,
        **meter.per(steps),
        **counter.per(_COUNTED * ITEM_STEPS),
    }


@contextmanager
def _distgraph(pool: str, persistence: Persistence) -> Iterator[tuple[str, Submit]]:
    from distgraph.cluster import Cluster
    from ops.bench.graphs import batch as graph

    processes, slots = TWO_SLOTS[pool]
    cluster = Cluster.embedded(
        workers=processes, concurrency=slots, pool=pool, graphs=["ops.bench.graphs"], persistence=persistence
    )
    with cluster:
        remote = cluster.bind(graph)

        def submit(count: int) -> tuple[Callable[[], int], Callable[[], None]]:
            batch = remote.submit_batch(item(index) for index in range(count))

            def check() -> None:
                found = {result.index: result.value["x"] for result in batch.results()}
                assert found == {index: index + ITEM_STEPS for index in range(count)}

            return lambda: batch.status().done, check

        yield cluster.server.url, submit


@contextmanager
def _celery(pool: str, persistence: Persistence) -> Iterator[tuple[str, Submit]]:
    import redis
    from celery import chain

    processes, slots = TWO_SLOTS[pool]
    with (
        EmbeddedServer(persistence=persistence) as server,
        celery_workers(server.url, pool, processes, slots) as app,
        redis.Redis.from_url(server.url) as client,
    ):

        def submit(count: int) -> tuple[Callable[[], int], Callable[[], None]]:
            client.delete(app.DONE)
            following = [app.step.s() for _ in range(ITEM_STEPS - 2)]
            last = [
                chain(app.step.s(item(index)), *following, app.last_step.s()).apply_async() for index in range(count)
            ][-1]

            def check() -> None:
                assert last.get(timeout=10)["x"] == count - 1 + ITEM_STEPS

            return lambda: int(client.get(app.DONE) or 0), check

        yield server.url, submit


@contextmanager
def _floor(kind: str, persistence: Persistence) -> Iterator[tuple[str, Submit]]:
    with (
        EmbeddedServer(persistence=persistence) as server,
        floors.workers(server.url, floors.run_items, kind) as client,
    ):

        def submit(count: int) -> tuple[Callable[[], int], Callable[[], None]]:
            client.delete(floors.DONE)
            floors.submit_items(client, (item(index) for index in range(count)))
            return lambda: int(client.get(floors.DONE) or 0), lambda: None

        yield server.url, submit


def _in_process(items: int) -> Numbers:
    api = api_of("langgraph")
    graph = batch_graph(api).compile(checkpointer=api.InMemorySaver())
    configs: list[Any] = [{"configurable": {"thread_id": f"t{index}"}, "max_concurrency": 8} for index in range(items)]
    graph.batch([item(0)] * 20, [{"configurable": {"thread_id": f"warm-{index}"}} for index in range(20)])
    began = time.perf_counter()
    found = graph.batch([item(index) for index in range(items)], configs)
    seconds = time.perf_counter() - began
    assert [state["x"] for state in found] == [index + ITEM_STEPS for index in range(items)]
    return {"value": items * ITEM_STEPS / seconds}
