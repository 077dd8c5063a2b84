"""What a node raises to leave in an orderly way: control flow, and no errors. ``errors`` has these names too."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distgraph.warnings import LangGraphDeprecatedSinceV10

if TYPE_CHECKING:
    from distgraph.types import Command, Interrupt


class GraphBubbleUp(Exception):
    """Not a failure: what a node raises to stop its run in an orderly way. Never retried."""


class GraphInterrupt(GraphBubbleUp):
    """A node asked for an answer. ``args[0]`` is the sequence of ``Interrupt``."""

    def __init__(self, interrupts: Sequence[Interrupt] = ()) -> None:
        super().__init__(tuple(interrupts))

    @property
    def interrupts(self) -> tuple[Interrupt, ...]:
        """The questions that wait for an answer."""
        return tuple(self.args[0])


class GraphSleep(GraphBubbleUp):
    """A node sleeps: it is left, and started again when its time has come.

    Attributes:
        key: names the sleep, for every attempt of its task.
        seconds: how long, or None.
        until: seconds since the epoch when it ends, or None.
    """

    def __init__(self, key: str, seconds: float | None = None, until: float | None = None) -> None:
        super().__init__(f"sleeps for {seconds:g} s" if seconds is not None else f"sleeps until {until}")
        self.key, self.seconds, self.until = key, seconds, until


class ParentCommand(GraphBubbleUp):
    """A command addressed to the parent graph, on its way up. ``args[0]`` is the ``Command``."""

    def __init__(self, command: Command[Any]) -> None:
        super().__init__(command)


class NodeInterrupt(GraphInterrupt):
    """The older way to ask: raised by a node, which asks again until its state says otherwise. Use ``interrupt``."""

    def __init__(self, value: Any, id: str | None = None) -> None:
        from distgraph.types import Interrupt

        text = "NodeInterrupt is deprecated. Please use `distgraph.types.interrupt` instead."
        warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=2)
        super().__init__([Interrupt(value) if id is None else Interrupt(value, id)])


class GraphDrained(GraphBubbleUp):
    """The run stopped at a superstep boundary because a drain was asked for, and can be continued."""

    def __init__(self, reason: str = "shutdown") -> None:
        super().__init__(f"Graph drained: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NodeError:
    """What an error handler receives: the failed node's name and its exception."""

    node: str
    error: BaseException


def mark_invalid_resume(exc: BaseException, index: int, question: Interrupt | None = None) -> None:
    """Note on ``exc`` that the answer to ``question``, a task's ``index``-th, did not fit its schema."""
    exc.__dict__["invalid_resume"], exc.__dict__["refused_by"] = index, question


def invalid_resume_of(exc: BaseException) -> int | None:
    """Which answer of its task did not fit, if that is what ``exc`` is about."""
    found: int | None = getattr(exc, "__dict__", {}).get("invalid_resume")
    return found


def refused_by(exc: BaseException) -> Interrupt | None:
    """The question whose schema the answer did not fit, if that is what ``exc`` is about."""
    found: Interrupt | None = getattr(exc, "__dict__", {}).get("refused_by")
    return found


def is_invalid_resume(error: BaseException) -> bool:
    """Whether ``error`` means that an answer did not fit its question's schema; the question still waits."""
    return invalid_resume_of(error) is not None
