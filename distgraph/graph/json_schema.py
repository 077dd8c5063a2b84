"""JSON schemas of a graph's input, output and context. Imports pydantic: only loaded when somebody asks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, RootModel, TypeAdapter, create_model
from typing_extensions import TypedDict as ReadableDict

from distgraph.channels import BaseChannel
from distgraph.constants import ROOT
from distgraph.graph.schema import is_model


def json_schema(typ: Any, channels: Mapping[str, BaseChannel[Any, Any]], name: str) -> dict[str, Any]:
    """The JSON schema of a state schema.

    Args:
        typ: the schema type.
        channels: its channels by key.
        name: title of a schema that has no name of its own.
    """
    if is_model(typ):
        found: dict[str, Any] = typ.model_json_schema()
        return found
    if hasattr(typ, "__required_keys__"):
        return TypeAdapter(readable(typ)).json_schema()
    if set(channels) == {ROOT}:
        model: Any = RootModel[channels[ROOT].typ]  # type: ignore[misc]
        return {**model.model_json_schema(), "title": name}
    given: dict[str, Any] = {key: (rule.typ, _default(typ, key, rule.typ)) for key, rule in channels.items()}
    made: type[BaseModel] = create_model(name, **given)
    return made.model_json_schema()


def channels_schema(
    names: str | tuple[str, ...], channels: Mapping[str, BaseChannel[Any, Any]], title: str, kind: str
) -> type[BaseModel]:
    """A model of the values of channels: of one, or of several by name, none of which must be given.

    Args:
        names: of the channels.
        channels: all of the graph's.
        title: the model's name.
        kind: "ValueType" of what is read, "UpdateType" of what is written.
    """
    if isinstance(names, str):
        made: Any = RootModel.__class_getitem__(readable(getattr(channels[names], kind)))
        return type(title, (made,), {"__module__": __name__, "__doc__": None})
    given: dict[str, Any] = {name: (readable(getattr(channels[name], kind)), None) for name in names}
    return create_model(title, **given)


def context_schema(typ: Any) -> dict[str, Any] | None:
    """The JSON schema of a context schema; None where the graph has none.

    Raises:
        ValueError: it is neither a model, a TypedDict nor a dataclass.
    """
    if typ is None:
        return None
    if is_model(typ):
        found: dict[str, Any] = typ.model_json_schema()
        return found
    if is_dataclass(typ) or hasattr(typ, "__required_keys__"):
        return TypeAdapter(readable(typ)).json_schema()
    raise ValueError(f"Invalid context schema type: {typ}. Must be a BaseModel, TypedDict or dataclass.")


def readable(hint: Any) -> Any:
    """``hint`` as pydantic reads it: before Python 3.12 that is only typing_extensions' kind of TypedDict.

    TypedDicts inside of others, of unions and of containers are replaced too.
    """
    if sys.version_info >= (3, 12):
        return hint
    return _replaced(hint, {})


def _replaced(hint: Any, made: dict[Any, Any]) -> Any:
    if isinstance(hint, type) and hasattr(hint, "__required_keys__") and hint.__class__.__module__ == "typing":
        if hint not in made:
            _remake(hint, made)
        return made[hint]
    args = get_args(hint)
    if not args or get_origin(hint) is Literal:
        return hint
    fresh = tuple(_replaced(arg, made) if not isinstance(arg, list) else arg for arg in args)
    if fresh == args:
        return hint
    if get_origin(hint) is Annotated:
        return Annotated.__class_getitem__(fresh)
    if isinstance(hint, UnionType):
        return reduce(or_, fresh)
    return hint.copy_with(fresh) if hasattr(hint, "copy_with") else get_origin(hint)[fresh]


def _remake(old: Any, made: dict[Any, Any]) -> None:
    fields: dict[str, Any] = {}
    # It is there before its fields are: they may mention it.
    new: Any = ReadableDict(old.__name__, {})  # type: ignore[misc]
    made[old] = new
    for key, hint in get_type_hints(old, include_extras=True).items():
        left_out = key in old.__optional_keys__
        while get_origin(hint) in (Required, NotRequired):
            # Of annotations that are texts the class itself does not know what they say.
            left_out = get_origin(hint) is NotRequired
            (hint,) = get_args(hint)
        found = _replaced(hint, made)
        fields[key] = NotRequired[found] if left_out else found
    left = frozenset(key for key, hint in fields.items() if get_origin(hint) is NotRequired)
    new.__annotations__, new.__optional_keys__, new.__required_keys__ = fields, left, frozenset(fields) - left
    new.__doc__, new.__module__ = old.__doc__, old.__module__


def _default(typ: Any, key: str, hint: Any) -> Any:
    """What a key is if it is left out; ``...`` where it must not be."""
    if key in getattr(typ, "__optional_keys__", ()) or get_origin(hint) is NotRequired:
        return None
    for field in fields(typ) if is_dataclass(typ) else ():
        if field.name == key:
            if field.default is not MISSING:
                return field.default
            if field.default_factory is not MISSING:
                return field.default_factory()
    optional = get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint)
    return None if optional else ...
