"""How values of registered types are taken apart for storage, and put together again.

Putting together never runs ``__init__``, validators or ``__post_init__``: a value comes back as it was stored, also
where its class would not accept it as input today. Fields that a class gained since then take their default; stored
fields that a class lost are an error, because dropping them would lose data in silence.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, Flag
from inspect import getattr_static
from typing import Any

from distgraph.errors import CodecError


class Shape(ABC):
    """One registered type.

    Attributes:
        type: the class; only its exact instances match.
        name: its id on the wire.
        prefix: the id as it stands before the stored parts.
    """

    def __init__(self, cls: type, name: str) -> None:
        self.type = cls
        self.name = name
        encoded = name.encode()
        self.prefix = len(encoded).to_bytes(2, "big") + encoded

    @abstractmethod
    def take(self, value: Any) -> Any:
        """What is stored for ``value``."""

    @abstractmethod
    def make(self, stored: Any) -> Any:
        """The value for what ``take`` returned.

        Raises:
            CodecError: what is stored does not fit the class as it is now.
        """

    @abstractmethod
    def parts(self, value: Any) -> dict[str, Any]:
        """The values inside, by the name that a path shows; ``AttributeError`` where a field was never set."""


class _Fields(Shape):
    """Common to all types that have named fields."""

    def __init__(self, cls: type, name: str, fields: Iterable[str]) -> None:
        super().__init__(cls, name)
        self.fields = tuple(fields)
        self._names = frozenset(self.fields)

    def take(self, value: Any) -> Any:
        return {name: getattr(value, name) for name in self.fields}

    def parts(self, value: Any) -> dict[str, Any]:
        inside: dict[str, Any] = self.take(value)
        return inside

    def default(self, field: str) -> Any:
        """The default of a field; ``KeyError`` if it has none."""
        raise KeyError(field)

    def complete(self, stored: dict[str, Any]) -> dict[str, Any]:
        """The stored fields, plus the defaults of those that the class gained since.

        Raises:
            CodecError: a field without default is missing, or one is stored that the class does not have.
        """
        if stored.keys() == self._names:
            return stored
        lost = sorted(stored.keys() - self._names)
        if lost:
            raise CodecError(
                f"Stored {self.name} has the fields {', '.join(map(repr, lost))}, which {self.type.__qualname__} no "
                "longer has. Add them back (they may be unused), or finish these runs with the old code."
            )
        return {name: stored[name] if name in stored else self._default(name) for name in self.fields}

    def _default(self, field: str) -> Any:
        try:
            return self.default(field)
        except KeyError:
            raise CodecError(
                f"Stored {self.name} lacks the field {field!r}: {self.type.__qualname__} gained it later. Give it a "
                "default, or finish these runs with the old code."
            ) from None


class DataclassShape(_Fields):
    """A dataclass: frozen, slotted, with ``init=False`` fields, all alike. Fields only; other attributes are lost."""

    def __init__(self, cls: type, name: str) -> None:
        self._defined = {field.name: field for field in dataclasses.fields(cls)}
        super().__init__(cls, name, self._defined)
        # Where nothing intercepts, the instance's dict is filled at once: three times as fast as field by field.
        self._plain = getattr(cls, "__dictoffset__", 0) != 0 and not any(
            hasattr(getattr_static(cls, field, None), "__set__") for field in self.fields
        )

    def make(self, stored: Any) -> Any:
        values = self.complete(stored)
        made: Any = object.__new__(self.type)
        if self._plain:
            made.__dict__.update(values)
            return made
        for name in self.fields:
            object.__setattr__(made, name, values[name])
        return made

    def default(self, field: str) -> Any:
        defined = self._defined[field]
        if defined.default_factory is not dataclasses.MISSING:
            return defined.default_factory()
        if defined.default is not dataclasses.MISSING:
            return defined.default
        raise KeyError(field)


class NamedTupleShape(_Fields):
    """A NamedTuple, stored by field name: a reordered class reads old values right."""

    def __init__(self, cls: Any, name: str) -> None:
        self._defaults: Mapping[str, Any] = cls._field_defaults
        super().__init__(cls, name, cls._fields)

    def take(self, value: Any) -> dict[str, Any]:
        return dict(zip(self.fields, value, strict=True))

    def make(self, stored: Any) -> Any:
        values = self.complete(stored)
        return tuple.__new__(self.type, [values[name] for name in self.fields])

    def default(self, field: str) -> Any:
        return self._defaults[field]


class EnumShape(Shape):
    """An Enum, stored by member name: the members' values may change. Flags are stored as their bits."""

    def take(self, value: Any) -> Any:
        return value.value if isinstance(value, Flag) else value.name

    def parts(self, value: Any) -> dict[str, Any]:
        return {}

    def make(self, stored: Any) -> Any:
        cls: Any = self.type
        try:
            return cls(stored) if issubclass(cls, Flag) else cls.__members__[stored]
        except (KeyError, ValueError):
            raise CodecError(
                f"Stored {self.name}: {stored!r} is no member of {cls.__qualname__} any more. Add the member back, "
                "or finish these runs with the old code."
            ) from None


