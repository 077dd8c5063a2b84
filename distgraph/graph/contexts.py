"""What callers pass as ``context=``, against the graph's context schema."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import is_dataclass
from inspect import Parameter, isclass, signature
from typing import Any

from distgraph.errors import ConfigError
from distgraph.graph.schema import is_model, mapper_of
from distgraph.suggestions import did_you_mean


class WrongContextError(ConfigError, TypeError):
    """A context with fields that its schema does not have, or without those it needs; a TypeError too, as on the peer."""


def shape_context(schema: Any, context: Any, graph: str) -> Any:
    """``context`` as nodes see it: a dict becomes an instance of a schema that has instances.

    Args:
        schema: the graph's context schema, or None.
        context: what the caller passed.
        graph: the graph's name, for messages.

    Raises:
        ConfigError: a field that the schema does not have, or one that is missing (a TypeError).
        Exception: what a model's validation raises.
    """
    if schema is None or not isinstance(context, dict):
        return context
    known = _fields(schema)
    for key in context if known is not None else ():
        if key not in known:  # type: ignore[operator]
            raise WrongContextError(
                f"The context of graph {graph!r} ({schema.__name__}) has no field {key!r}.{did_you_mean(key, known or ())}"
            )
    build = mapper_of(schema)
    if build is None:
        return context
    try:
        return build(context)
    except TypeError as exc:
        raise WrongContextError(f"The context of graph {graph!r} is not complete: {exc}.") from exc


def _fields(schema: Any) -> Collection[str] | None:
    """The fields that a schema takes; None where it takes any, or cannot tell."""
    if is_model(schema):
        if schema.model_config.get("extra") == "allow":
            return None
        aliases = [field.alias for field in schema.model_fields.values() if field.alias]
        return {*schema.model_fields, *aliases} if not _aliased_otherwise(schema) else None
    if isclass(schema) and is_dataclass(schema):
        parameters = signature(schema).parameters
        return None if any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values()) else set(parameters)
    if hasattr(schema, "__required_keys__"):
        return {*schema.__required_keys__, *schema.__optional_keys__}
    return None


def _aliased_otherwise(model: Any) -> bool:
    """Whether values may come under names that only the model's validation can work out."""
    return any(field.validation_alias not in (None, field.alias) for field in model.model_fields.values())
