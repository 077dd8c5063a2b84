"""Nodes that LangGraph made, as its ToolNode is: what they ask for, and what they return, in this library's types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Token
from typing import Any

from distgraph.types import Command, Send, TimeoutPolicy


def asked_by(runnable: Any) -> Mapping[str, Any] | None:
    """The extra arguments that a runnable's function asks for, by name; None: LangGraph did not make it."""
    asked = getattr(runnable, "func_accepts", None)
    return asked if isinstance(asked, Mapping) else None


def ours(output: Any) -> Any:
    """An output with LangGraph's ``Command`` and ``Send`` as ours, by themselves or in a list."""
    theirs = sys.modules.get("langgraph.types")
    if theirs is None:
        return output
    if type(output) in (list, tuple):
        return type(output)(map(ours, output))
    if isinstance(output, theirs.Send):
        limit = output.timeout and TimeoutPolicy(
            run_timeout=output.timeout.run_timeout,
            idle_timeout=output.timeout.idle_timeout,
            refresh_on=output.timeout.refresh_on,
        )
        return Send(output.node, output.arg, limit)
    if isinstance(output, theirs.Command):
        return Command(graph=output.graph, update=output.update, resume=output.resume, goto=ours(output.goto))
    return output


def lend(write: Callable[[Any], None]) -> Token[Any] | None:
    """Let ``ToolRuntime.emit_output_delta`` of the tool that begins here write with ``write``; what ``take_back`` takes."""
    variable = getattr(sys.modules.get("langgraph.pregel._tools"), "_tool_call_writer", None)
    return variable.set(write) if variable is not None else None


def take_back(token: Token[Any] | None) -> None:
    """Undo ``lend``, where the tool ends in the context that it began in."""
    if token is not None:
        with suppress(ValueError):
            token.var.reset(token)
