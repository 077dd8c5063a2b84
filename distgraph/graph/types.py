"""The types that schemas name: what a graph's stored values may be instances of."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

from distgraph.graph.schema import is_model


def named_types(schemas: Iterable[Any]) -> tuple[type, ...]:
    """Dataclasses, models, named tuples and enums in ``schemas`` and in the fields of what they name."""
    found: dict[Any, None] = {}
    waiting = list(schemas)[::-1]
    seen: set[int] = set()
    keep: list[Any] = []
    while waiting:
        hint = waiting.pop()
        if id(hint) in seen:
            continue
        seen.add(id(hint))
        # An id says something only while its object lives; hints made on the fly would not.
        keep.append(hint)
        if isinstance(hint, type) and _is_record(hint):
            found[hint] = None
        waiting += reversed(_inside(hint))
    return tuple(found)


def _is_record(typ: type) -> bool:
    return (
        is_dataclass(typ)
        or is_model(typ)
        or issubclass(typ, Enum)
        or (issubclass(typ, tuple) and hasattr(typ, "_fields"))
    )


def _inside(hint: Any) -> list[Any]:
    """Hints within a hint: arguments of a generic, and the fields of a class that declares some."""
    parts = list(get_args(hint))
    parts += [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, type)]
    if isinstance(hint, type) and hint.__module__ not in sys.stdlib_module_names and not issubclass(hint, Enum):
        try:
            parts += get_type_hints(hint, include_extras=True).values()
        except Exception:
            # A class of somebody else whose annotations cannot be evaluated names nothing we could know.
            return parts
    return parts
