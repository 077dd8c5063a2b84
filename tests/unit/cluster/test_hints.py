"""Hints: ids only, plain JSON, and a task's place in its superstep as one text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distgraph.cluster.hints import BatchHint, Hint, NodeHint, RunHint, meant, path_from, path_text, queue_name
from distgraph.constants import PULL, PUSH
from distgraph.superstep.model import EMPTY, Task

pytestmark = pytest.mark.unit


def task(path: tuple[Any, ...], name: str) -> Task:
    """A task whose name and path are all that matters."""
    return Task(None, path, (), EMPTY, name=name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((PULL, "plan"), "plan"),
        ((PULL, "two words"), "two words"),
        ((PULL, "=odd"), "=odd"),
        ((PUSH, 0, False), "work"),
        ((PUSH, 41, False), "two words"),
        ((PUSH, 7, False), "8 is a number"),
    ],
)
def test_a_path_comes_back_from_its_text(path: tuple[Any, ...], name: str) -> None:
    assert path_from(path_text(task(path, name))) == (name, path)


@pytest.mark.parametrize(
    "hint",
    [
        RunHint("r", "t", "g", "f", 3, True),
        NodeHint("r", "t", "g", "f", 2, "head", [["id", [PULL, "a"]]], "a", 4, "gpu", 1),  # type: ignore[list-item]
        BatchHint("b", "g", "f", 2),
    ],
    ids=lambda hint: type(hint).__name__,
)
def test_a_hint_survives_json(hint: Hint) -> None:
    """As a Celery message carries it: its fields in order."""
    assert type(hint)(*json.loads(json.dumps(list(hint)))) == hint


def test_a_namespace_has_its_queue_and_each_node_queue_its_own() -> None:
    assert queue_name("shop") == "dg.shop"
    assert queue_name("shop", "gpu") == "dg.shop.gpu"


def test_what_hints_are_for() -> None:
    assert meant(RunHint("r", "t", "g", "f")) == ["r"]
    assert meant(BatchHint("b", "g", "f")) == ["b"]
    assert meant(NodeHint("r", "t", "g", "f", 1, "h", [("t1", []), ("t2", [])], "n +1", 2)) == ["t1", "t2"]
