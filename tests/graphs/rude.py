"""A graph whose node does to its process what its item says, for workers: ``--graphs tests.graphs.rude``.

rude    START -> work -> after -> END
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any, TypedDict

from distgraph import END, START, StateGraph


class Rude(TypedDict, total=False):
    how: str
    zone: str
    done: list[str]


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("replaced by a node")


def replace(module: Any, *names: str) -> None:
    for name in names:
        setattr(module, name, broken)


def work(state: Rude) -> Rude:
    how = state["how"]
    if how == "bytes":
        sys.stdout.buffer.write(b"\xff\x00\x80\n")
        sys.stdout.flush()
        sys.stderr.buffer.write(b"\xfe\n")
        sys.stderr.flush()
    elif how == "text":
        print("\ud800\x00\x1b[31m", flush=True)  # noqa: T201
        sys.stderr.write("\udc80\n")
    elif how == "zone":
        os.environ["TZ"] = state["zone"]
        time.tzset()
    elif how == "json":
        replace(json, "dumps", "loads")
    elif how == "time":
        replace(time, "time", "sleep", "perf_counter")
    elif how == "socket":
        replace(socket, "socket", "create_connection", "getaddrinfo")
    elif how == "frozen":
        setattr(time, "time", lambda: 0.0)  # noqa: B010 - for mypy it is another function
        setattr(time, "monotonic", lambda: 0.0)  # noqa: B010
    elif how == "monotonic":
        replace(time, "monotonic")
    elif how == "getpid":
        replace(os, "getpid")
    return {"done": [how]}


def after(state: Rude) -> Rude:
    return {"done": [*state["done"], "after"]}


rude = (
    StateGraph(Rude)
    .add_node("work", work)
    .add_node("after", after)
    .add_edge(START, "work")
    .add_edge("work", "after")
    .add_edge("after", END)
    .compile(name="rude")
)
