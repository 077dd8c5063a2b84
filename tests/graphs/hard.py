"""Graphs that are hard on whoever runs them, for workers: ``--graphs tests.graphs.hard``.

poison     START -> before -> risky -> after -> END     `risky` kills its process if its item says how
gate       START -> first -> wait -> last -> END        `wait` takes until a file exists: the test decides when
needs      START -> first -> needs -> END               `needs` fails while a file does not exist
raises     START -> work -> END                         `work` raises what its item says
unstorable START -> work -> END                         `work` returns what no codec takes
coroutines START -> (one, two) -> join -> END           all nodes are async
polls      START -> (left, right) -> END                both ask a person at the same time
amounts    START -> amount -> END                       `amount` asks for a whole number
tries      START -> try_it -> END                       `try_it` fails so often, and half a second lies between attempts
pays       START -> prepare -> pay -> END               `pay` kills its process after an effect that must not be repeated
slow       START -> slow or quick -> END                `slow` may take 0.3 seconds; `quick` a minute, and takes no time
exits      START -> work -> END                         `work` ends its thread of control in other ways than raising
"""

from __future__ import annotations

import asyncio
import operator
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from distgraph import END, START, StateGraph
from distgraph.runtime import Runtime
from distgraph.types import Command, RetryPolicy, interrupt


def note(path: str, line: str) -> None:
    """Append a line to a file; what was written survives the death of the process."""
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


# ------------------------------------------------------------------ poison


class Poison(TypedDict, total=False):
    index: int
    how: str  # "" harmless, else a way to die
    log: str  # file that gets a line for each attempt of `risky`
    trail: Annotated[list[str], operator.add]


def before(state: Poison) -> Poison:
    return {"trail": ["before"]}


def risky(state: Poison) -> Poison:
    if state.get("log"):
        note(state["log"], str(state["index"]))
    how = state.get("how", "")
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "abort":
        os.abort()
    if how == "group":
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the worker too
    return {"trail": ["risky"]}


def after(state: Poison) -> Poison:
    return {"trail": ["after"]}


def build_poison() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Poison)
    builder.add_sequence([before, risky, after])
    builder.add_edge(START, "before")
    return builder


# ------------------------------------------------------------------ gate


class Gate(TypedDict, total=False):
    file: str  # `wait` ends when it exists
    log: str  # file that gets a line when `wait` begins
    steps: Annotated[list[str], operator.add]


def first(state: Gate) -> Gate:
    return {"steps": ["first"]}


def wait(state: Gate) -> Gate:
    if state.get("log"):
        note(state["log"], f"{os.getpid()}")
    while not Path(state["file"]).exists():
        time.sleep(0.005)
    return {"steps": ["wait"]}


def last(state: Gate) -> Gate:
    return {"steps": ["last"]}


def build_gate() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Gate)
    builder.add_sequence([first, wait, last])
    builder.add_edge(START, "first")
    return builder


# ------------------------------------------------------------------ needs


def first_noted(state: Gate) -> Gate:
    note(state["log"], "first")
    return {"steps": ["first"]}


def needs(state: Gate) -> Gate:
    if not Path(state["file"]).exists():
        raise FileNotFoundError(state["file"])
    return {"steps": ["needs"]}


def build_needs() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Gate)
    builder.add_node("first", first_noted)
    builder.add_node(needs)
    builder.add_edge(START, "first")
    builder.add_edge("first", "needs")
    return builder


# ------------------------------------------------------------------ raises


class OwnError(Exception):
    """An exception whose class whoever waits can import."""


class Raises(TypedDict, total=False):
    kind: str
    done: str


def work_raises(state: Raises) -> Raises:
    kind = state.get("kind", "")
    if kind == "value":
        raise ValueError(f"no such thing as {kind}")
    if kind == "own":
        raise OwnError("mine", 7)
    if kind == "local":

        class HiddenError(Exception):
            """Nobody else can import this."""

        raise HiddenError("out of sight")
    if kind == "secret":
        raise RuntimeError("password=hunter2 was refused")
    return {"done": "yes"}


def build_raises() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Raises)
    builder.add_node("work", work_raises)
    builder.add_edge(START, "work")
    return builder


# ------------------------------------------------------------------ unstorable


class Unstorable(TypedDict, total=False):
    kind: str
    value: Any


def work_unstorable(state: Unstorable) -> Unstorable:
    values: dict[str, Any] = {"lock": threading.Lock(), "lambda": lambda: None, "file": sys.stdin, "module": os}
    return {"value": {"deep": [values[state["kind"]]]}}


def build_unstorable() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Unstorable)
    builder.add_node("work", work_unstorable)
    builder.add_edge(START, "work")
    return builder


# ------------------------------------------------------------------ coroutines


class Coroutines(TypedDict, total=False):
    n: int
    parts: Annotated[list[int], operator.add]
    total: int


async def one(state: Coroutines) -> Coroutines:
    await asyncio.sleep(0)
    return {"parts": [state["n"]]}


async def two(state: Coroutines) -> Coroutines:
    await asyncio.sleep(0.001)
    return {"parts": [10 * state["n"]]}


async def join(state: Coroutines) -> Coroutines:
    return {"total": sum(state["parts"])}


