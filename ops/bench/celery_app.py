"""The peer application: the suites' work as plain Celery tasks. Imported by its workers too."""

from __future__ import annotations

import os
from typing import Any

import redis
from celery import Celery

from ops.bench.workloads import burn, item_step_merged

URL = os.environ["BENCH_URL"]
DONE = "bench:done"

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(
    worker_prefetch_multiplier=16,  # short tasks: with 1 it would be slower
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    result_expires=600,
)
_client: redis.Redis | None = None


@app.task  # type: ignore[untyped-decorator]
def step(state: dict[str, Any]) -> dict[str, Any]:
    """One superstep of an item; its result in the backend is the checkpoint."""
    return item_step_merged(state)


@app.task  # type: ignore[untyped-decorator]
def last_step(state: dict[str, Any]) -> dict[str, Any]:
    """The last one, counted."""
    global _client
    result = item_step_merged(state)
    _client = _client or redis.Redis.from_url(URL)
    _client.incr(DONE)
    return result


@app.task  # type: ignore[untyped-decorator]
def noop(_: int) -> None:
    """Nothing, as a message."""


@app.task  # type: ignore[untyped-decorator]
def join(parts: list[Any]) -> int:
    """The body of a chord."""
    return len(parts)


@app.task(acks_late=True)  # type: ignore[untyped-decorator]
def burned(loops: int) -> int:
    """CPU work."""
    return burn(loops)
