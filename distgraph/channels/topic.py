"""A channel that collects values in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distgraph.channels.base import BaseChannel, Update, Value
from distgraph.types import MISSING


class Topic(BaseChannel[Sequence[Value], Update]):
    """Collects the superstep's values (lists are flattened); ``accumulate`` keeps them over supersteps."""

    __slots__ = ("accumulate",)
    transient = True

    def __init__(self, typ: Any = Any, accumulate: bool = False, key: str = "") -> None:
        super().__init__(typ, key)
        self.accumulate = accumulate

    @property
    def ValueType(self) -> Any:
        return _sequence_of(self.typ)

    @property
    def UpdateType(self) -> Any:
        return _one_or_more_of(self.typ)

    def spec(self) -> tuple[Any, ...]:
        return ("Topic", self.accumulate)

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value if self.accumulate else MISSING
        collected = list(value) if self.accumulate and value is not MISSING else []
        for update in updates:
            if isinstance(update, list):
                collected.extend(update)
            else:
                collected.append(update)
        return collected or MISSING


def _sequence_of(typ: Any) -> Any:
    return Sequence[typ]


def _one_or_more_of(typ: Any) -> Any:
    return typ | list[typ]