class ModelShape(_Fields):
    """A pydantic model: its fields, which of them were set, and its extra values.

    Private attributes do not travel: they come back with their declared defaults.
    """

    def __init__(self, cls: Any, name: str) -> None:
        from pydantic_core import PydanticUndefined  # loaded already: there is a model

        self._undefined = PydanticUndefined
        self._defined: Mapping[str, Any] = cls.model_fields
        self._private: Mapping[str, Any] = getattr(cls, "__private_attributes__", {})
        super().__init__(cls, name, self._defined)

    def take(self, value: Any) -> list[Any]:
        known = value.__dict__
        fields_set = value.__pydantic_fields_set__
        return [
            {name: known[name] for name in self.fields},
            None if fields_set == self._names else sorted(fields_set),
            value.__pydantic_extra__,
        ]

    def parts(self, value: Any) -> dict[str, Any]:
        known = value.__dict__
        inside = {name: getattr(value, name) if name not in known else known[name] for name in self.fields}
        return inside | (value.__pydantic_extra__ or {})

    def make(self, stored: Any) -> Any:
        values, fields_set, extra = stored
        cls: Any = self.type
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", self.complete(values))
        object.__setattr__(made, "__pydantic_fields_set__", set(self.fields if fields_set is None else fields_set))
        object.__setattr__(made, "__pydantic_extra__", extra)
        object.__setattr__(made, "__pydantic_private__", self._fresh_private())
        return made

    def default(self, field: str) -> Any:
        defined = self._defined[field]
        if defined.is_required():
            raise KeyError(field)
        return defined.get_default(call_default_factory=True)

    def _fresh_private(self) -> dict[str, Any] | None:
        if not self._private:
            return None
        defaults = {name: attribute.get_default() for name, attribute in self._private.items()}
        return {name: value for name, value in defaults.items() if value is not self._undefined}


class AdapterShape(Shape):
    """A type that somebody else's functions take apart and put together."""

    def __init__(self, cls: type, name: str, to_plain: Callable[[Any], Any], from_plain: Callable[[Any], Any]) -> None:
        super().__init__(cls, name)
        self._to_plain = to_plain
        self._from_plain = from_plain

    def take(self, value: Any) -> Any:
        return self._to_plain(value)

    def make(self, stored: Any) -> Any:
        return self._from_plain(stored)

    def parts(self, value: Any) -> dict[str, Any]:
        return {"": self.take(value)}


def shape_of(cls: type, name: str) -> Shape | None:
    """The shape for a class, if it is of a kind whose values can be stored.

    Args:
        cls: any class.
        name: its id on the wire.
    """
    if issubclass(cls, Enum):
        return EnumShape(cls, name) if cls.__members__ else None
    if issubclass(cls, tuple):
        return NamedTupleShape(cls, name) if hasattr(cls, "_field_defaults") else None
    if is_model(cls):
        return ModelShape(cls, name)
    if dataclasses.is_dataclass(cls) and _is_makeable(cls):
        return DataclassShape(cls, name)
    return None


def is_model(cls: type) -> bool:
    """Whether a class is a pydantic model, told without importing pydantic."""
    return hasattr(cls, "__pydantic_fields_set__") and hasattr(cls, "model_construct")


def _is_makeable(cls: type) -> bool:
    """Whether an instance can be made without ``__init__``: not so below dict, Exception, or with abstract methods."""
    try:
        object.__new__(cls)
    except TypeError:
        return False
    return True
