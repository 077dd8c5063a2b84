"""Callbacks on the moments when a run waits for a person and goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from distgraph.types import Interrupt

#: Where a run stands.
GraphLifecycleStatus: TypeAlias = Literal[
    "input", "pending", "done", "interrupt_before", "interrupt_after", "out_of_steps"
]


@dataclass(frozen=True, slots=True)
class GraphInterruptEvent:
    """A run stopped to ask."""

    run_id: Any
    status: GraphLifecycleStatus
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]
    interrupts: tuple[Interrupt, ...]


@dataclass(frozen=True, slots=True)
class GraphResumeEvent:
    """A stopped run goes on."""

    run_id: Any
    status: GraphLifecycleStatus
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]


GraphLifecycleEvent: TypeAlias = GraphInterruptEvent | GraphResumeEvent


class GraphCallbackHandler:
    """Subclass it, override what you need, and pass an instance in ``config["callbacks"]``."""

    def on_interrupt(self, event: GraphInterruptEvent) -> Any:
        """The run stopped to ask."""

    def on_resume(self, event: GraphResumeEvent) -> Any:
        """The run goes on."""
