"""Channels that keep the last value written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distgraph.channels.base import BaseChannel, Update, Value
from distgraph.errors import ErrorCode, InvalidUpdateError, create_error_message
from distgraph.types import MISSING


class LastValue(BaseChannel[Value, Value]):
    """Keeps the value written; one write a superstep."""

    __slots__ = ()

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value
        if len(updates) != 1:
            raise InvalidUpdateError(
                create_error_message(
                    message=f"At key '{self.key}': Can receive only one value per step, got {len(updates)}. "
                    "Use an Annotated key with a reducer to merge several values.",
                    error_code=ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE,
                )
            )
        return updates[-1]


class LastValueAfterFinish(BaseChannel[Value, Value]):
    """Like LastValue, but readable only when nothing else is left to run; gone once read. Stored: (value, finished)."""

    __slots__ = ()
    plain = False
    finishes = True
    consumable = True

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        return (updates[-1], False) if updates else value

    def consume(self, value: Any) -> Any:
        return MISSING if value is not MISSING and value[1] else value

    def finish(self, value: Any) -> Any:
        return (value[0], True) if value is not MISSING and not value[1] else value

    def is_available(self, value: Any = MISSING) -> bool:
        value = self._value(value)
        return value is not MISSING and value[1]

    def read(self, value: Any) -> Any:
        return value[0]


class AnyValue(BaseChannel[Value, Value]):
    """Keeps the last of several writes, which the graph promises to be equal; empty after a superstep without any."""

    __slots__ = ()
    transient = True

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        return updates[-1] if updates else MISSING


class UntrackedValue(BaseChannel[Value, Value]):
    """Keeps the last value written, outside checkpoints: lost on resume. ``guard`` refuses two writes a superstep."""

    __slots__ = ("guard",)
    tracked = False

    def __init__(self, typ: Any = Any, guard: bool = True, key: str = "") -> None:
        super().__init__(typ, key)
        self.guard = guard

    def spec(self) -> tuple[Any, ...]:
        return ("UntrackedValue", self.guard)

    def checkpoint(self) -> Any:
        return MISSING

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if len(updates) > 1 and self.guard:
            raise InvalidUpdateError(
                f"At key '{self.key}': UntrackedValue(guard=True) can receive only one value per step."
            )
        return updates[-1] if updates else value


class EphemeralValue(BaseChannel[Value, Update]):
    """Keeps a value for one superstep. ``guard`` refuses two writes a superstep."""

    __slots__ = ("guard",)
    transient = True

    def __init__(self, typ: Any = Any, guard: bool = True, key: str = "") -> None:
        super().__init__(typ, key)
        self.guard = guard

    def spec(self) -> tuple[Any, ...]:
        return ("EphemeralValue", self.guard)

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return MISSING
        if self.guard and len(updates) != 1:
            raise InvalidUpdateError(
                f"At key '{self.key}': EphemeralValue(guard=True) can receive only one value per step."
            )
        return updates[-1]
