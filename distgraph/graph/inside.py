"""The graph that a node runs: its action itself, or one that its function reaches.

A function that calls a graph says so nowhere, so its closure and the global names it uses are looked at, attributes of
these that it names, and what it reads of attributes' attributes. That finds too much rather than too little: a graph that
is only mentioned counts too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
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
    names = _names(function.__code__)
    cells, space = _cells(function), function.__globals__
    named = {name: space[name] for name in names if name in space} | cells
    values = [value for value in (*known, *named.values()) if type(value) not in _LEAVES]
    if not values:
        return
    yield from filter(_is_graph, values)
    if not _may_lead(values, names):
        return
    paths = [*_paths(function.__code__)]
    read = dict.fromkeys(name for path in paths for name in path[1:])
    for value in values:
        inside = _inside(value) or {}
        yield from (inside[name] for name in read if _is_graph(inside.get(name)))
    for start, *path in paths:
        value = named.get(start)
        for name in path:
            value = (_inside(value) or {}).get(name)
            if _is_graph(value):
                yield value


def _may_lead(values: list[Any], names: list[str]) -> bool:
    """Whether a graph can be reached from ``values`` by attributes of these names; quick, where most lead to none."""
    seen, todo = set[int](), list(values)
    for value in todo:
        if _is_graph(value):
            return True
        inside = _inside(value)
        if inside is not None and id(value) not in seen:
            seen.add(id(value))
            todo += [inside[name] for name in names if name in inside and type(inside[name]) not in _LEAVES]
    return False


def _inside(value: Any) -> dict[str, Any] | None:
    """The attributes that ``value`` itself has; nothing of it is run to find them."""
    found = vars(value) if isinstance(value, ModuleType) else getattr(value, "__dict__", None)
    return found if isinstance(found, dict) else None


def _paths(code: CodeType) -> Iterator[list[str]]:
    """What is read, as far as it is never left out: a name with the attributes after it; '' for what has no name."""
    # Few functions need it.
    import dis

    path = [""]
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            path.append(step.argval)
            continue
        yield path
        path = [step.argval if step.opname in ("LOAD_GLOBAL", "LOAD_DEREF") else ""]
    yield path
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _paths(constant)


def _names(code: CodeType) -> list[str]:
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _names(constant)
    return names


def _cells(function: FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        # Empty: a function that names itself, not yet bound.
        with suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _is_graph(value: Any) -> bool:
    return isinstance(getattr(value, "__dict__", {}).get("program"), Program)
