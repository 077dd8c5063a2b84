"""What the annotations of node and path functions say: input schema, and destinations of a returned Command.

Annotations are read one by one and evaluated only where they can matter, because graphs with thousands of nodes are
built in a loop. An annotation that cannot be evaluated says nothing.
"""

from __future__ import annotations

import builtins
from functools import cached_property
from types import FunctionType, MethodType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from distgraph.types import Command


def plain_function(action: Any) -> tuple[FunctionType | None, int]:
    """The function behind a function, method or callable object, and where its own first parameter is."""
    position = 0
    if isinstance(action, MethodType):
        action, position = action.__func__, 1
    elif not isinstance(action, FunctionType):
        action, position = getattr(type(action), "__call__", None), 1  # noqa: B004 - the method, not its presence
    while isinstance(action, FunctionType) and "__wrapped__" in action.__dict__:
        action = action.__dict__["__wrapped__"]
    return (action, position) if isinstance(action, FunctionType) else (None, 0)


class HintReader:
    """Reads annotations; remembers each text of each module."""

    @cached_property
    def _known(self) -> dict[tuple[str, int], Any]:
        return {}

    def read(self, action: Any) -> tuple[Any, Any]:
        """The annotations of ``action``'s first parameter (if it is a schema class) and of its result."""
        function, position = plain_function(action)
        if function is None:
            return None, None
        annotations = function.__annotations__
        if not annotations:
            return None, None
        code = function.__code__
        name = code.co_varnames[position] if code.co_argcount > position else ""
        return (
            schema_class(self._value(annotations.get(name), function)),
            self._value(annotations.get("return"), function),
        )

    def _value(self, annotation: Any, function: FunctionType) -> Any:
        if not isinstance(annotation, str):
            return annotation
        space = function.__globals__
        if annotation in space:
            return space[annotation]
        key = (annotation, id(space))
        if key not in self._known:
            self._known[key] = _evaluate(annotation, space)
        return self._known[key]


def _evaluate(text: str, space: dict[str, Any]) -> Any:
    if text.isidentifier():
        return getattr(builtins, text, None)
    try:
        return get_type_hints(SimpleNamespace(__annotations__={"it": text}), space, include_extras=True)["it"]
    except Exception:
        # Names of an enclosing function or of type checking alone: such a text says nothing at run time.
        return None


def schema_class(hint: Any) -> Any:
    """``hint`` if it is a class that declares keys."""
    if isinstance(hint, type) and any(vars(base).get("__annotations__") for base in hint.__mro__):
        return hint
    return None


def command_ends(returned: Any) -> tuple[str, ...]:
    """The destinations that ``-> Command[Literal["a", "b"]]`` declares, also as one member of a union."""
    if returned is None or isinstance(returned, type):
        return ()
    origin = get_origin(returned)
    if origin is Union or origin is UnionType:
        returned = next((arg for arg in get_args(returned) if get_origin(arg) is Command), None)
        origin = get_origin(returned)
    if origin is not Command:
        return ()
    names = get_args(returned)[0]
    return tuple(get_args(names)) if get_origin(names) is Literal else ()


def literal_ends(returned: Any) -> tuple[Any, ...]:
    """The results that ``-> Literal["a", "b"]`` of a path function declares."""
    return tuple(get_args(returned)) if get_origin(returned) is Literal else ()
