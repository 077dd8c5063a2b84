"""A channel that folds its updates with a reducer."""

from __future__ import annotations

import collections.abc
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

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
_Reducer = TypeVar("_Reducer", bound=Callable[..., Any])
#: Reducers that make of two lists a new one, of the items of both.
_APPENDING = (operator.add, operator.concat)
#: Reducers that change no item of the list on their left, and may put another in its place.
_KEEPING: list[Any] = []
#: Items of these types are what they were.
_CONSTANT = frozenset({str, int, float, bool, bytes, type(None)})


def keeps_items(reducer: _Reducer) -> _Reducer:
    """Mark a reducer of lists that never changes an item in place: where it only appends, the end is stored alone."""
    _KEEPING.append(reducer)
    return reducer


def kept_whole(before: Sequence[Any], updates: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether ``after`` begins with the very items of ``before``, none of which was written once more.

    An item that a node changed in place and returned is the same object and has another content.
    """
    if len(after) < len(before) or not all(map(operator.is_, before, after)):
        return False
    held = {id(item) for item in before}
    for update in updates:
        for item in update if isinstance(update, (list, tuple)) else (update,):
            if id(item) in held and type(item) not in _CONSTANT:
                return False
    return True


def empty_of(typ: Any) -> Any:
    """The empty value of a declared type, with a concrete container for an abstract one."""
    origin = getattr(typ, "__origin__", None) or typ
    return _CONCRETE.get(origin, origin)()


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


def sole_overwrite(key: str, updates: Sequence[Any]) -> tuple[bool, Any]:
    """Whether one of a superstep's updates is an Overwrite, and the value it carries.

    Raises:
        InvalidUpdateError: several are.
    """
    found = [content for forced, content in map(overwrite_of, updates) if forced]
    if len(found) > 1:
        raise InvalidUpdateError(f"At key '{key}': Can receive only one Overwrite value per super-step.")
    return (True, found[0]) if found else (False, None)


def same_reducer(mine: Any, theirs: Any) -> bool:
    """Whether two reducers are the same one, as far as their names tell: any two lambdas are."""
    both_anonymous = getattr(mine, "__name__", "") == getattr(theirs, "__name__", "") == "<lambda>"
    return mine is theirs or both_anonymous or reducer_name(mine) == reducer_name(theirs)


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

    __slots__ = ("operator",)

    def __init__(self, typ: Any, operator: Callable[[Any, Any], Any], key: str = "") -> None:
        super().__init__(typ, key)
        self.operator = operator

    def spec(self) -> tuple[Any, ...]:
        return ("BinaryOperatorAggregate", reducer_name(self.operator))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BinaryOperatorAggregate):
            return NotImplemented
        return same_reducer(self.operator, other.operator)

    __hash__ = BaseChannel.__hash__

    def initial(self) -> Any:
        try:
            return empty_of(self.typ)
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

    def grew(self, before: Sequence[Any], updates: Sequence[Any], after: Sequence[Any]) -> bool:
        reducer = self.operator
        if any(reducer is known for known in _APPENDING):
            return all(type(update) is list for update in updates)
        if isinstance(reducer, partial):
            reducer = reducer.func
        return any(reducer is known for known in _KEEPING) and kept_whole(before, updates, after)
