"""What is asked of Celery's and billiard's own parts; workers as such are tested with a real server."""

from __future__ import annotations

import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import billiard.pool
import pytest
from celery.concurrency import asynpool

from distgraph.cluster.celery.pool import LOOK_SECONDS, end, let_children_go

pytestmark = pytest.mark.unit


class Told:
    """A process of a pool that has said something its parent never reads."""

    on_ready_counter = type("Counter", (), {"value": 0})


def test_a_process_that_is_to_end_does_not_wait_for_a_parent_that_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT"
    monkeypatch.setattr(billiard.pool, limit, getattr(billiard.pool, limit))
    monkeypatch.setattr(asynpool, "sleep", asynpool.sleep)
    let_children_go()
    waiting: Any = billiard.pool.Worker._ensure_messages_consumed
    began = time.monotonic()
    assert waiting(Told(), completed=1) is False
    assert time.monotonic() - began < 5, "billiard looks elsewhere for how long to wait"


def test_a_parent_that_ends_looks_often_at_what_its_processes_say(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(billiard.pool, "GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT", 300)
    monkeypatch.setattr(asynpool, "sleep", asynpool.sleep)
    monkeypatch.setattr(time, "sleep", slept.append)
    let_children_go()
    silent = SimpleNamespace(fileno=lambda: 0, poll=lambda seconds: False)
    monkeypatch.setattr(asynpool, "setblocking", lambda *_: None)
    process = SimpleNamespace(outq=SimpleNamespace(_reader=silent))
    handler: Any = SimpleNamespace(_finish_partial_read=lambda *_: False)
    asynpool.ResultHandler._flush_outqueue(handler, 7, None, {7: process}, None)
    assert slept == [LOOK_SECONDS]


ENDS = """
from celery import signals
from distgraph.cluster.celery.pool import leave_at_once

signals.worker_process_shutdown.connect(lambda **_: print("said", flush=True), weak=False)
leave_at_once()
signals.worker_process_shutdown.send(sender="w", pid=1, exitcode=3)
print("went on")
"""


def test_a_process_ends_when_all_else_is_done() -> None:
    """What others have it do when it ends comes first."""
    ended = subprocess.run([sys.executable, "-c", ENDS], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "said\n", "")


def test_the_end_of_a_pool_is_waited_for_once() -> None:
    done: list[str] = []
    pool = SimpleNamespace(_pool=SimpleNamespace(close=lambda: done.append("close"), join=lambda: done.append("join")))
    end(pool)
    end(pool)
    assert done == ["close", "join"]
    assert pool._pool is None
