"""Items and their results as their batch stores them."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.registry import codec_for
from distgraph.cluster.rows import item_data, item_key, naming, result_row, split_item_data, split_row
from distgraph.errors import CheckpointCorruptError, TamperedDataError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("key", [None, "ada", 7, ["a", 1], "", b"\x00"])
def test_an_item_comes_back_with_its_key(key: Any) -> None:
    codec = codec_for()
    named, value = split_item_data(codec, item_data(codec, key, {"x": 1}))
    assert value == {"x": 1}
    assert (codec.decode(named) if named else None) == key


@pytest.mark.parametrize("kind", ["d", "f"])
@pytest.mark.parametrize("key", [b"", b"\x00\xff", b"k" * 70_000])
def test_a_row_comes_back(kind: str, key: bytes) -> None:
    assert split_row(result_row(kind, key, b"data")) == (kind, key, b"data")


def test_the_key_of_an_item_is_read_without_its_input() -> None:
    codec = codec_for()
    data = item_data(codec, "ada", {"x": 1})
    assert codec.decode(item_key(data[:-1])) == "ada"
    with pytest.raises(CheckpointCorruptError):
        split_item_data(codec, data[:-1])


def test_a_row_that_was_cut_off_is_damaged() -> None:
    row = result_row("d", b"key", b"")
    for size in range(len(row)):
        with pytest.raises(CheckpointCorruptError):
            split_row(row[:size])


def test_damage_is_named_and_keeps_its_class() -> None:
    with pytest.raises(TamperedDataError, match="The thing: changed"), naming("The thing"):
        raise TamperedDataError("changed")
