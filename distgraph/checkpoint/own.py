"""Types of distgraph's own that stand in states and writes, under names that no rename of a module changes."""

from __future__ import annotations

from distgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from distgraph.wire import TypeRegistry

_OWN = (
    (Send, "dg.Send"),
    (Interrupt, "dg.Interrupt"),
    (Overwrite, "dg.Overwrite"),
    (Command, "dg.Command"),
    (TimeoutPolicy, "dg.TimeoutPolicy"),  # of a Send
)


def own_types() -> TypeRegistry:
    """The registry that the codec of everything on the ledger starts from."""
    registry = TypeRegistry()
    for cls, name in _OWN:
        registry.add(cls, name=name)
    return registry
