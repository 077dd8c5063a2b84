"""A channel that folds its updates with a reducer."""

from __future__ import annotations

import collections.abc
import operator
from collections.abc import Callable, Sequence
from typing import Any

from distgraph.channels.base import BaseChannel, Value
from distgraph.constants import OVERWRITE
from distgraph.errors import InvalidUpdateError
from distgraph.types import MISSING, Overwrite

_CONCRETE: dict[Any, Callable[[], Any]] = {
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}
#: Reducers that make of two lists a new one, of the items of both.
_APPENDING = (operator.add, operator.concat)


def overwrite_of(update: Any) -> tuple[bool, Any]:
    """Whether ``update`` is an Overwrite in any of its forms, and the value it carries."""
    if isinstance(update, Overwrite):
        return True, update.value
    if isinstance(update, dict):
        if len(update) == 1 and OVERWRITE in update:
            return True, update[OVERWRITE]
        if len(update) == 2 and update.get("type") == OVERWRITE and "value" in update:
            return True, update["value"]
    return False, None


def reducer_name(fn: Any) -> str:
    """The stable name of a reducer: module and qualified name, never an address."""
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    return f"{getattr(fn, '__module__', '')}:{name}"


class BinaryOperatorAggregate(BaseChannel[Value, Value]):
    """Folds each superstep's updates into the value with ``operator``, in task order.

    Args:
        typ: the declared type; called without arguments for the initial value (``list`` for Sequence and so on).
            Where that fails the first update becomes the value.
        operator: ``(value, update) -> value``; pure. It must not change its left argument in place.
    """

    __slots__ = ("_make", "appends", "operator")

    def __init__(self, typ: Any, operator: Callable[[Any, Any], Any], key: str = "") -> None:
        super().__init__(typ, key)
        self.operator = operator
        origin = getattr(typ, "__origin__", None) or typ
        self._make = _CONCRETE.get(origin, origin)
        self.appends = operator in _APPENDING

    def spec(self) -> tuple[Any, ...]:
        return ("BinaryOperatorAggregate", reducer_name(self.operator))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BinaryOperatorAggregate):
            return NotImplemented
        mine, theirs = self.operator, other.operator
        both_anonymous = getattr(mine, "__name__", "") == getattr(theirs, "__name__", "") == "<lambda>"
        return mine is theirs or both_anonymous or self.spec() == other.spec()

    __hash__ = BaseChannel.__hash__

    def initial(self) -> Any:
        try:
            return self._make()
        except Exception:
            # The type has no empty value (an abstract class, required arguments): the first update starts the fold.
            return MISSING

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value
        operator = self.operator
        overwritten = False
        for update in updates:
            if isinstance(update, (Overwrite, dict)):
                forced, content = overwrite_of(update)
                if forced:
                    if overwritten:
                        raise InvalidUpdateError(
                            f"At key '{self.key}': Can receive only one Overwrite value per super-step."
                        )
                    value, overwritten = content, True
                    continue
            if overwritten:
                continue
            if value is MISSING:
                value = update
                continue
            try:
                value = operator(value, update)
            except Exception as exc:
                exc.add_note(f"While the reducer {reducer_name(operator)} merged an update into key {self.key!r}.")
                raise
        return value
