"""Which classes an annotation mentions, and which annotations a class has."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from inspect import get_annotations
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, ForwardRef, Literal, Union, get_args, get_origin, get_type_hints

from distgraph.wire.shapes import is_model


def classes_in(annotation: Any) -> Iterator[type]:
    """Every class that ``annotation`` mentions, through unions, containers, aliases and new types, once each."""
    seen: set[int] = set()
    waiting = [annotation]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, type) and get_origin(part) is None:
            yield part
        else:
            waiting.extend(reversed(_inside(part)))


def _inside(part: Any) -> list[Any]:
    """What a composed annotation is made of."""
    origin = get_origin(part)
    if origin is Annotated:
        return [get_args(part)[0]]
    if origin is Literal:
        return [type(value) for value in get_args(part) if isinstance(value, Enum)]
    if origin in (Union, UnionType):
        return list(get_args(part))
    if origin is not None:
        return [origin, *_flat(get_args(part))]
    if isinstance(part, (ForwardRef, str)):
        return []
    # A NewType, a type variable, an alias written with ``type``: each hides its meaning under a name of its own.
    named = [getattr(part, name, None) for name in ("__supertype__", "__bound__", "__value__")]
    return [inner for inner in (*named, *getattr(part, "__constraints__", ())) if inner is not None]


def _flat(arguments: tuple[Any, ...]) -> list[Any]:
    # Callable[[A, B], C] holds a list.
    return [part for each in arguments for part in (each if isinstance(each, list) else [each])]


def field_annotations(cls: type) -> list[Any]:
    """The annotations of a class's fields, resolved where their names can be found.

    A name that cannot be found (imported for type checkers only, or local to a function) is left out: should such
    a value turn up, encoding says which type to register.
    """
    if is_model(cls):
        fields: dict[str, Any] = cls.model_fields  # type: ignore[attr-defined]
        return [field.annotation for field in fields.values()]
    try:
        return list(get_type_hints(cls, include_extras=True).values())
    except Exception:  # an annotation is evaluated: it may raise anything
        return [hint for base in cls.__mro__ for hint in _one_by_one(base)]


def _one_by_one(cls: type) -> Iterator[Any]:
    names = vars(sys.modules.get(cls.__module__, SimpleNamespace()))
    for name, annotation in get_annotations(cls).items():
        holder = SimpleNamespace(__annotations__={name: annotation})
        try:
            yield from get_type_hints(holder, names, include_extras=True).values()
        except Exception:  # this one cannot be found: the others still count
            continue
