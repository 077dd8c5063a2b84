"""What a channel is: a rule by which the updates of one superstep change one value.

A channel object is a *specification*: immutable, shared by all runs, comparable. The value it governs is passed in
and handed back, never kept, so that a superstep is a pure function of a checkpoint:

    reduce(value, updates)   the value after one superstep's updates, in task order; raises if they conflict
    consume(value)           the value after a task it triggered has run
    finish(value)            the value once nothing else is left to run
    is_available(value)      whether a task may read it or be triggered by it
    read(value)              what a task sees
    grew(before, updates, after)  whether a list was only appended to

``MISSING`` is "no value". A rule that changes nothing returns the very object it was given.

For people who drive a channel by hand there is also the familiar stateful face: ``from_checkpoint`` makes a copy that
holds a value, with ``update``, ``get`` and ``checkpoint``. The engine does not use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, Generic, TypeVar

from distgraph.errors import EmptyChannelError
from distgraph.types import MISSING

Value = TypeVar("Value")
Update = TypeVar("Update")


class BaseChannel(Generic[Value, Update]):
    """Base of all channels. ``typ`` is the declared type, ``key`` the channel's name once it is part of a graph."""

    __slots__ = ("_held", "key", "typ")

    #: The stored value is what a task reads, and present means available.
    plain: ClassVar[bool] = True
    #: Reacts to a superstep that did not write it.
    transient: ClassVar[bool] = False
    #: Reacts to the end of the run.
    finishes: ClassVar[bool] = False
    #: Reacts to a task it triggered having run.
    consumable: ClassVar[bool] = False
    #: Part of checkpoints.
    tracked: ClassVar[bool] = True

    def __init__(self, typ: Any = Any, key: str = "") -> None:
        self.typ = typ
        self.key = key
        self._held: Any = MISSING

    # ------------------------------------------------------------ the rule

    def initial(self) -> Any:
        """The value before any write."""
        return MISSING

    def reduce(self, value: Any, updates: Sequence[Any]) -> Any:
        """The value after one superstep; ``updates`` is empty where nobody wrote.

        Raises:
            InvalidUpdateError: the updates cannot be reconciled.
        """
        raise NotImplementedError

    def consume(self, value: Any) -> Any:
        """The value after a task it triggered has run."""
        return value

    def finish(self, value: Any) -> Any:
        """The value once nothing else is left to run."""
        return value

    def grew(self, before: Sequence[Any], updates: Sequence[Any], after: Sequence[Any]) -> bool:
        """Whether the list ``after``, which ``reduce`` made of the list ``before``, is that with items appended.

        Only then may the end be stored alone. False where it cannot be told.
        """
        return False

    def is_available(self, value: Any = MISSING) -> bool:
        """Whether ``value`` may be read; without an argument: whether the held value may."""
        return self._value(value) is not MISSING

    def read(self, value: Any) -> Any:
        """What a task sees of an available ``value``."""
        return value

    # ----------------------------------------------------- as part of a graph

    def named(self, key: str) -> BaseChannel[Value, Update]:
        """The same rule under the name ``key``."""
        if self.key == key:
            return self
        twin = copy(self)
        twin.key = key
        return twin

    def spec(self) -> tuple[Any, ...]:
        """What makes two channels equal, and what goes into the graph's fingerprint (names, no addresses)."""
        return (type(self).__name__,)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.spec() == other.spec()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({getattr(self.typ, '__name__', self.typ)!s})"

    @property
    def ValueType(self) -> Any:
        """The type of what a task reads."""
        return self.typ

    @property
    def UpdateType(self) -> Any:
        """The type of one update."""
        return self.typ

    # -------------------------------------------------- the stateful face

    def _value(self, value: Any) -> Any:
        return self._held if value is MISSING else value

    def from_checkpoint(self, checkpoint: Any = MISSING) -> BaseChannel[Value, Update]:
        """A copy that holds ``checkpoint``, or the initial value."""
        twin = copy(self)
        twin._held = self.initial() if checkpoint is MISSING else checkpoint
        return twin

    def copy(self) -> BaseChannel[Value, Update]:
        """A copy that holds the same value."""
        return copy(self)

    def checkpoint(self) -> Any:
        """The held value, as a checkpoint stores it."""
        return self._held

    def update(self, values: Sequence[Any]) -> bool:
        """Apply one superstep's updates to the held value; whether it changed."""
        before = self._held
        self._held = self.reduce(before, values)
        return self._held is not before or bool(values)

    def get(self) -> Any:
        """The held value.

        Raises:
            EmptyChannelError: there is none.
        """
        if not self.is_available():
            raise EmptyChannelError(f"Channel {self.key!r} is empty: nothing was written to it yet.")
        return self.read(self._held)
