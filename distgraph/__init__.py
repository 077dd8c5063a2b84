"""Stateful graphs in supersteps: in this process, or in large batches on workers.

    from distgraph import END, START, StateGraph

Everything here is imported when it is first asked for, so that ``import distgraph`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distgraph.constants import END, START
    from distgraph.graph.state import StateGraph
    from distgraph.types import Command, Send, interrupt

__all__ = ["Command", "END", "START", "Send", "StateGraph", "interrupt"]

_PLACES = {
    "END": "constants",
    "START": "constants",
    "StateGraph": "graph.state",
    "Command": "types",
    "Send": "types",
    "interrupt": "types",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
