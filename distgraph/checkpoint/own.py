"""Types of distgraph's own that stand in states and writes, under names that no rename of a module changes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from distgraph.types import Command, Interrupt, Overwrite, Send, TimeoutPolicy
from distgraph.wire import Codec, TypeRegistry

_OWN = (
    (Send, "dg.Send"),
    (Interrupt, "dg.Interrupt"),
    (Overwrite, "dg.Overwrite"),
    (Command, "dg.Command"),
    (TimeoutPolicy, "dg.TimeoutPolicy"),  # of a Send
)


@cache
def _own_types() -> TypeRegistry:
    """Made once: walking through the fields of these types takes longer than driving a small run."""
    registry = TypeRegistry()
    for cls, name in _OWN:
        registry.add(cls, name=name)
    return registry


def own_types() -> TypeRegistry:
    """The registry that the codec of everything on the ledger starts from; a new one each time."""
    return _own_types().copy()


def own_codec(given: Codec | None) -> Codec:
    """A codec that knows distgraph's own types besides those of ``given``, with its limits and secret."""
    registry = own_types()
    if given is None:
        return Codec(registry)
    known = given.registry
    registry.by_type.update({cls: shape for cls, shape in known.by_type.items() if cls not in registry})
    registry.by_id.update(known.by_id)
    return given.with_types(registry)


def learn(codec: Codec, types: Iterable[Any]) -> None:
    """Let ``codec`` store these types too, and those that their fields mention. Of two with one name, the later."""
    fresh = own_types()
    for annotation in types:
        fresh.add(annotation)
    codec.registry.by_type.update(fresh.by_type)
    codec.registry.by_id.update(fresh.by_id)
