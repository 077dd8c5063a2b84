"""The seam at which a chaos run may strike a process. One variable, None everywhere else.

Every script call is a point of the script's name. The points below are those that are no script: *calls*, whose reply may
be lost, and *marks*, which are merely passed. A point has two moments, "before" and "after"; a call has a third,
"reply-lost": the server has done what was asked, and the client, which does not know it, asks again.

Who strikes, and how, is none of this room's business: ``distgraph.chaos.fault`` arms it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: Calls that are no scripts: name -> what they do.
CALLS = {
    "manifest": "a submitter opens its batch",
    "seal": "a submitter says that no more items come",
    "publish": "hints go to the broker",
    "beat": "a worker says that it lives",
    "leave": "a worker says goodbye",
    "serve": "a worker that starts tells what it serves",
}
#: Marks: name -> what lies between their "before" and their "after".
MARKS = {
    "pop": "the worker's parent has taken a message from the queue; it is handed to the pool",
    "delivery": "a process of the pool works for one hint; after it the message is acknowledged",
    "load": "a checkpoint is read",
    "node": "a node runs",
    "reduce": "the writes of a superstep are merged",
    "encode": "values become bytes",
    "drain": "a worker is told to stop, and tells its processes",
    "delete": "a batch is deleted: before anything; when its items are gone and it still stands in the index",
}


class Nemesis(Protocol):
    """What may strike. Both may not return at all."""

    def reach(self, point: str, moment: str) -> None:
        """This process is just before or after ``point``."""
        ...

    def call(self, points: Sequence[str], send: Callable[[], T]) -> T:
        """Make a call that passes these points; its result."""
        ...


#: Set by ``distgraph.chaos.fault`` in a chaos run.
nemesis: Nemesis | None = None


def reach(mark: str, moment: str) -> None:
    """Pass a mark."""
    if nemesis is not None:
        nemesis.reach(mark, moment)


def passes(call: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorator of a function that is one of ``CALLS``; it must be safe to repeat."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def passing(*args: P.args, **kwargs: P.kwargs) -> T:
            if nemesis is None:
                return function(*args, **kwargs)
            return nemesis.call((call,), lambda: function(*args, **kwargs))

        return passing

    return decorate
