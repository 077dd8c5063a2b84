"""Names of inputs: equal for equal ones, in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from distgraph.digests import digest_of, input_digest


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: int
    tags: set[str]


class Model(BaseModel):
    x: int = 1


class Plain:
    def __init__(self, x: Any) -> None:
        self.x = x


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x


class Text(str):
    pass


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"x", "y", "z"}, {"z", "y", "x"}),
        (Model(), Model(x=1)),
        (Point(1, {"a", "b"}), Point(1, {"b", "a"})),
        (Plain([Slotted(1)]), Plain([Slotted(1)])),
        ([1], (1,)),
    ],
)
def test_equal_inputs_have_one_name(one: Any, same: Any) -> None:
    assert input_digest(one) == input_digest(same)


def test_different_inputs_have_different_names() -> None:
    values: list[Any] = [
        *(None, True, 1, 1.0, "1", b"1", "", [], {}, [[]], [1], ["1"], ["a", "b"], ["a,b"], ["ab"], {1}, {"a": 1}),
        *({"a": {"b": 1}}, {"a:b": 1}, Color.RED, Color.BLUE, Model(), Model(x=2), Point(1, set()), Point(2, set())),
        *(Plain(1), Plain(2), Slotted(1), Slotted(2), Decimal(1), datetime(2030, 1, 1, tzinfo=UTC), Text("1")),
        *(deque([1]), OrderedDict(a=1), len, Plain, Color),
    ]
    assert len({input_digest(value) for value in values}) == len(values)


def test_names_hold_in_every_process() -> None:
    value = {"b": {"x", "y"}, "a": [1, 2.5, "é", None]}
    code = f"from distgraph.digests import *; v = {value!r}; print(input_digest(v), digest_of(v))"
    root = str(Path(__file__).resolve().parents[2])
    for seed in "12":
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [input_digest(value), digest_of(value)]


def test_what_has_no_contents_is_refused() -> None:
    with pytest.raises(TypeError, match="key_func"):
        input_digest({"a": object()})
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(TypeError, match="refers to itself"):
        input_digest(cycle)