async def where(state: Coroutines) -> Literal["again", "__end__"]:
    await asyncio.sleep(0)
    return "again" if state["total"] < 100 else END


async def again(state: Coroutines) -> Command[Literal["join"]]:
    return Command(goto="join", update={"parts": [100]})


def build_coroutines() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Coroutines)
    for node in (one, two, join, again):
        builder.add_node(node)
    builder.add_edge(START, "one")
    builder.add_edge(START, "two")
    builder.add_edge(["one", "two"], "join")
    builder.add_conditional_edges("join", where)
    return builder


# ------------------------------------------------------------------ polls


class Polls(TypedDict, total=False):
    answers: Annotated[list[str], operator.add]
    log: str


def left(state: Polls) -> Polls:
    return {"answers": [f"left {interrupt('left?')}"]}


def right(state: Polls) -> Polls:
    return {"answers": [f"right {interrupt('right?')}"]}


def middle(state: Polls) -> Polls:
    """Asks nobody: it must not run again when the others are answered."""
    if state.get("log"):
        note(state["log"], "middle")
    return {"answers": ["middle"]}


def amount(state: Polls) -> Polls:
    return {"answers": [f"{interrupt('how much?', response_schema=int):d}"]}


def build_amounts() -> StateGraph[Any, Any, Any, Any]:
    return StateGraph(Polls).add_node(amount).add_edge(START, "amount")


def build_polls() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Polls)
    for node in (left, right, middle):
        builder.add_node(node)
        builder.add_edge(START, node.__name__)
    return builder


# ------------------------------------------------------------------ retries


class Tries(TypedDict, total=False):
    failures: int
    log: str
    attempts: int


def try_it(state: Tries, runtime: Runtime[Any]) -> Tries:
    info = runtime.execution_info
    assert info is not None
    if state.get("log"):
        note(state["log"], f"{info.node_attempt} {time.time()} {runtime.idempotency_key}")
    if info.node_attempt <= state["failures"]:
        raise ConnectionError(f"attempt {info.node_attempt}")
    return {"attempts": info.node_attempt}


def build_tries() -> StateGraph[Any, Any, Any, Any]:
    """Every attempt waits half a second: long enough to see where it waits."""
    patience = RetryPolicy(
        initial_interval=0.5, backoff_factor=1.0, max_attempts=4, jitter=False, retry_on=ConnectionError
    )
    builder = StateGraph(Tries)
    builder.add_node("try_it", try_it, retry_policy=patience)
    builder.add_edge(START, "try_it")
    return builder


# ------------------------------------------------------------------ pays


class Pays(TypedDict, total=False):
    index: int
    crashes: int  # how often `pay` kills its process after it has paid
    log: str
    receipt: str
    keys: Annotated[list[str], operator.add]


def prepare(state: Pays) -> Pays:
    return {}


def pay(state: Pays, runtime: Runtime[Any]) -> Pays:
    """An effect that must not be repeated, recorded under the task's key; then, at first, death."""

    def charge() -> str:
        note(state["log"], f"{state['index']} charged")
        return f"receipt {state['index']}"

    receipt = runtime.once("charge", charge)
    note(state["log"], f"{state['index']} attempt {runtime.idempotency_key}")
    attempts = Path(state["log"]).read_text().count(f"{state['index']} attempt ")
    if attempts <= state["crashes"]:
        os._exit(9)
    return {"receipt": receipt}


def build_pays() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Pays)
    builder.add_sequence([prepare, pay])
    builder.add_edge(START, "prepare")
    return builder


# ------------------------------------------------------------------ slow


class Slow(TypedDict, total=False):
    seconds: float
    done: bool


async def slow(state: Slow) -> Slow:
    await asyncio.sleep(state["seconds"])
    return {"done": True}


def by_length(state: Slow) -> Literal["slow", "quick"]:
    return "slow" if state["seconds"] else "quick"


def build_slow() -> StateGraph[Any, Any, Any, Any]:
    """However busy the machine is, one of the nodes is always too late, and the other one never."""
    builder = StateGraph(Slow)
    builder.add_node("slow", slow, timeout=0.3)
    builder.add_node("quick", slow, timeout=60.0)
    builder.add_conditional_edges(START, by_length)
    return builder


# ------------------------------------------------------------------ exits


class Exits(TypedDict, total=False):
    how: str


def work_exits(state: Exits) -> Exits:
    if state["how"] == "sys.exit":
        sys.exit(1)
    if state["how"] == "keyboard":
        raise KeyboardInterrupt
    if state["how"] == "recursion":
        return work_exits(state)
    raise MemoryError("as if there were none left")


def build_exits() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(Exits)
    builder.add_node("work", work_exits)
    builder.add_edge(START, "work")
    return builder


poison = build_poison().compile(name="poison")
needs_file = build_needs().compile(name="needs")
gate = build_gate().compile(name="gate")
raises = build_raises().compile(name="raises")
unstorable = build_unstorable().compile(name="unstorable")
coroutines = build_coroutines().compile(name="coroutines")
polls = build_polls().compile(name="polls")
amounts = build_amounts().compile(name="amounts")
tries = build_tries().compile(name="tries")
pays = build_pays().compile(name="pays")
slow_graph = build_slow().compile(name="slow")
exits = build_exits().compile(name="exits")
