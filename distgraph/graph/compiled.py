"""A compiled StateGraph."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distgraph.constants import NS_SEP
from distgraph.graph.build import merges_messages
from distgraph.graph.channel_graph import Pregel
from distgraph.graph.problems import Problem
from distgraph.graph.specs import NodeSpec
from distgraph.superstep.model import Program
from distgraph.types import Checkpointer
from distgraph.typing import ContextT, InputT, OutputT, StateT

if TYPE_CHECKING:
    from distgraph.config import RunnableConfig
    from distgraph.graph.picture import Drawing
    from distgraph.graph.profiling import Profile
    from distgraph.graph.state import StateGraph


class CompiledGraph(Pregel[StateT, ContextT, InputT, OutputT]):
    """What ``StateGraph.compile`` returns: a graph that runs here, and that workers run under its name.

    Attributes:
        builder: the StateGraph it was compiled from.
        program: what engines and workers run.
        specs: the nodes as they were declared, with the builder's defaults filled in.
    """

    def __init__(
        self,
        *,
        builder: StateGraph[StateT, ContextT, InputT, OutputT],
        program: Program,
        specs: Mapping[str, NodeSpec],
        checkpointer: Checkpointer = None,
        cache: Any = None,
        store: Any = None,
        debug: bool = False,
        name: str = "",
        transformers: Sequence[Any] | None = None,
    ) -> None:
        self.builder = builder
        self.program = program
        self.specs = specs
        self.checkpointer = checkpointer
        self.cache = cache
        self.store = store
        self.debug = debug
        self.name = name
        self.stream_transformers = tuple(transformers or ())
        self.context_schema = builder.context_schema
        self.stream_mode = "updates"
        self.output_instance = builder.schema(builder.output_schema).mapper
        self.state_instance = builder.schema(builder.state_schema).mapper

    def types(self) -> tuple[type, ...]:
        """What stored bytes may hold: dataclasses, models, named tuples and enums that the graph's schemas name.

        Those of nested graphs are among them, and message classes where a key holds messages.
        """
        from distgraph.wire.registry import TypeRegistry

        registry = TypeRegistry()
        for schema in (*self.builder.schemas, self.context_schema, *self._message_types()):
            registry.add(schema)
        for _, graph in self.get_subgraphs():
            for typ in graph.types():
                registry.add(typ)
        return tuple(registry.by_type)

    def _message_types(self) -> tuple[type, ...]:
        if not any(merges_messages(rule) for rule in self.program.channels.values()):
            return ()
        from distgraph.graph.message import message_types

        return message_types()

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Drawing:
        """The graph to look at: ``get_graph().draw_mermaid()``. ``xray`` opens nested graphs, to that depth."""
        from distgraph.graph.drawing import draw

        return draw(self, xray)

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """JSON schema of what ``invoke`` takes."""
        return self._jsonschema(self.builder.input_schema, "Input")

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """JSON schema of what ``invoke`` returns."""
        return self._jsonschema(self.builder.output_schema, "Output")

    def _jsonschema(self, typ: Any, suffix: str) -> dict[str, Any]:
        from distgraph.graph.json_schema import json_schema

        return json_schema(typ, self.builder.schema(typ).channels, self.get_name(suffix))

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, CompiledGraph[Any, Any, Any, Any]]]:
        """Nodes that are graphs, or functions that call one, by name; with ``recurse`` also theirs, as ``outer|inner``.

        Args:
            namespace: only the graph of this name.
            recurse: look into nested graphs too.
        """
        for name in self.specs:
            graph = self.program.nodes[name].subgraph
            if not isinstance(graph, CompiledGraph):
                continue
            if namespace in (None, name):
                yield name, graph
            if recurse and (namespace is None or namespace.startswith(name + NS_SEP)):
                inner = None if namespace is None else namespace[len(name) + 1 :]
                for below, nested in graph.get_subgraphs(namespace=inner, recurse=True):
                    yield f"{name}{NS_SEP}{below}", nested

    async def aget_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> AsyncIterator[tuple[str, CompiledGraph[Any, Any, Any, Any]]]:
        """``get_subgraphs`` for async programs."""
        for found in self.get_subgraphs(namespace=namespace, recurse=recurse):
            yield found

    def profile(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Profile:
        """Run the graph once and tell where the time went; ``print`` what it returns.

        Args:
            input: as for ``invoke``.
            config: as for ``invoke``.
            options: ``context``, ``durability``, ... as for ``stream``.

        Raises:
            Exception: as ``invoke``.
        """
        from distgraph.graph.profiling import Watch

        watch = Watch(self)
        for values in watch.graph.stream(input, config, stream_mode="values", **options):
            watch.see(values)
        return watch.done()

    async def aprofile(self, input: Any, config: RunnableConfig | None = None, **options: Any) -> Profile:
        """``profile`` under an event loop."""
        from distgraph.graph.profiling import Watch

        watch = Watch(self)
        async for values in watch.graph.astream(input, config, stream_mode="values", **options):
            watch.see(values)
        return watch.done()

    def check(self) -> list[Problem]:
        """The graph's lints (it has no errors, or it would not be here)."""
        from distgraph.graph.lint import check

        return check(self)


#: The name the class has elsewhere.
CompiledStateGraph = CompiledGraph
