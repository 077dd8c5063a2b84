"""A channel that hands its reducer all updates of a superstep at once, made for lists that grow for long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from distgraph.channels.base import BaseChannel, Value
from distgraph.channels.binop import empty_of, kept_whole, overwrite_of, reducer_name, same_reducer, sole_overwrite
from distgraph.types import MISSING


class DeltaChannel(BaseChannel[Value, Any]):
    """Calls ``reducer(value, [update, update, ...])`` once a superstep, with its updates in task order.

    Where the value is a list and the reducer only appended to it, savers and workers store what was appended and not
    the whole list. Other values are stored whole. Nothing is ever computed again from old updates: a checkpoint is read
    without calling the reducer.

    Args:
        reducer: ``(value, updates) -> value``; deterministic, and applied to two batches one after the other it gives
            what it gives for both at once. It may add to the list or dict it is given, which is a copy made for it, and
            must not change what is in there.
        typ: the declared type; called without arguments for the initial value (``list`` for Sequence and so on).
            An annotation ``Annotated[T, DeltaChannel(...)]`` puts T here.
        snapshot_frequency: taken so that programs move unchanged, and part of what makes two channels equal. Reading
            never takes longer than a few parts, so that nothing has to be stored whole in between.

    Raises:
        ValueError: ``snapshot_frequency`` is not positive.
    """

    __slots__ = ("reducer", "snapshot_frequency")

    def __init__(
        self,
        reducer: Callable[[Any, Sequence[Any]], Any],
        typ: Any = None,
        *,
        snapshot_frequency: int = 100,
        key: str = "",
    ) -> None:
        if snapshot_frequency <= 0:
            raise ValueError(f"snapshot_frequency must be a positive int, got {snapshot_frequency}.")
        super().__init__(list if typ is None else typ, key)
        self.reducer = reducer
        self.snapshot_frequency = snapshot_frequency

    def of(self, typ: Any) -> DeltaChannel[Value]:
        """The same rule for values of the type ``typ``."""
        twin = copy(self)
        twin.typ = typ
        return twin

    def spec(self) -> tuple[Any, ...]:
        return ("DeltaChannel", reducer_name(self.reducer))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DeltaChannel):
            return NotImplemented
        return self.snapshot_frequency == other.snapshot_frequency and same_reducer(self.reducer, other.reducer)

    __hash__ = BaseChannel.__hash__

    def initial(self) -> Any:
        """The empty value of the type.

        Raises:
            TypeError: it has none.
        """
        try:
            return empty_of(self.typ)
        except TypeError as exc:
            exc.add_note(f"Key {self.key!r} is a DeltaChannel, which starts with the empty value of its type.")
            raise

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        if not updates:
            return value
        forced, content = sole_overwrite(self.key, updates)
        if forced:
            return self.initial() if content is None else copy(content)
        base = self.initial() if value is MISSING else copy(value)
        try:
            return self.reducer(base, list(updates))
        except Exception as exc:
            exc.add_note(f"While the reducer {reducer_name(self.reducer)} merged updates into key {self.key!r}.")
            raise

    def replay_writes(self, writes: Sequence[tuple[str, str, Any]]) -> None:
        """Merge writes of several supersteps into the held value at once, from the last ``Overwrite`` among them on.

        For programs that try a reducer by hand: runs read values, and never need it.

        Args:
            writes: (task id, channel, value), the oldest first.
        """
        values = [value for _, _, value in writes]
        overwrites = [at for at, value in enumerate(values) if overwrite_of(value)[0]]
        if overwrites:
            self.update([values[overwrites[-1]]])
            del values[: overwrites[-1] + 1]
        self.update(values)

    def grew(self, before: Sequence[Any], updates: Sequence[Any], after: Sequence[Any]) -> bool:
        return kept_whole(before, updates, after)
