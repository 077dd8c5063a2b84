"""The schemas of one graph together: one rule for each key."""

from __future__ import annotations

from typing import Any

from distgraph.channels import BaseChannel, LastValue
from distgraph.graph.problems import Problem, refusal
from distgraph.graph.schema import Schema, read_schema
from distgraph.managed import ManagedValue


class Schemas:
    """What the state, input and output schemas and the nodes' own views declare.

    Attributes:
        by_type: schema type -> what it says.
        channels: key -> rule; where only one schema names a reducer, that one.
        managed: key -> computed value.
    """

    __slots__ = ("by_type", "channels", "managed")

    def __init__(self) -> None:
        self.by_type: dict[Any, Schema] = {}
        self.channels: dict[str, BaseChannel[Any, Any]] = {}
        self.managed: dict[str, type[ManagedValue]] = {}

    def add(self, typ: Any, *, managed: bool = True) -> None:
        """Add the keys of ``typ``, unless it is here already.

        Args:
            typ: a schema type.
            managed: computed values are allowed.

        Raises:
            GraphValidationError: a key with two rules, or computed values where none are allowed (a ValueError).
        """
        try:
            if typ in self.by_type:
                return
        except TypeError:
            # Not even hashable: reading it says what is wrong.
            pass
        schema = read_schema(typ)
        name = getattr(typ, "__name__", "")
        if schema.managed and not managed:
            raise refusal(_managed_problem(name, schema))
        for key, channel in schema.channels.items():
            first = self.channels.setdefault(key, channel)
            # A key without a reducer takes the rule that another schema gave it.
            if first is not channel and not isinstance(channel, LastValue) and first != channel:
                raise refusal(_channel_problem(key, first, channel, name))
        for key, manager in schema.managed.items():
            if self.managed.setdefault(key, manager) is not manager:
                text = f"Managed value '{key}' already exists with a different type, when reading schema {name!r}."
                raise refusal(Problem("schema-conflict", text))
        self.by_type[typ] = schema


def _managed_problem(name: str, schema: Schema) -> Problem:
    text = (
        f"Invalid managed channels detected in {name}: {', '.join(schema.managed)}. "
        "Managed channels are not permitted in Input/Output schema."
    )
    return Problem("schema-managed", text, "Declare them in the state schema or in a node's own schema.")


def _channel_problem(key: str, first: BaseChannel[Any, Any], other: BaseChannel[Any, Any], name: str) -> Problem:
    text = f"Channel '{key}' already exists with a different type: {first.spec()}, but {other.spec()} in {name}."
    return Problem("schema-conflict", text, "Give the key one reducer in all schemas.")
