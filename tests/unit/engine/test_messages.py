"""Messages by their shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.engine.messages import is_message, message_id, messages_in

pytestmark = pytest.mark.unit

OBJECT = SimpleNamespace(content="hi", type="ai", id="1")
DICT = {"role": "user", "content": "hi", "id": "2"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OBJECT, True),
        (DICT, True),
        ({"type": "human", "content": []}, True),
        ({"content": "no role"}, False),
        ("text", False),
        (SimpleNamespace, False),
        (None, False),
    ],
)
def test_messages_are_known_by_their_shape(value: Any, expected: bool) -> None:
    assert is_message(value) is expected


def test_ids_of_either_kind() -> None:
    assert [message_id(OBJECT), message_id(DICT), message_id({"role": "user", "content": ""})] == ["1", "2", None]


def test_messages_are_found_in_lists_too() -> None:
    assert list(messages_in([OBJECT, [DICT, "text"], {"deeper": [OBJECT]}, 5])) == [OBJECT, DICT]
