"""Digests of texts and data: alike in every process, whatever its hash seed."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from distgraph.constants import NS_SEP

#: Types whose ``repr`` says all of a value, and nothing that differs between processes.
_TOLD_BY_REPR = (
    *(str, int, float, complex, bytes, bytearray, type(None), Decimal, UUID),
    *(date, time, timedelta, tzinfo, PurePath),
)
#: How deep an input may nest; a cycle ends here too.
_DEEPEST = 200


def hex_digest(text: str) -> str:
    """32 hex digits that name ``text``."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def interrupt_id(ns: str, index: int) -> str:
    """The id of the ``index``-th question (from 0) of the task with namespace ``ns``: 32 hex digits."""
    return hex_digest(ns if index == 0 else f"{ns}{NS_SEP}{index}")


def digest_of(value: Any) -> str:
    """A digest of plain data: equal values, equal digests, in every process."""
    return hex_digest(_canonical(value))


def input_digest(value: Any) -> str:
    """A digest of whatever a node may be given: equal values, equal digests, in every process.

    Containers, dataclasses, models, enums, arrays and other objects count by their type and contents; functions and
    classes by their name.

    Raises:
        TypeError: something in it has no contents to go by, or it nests too deep; the text says what to do.
    """
    text = hashlib.blake2b(digest_size=16)
    for part in _parts(value, 0):
        text.update(part.encode("utf-8", "surrogatepass"))
    return text.hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{_canonical(k)}:{_canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(map(_canonical, value))) + ">"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return f"{type(value).__name__}={value!r}"


def _parts(value: Any, depth: int) -> Iterator[str]:
    """The text of one value, unlike that of every other value, in pieces."""
    if depth > _DEEPEST:
        raise TypeError(
            f"Cannot name this input for the cache: it nests deeper than {_DEEPEST} levels, or refers to itself. "
            "Give CachePolicy a key_func."
        )
    kind = type(value)
    if kind is dict:
        yield "{"
        yield from sorted(":".join(_inner(pair, depth)) for pair in value.items())
        yield "}"
    elif kind in (set, frozenset):
        yield "<"
        yield from sorted("".join(_parts(part, depth + 1)) for part in value)
        yield ">"
    elif kind in (list, tuple):
        yield "["
        for part in value:
            yield from _parts(part, depth + 1)
            yield ","
        yield "]"
    elif isinstance(value, Enum):
        yield f"{_name(kind)}.{value.name}"
    elif kind is str:
        yield f"{len(value)}={value}"
    elif isinstance(value, _TOLD_BY_REPR) and not _has_contents(value):
        yield f"{kind.__name__}={value!r}"
    else:
        yield f"{_name(kind)}("
        yield from _parts(_contents(value), depth + 1)
        yield ")"


def _inner(pair: tuple[Any, Any], depth: int) -> Iterator[str]:
    for part in pair:
        yield "".join(_parts(part, depth + 1))


def _name(named: Any) -> str:
    return f"{named.__module__}.{named.__qualname__}"


def _has_contents(value: Any) -> bool:
    return bool(getattr(value, "__dict__", None))


def _contents(value: Any) -> Any:
    """Plain data that tells ``value`` from others of its type."""
    if isinstance(value, dict):
        return [dict(value), _attributes(value)]
    if isinstance(value, list | tuple | deque):
        return [list(value), _attributes(value)]
    if isinstance(value, set | frozenset):
        return [set(value), _attributes(value)]
    if isinstance(value, _TOLD_BY_REPR):
        return [repr(value), _attributes(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if callable(value) and hasattr(value, "__qualname__"):
        return _name(value)
    tobytes: Callable[[], bytes] | None = getattr(value, "tobytes", None)
    if tobytes is not None:
        return [str(getattr(value, "dtype", "")), getattr(value, "shape", None), tobytes()]
    found = _attributes(value)
    if not found and not hasattr(value, "__dict__"):
        raise TypeError(
            f"Cannot name this input for the cache: a {_name(type(value))} has no contents to go by. Give CachePolicy a "
            "key_func that names the input."
        )
    return found


def _attributes(value: Any) -> dict[str, Any]:
    """What an object holds: its dictionary, and its slots."""
    slots = [name for cls in type(value).__mro__ for name in _slots_of(cls)]
    held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return {**held, **getattr(value, "__dict__", {})}


def _slots_of(cls: type) -> tuple[str, ...]:
    slots = cls.__dict__.get("__slots__", ())
    named = (slots,) if isinstance(slots, str) else tuple(slots)
    # Which fields of a model were given, and which are defaults, is no part of its value.
    return tuple(name for name in named if name not in ("__dict__", "__weakref__", "__pydantic_fields_set__"))
