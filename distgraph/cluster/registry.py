"""Which graphs this process knows, by name and fingerprint. Filled from the operator's list, never from data."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from distgraph.checkpoint.own import own_types
from distgraph.cluster.options import RunOptions
from distgraph.cluster.versions import accepts, check_policy, parts_of
from distgraph.errors import ConfigError, GraphNotFoundError
from distgraph.graph.declarations import DEFAULT_NAME
from distgraph.suggestions import did_you_mean
from distgraph.superstep.model import Node, Program
from distgraph.wire import Codec

#: So many ways to execute a graph are remembered.
_MOST_OPTIONS = 64
_PLAIN = (str, int, float, bool, type(None))
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?\Z")


def codec_for(graph: Any = None, *, secret: bytes | None = None) -> Codec:
    """The codec of a graph's values; without a graph, of those that need no types of a schema."""
    registry = own_types()
    # A graph of channels written by hand has no schema.
    for annotation in getattr(graph, "types", tuple)():
        registry.add(annotation)
    return Codec(registry, secret=secret)


class Served:
    """A graph with what is derived from it once."""

    __slots__ = ("_about", "_options", "_reads", "codec", "fingerprint", "graph", "name", "program", "shown")

    def __init__(self, graph: Any, *, secret: bytes | None = None) -> None:
        self.graph = graph
        self.name: str = graph.name
        self.program: Program = graph.program
        self.fingerprint: str = graph.fingerprint
        self.codec = codec_for(graph, secret=secret)
        self._reads: dict[str, tuple[str, ...]] = {}
        self._about: dict[str, Any] | None = None
        self._options: dict[bytes, RunOptions] = {}
        #: Channels that the log of a run tells of: those of its streams, and what the inputs of its nodes are made of.
        self.shown = frozenset(_shown(self.program))

    def reads(self, node: Node) -> tuple[str, ...]:
        """The channels that a node and its conditional edges read."""
        found = self._reads.get(node.name)
        if found is None:
            every = [node.reads, *(branch.reads for branch in node.branches)]
            names = {name for reads in every for name in ((reads,) if isinstance(reads, str) else reads)}
            found = self._reads[node.name] = tuple(sorted(names))
        return found

    def options(self, data: bytes) -> RunOptions:
        """How a run is to be executed, from what its record or its batch's manifest has.

        Most runs are submitted alike: these are read once. Those with something that a node could change are not shared.

        Raises:
            DistgraphError: they cannot be read here.
        """
        known = self._options.get(data)
        if known is not None:
            return known
        read = RunOptions.of(self.codec.decode(data))
        fixed = read.context is None and not (read.metadata or read.configurable)
        if fixed and len(self._options) < _MOST_OPTIONS:
            self._options[data] = read
        return read

    def unstoppable(self) -> list[str]:
        """Nodes with a time limit that only the end of their process can keep: those that do not wait in an event loop."""
        from distgraph.cluster.execution import in_this_thread

        nodes = self.program.nodes.values()
        return sorted(node.name for node in nodes if node.timeout is not None and in_this_thread(node))

    def about(self) -> dict[str, Any]:
        """What a client must know that has the graph's name alone."""
        if self._about is None:
            program = self.program
            shown = {name: _outline(program, node) for name, node in program.nodes.items()}
            told = {"streamed": program.streamed, "outputs": program.outputs, "shown": shown, **parts_of(program)}
            limit = getattr(self.graph, "step_timeout", None)
            self._about = told if limit is None else {**told, "step_timeout": limit}
        return self._about


def _names(reads: tuple[str, ...] | str) -> tuple[str, ...]:
    return (reads,) if isinstance(reads, str) else reads


def _shown(program: Program) -> Iterator[str]:
    yield from _names(program.streamed)
    for node in program.nodes.values():
        if not node.hidden:
            yield from (name for name in _names(node.reads) if name in program.channels)


def _outline(program: Program, node: Node) -> list[Any]:
    """What streams tell of a node, in plain data: what it reads (None: all that is streamed), its triggers, the rest."""
    reads: Any = node.reads
    if not isinstance(reads, str):
        reads = [name for name in reads if name in program.channels]
        reads = None if tuple(reads) == program.streamed else reads
    plain = {key: value for key, value in node.metadata.items() if isinstance(value, _PLAIN)}
    nested = node.subgraph is not None and getattr(node.subgraph, "checkpointer", None) is not False
    more = {"metadata": plain, "tags": list(node.tags), "hidden": node.hidden, "subgraph": nested or None}
    return [reads, list(node.triggers), {key: value for key, value in more.items() if value}]


