"""Graphs whose nodes do not end by themselves, for workers: ``--graphs tests.graphs.limits``.

hangs      START -> work -> END             `work` may take 1 second and does not end, in the way its item says
mixed      START -> before -> risky -> END  `risky` is a coroutine that harms its process in the way its item says
beside     START -> before -> work -> END   `work` is a coroutine that waits, or does not let any other go on
fans       START -> work (x width) -> END   such coroutines beside each other in one superstep
waits      START -> first -> wait -> last   `wait` goes on until it is told to stop, or for good
loops      START -> count -> count ...      goes on for as long as its recursion limit lets it
leaves     START -> work -> END             `work` leaves something behind in its process
merges     START -> work -> END             the reducer of what `work` writes does not end
keyed      START -> work (x 2) -> END       coroutines with a limit; what names the cached result of one does not end
"""

from __future__ import annotations

import asyncio
import operator
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.cache.memory import InMemoryCache
from distgraph.errors import NodeError, NodeTimeoutError
from distgraph.runtime import Runtime
from distgraph.types import CachePolicy, RetryPolicy, Send, TimeoutPolicy
from tests.graphs.hard import note

#: Backtracks for longer than anybody waits, without giving the interpreter's lock away.
CATASTROPHE = (re.compile(r"(a+)+$"), "a" * 64 + "b")
#: MiB that a greedy node takes, at most; a limit must be below.
GREED = 1024


def hold_the_lock() -> None:
    """Never return, and let no other OS thread of this process run."""
    pattern, text = CATASTROPHE
    pattern.match(text)


def read_from_nobody() -> None:
    """Wait for bytes on a connection whose other end is silent."""
    ours, theirs = socket.socketpair()
    ours.recv(1)
    theirs.close()


class Hangs(TypedDict, total=False):
    how: str
    log: str
    done: bool


def work_hangs(state: Hangs, runtime: Runtime[Any]) -> Hangs:
    assert runtime.execution_info is not None
    note(state["log"], f"{runtime.execution_info.node_attempt}")
    if state["how"] == "sleep":
        while True:
            time.sleep(0.01)
    if state["how"] == "read":
        read_from_nobody()
    if state["how"] == "lock":
        hold_the_lock()
    if state["how"] == "second" and runtime.execution_info.node_attempt == 1:
        hold_the_lock()
    return {"done": True}


def build_hangs(**options: Any) -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Hangs)
    builder.add_node("work", work_hangs, placement="spread", **options)
    builder.add_edge(START, "work")
    return builder.add_edge("work", END)


def beats(state: Hangs, runtime: Runtime[Any]) -> Hangs:
    """Shows signs of life for longer than it may be silent; `how` "silent": then none."""
    for _ in range(8):
        time.sleep(0.25)
        runtime.heartbeat()
    if state["how"] == "silent":
        hold_the_lock()
    return {"done": True}


def build_beats() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Hangs)
    builder.add_node("beats", beats, placement="spread", timeout=TimeoutPolicy(idle_timeout=1.0))
    builder.add_edge(START, "beats")
    return builder.add_edge("beats", END)


# ------------------------------------------------------------------ mixed


class Mixed(TypedDict, total=False):
    index: int
    how: str
    log: str
    began: float
    done: float


def begin(state: Mixed) -> Mixed:
    return {"began": time.time()}


async def risky(state: Mixed) -> Mixed:
    how = state.get("how", "")
    if how:
        note(state["log"], str(state["index"]))
        harm(how)
    # A little work, so that there is something to be slowed down.
    total = sum(range(2000))
    return {"done": time.time() + 0 * total}


def harm(how: str) -> None:
    """Harm this process."""
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "abort":
        os.abort()
    if how == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the worker too
    if how == "memory":
        kept = []
        for _ in range(GREED // 16):
            kept.append(bytearray(os.urandom(1) * (16 << 20)))
            time.sleep(0.01)
        time.sleep(60)
    if how == "hang":
        hold_the_lock()


def build_limited(
    schema: type[Any], first: Callable[[Any], Any], name: str, work: Callable[[Any], Any], timeout: float
) -> StateGraph[Any, Any, Any, Any]:
    """A node, and after it a coroutine with a time limit: when that begins, the item is in the middle of its slice."""
    builder = StateGraph(schema)
    builder.add_node(first)
    builder.add_node(name, work, timeout=timeout)
    builder.add_edge(START, first.__name__)
    builder.add_edge(first.__name__, name)
    return builder.add_edge(name, END)


# ----------------------------------------------------------------- beside


class Beside(TypedDict, total=False):
    at: int
    width: int
    bad: int  # this one holds the interpreter's lock
    done: Annotated[list[int], operator.add]


async def work_beside(state: Beside) -> Beside:
    # All have begun, and the first of them is the first whose time is over, when one begins to be in their way.
    await asyncio.sleep(0.3)
    if state["at"] == state["bad"]:
        hold_the_lock()
    await asyncio.sleep(0.2)
    return {"done": [state["at"]]}


def before(state: Beside) -> Beside:
    return {}


def build_fans() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Beside)
    builder.add_node("work", work_beside, timeout=2.5, error_handler=failed_beside)
    builder.add_conditional_edges(
        START, lambda state: [Send("work", {**state, "at": at}) for at in range(state["width"])], ["work"]
    )
    return builder.add_edge("work", END)


