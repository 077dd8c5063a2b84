"""numpy's arrays and numbers, as their type, shape and bytes. numpy is loaded where one is read back, never to look for it.

Only types whose bytes say everything: numbers, truth values, times and texts. An array of objects is a list of these.
"""

from __future__ import annotations

import sys
from re import compile as regex
from typing import Any

from distgraph.errors import CodecError

#: The types as numpy writes them: byte order, kind, size, and of times the unit.
_DTYPE = regex(r"[<>|=][biufcSUmM]\d{1,6}(\[\d{0,6}\w{1,2}\])?")


def is_array(cls: type) -> bool:
    """Whether values of this class are numpy's arrays."""
    return cls.__name__ == "ndarray" and cls.__module__ == "numpy"


def is_scalar(cls: type) -> bool:
    """Whether values of this class are numpy's numbers, or what else stands in its arrays."""
    library = sys.modules.get("numpy")
    return library is not None and cls.__module__ == "numpy" and issubclass(cls, library.generic)


def why_not(value: Any) -> str | None:
    """Why an array or number of numpy's cannot be stored; None: it can be."""
    if _DTYPE.fullmatch(value.dtype.str):
        return None
    return f"numpy data of type {value.dtype}, which are no plain numbers, times or texts. Convert it with .tolist()"


def take_array(value: Any) -> list[Any]:
    """Type, order, shape and bytes of an array."""
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return [_named(value), order, list(value.shape), value.tobytes(order)]


def make_array(parts: list[Any]) -> Any:
    """The array that ``take_array`` was given; it may be changed."""
    dtype, order, shape, data = parts
    return _read(dtype, data).reshape(shape, order="F" if order == "F" else "C").copy("K")


def take_scalar(value: Any) -> list[Any]:
    """Type and bytes of a number."""
    return [_named(value), value.tobytes()]


def make_scalar(parts: list[Any]) -> Any:
    """The number that ``take_scalar`` was given."""
    dtype, data = parts
    (value,) = _read(dtype, data)
    return value


def _named(value: Any) -> str:
    why = why_not(value)
    if why is not None:
        raise ValueError(why)
    name: str = value.dtype.str
    return name


def _read(dtype: str, data: bytes) -> Any:
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"no type of plain data: {dtype!r:.40}")
    try:
        from numpy import frombuffer  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise CodecError("Stored value holds an array of numpy, which is not installed here.") from None
    return frombuffer(data, dtype)
