"""A node's output -> its writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from distgraph.constants import ROOT, START
from distgraph.errors import ErrorCode, InvalidNodeReturnError, InvalidUpdateError, ParentCommand, create_error_message
from distgraph.suggestions import did_you_mean
from distgraph.superstep.routing import declared_keys, goto_writes, instance_pairs, update_pairs
from distgraph.types import Command, Send, Write
from distgraph.warnings import DistgraphWarning

Writer = Callable[[Any], list[Write]]


def state_writers(
    keys: frozenset[str], nodes: Mapping[str, Any], known: frozenset[str] | None, strict: bool = False
) -> Callable[[str], Writer]:
    """Makes writers of nodes of a graph whose state has ``keys``, each out of its node's name.

    A writer takes None, a dict, an instance of a schema, a ``Command``, a ``Send``, or a list that mixes dicts and
    Commands. Keys outside ``known`` are reported once for each node, or refused where ``strict``; None: whatever is
    dropped may be.
    """
    reported: set[tuple[str, str]] = set()

    # A graph has many nodes: all that is the same for all is kept once, and a writer is little more than a name.
    def writer(name: str) -> Writer:
        def write(output: Any) -> list[Write]:
            if output.__class__ is dict and output.keys() <= keys:
                return list(output.items())
            if output is None:
                return []
            writes = [*_updates(output, keys, name), *_routes(output, nodes, name)]
            if known is not None:
                _report_unknown(name, output, known, reported, strict)
            return writes

        return write

    return writer


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
    return _command_pairs(item) if isinstance(item, Command) else [(ROOT, item)]


def _has_command(output: Any) -> bool:
    return isinstance(output, list | tuple) and any(isinstance(item, Command) for item in output)


def _updates(output: Any, keys: Collection[str], name: str) -> list[Write]:
    if isinstance(output, Command):
        return [pair for pair in _command_pairs(output) if pair[0] in keys]
    if isinstance(output, dict):
        return [pair for pair in output.items() if pair[0] in keys]
    if output is None or isinstance(output, Send):
        return []
    if _has_command(output):
        return [pair for item in output for pair in _updates(item, keys, name)]
    if declared_keys(type(output)):
        return instance_pairs(output, keys)
    if name == START:
        raise InvalidUpdateError(
            f"Expected dict, got {output!r:.200} ({type(output).__name__}) as the input of the graph. It takes a dict "
            "of keys, an instance of its input schema, or a Command."
        )
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


def _command_pairs(command: Command[Any]) -> list[Write]:
    return [] if command.graph == Command.PARENT else update_pairs(command.update)


def _report_unknown(
    name: str, output: Any, keys: Collection[str], reported: set[tuple[str, str]], strict: bool
) -> None:
    unknown = [key for key in _named(output) if key not in keys and (name, key) not in reported]
    if not unknown:
        return
    wrote = f"The input has {unknown[0]!r}" if name == START else f"Node {name!r} wrote {unknown[0]!r}"
    text = f"unknown-key: {wrote}, which no schema of the graph has; it is dropped."
    text += did_you_mean(unknown[0], [key for key in keys if isinstance(key, str)])
    if strict:
        raise InvalidUpdateError(text)
    reported.update((name, key) for key in unknown)
    warnings.warn(text, DistgraphWarning, stacklevel=2)


def _named(output: Any) -> list[Any]:
    if isinstance(output, dict):
        return list(output)
    if isinstance(output, Command):
        return [pair[0] for pair in _command_pairs(output)]
    return [key for item in output for key in _named(item)] if isinstance(output, list | tuple) else []
