"""Workflows of the functional API, for workers: ``--graphs tests.graphs.flows``.

Workflow    What it is for
----------  --------------------------------------------------------------
fans        so many tasks, all called before the first is waited for; may die in the middle
afans       the same with coroutines
tree        tasks that call tasks that call tasks
stubborn    a task that fails twice, with a retry policy
talks       a task that asks twice, after one that must run once
counts      remembers what it returned the last time
cached      a task whose results are kept
shares      tells which processes ran its tasks
waits       one async node that waits
several     three async nodes beside each other
"""

from __future__ import annotations

import asyncio
import operator
import os
import time
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.cache.memory import InMemoryCache
from distgraph.func import entrypoint, task
from distgraph.types import CachePolicy, RetryPolicy, interrupt


def _note(log: str, line: Any) -> None:
    if log:
        with Path(log).open("a", encoding="utf-8") as out:
            out.write(f"{line}\n")


def _die_once(mark: str) -> None:
    if mark and not Path(mark).exists():
        Path(mark).touch()
        os._exit(9)


@task
def double(n: int, log: str = "", kill: str = "", seconds: float = 0.0) -> int:
    time.sleep(seconds)
    _die_once(kill)
    _note(log, n)
    return 2 * n


@entrypoint()
def fans(given: dict[str, Any]) -> int:
    """`width` tasks; the caller may die after `dies_after` of them, or a task with number `deadly` before it returns."""
    log, kill = given.get("log", ""), given.get("kill", "")
    futures = [
        double(n, log, kill if n == given.get("deadly") else "", given.get("seconds", 0.0))
        for n in range(given["width"])
    ]
    total = 0
    for done, future in enumerate(futures):
        if done == given.get("dies_after"):
            _die_once(kill)
        total += int(future.result())
    return total


@task
async def adouble(n: int, log: str = "") -> int:
    await asyncio.sleep(0.05)
    _note(log, n)
    return 2 * n


@entrypoint()
async def afans(given: dict[str, Any]) -> int:
    log, half = given.get("log", ""), given["width"] // 2
    total: int = sum(await asyncio.gather(*(adouble(n, log) for n in range(half))))
    _die_once(given.get("kill", ""))
    rest: int = sum(await asyncio.gather(*(adouble(n, log) for n in range(half, given["width"]))))
    return total + rest


@task
def leaves(depth: int) -> int:
    return 1 if depth == 0 else sum(future.result() for future in [leaves(depth - 1), leaves(depth - 1)])


@entrypoint()
def tree(depth: int) -> int:
    return leaves(depth).result()  # type: ignore[no-any-return]


@task(retry_policy=RetryPolicy(max_attempts=3, initial_interval=0.01, jitter=False, retry_on=ValueError))
def fickle(log: str) -> int:
    _note(log, "tried")
    tries = len(Path(log).read_text().split())
    if tries < 3:
        raise ValueError(f"try {tries}")
    return tries


@entrypoint()
def stubborn(log: str) -> int:
    return fickle(log).result()  # type: ignore[no-any-return]


@task
def asks(log: str) -> str:
    _note(log, "asks")
    return f"{interrupt('name?')}, {interrupt('age?')}"


@entrypoint()
def talks(log: str) -> list[Any]:
    first = double(3, log).result()
    return [first, asks(log).result(), interrupt("sure?")]


@entrypoint()
def counts(by: int, *, previous: int | None = None) -> entrypoint.final[int, int]:
    return entrypoint.final(value=previous or 0, save=(previous or 0) + by)


@task(cache_policy=CachePolicy())
def slowly(n: int, log: str) -> int:
    _note(log, n)
    return n


@entrypoint(cache=InMemoryCache())
def cached(given: tuple[int, str]) -> list[int]:
    return [slowly(*given).result(), slowly(*given).result()]


class State(TypedDict, total=False):
    x: int
    seconds: float
    kill: str
    log: str
    trail: Annotated[list[str], operator.add]


async def wait(state: State) -> State:
    """Its log tells of one more that waits, and then of one less."""
    _note(state.get("log", ""), 1)
    await asyncio.sleep(state.get("seconds", 0.05))
    _note(state.get("log", ""), -1)
    _die_once(state.get("kill", ""))
    return {"trail": [f"waited {state['x']}"]}


waits = StateGraph(State).add_node("wait", wait).add_edge(START, "wait").add_edge("wait", END).compile(name="waits")


def build_several() -> Any:
    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, wait).add_edge(START, name).add_edge(name, END)
    return builder.compile(name="several")


several = build_several()


@task
def where(seconds: float, log: str = "", stop: str = "") -> int:
    """The process that ran it; the first one that comes to it with `stop` in another process than `stop` says dies."""
    time.sleep(seconds)
    if stop and stop != str(os.getpid()):
        _die_once(log + ".died")
    _note(log, os.getpid())
    return os.getpid()


@entrypoint()
def shares(given: dict[str, Any]) -> list[int]:
    """The processes that ran `width` tasks; with `kill` the first one that took some away dies of it."""
    stop = str(os.getpid()) if given.get("kill") else ""
    futures = [where(given["seconds"], given.get("log", ""), stop) for _ in range(given["width"])]
    return [future.result() for future in futures]
