"""CPU work: items of about 45 ms of Python on one slot, then on two. The value is how much faster two are.

The floor says what the machine can give at this moment: compare with it, not with 2. Besides, a worker that joins in
the middle of one large batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from distgraph.ledger.server import EmbeddedServer
from ops.bench import floors
from ops.bench.common import Case, Numbers
from ops.bench.machine import await_count, celery_workers
from ops.bench.workloads import burn

UNIT = "times as fast on two slots as on one"
BETTER = "higher"
BASELINES = ("floor",)
COLUMNS = (("one_s", "one slot s"), ("two_s", "two slots s"), ("serial_s", "serial loop s"))

_ITEMS, _ITEM_S = 64, 0.045
#: A worker joins: its throughput is counted over so many items, before and after.
_JOINING = "a worker joins a running batch"


def cases() -> list[Case]:
    """The same items for all."""
    work = f"{_ITEMS} items of {_ITEM_S * 1000:g} ms"
    return [*(Case(work, engine) for engine in ("distgraph", "celery", "floor")), Case(_JOINING, "distgraph")]


def measure(case: Case) -> Numbers:
    """One slot and two slots, one right after the other, beside a loop in this process."""
    loops = int(20_000 * _ITEM_S / min(_seconds(lambda: burn(20_000)) for _ in range(9)))
    serial = _seconds(lambda: [burn(loops) for _ in range(_ITEMS)])
    if case.name == _JOINING:
        return {**_joining(loops), "serial_s": serial}
    rig = {"distgraph": _distgraph, "celery": _celery, "floor": _floor}[case.engine]
    took = []
    with EmbeddedServer(persistence="memory") as server:
        for slots in (1, 2):
            with rig(server.url, slots) as run:
                run(1000, 2 * slots)
                began = time.perf_counter()
                run(loops, _ITEMS)
                took.append(time.perf_counter() - began)
    return {"value": took[0] / took[1], "one_s": took[0], "two_s": took[1], "serial_s": serial}


def _seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


@contextmanager
def _distgraph(_: str, slots: int) -> Iterator[Callable[[int, int], None]]:
    from distgraph.cluster import Cluster
    from ops.bench.graphs import cpu as graph

    with Cluster.embedded(workers=1, concurrency=slots, graphs=["ops.bench.graphs"], persistence="memory") as cluster:
        remote = cluster.bind(graph)

        def run(loops: int, items: int) -> None:
            batch = remote.submit_batch([{"loops": loops}] * items)
            await_count(lambda: batch.status().done, items)

        yield run


def _joining(loops: int) -> Numbers:
    """One batch from beginning to end: a portion of it with one worker, a portion after another has joined."""
    from distgraph.cluster import Cluster
    from ops.bench.graphs import cpu as graph

    with Cluster.embedded(workers=1, graphs=["ops.bench.graphs"], persistence="memory") as cluster:
        batch = cluster.bind(graph).submit_batch([{"loops": loops}] * 6 * _ITEMS)
        await_count(lambda: batch.status().done, _ITEMS // 2)
        took = [_portion(batch)]
        cluster.add_worker()
        await_count(lambda: sum(worker.busy for worker in cluster.workers()), 2)
        took.append(_portion(batch))
        batch.cancel()
    return {"value": took[0] / took[1], "one_s": took[0], "two_s": took[1]}


def _portion(batch: Any) -> float:
    done = batch.status().done
    return _seconds(lambda: await_count(lambda: batch.status().done, done + _ITEMS))


@contextmanager
def _celery(url: str, slots: int) -> Iterator[Callable[[int, int], None]]:
    from celery import chord

    with celery_workers(url, "prefork", 1, slots) as app:

        def run(loops: int, items: int) -> None:
            chord([app.burned.s(loops) for _ in range(items)])(app.join.s()).get(timeout=100)

        yield run


@contextmanager
def _floor(url: str, slots: int) -> Iterator[Callable[[int, int], None]]:
    with floors.workers(url, floors.run_burns, "", slots) as client:

        def run(loops: int, items: int) -> None:
            client.lpush(floors.QUEUE, *[loops] * items)
            for _ in range(items):
                client.brpop([floors.JOINED])

        yield run
