"""Items and their results as their batch stores them."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.cluster.registry import codec_for
from distgraph.cluster.rows import item_data, result_row, split_item_data, split_row

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