class Registry:
    """Graphs by name and fingerprint."""

    def __init__(self, *, secret: bytes | None = None, versions: str = "compatible") -> None:
        self._secret, self._versions = secret, check_policy(versions)
        self._served: dict[tuple[str, str], Served] = {}

    def add(self, graph: Any) -> Served:
        """Serve ``graph``; the same graph again changes nothing.

        Raises:
            ConfigError: the graph has no name of its own or another graph has it.
        """
        name = getattr(graph, "name", None)
        if not name or name == DEFAULT_NAME:
            raise ConfigError('A graph that workers serve needs a name: compile(name="...").')
        key = (name, graph.fingerprint)
        known = self._served.get(key)
        if known is None:
            if any(other == name for other, _ in self._served):
                raise ConfigError(f"Two different graphs are named {name!r} in the graphs of this process; rename one.")
            known = self._served[key] = Served(graph, secret=self._secret)
        return known

    def find(self, name: str, fingerprint: str = "") -> Served | None:
        """The graph with that name, and that fingerprint where one is given."""
        if fingerprint:
            return self._served.get((name, fingerprint))
        return next((served for (other, _), served in self._served.items() if other == name), None)

    def taking_over(self, name: str, fingerprint: str) -> Served | None:
        """The graph here that may go on with what another version of it left."""
        served = self.find(name)
        if served is None or self._versions == "pin" or served.fingerprint == fingerprint:
            return None
        return served if self._versions == "force" or accepts(served.graph.compatible_with, fingerprint) else None

    def plain_codec(self) -> Codec:
        """The codec for what needs no graph's types."""
        return codec_for(secret=self._secret)

    def all(self) -> list[Served]:
        """Every graph here."""
        return list(self._served.values())

    def names(self) -> dict[str, str]:
        """Name -> fingerprint of every graph here."""
        return {name: fingerprint for name, fingerprint in self._served}

    def about(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(name, fingerprint) -> what clients must know, of every graph here."""
        return {key: served.about() for key, served in self._served.items()}

    def get(self, name: str) -> Served:
        """The graph with that name.

        Raises:
            GraphNotFoundError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise GraphNotFoundError(f"No graph named {name!r} here.{did_you_mean(name, self.names())}")
        return found

    def __len__(self) -> int:
        return len(self._served)


def load(references: Iterable[str], registry: Registry) -> Registry:
    """Import modules (``package.module``) or graphs (``package.module:attribute``) and serve what they hold.

    Of a module, every compiled graph with a name is served: module attributes, and members of lists, tuples and dicts.

    Raises:
        ConfigError: a reference of another form, a module that cannot be imported, or one without any graph.
    """
    for reference in references:
        if not _REFERENCE.match(reference):
            raise ConfigError(f"{reference!r} names no graphs. Give package.module or package.module:attribute.")
        module_name, _, attribute = reference.partition(":")
        module = _import(module_name)
        if attribute:
            if not hasattr(module, attribute):
                raise ConfigError(
                    f"Module {module_name!r} has no {attribute!r}.{did_you_mean(attribute, vars(module))}"
                )
            found = list(_graphs([getattr(module, attribute)]))
        else:
            found = [graph for graph in _graphs(vars(module).values()) if graph.name not in ("", DEFAULT_NAME)]
        if not found:
            raise ConfigError(
                f"{reference!r} holds no compiled graph with a name. Compile with builder.compile(name='...') and keep the "
                "result in a module attribute."
            )
        for graph in found:
            registry.add(graph)
    return registry


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name and (name == exc.name or name.startswith(exc.name + ".")):
            raise ConfigError(
                f"No module named {name!r} can be imported here. Check the spelling, and that the worker starts in a "
                "directory (or with a PYTHONPATH) that has it."
            ) from exc
        raise ConfigError(
            f"Module {name!r} could not be imported: it needs {exc.name!r}, which is not installed."
        ) from exc
    except Exception as exc:
        raise ConfigError(f"Module {name!r} failed while it was imported: {type(exc).__name__}: {exc}") from exc


def is_graph(value: Any) -> bool:
    """Whether ``value`` is a compiled graph."""
    return isinstance(getattr(value, "program", None), Program) and hasattr(value, "fingerprint")


def _graphs(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if is_graph(value):
            yield value
        elif isinstance(value, list | tuple):
            yield from (member for member in value if is_graph(member))
        elif isinstance(value, dict):
            yield from (member for member in value.values() if is_graph(member))
