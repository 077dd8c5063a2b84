"""Any value a graph may hold as valid JSON: what JSON cannot say is said in the nearest words it has."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any


def dumps(value: Any, *, ascii_only: bool = False, indent: int | None = None) -> str:
    """``value`` as one JSON text. Not a number and infinity become null, bytes base64, other objects their fields."""
    separators = None if indent else (",", ":")
    return json.dumps(plain(value), ensure_ascii=ascii_only, allow_nan=False, indent=indent, separators=separators)


def plain(value: Any) -> Any:
    """``value`` made of what JSON knows."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(value).decode()
        case Mapping():
            return {_key(key): plain(entry) for key, entry in value.items()}
        case Set():
            return sorted((plain(entry) for entry in value), key=repr)
        case list() | tuple():
            return [plain(entry) for entry in value]
    return _object(value)


def _object(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": str(value)}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(plain(key))
