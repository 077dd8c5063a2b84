"""Lints of what workers and checkpoints need of a graph: types that can be stored, code that can be reached.

A graph that runs here and is stored nowhere needs none of it. So these are looked for where a graph is compiled with a
checkpointer or ``strict=True``, and by ``distgraph check``. They are careful: a type that may stand for storable ones (an
abstract class, ``Any``, a protocol) is left in peace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from inspect import isabstract
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any, get_args, get_origin

from distgraph.channels import BinaryOperatorAggregate, DeltaChannel
from distgraph.graph.hints import plain_function
from distgraph.graph.problems import Problem, lint

if TYPE_CHECKING:
    from distgraph.graph.state import StateGraph

    Builder = StateGraph[Any, Any, Any, Any]

#: Whose classes stand for others, or for nothing in particular.
_GENERAL = frozenset({"typing", "typing_extensions", "abc", "distgraph.types"})
#: Of these no value is data, although they are abstract.
_WORKING = frozenset(
    f"collections.abc.{name}"
    for name in ("Callable", "Iterator", "AsyncIterator", "Generator", "AsyncGenerator", "Coroutine", "Awaitable")
)
_MAKE_DATA = (
    "Let nodes make or import what is no data, or pass it as context; keep a key out of checkpoints with "
    "Annotated[..., UntrackedValue]; make a class of yours a dataclass."
)


def storage_lints(builder: Builder) -> Iterator[Problem]:
    """What cannot be stored, or would look the same in different graphs."""
    for key, channel in builder.channels.items():
        named = unstorable(channel.typ) if channel.tracked else None
        if named is not None:
            text = f"Key {key!r} is declared with {named}, whose values cannot be stored: a run that has one fails."
            yield lint("unstorable-type", text, _MAKE_DATA, builder.place)
        reducer: Any = None
        if isinstance(channel, BinaryOperatorAggregate):
            reducer = channel.operator
        elif isinstance(channel, DeltaChannel):
            reducer = channel.reducer
        if isinstance(reducer, partial) and not _own(reducer.func):
            text = f"The reducer of key {key!r} is a functools.partial: graphs that differ only in it look equal to workers."
            yield lint("partial-reducer", text, "Name it with def.", builder.place)


def reach_lints(builder: Builder, name: str) -> Iterator[Problem]:
    """Nodes that no worker can import; for graphs with a name, by which alone workers know them."""
    for node, spec in builder.nodes.items():
        function, _ = plain_function(spec.action)
        if function is not None and function.__module__ == "__main__":
            text = f"Node {node!r} of graph {name!r} is defined in __main__, which no worker can import."
            fix = "Move the graph and its nodes to a module, and start workers with --graphs MODULE."
            yield lint("node-in-main", text, fix, spec.place)


def why_unreachable(graph: Any) -> str:
    """What may keep workers from having a compiled graph, for the message of whoever misses it; '' if nothing is seen."""
    functions = [plain_function(spec.action)[0] for spec in graph.builder.nodes.values()]
    if any(function is not None and function.__module__ == "__main__" for function in functions):
        return " Nodes of yours are defined in __main__, which no worker can import: move the graph to a module."
    if any(function is not None and "<locals>" in function.__qualname__ for function in functions):
        return " Nodes of yours are defined in a function: workers find graphs in module attributes, so keep it in one."
    return ""


def unstorable(annotation: Any) -> str | None:
    """The first class that ``annotation`` mentions, in its own fields too, of which no value can be stored; by name."""
    from distgraph.checkpoint.own import own_types
    from distgraph.wire.hints import classes_in, field_annotations
    from distgraph.wire.kinds import is_kind
    from distgraph.wire.shapes import shape_of

    working = _working(annotation)
    if working is not None:
        return working
    known = own_types()
    seen: set[type] = set()
    waiting = deque(classes_in(annotation))
    while waiting:
        cls = waiting.popleft()
        if cls in seen or cls in _PLAIN or is_kind(cls) or cls in known or _general(cls):
            continue
        seen.add(cls)
        if not hasattr(cls, "__required_keys__") and shape_of(cls, cls.__qualname__) is None:
            return f"{cls.__module__}.{cls.__qualname__}".removeprefix("builtins.")
        for hint in field_annotations(cls):
            working = _working(hint)
            if working is not None:
                return f"{cls.__qualname__}, which has {working}"
            waiting.extend(classes_in(hint))
    return None


_PLAIN = frozenset({str, int, float, bool, bytes, type(None), list, dict, object})


def _working(annotation: Any) -> str | None:
    """Of an annotation, whatever it is wrapped in: what does something, in place of being something."""
    if isinstance(annotation, BuiltinFunctionType | FunctionType):
        # Before Python 3.13 ``threading.Lock`` is a function that makes locks. A NewType is none.
        return None if hasattr(annotation, "__supertype__") else f"{annotation.__module__}.{annotation.__qualname__}"
    origin = get_origin(annotation)
    for cls in (annotation, origin):
        name = f"{getattr(cls, '__module__', '')}.{getattr(cls, '__qualname__', '')}"
        if isinstance(cls, type) and name in _WORKING:
            return name
    if origin is None:
        return None
    return next((found for found in map(_working, get_args(annotation)) if found is not None), None)


def _general(cls: type) -> bool:
    """Whether a class says nothing about its values: it is abstract, a protocol, or made for annotations."""
    module = cls.__module__
    io = module == "typing" and cls.__name__ in ("IO", "TextIO", "BinaryIO")
    return not io and (module in _GENERAL or isabstract(cls) or bool(getattr(cls, "_is_protocol", False)))


def _own(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith("distgraph.")
