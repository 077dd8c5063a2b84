"""The closed set of types that may be stored besides the built-in kinds.

It is filled by code, from the graph's own schemas, before anything is read. Stored bytes name a type by its id; the id
is looked up here and nowhere else, and nothing is ever imported or called because bytes say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from distgraph.errors import CodecError
from distgraph.wire.hints import classes_in, field_annotations
from distgraph.wire.shapes import AdapterShape, Shape, shape_of


class TypeRegistry:
    """Types by class and by id. Empty, it knows the built-in kinds only.

    Filling one is meant for start-up, in one OS thread; looking things up is safe from any.
    """

    def __init__(self) -> None:
        #: Read by the codec for each value: keep these plain dicts.
        self.by_type: dict[type, Shape] = {}
        self.by_id: dict[bytes, Shape] = {}
        self._walked: set[type] = set()

    def __contains__(self, cls: type) -> bool:
        return cls in self.by_type

    def copy(self) -> TypeRegistry:
        """Another registry that knows the same types, and may learn others."""
        made = TypeRegistry()
        made.by_type, made.by_id, made._walked = {**self.by_type}, {**self.by_id}, {*self._walked}
        return made

    def add(self, annotation: Any, name: str | None = None) -> None:
        """Allow values of a type, and of every type that its fields mention.

        Dataclasses, pydantic models, enums and NamedTuples become storable; a TypedDict, a union or a container
        only leads to the types it mentions. Subclasses are types of their own. Adding again changes nothing.

        Args:
            annotation: a class, or anything that stands in an annotation, such as ``list[Order | None]``.
            name: the id in stored data, for a class; by default "module:qualname". Give one where the class may
                move to another module while old data is still to be read.

        Raises:
            CodecError: ``name`` is given for something that cannot be stored under a name, or two types
                have the same id.
        """
        if name is not None:
            self._add_named(annotation, name)
        given = list(classes_in(annotation))
        waiting = deque(given)
        while waiting:
            cls = waiting.popleft()
            if cls in self._walked:
                continue
            self._walked.add(cls)
            if cls not in self.by_type and (shape := shape_of(cls, f"{cls.__module__}:{cls.__qualname__}")):
                self._enter(shape)
            # Only what can hold values leads further: the attributes of a service class are no state.
            if cls in self.by_type or cls in given or hasattr(cls, "__required_keys__"):
                waiting.extend(inner for hint in field_annotations(cls) for inner in classes_in(hint))

    def adapt(self, cls: type, name: str, to_plain: Callable[[Any], Any], from_plain: Callable[[Any], Any]) -> None:
        """Allow values of a class that is none of the known forms, through two functions.

        Args:
            cls: the class; its subclasses need adapters of their own.
            name: the id in stored data.
            to_plain: from a value to storable parts (any value that can be stored).
            from_plain: from these parts to an equal value. It sees stored data: it must not evaluate it.

        Raises:
            CodecError: the class is registered already in another way, or the id is taken.
        """
        self._enter(AdapterShape(cls, name, to_plain, from_plain))

    def _add_named(self, cls: Any, name: str) -> None:
        known = self.by_type.get(cls) if isinstance(cls, type) else None
        if known is not None and known.name == name:
            return
        shape = shape_of(cls, name) if isinstance(cls, type) else None
        if shape is None:
            raise CodecError(
                f"{cls!r} cannot be registered as {name!r}: it is no dataclass, pydantic model, enum or NamedTuple "
                "whose values can be put together from their fields. Use TypeRegistry.adapt."
            )
        self._enter(shape)

    def _enter(self, shape: Shape) -> None:
        by_type, by_id = self.by_type.get(shape.type), self.by_id.get(shape.name.encode())
        if by_type is not None:
            raise CodecError(
                f"{shape.type.__qualname__} is registered already, as {by_type.name!r}; it cannot be {shape.name!r} "
                "too. Name or adapt a type before the schema that mentions it is added."
            )
        if by_id is not None:
            raise CodecError(
                f"Two types have the id {shape.name!r} in stored data: {by_id.type!r} and {shape.type!r}. Rename one, "
                "or register one under another name: TypeRegistry.add(cls, name=...)."
            )
        self.by_id[shape.name.encode()] = shape
        self.by_type[shape.type] = shape
