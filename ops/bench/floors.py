"""What plain redis-py in two processes can do: no graph, no recovery, nothing that a crash would not lose.

* ``naive``: one task popped, one checkpoint and the next task written, for each step;
* ``sticky``: an item popped once, one checkpoint written for each step;
* ``batched``: up to 64 tasks popped at once, one write for all of them.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import redis

from ops.bench.workloads import ITEM_STEPS, burn, item_step_merged

QUEUE, DONE, OPEN, JOINED = "floor:queue", "floor:done", "floor:open", "floor:joined"
STOP = b"stop"
#: Tasks that a batched worker pops at once.
BUNDLE = 64


@contextmanager
def workers(url: str, target: Callable[[str, str], None], kind: str, count: int = 2) -> Iterator[redis.Redis]:
    """``count`` processes that run ``target(url, kind)``; gives a client."""
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=target, args=(url, kind), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    with redis.Redis.from_url(url) as client:
        try:
            yield client
        finally:
            for process in processes:
                # a batched worker would take the word meant for the other one too
                client.lpush(QUEUE, STOP)
                process.join(0.2)
            for process in processes:
                process.kill()
                process.join()
            client.delete(QUEUE)


def submit_items(client: redis.Redis, items: Iterator[dict[str, Any]]) -> None:
    """Queue items, 500 to a message."""
    packed = [msgpack.packb((index, 0, state)) for index, state in enumerate(items)]
    for at in range(0, len(packed), 500):
        client.lpush(QUEUE, *packed[at : at + 500])


def run_items(url: str, kind: str) -> None:
    """A worker that takes items through their steps."""
    client = redis.Redis.from_url(url)
    while (taken := _pop(client, kind)) and STOP not in taken:
        if kind == "sticky":
            _whole_item(client, taken[0])
        else:
            _one_step(client, taken)


def _whole_item(client: redis.Redis, data: bytes) -> None:
    name, _, state = msgpack.unpackb(data)
    for step in range(ITEM_STEPS):
        state = item_step_merged(state)
        with client.pipeline(transaction=False) as pipe:
            pipe.hset(f"floor:item:{name}", str(step), msgpack.packb(state))
            if step == ITEM_STEPS - 1:
                pipe.incr(DONE)
            pipe.execute()


def _one_step(client: redis.Redis, taken: list[bytes]) -> None:
    following, finished = [], 0
    with client.pipeline(transaction=False) as pipe:
        for data in taken:
            name, step, state = msgpack.unpackb(data)
            state = item_step_merged(state)
            pipe.hset(f"floor:item:{name}", str(step), msgpack.packb(state))
            if step + 1 < ITEM_STEPS:
                following.append(msgpack.packb((name, step + 1, state)))
            else:
                finished += 1
        if following:
            pipe.lpush(QUEUE, *following)
        if finished:
            pipe.incrby(DONE, finished)
        pipe.execute()


def run_barriers(url: str, kind: str) -> None:
    """A worker that counts tasks down; whoever takes the last one says so."""
    client = redis.Redis.from_url(url)
    while (taken := _pop(client, kind)) and STOP not in taken:
        if client.decrby(OPEN, len(taken)) == 0:
            client.lpush(JOINED, 1)


def run_burns(url: str, _: str) -> None:
    """A worker that burns CPU for each number it pops."""
    client = redis.Redis.from_url(url)
    while (taken := _pop(client, "naive")) and STOP not in taken:
        burn(int(taken[0]))
        client.lpush(JOINED, 1)


def _pop(client: redis.Redis, kind: str) -> list[bytes]:
    if kind == "batched":
        found: Any = client.blmpop(0, 1, QUEUE, direction="RIGHT", count=BUNDLE)
        return list(found[1])
    one: Any = client.brpop([QUEUE])
    return [one[1]]
