"""The front door: StateGraph, its checks, and the compiled graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distgraph.constants import END, START
from distgraph.graph.state import StateGraph

if TYPE_CHECKING:
    from distgraph.graph.compiled import CompiledGraph, CompiledStateGraph
    from distgraph.graph.lint import check
    from distgraph.graph.message import MessageGraph, MessagesState, add_messages

__all__ = [
    "END",
    "START",
    "CompiledGraph",
    "CompiledStateGraph",
    "MessageGraph",
    "MessagesState",
    "StateGraph",
    "add_messages",
    "check",
]

_ELSEWHERE = {
    "CompiledGraph": "compiled",
    "CompiledStateGraph": "compiled",
    "MessageGraph": "message",
    "MessagesState": "message",
    "add_messages": "message",
    "check": "lint",
}


def __getattr__(name: str) -> Any:
    """Names that few programs use are imported when asked for."""
    from importlib import import_module

    if name in _ELSEWHERE:
        return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
