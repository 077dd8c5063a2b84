"""What is stored at once is packed once, and comes out as if each part had been packed by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.checkpoint.lines import decode_value, encode_value
from distgraph.checkpoint.packing import Packing
from distgraph.constants import TASKS
from distgraph.errors import CodecError
from distgraph.types import Send
from distgraph.wire import Codec, TypeRegistry

pytestmark = pytest.mark.unit

CODEC = Codec()
VALUES = st.one_of(
    st.none(), st.integers(), st.text(), st.binary(max_size=5), st.dictionaries(st.text(), st.integers())
)


class Counting(Codec):
    """Notes what it packs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.packed: list[Any] = []

    def pack(self, value: Any, *, inside: int = 0) -> bytes:
        self.packed.append(value)
        return super().pack(value, inside=inside)


@given(st.lists(VALUES, max_size=10), st.lists(VALUES, max_size=10))
def test_a_list_that_grew_by_what_was_written_is_the_same_bytes(before: list[Any], end: list[Any]) -> None:
    packing = Packing(CODEC)
    assert CODEC.decode(packing.writes([("log", end), ("x", 1)])) == [["log", end], ["x", 1]]
    assert packing.value("log", [*before, *end]) == CODEC.encode([*before, *end])
    assert packing.value("x", 1) == CODEC.encode(1)


@pytest.mark.parametrize("items", [1, 15, 16, 17, 65_535, 65_536])
def test_lists_of_any_length(items: int) -> None:
    packing = Packing(CODEC)
    end = [*range(items)]
    packing.writes([("log", end)])
    assert packing.value("log", end) == CODEC.encode(end)
    assert packing.value("log", [0, *end]) == CODEC.encode([0, *end])


def test_what_was_written_is_packed_once() -> None:
    codec, end, text = Counting(), [{"n": n} for n in range(20)], "a" * 100
    packing = Packing(codec)
    packing.writes([("log", end), ("text", text)])
    packing.value("log", [{"before": 1}, *end])
    packing.value("text", text)
    assert codec.packed == [end, text, [{"before": 1}]]


def test_what_differs_is_packed_anew() -> None:
    """A reducer made something else of it; another channel; equal objects that are not the same."""
    packing = Packing(CODEC)
    packing.writes([("log", [1, [2]]), ("other", [3])])
    for channel, value in (("log", [[2], 1]), ("log", [1, [2]]), ("log", []), ("log", None), ("none", [1, [2]])):
        assert packing.value(channel, value) == encode_value(CODEC, channel, value)


def test_sends_are_packed_as_sends() -> None:
    registry = TypeRegistry()
    registry.add(Send)
    codec, sends = Codec(registry), [Send("a", 1), Send("b", {"x": 2})]
    packing = Packing(codec)
    packing.writes([(TASKS, send) for send in sends])
    assert [*decode_value(codec, TASKS, packing.value(TASKS, sends))] == sends


def test_the_limits_are_those_of_what_is_stored() -> None:
    """The writes of a task are a list of pairs: what they hold stands two levels deeper, and takes more room."""
    codec = Codec(max_depth=5, max_bytes=100)
    fits: Any = [[["x"]]]
    assert codec.decode(Packing(codec).writes([("log", fits)])) == [["log", fits]]
    with pytest.raises(CodecError, match="deeper") as deep:
        Packing(codec).writes([("log", [fits])])
    assert deep.value.__notes__ == ["While storing writes to log."]
    with pytest.raises(CodecError, match="100 .max_bytes.") as large:
        Packing(codec).writes([("a", "x" * 60), ("b", "y" * 60)])
    assert large.value.__notes__ == ["While storing writes to a, b."]
    packing = Packing(codec)
    packing.writes([("log", ["x" * 60])])
    with pytest.raises(CodecError, match="max_bytes") as grown:
        packing.value("log", ["y" * 60, *["x" * 60]])
    assert grown.value.__notes__ == ["While storing the value of key 'log'."]
