"""Any state a graph may hold becomes valid JSON."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from decimal import Decimal
from typing import Any

import pydantic
import pytest

from distgraph.cli.plain import dumps


@dataclasses.dataclass
class Point:
    x: int
    y: tuple[int, ...]


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    when: datetime.date


@pytest.mark.parametrize(
    ("value", "json_value"),
    [
        ({"a": [1, 2.5, None, True, "ä"]}, {"a": [1, 2.5, None, True, "ä"]}),
        ((1, {2}), [1, [2]]),
        ([float("nan"), float("inf"), -float("inf")], [None, None, None]),
        ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "[1, 2]": "c"}),
        (b"\x00\xff", "AP8="),
        (Point(1, (2, 3)), {"x": 1, "y": [2, 3]}),
        (Colour.RED, "red"),
        (Model(when=datetime.date(2026, 1, 2)), {"when": "2026-01-02"}),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "2026-01-02T03:04:00+00:00"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ValueError("no"), {"type": "ValueError", "message": "no"}),
        ({"b", "a"}, ["a", "b"]),
    ],
)
def test_what_json_cannot_say_is_said_in_its_nearest_words(value: Any, json_value: Any) -> None:
    assert json.loads(dumps(value)) == json_value


def test_for_a_terminal_of_any_encoding_the_text_is_plain_ascii() -> None:
    assert dumps({"ä": "\U0001f600"}, ascii_only=True).isascii()
