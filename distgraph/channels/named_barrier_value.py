"""Channels that open once every named party has written: joins."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from distgraph.channels.base import BaseChannel, Value
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING


class NamedBarrierValue(BaseChannel[Value, Value]):
    """Opens when all ``names`` have written; closes again when read. Stored: the sorted tuple of names seen."""

    __slots__ = ("names",)
    plain = False
    consumable = True

    def __init__(self, typ: Any, names: Collection[Any], key: str = "") -> None:
        super().__init__(typ, key)
        self.names = frozenset(names)

    def spec(self) -> tuple[Any, ...]:
        return (type(self).__name__, tuple(sorted(map(str, self.names))))

    def _merged(self, seen: Any, updates: Sequence[Any]) -> Any:
        merged = set(() if seen is MISSING else seen)
        for update in updates:
            if update not in self.names:
                raise InvalidUpdateError(f"At key '{self.key}': Value {update} not in {sorted(self.names)}")
            merged.add(update)
        return tuple(sorted(merged))

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value
        merged = self._merged(value, updates)
        return value if merged == value else merged

    def consume(self, value: Any) -> Any:
        return MISSING if self.is_available(value) else value

    def missing(self, value: Any) -> list[Any]:
        """The names that have not written, sorted."""
        return sorted(self.names.difference(() if value is MISSING else value))

    def is_available(self, value: Any = MISSING) -> bool:
        value = self._value(value)
        return value is not MISSING and len(value) == len(self.names)

    def read(self, value: Any) -> Any:
        return None


class NamedBarrierValueAfterFinish(NamedBarrierValue[Value]):
    """A join into a deferred node: opens when complete and nothing else is left. Stored: (names seen, finished)."""

    __slots__ = ()
    finishes = True

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value
        seen, finished = (MISSING, False) if value is MISSING else value
        merged = self._merged(seen, updates)
        return value if merged == seen else (merged, finished)

    def missing(self, value: Any) -> list[Any]:
        return super().missing(value if value is MISSING else value[0])

    def _complete(self, value: Any) -> bool:
        return value is not MISSING and len(value[0]) == len(self.names)

    def consume(self, value: Any) -> Any:
        return MISSING if self._complete(value) and value[1] else value

    def finish(self, value: Any) -> Any:
        return (value[0], True) if self._complete(value) and not value[1] else value

    def is_available(self, value: Any = MISSING) -> bool:
        value = self._value(value)
        return self._complete(value) and bool(value[1])