def failed_beside(state: Beside, error: NodeError) -> Beside:
    assert isinstance(error.error, NodeTimeoutError)
    return {"done": [-state["at"]]}


# ------------------------------------------------------------------ waits


class Waits(TypedDict, total=False):
    how: str  # "told": ends when it is cancelled; "stubborn": never; "coroutine": waits in an event loop
    log: str
    steps: list[str]


def first(state: Waits) -> Waits:
    return {"steps": ["first"]}


async def wait(state: Waits, runtime: Runtime[Any]) -> Waits:
    note(state["log"], f"began {os.getpid()}")
    if state["how"] == "coroutine":
        try:
            await asyncio.sleep(3600)
        finally:
            note(state["log"], "cancelled")
    while not (state["how"] == "told" and runtime.cancelled):
        time.sleep(0.01)
    note(state["log"], "told")
    return {"steps": ["wait"]}


def last(state: Waits) -> Waits:
    note(state["log"], "last")
    return {"steps": ["last"]}


def build_waits() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Waits)
    builder.add_sequence([first, wait, last])
    builder.add_edge(START, "first")
    return builder


# ------------------------------------------------------------------ loops


class Loops(TypedDict, total=False):
    n: int


def count(state: Loops) -> Loops:
    return {"n": state["n"] + 1}


def build_loops() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Loops)
    builder.add_node(count)
    builder.add_edge(START, "count")
    return builder.add_conditional_edges("count", lambda state: END if state["n"] > 1_000_000 else "count")


# ------------------------------------------------------------------ exits


class Leaves(TypedDict, total=False):
    how: str
    found: str


def work_leaves(state: Leaves) -> Leaves:
    how = state["how"]
    if how == "thread":
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    if how == "signals":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    if how == "chdir":
        os.chdir("/")
    handler = signal.getsignal(signal.SIGTERM)
    return {"found": "ignored" if handler is signal.SIG_IGN else "set", "how": f"{how} {Path.cwd()}"}


def build_leaves() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Leaves)
    builder.add_node("work", work_leaves)
    builder.add_edge(START, "work")
    return builder.add_edge("work", END)


# ----------------------------------------------------------------- merges


def endless(old: str, new: str) -> str:
    if new == "lock":
        hold_the_lock()
    while new == "sleep":
        time.sleep(0.01)
    return new


class Merges(TypedDict, total=False):
    how: str
    merged: Annotated[str, endless]


def work_merges(state: Merges) -> Merges:
    return {"merged": state["how"]}


def build_merges() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Merges)
    builder.add_node("work", work_merges)
    builder.add_edge(START, "work")
    return builder.add_edge("work", END)


# ------------------------------------------------------------------ keyed


def name_for_ever(state: Beside) -> str:
    if state["at"] == state["bad"]:
        hold_the_lock()
    return str(state["at"])


def build_keyed() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Beside)
    policy: CachePolicy[Any] = CachePolicy(key_func=name_for_ever)
    builder.add_node("work", work_keyed, timeout=2.5, cache_policy=policy, error_handler=failed_beside)
    builder.add_conditional_edges(
        START, lambda state: [Send("work", {**state, "at": at}) for at in range(state["width"])], ["work"]
    )
    return builder.add_edge("work", END)


async def work_keyed(state: Beside) -> Beside:
    return {"done": [state["at"]]}


hangs = build_hangs(timeout=1.0).compile(name="hangs")
hangs_again = build_hangs(
    timeout=1.0, retry_policy=RetryPolicy(initial_interval=0.1, max_attempts=2, jitter=False, retry_on=Exception)
).compile(name="hangs-again")
hangs_for_good = build_hangs().compile(name="hangs-for-good")
beats_graph = build_beats().compile(name="beats")
beside = build_limited(Beside, before, "work", work_beside, 2.5).compile(name="beside")
fans = build_fans().compile(name="fans")
mixed = build_limited(Mixed, begin, "risky", risky, 4.0).compile(name="mixed")
waits = build_waits().compile(name="waits")
loops = build_loops().compile(name="loops")
leaves = build_leaves().compile(name="leaves")
merges = build_merges().compile(name="merges")
keyed = build_keyed().compile(name="keyed", cache=InMemoryCache())
