"""What a node raises to leave in an orderly way: control flow, and no errors. ``errors`` has these names too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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


class GraphDrained(GraphBubbleUp):
    """The run stopped at a superstep boundary because a drain was asked for, and can be continued."""

    def __init__(self, reason: str = "shutdown") -> None:
        super().__init__(f"Graph drained: {reason}")
        self.reason = reason
