"""Graphs whose nodes remember: in the store, and by results that are used again."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict

from distgraph import END, START, StateGraph
from distgraph.cache.memory import InMemoryCache
from distgraph.config import get_store
from distgraph.runtime import Runtime
from distgraph.store.base import BaseStore
from distgraph.store.memory import InMemoryStore
from distgraph.types import CachePolicy


@dataclass
class Visit:
    """A type that the schema names: items may hold it."""

    number: int


class Guest(TypedDict, total=False):
    name: str
    visit: Visit
    seen: Annotated[list[str], operator.add]


def greet(state: Guest, *, store: BaseStore) -> Guest:
    """Count a guest's visits."""
    place = (("guests", state["name"]), "visits")
    found = store.get(*place)
    visit = Visit(found.value["visit"].number + 1 if found else 1)
    store.put(*place, {"visit": visit, "text": state["name"]})
    return {"visit": visit}


async def look(state: Guest, runtime: Runtime[Any]) -> Guest:
    """What others wrote, without waiting for it in an OS thread of the loop."""
    found = await runtime.store.asearch(("guests", state["name"]))
    return {"seen": [item.key for item in found]}


def nearest(state: Guest) -> Guest:
    """By meaning, as the graph's index says."""
    found = get_store().search(("guests",), query=state["name"], limit=1)
    return {"seen": [f"{found[0].namespace[1]} {found[0].score:.2f}"]}


def letters(texts: Sequence[str]) -> list[list[float]]:
    return [[float(text.count(letter)) for letter in "abcdefghijklmnopqrstuvwxyz-0123456789"] for text in texts]


_guests = StateGraph(Guest).add_sequence([greet, look, nearest]).add_edge(START, "greet")
guests = _guests.compile(name="guests", store=InMemoryStore(index={"dims": 37, "embed": letters, "fields": ["text"]}))


class Work(TypedDict, total=False):
    log: str  # a file that gets a line for each execution
    n: int
    result: int
    path: str


def costly(state: Work) -> Any:
    """Note that it ran; fail for negative numbers."""
    with Path(state["log"]).open("a", encoding="utf-8") as file:
        file.write(f"{state['n']} {os.getpid()}\n")
    if state["n"] < 0:
        raise ValueError("negative")
    return {"result": state["n"] * 2}


def branch(state: Work) -> str:
    return "even" if state["n"] % 2 == 0 else "odd"


_work = StateGraph(Work).add_node("costly", costly, cache_policy=CachePolicy(ttl=120))
_work.add_node("even", lambda state: {"path": "even"}).add_node("odd", lambda state: {"path": "odd"})
_work.add_edge(START, "costly").add_conditional_edges("costly", branch, ["even", "odd"])
_work.add_edge("even", END).add_edge("odd", END)
cached = _work.compile(name="cached-work", cache=InMemoryCache())
