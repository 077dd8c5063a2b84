"""Messages by their shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.channels import DeltaChannel, LastValue
from distgraph.engine.messages import is_message, message_id, messages_in, with_message_ids
from distgraph.graph.message import _messages_delta_reducer
from distgraph.superstep.model import make_program
from distgraph.types import Overwrite

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


def named(written: Any, reducer: Any = None) -> Any:
    channels: dict[str, Any] = {"m": DeltaChannel(reducer or (lambda state, writes: state)), "x": LastValue(object)}
    program = make_program("g", {}, channels, inputs="m", outputs="m", streamed="m")
    [(_, value), other] = with_message_ids(program, [("m", written), ("x", {"role": "user", "content": "a"})])
    assert other == ("x", {"role": "user", "content": "a"})
    return value


def test_messages_for_a_delta_channel_get_ids_before_they_are_stored() -> None:
    message = SimpleNamespace(content="a", type="ai", id=None)
    assert named(message) is message
    assert message.id is not None
    assert named({"role": "user", "content": "a"})["id"]
    assert named({"role": "owner", "of": "a house"}) == {"role": "owner", "of": "a house"}
    assert named(["text", 3]) == ["text", 3]
    forced = named(Overwrite((SimpleNamespace(content="a", type="ai", id=None), {"role": "user", "content": "b"})))
    assert forced.value[0].id is not None
    assert forced.value[1] == {"role": "user", "content": "b"}
    assert named(Overwrite(None)) == Overwrite(None)


def test_where_all_is_messages_whatever_may_be_one_becomes_one() -> None:
    pytest.importorskip("langchain_core.messages")
    whole = named(["text", ("ai", "b"), {"type": "human", "content": "c"}], _messages_delta_reducer)
    assert [message.content for message in whole] == ["text", "b", "c"]
    assert all(message.id for message in whole)
    assert named(7, _messages_delta_reducer) == 7
    with pytest.raises(Exception, match=r"content|missing"):
        named([{"role": "user"}], _messages_delta_reducer)
