"""How Celery's prefork pool ends: its processes go as soon as they have nothing left to say.

By itself each of them sleeps for a second before it ends, its parent looks every half a second whether one has said
something, and half a second more goes by when all are gone. A worker that is told to stop would mostly sleep.
"""

from __future__ import annotations

import os
import time
from typing import Any

import billiard.pool
from celery import signals
from celery.concurrency import asynpool

#: How often a parent that ends looks whether one of its processes has said something. Seconds.
LOOK_SECONDS = 0.02


def let_children_go() -> None:
    """Have this worker's pool end soon.

    A process that is told to end waits until its parent has read all it said: 0.5 s instead of 30. While the worker stops, the
    parent forgets the jobs that it has handed out and not yet seen begin, and reads no more of them: such a process would
    wait in vain. Nothing hangs on what it said, for the ledger knows what was done.
    """
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 5
    asynpool.sleep = lambda seconds: time.sleep(min(seconds, LOOK_SECONDS))


def leave_at_once() -> None:
    """For a process of the pool, when it begins: let it end without a last second of sleep.

    Called that late, so that whatever else was to be done when it ends is done first.
    """
    signals.worker_process_shutdown.connect(_leave, weak=False)


def _leave(exitcode: int, **_: Any) -> None:
    os._exit(exitcode)


def end(pool: Any) -> None:
    """Wait until the processes of a prefork pool have ended what they run.

    Celery has an OS thread beside that, for timers that nobody needs any more, and waits for its last half second.
    """
    if pool._pool is not None:
        pool._pool.close()
        pool._pool.join()
        pool._pool = None
