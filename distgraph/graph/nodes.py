"""A node's output -> its writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from distgraph.constants import ROOT
from distgraph.errors import ErrorCode, InvalidNodeReturnError, InvalidUpdateError, ParentCommand, create_error_message
from distgraph.graph.schema import is_model
from distgraph.superstep.routing import did_you_mean, goto_writes
from distgraph.types import MISSING, Command, Send, Write
from distgraph.warnings import DistgraphWarning

Writer = Callable[[Any], list[Write]]


def state_writer(
    name: str, keys: frozenset[str], nodes: Mapping[str, Any], *, known: frozenset[str], strict: bool = False
) -> Writer:
    """Writer of a node of a graph whose state has ``keys``.

    Takes None, a dict, an instance of a schema, a ``Command``, a ``Send``, or a list that mixes dicts and Commands.
    """
    reported: set[str] = set()

    def write(output: Any) -> list[Write]:
        if output.__class__ is dict and output.keys() <= keys:
            return list(output.items())
        if output is None:
            return []
        writes = [*_updates(output, keys, name), *_routes(output, nodes, name)]
        _report_unknown(name, output, known, reported, strict)
        return writes

    return write


def root_writer(name: str, nodes: Mapping[str, Any]) -> Writer:
    """Writer of a node of a graph whose state is one value: whatever it returns, None excepted, is the update."""

    def write(output: Any) -> list[Write]:
        if output is None:
            return []
        if isinstance(output, Command | Send) or _has_command(output):
            items = output if isinstance(output, list | tuple) else [output]
            return [*(pair for item in items for pair in _root_pairs(item)), *_routes(output, nodes, name)]
        return [(ROOT, output)]

    return write


def naming_writer(write: Writer, keys: frozenset[str]) -> Writer:
    """``write`` of a graph whose ``keys`` hold messages: their ids are given before anybody stores or reads them."""
    from distgraph.graph.message import name_messages

    def named(output: Any) -> list[Write]:
        writes = write(output)
        for key, update in writes:
            if key in keys:
                name_messages(update)
        return writes

    return named


def _root_pairs(item: Any) -> Sequence[Write]:
    if isinstance(item, Send):
        return ()
    return command_updates(item) if isinstance(item, Command) else [(ROOT, item)]


def _has_command(output: Any) -> bool:
    return isinstance(output, list | tuple) and any(isinstance(item, Command) for item in output)


def _updates(output: Any, keys: Collection[str], name: str) -> list[Write]:
    if isinstance(output, Command):
        return [pair for pair in command_updates(output) if pair[0] in keys]
    if isinstance(output, dict):
        return [pair for pair in output.items() if pair[0] in keys]
    if output is None or isinstance(output, Send):
        return []
    if _has_command(output):
        return [pair for item in output for pair in _updates(item, keys, name)]
    if declared_keys(type(output)):
        return instance_updates(output, keys)
    raise InvalidNodeReturnError(
        create_error_message(
            message=f"Expected dict, got {output!r:.200} from node {name!r}. A node returns None, a dict of the keys "
            "it changes, an instance of its schema, a Command, or a list of dicts and Commands.",
            error_code=ErrorCode.INVALID_GRAPH_NODE_RETURN_VALUE,
        )
    )


def _routes(output: Any, nodes: Mapping[str, Any], name: str) -> list[Write]:
    where = f"Node {name!r}"
    if isinstance(output, Send):
        return goto_writes(output, nodes, where)
    items = output if isinstance(output, list | tuple) else [output]
    writes: list[Write] = []
    for item in items:
        if isinstance(item, Command):
            if item.graph == Command.PARENT:
                raise ParentCommand(item)
            writes += goto_writes(item.goto, nodes, where)
    return writes


def command_updates(command: Command[Any]) -> Sequence[Write]:
    """The update of a Command as pairs; one that has no keys goes to the root value."""
    update = command.update
    if update is None or command.graph == Command.PARENT:
        return ()
    if isinstance(update, dict):
        return list(update.items())
    if isinstance(update, list | tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in update
    ):
        return update
    keys = declared_keys(type(update))
    return instance_updates(update, keys) if keys else [(ROOT, update)]


_DECLARED: WeakKeyDictionary[type, tuple[str, ...]] = WeakKeyDictionary()


def declared_keys(typ: type) -> tuple[str, ...]:
    """The names that a class and its bases annotate, bases first."""
    if typ not in _DECLARED:
        names = (name for base in reversed(typ.__mro__) for name in vars(base).get("__annotations__", ()))
        _DECLARED[typ] = tuple(dict.fromkeys(names))
    return _DECLARED[typ]


def instance_updates(instance: Any, keys: Collection[str]) -> list[Write]:
    """What a schema instance changes: its attributes among ``keys``.

    Of a pydantic model a None counts only where it was set, or where None is not the field's default: a model built
    to change one key does not reset the others.
    """
    pairs = [(key, value) for key in keys if (value := getattr(instance, key, MISSING)) is not MISSING]
    if not is_model(type(instance)):
        return pairs
    fields, given = type(instance).model_fields, instance.model_fields_set
    return [
        (key, value)
        for key, value in pairs
        if value is not None or key in given or key not in fields or fields[key].default is not None
    ]


def _report_unknown(name: str, output: Any, keys: Collection[str], reported: set[str], strict: bool) -> None:
    unknown = [key for key in _named(output) if key not in keys and key not in reported]
    if not unknown:
        return
    text = f"unknown-key: Node {name!r} wrote {unknown[0]!r}, which no schema of the graph has; it is dropped."
    text += did_you_mean(unknown[0], [key for key in keys if isinstance(key, str)])
    if strict:
        raise InvalidUpdateError(text)
    reported.update(unknown)
    warnings.warn(text, DistgraphWarning, stacklevel=2)


def _named(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return list(output)
    if isinstance(output, Command):
        return [pair[0] for pair in command_updates(output)]
    return [key for item in output for key in _named(item)] if isinstance(output, list | tuple) else []
