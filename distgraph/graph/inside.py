"""The graph that a node runs: its action itself, or one that its function reaches.

A function that calls a graph says so nowhere, so its closure and the global names it uses are looked at, and attributes
of these that it names. That finds too much rather than too little: a graph that is only mentioned counts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from distgraph.superstep.model import Program

#: Types whose values are no graphs and lead to none.
_LEAVES = frozenset({str, int, float, bool, bytes, type(None), type, FunctionType, BuiltinFunctionType})


def graph_in(action: Any) -> Any:
    """The compiled graph that ``action`` runs, if any."""
    if _is_graph(action):
        return action
    while isinstance(action, partial):
        action = action.func
    if isinstance(action, MethodType):
        return next(_reached(action.__func__, [action.__self__]), None)
    if not isinstance(action, FunctionType):
        call = getattr(type(action), "__call__", None)  # noqa: B004 - the function itself is wanted
        return next(_reached(call, [action]), None) if isinstance(call, FunctionType) else None
    return next(_reached(getattr(action, "__wrapped__", action), []), None)


def _reached(function: Any, known: list[Any]) -> Iterator[Any]:
    if not isinstance(function, FunctionType):
        return
    names = [*_names(function.__code__)]
    space = function.__globals__
    values = [*known, *_cells(function), *(space[name] for name in names if name in space)]
    values = [value for value in values if type(value) not in _LEAVES]
    yield from filter(_is_graph, values)
    for value in values:
        inside = vars(value) if isinstance(value, ModuleType) else getattr(value, "__dict__", None)
        if isinstance(inside, dict):
            yield from (inside[name] for name in names if name in inside and _is_graph(inside[name]))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # empty: a function that names itself, not yet bound
            continue


def _is_graph(value: Any) -> bool:
    return isinstance(getattr(value, "__dict__", {}).get("program"), Program)
