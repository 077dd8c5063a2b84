"""Importing distgraph is cheap: what only some programs need is loaded when they need it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import distgraph

pytestmark = pytest.mark.unit

#: Never needed to build and run a graph in one process.
HEAVY = ("redis", "celery", "kombu", "pydantic", "msgpack", "click", "rich", "typing_extensions")


def loaded_by(code: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after ``code``."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


def test_importing_distgraph_loads_nothing_else_of_it() -> None:
    loaded = loaded_by("import distgraph")
    assert {name for name in loaded if name.startswith("distgraph.")} == set()
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "code",
    [
        "from distgraph import StateGraph, START, END, Send, Command, interrupt",
        "import distgraph.graph, distgraph.pregel, distgraph.types, distgraph.runtime",
        "from distgraph import START, StateGraph as G\nG(int).add_node('a', abs).add_edge(START, 'a').compile().invoke(1)",
    ],
)
def test_building_and_running_a_graph_loads_no_server_and_no_models(code: str) -> None:
    assert loaded_by(code).isdisjoint({*HEAVY, "asyncio"})


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert list(distgraph.__all__) == sorted(distgraph.__all__, key=str)
    for name in distgraph.__all__:
        assert getattr(distgraph, name) is not None
        assert name in dir(distgraph)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        distgraph.nothing
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("distgraph.graph").nothing


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("graph", ["StateGraph", "START", "END", "add_messages", "MessagesState", "CompiledStateGraph", "check"]),
        ("graph.message", ["MessagesState", "add_messages", "REMOVE_ALL_MESSAGES"]),
        ("graph.state", ["StateGraph", "CompiledStateGraph"]),
        ("pregel", ["NodeBuilder", "Pregel"]),
    ],
)
def test_names_are_where_people_look_for_them(module: str, names: list[str]) -> None:
    found = importlib.import_module(f"distgraph.{module}")
    assert all(getattr(found, name) is not None for name in names)
