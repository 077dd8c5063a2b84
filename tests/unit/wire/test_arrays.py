"""Arrays and numbers of numpy come back as they were; what is no plain data is refused."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.errors import CheckpointCorruptError, CodecError
from distgraph.wire import Codec
from distgraph.wire.kinds import is_kind, kind_of

np: Any = pytest.importorskip("numpy")
pytestmark = pytest.mark.unit
CODEC = Codec()


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, 2, 3]),
        np.array([]),
        np.array(5),
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12).reshape(3, 4)),
        np.arange(12).reshape(3, 4)[:, ::2],
        np.array(["a", "bc"]),
        np.array([True, False]),
        np.array(["2024-01-01"], "datetime64[s]"),
        np.array([1], ">i4"),
    ],
    ids=str,
)
def test_an_array_comes_back(value: Any) -> None:
    back = CODEC.unpack(CODEC.pack({"a": [value]}))["a"][0]
    assert (back.dtype, back.shape, back.flags.f_contiguous) == (
        value.dtype,
        value.shape,
        np.copy(value, "A").flags.f_contiguous,
    )
    assert np.array_equal(back, value)
    back[...] = back


@pytest.mark.parametrize(
    "value", [np.float64(1.5), np.int64(-3), np.bool_(True), np.str_("x"), np.datetime64("2024-01-01")]
)
def test_a_number_comes_back(value: Any) -> None:
    back = CODEC.unpack(CODEC.pack([value]))[0]
    assert type(back) is type(value)
    assert back == value


def test_objects_in_an_array_are_refused() -> None:
    for value in (np.array([{}], object), np.array([(1, 2.0)], [("a", int), ("b", float)])):
        with pytest.raises(CodecError, match=r"Cannot store \$\.a\[0\]: numpy data of type .* Convert it with .tolist"):
            CODEC.pack({"a": [value]})


@pytest.mark.parametrize("dtype", ["|O", "O", "<i8,<i8", "object"])
def test_a_stored_type_that_is_no_plain_data_is_not_made(dtype: str) -> None:
    with pytest.raises(ValueError, match="no type of plain data"):
        kind_of(np.ndarray).make([dtype, "C", [1], b"\0" * 8])
    bad = CODEC.pack(np.array([1])).replace(b"<i8", b"|O8")
    with pytest.raises(CheckpointCorruptError):
        CODEC.unpack(bad)


def test_annotations_with_arrays_mean_what_can_be_stored() -> None:
    assert is_kind(np.ndarray)
    assert is_kind(np.float64)
