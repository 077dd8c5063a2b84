"""Where a task sends the run next: results of branches, Send and goto, turned into writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from distgraph.constants import BRANCH_TO, END, ROOT, START, TASKS
from distgraph.errors import InvalidUpdateError, RoutingError
from distgraph.suggestions import did_you_mean
from distgraph.superstep.model import Branch
from distgraph.types import MISSING, Send, Write


def unknown_node(where: str, name: object, nodes: Collection[str]) -> str:
    """The text of a routing error."""
    return f"{where} goes to unknown node {name!r}; nothing was routed.{did_you_mean(name, nodes)}"


def route_write(target: Any, nodes: Mapping[str, Any], where: str) -> Write | None:
    """The write that wakes ``target``; None for END.

    Raises:
        RoutingError: ``target`` is no node of the graph.
        InvalidUpdateError: ``target`` is a Send to END.
    """
    if isinstance(target, Send):
        if target.node == END:
            raise InvalidUpdateError(f"{where}: Cannot send a packet to the END node.")
        if target.node not in nodes:
            raise RoutingError(unknown_node(where, target.node, nodes))
        return (TASKS, target)
    if target == END:
        return None
    if target == START or target not in nodes:
        raise RoutingError(unknown_node(where, target, nodes))
    return (BRANCH_TO + target, None)


def goto_writes(goto: Any, nodes: Mapping[str, Any], where: str) -> list[Write]:
    """The writes of a ``Command``'s ``goto``: one target or a sequence of them."""
    targets = [goto] if isinstance(goto, str | Send) else goto
    return [write for target in targets if (write := route_write(target, nodes, where)) is not None]


def branch_writes(branch: Branch, result: Any, nodes: Mapping[str, Any], source: str) -> list[Write]:
    """The writes of a conditional edge whose function returned ``result``.

    Raises:
        RoutingError: a result that the branch's mapping or the graph does not know, or that is no destination (None).
    """
    results: Sequence[Any] = result if isinstance(result, list | tuple) else [result]
    where = f"Conditional edge {branch.name!r} of node {source!r}"
    writes: list[Write] = []
    for item in results:
        target = item if isinstance(item, Send) else _mapped(branch, item, where)
        if target is None or target == START:
            raise RoutingError(f"{where}: Branch did not return a valid destination, got {target!r}.")
        write = route_write(target, nodes, where)
        if write is not None:
            writes.append(write)
    return writes


def _mapped(branch: Branch, item: Any, where: str) -> Any:
    if branch.ends is None:
        return item
    try:
        return branch.ends[item]
    except (KeyError, TypeError):
        known = ", ".join(repr(key) for key in branch.ends)
        raise BranchKeyError(f"{where} returned {item!r}, which its mapping does not have. It has: {known}.") from None


class BranchKeyError(RoutingError, KeyError):
    """A branch's result is not in its mapping; a KeyError too, as the peer raises."""

    __str__ = Exception.__str__


def update_pairs(update: Any) -> list[Write]:
    """The update of a ``Command`` as pairs of key and value; one that has no keys goes to the root value."""
    if update is None:
        return []
    if isinstance(update, Mapping):
        return list(update.items())
    if isinstance(update, list | tuple) and all(map(_is_pair, update)):
        return list(update)
    keys = declared_keys(type(update))
    return instance_pairs(update, keys) if keys else [(ROOT, update)]


_DECLARED: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def declared_keys(typ: type) -> tuple[str, ...]:
    """The names that a class and its bases annotate, bases first; none for a class that is no schema."""
    if issubclass(typ, type):
        # A class itself is no instance of a schema: what it annotates is not its own.
        return ()
    if typ not in _DECLARED:
        names = (name for base in reversed(typ.__mro__) for name in vars(base).get("__annotations__", ()))
        _DECLARED[typ] = tuple(dict.fromkeys(names))
    return _DECLARED[typ]


def instance_pairs(instance: Any, keys: Iterable[str]) -> list[Write]:
    """What a schema instance changes: its attributes among ``keys``.

    Of a pydantic model a None counts only where it was set, or where None is not the field's default: a model built
    to change one key does not reset the others.
    """
    pairs = [(key, value) for key in keys if (value := getattr(instance, key, MISSING)) is not MISSING]
    fields = getattr(type(instance), "model_fields", None)
    if not isinstance(fields, dict):
        return pairs
    given = instance.model_fields_set
    return [
        (key, value)
        for key, value in pairs
        if value is not None or key in given or key not in fields or fields[key].default is not None
    ]


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
