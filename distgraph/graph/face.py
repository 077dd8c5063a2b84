"""The methods that run a graph: what ``CompiledGraph`` and ``Pregel`` share, and what a cluster's graph looks like too.

A subclass may run requests elsewhere: it overrides ``_run``, ``_stream``, ``_arun`` and ``_astream``.
"""

from __future__ import annotations

import copy as copying
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, Unpack, overload

from distgraph.config import RunnableConfig, ensure_config
from distgraph.engine.caching import cache_namespace
from distgraph.engine.request import Request
from distgraph.errors import ConfigError
from distgraph.graph.batching import Batches
from distgraph.graph.calls import Modes, Outcome, RunOptions, Stops, Version, in_a_node, last_values, prepare, result
from distgraph.graph.chunks import Chunk, ashaped, shaped
from distgraph.graph.pipes import Piped
from distgraph.graph.threads import Threads
from distgraph.graph.variables import Subscripted
from distgraph.superstep.model import Node, Program
from distgraph.types import Checkpointer, Command
from distgraph.typing import ContextT, InputT, OutputT, StateT

if TYPE_CHECKING:
    from distgraph.graph.events import GraphEvent
    from distgraph.stream.run_stream import AsyncGraphRunStream, GraphRunStream


class GraphFace(Subscripted, Piped, Batches, Threads, Generic[StateT, ContextT, InputT, OutputT]):
    """A graph that can be run.

    Attributes:
        program: what the engines run.
        name: by which workers and streams know it.
        config: what every call's config starts from.
        checkpointer: saver, or None, True, False as ``compile`` explains.
        step_timeout: seconds one superstep may take; None: no limit.
        stream_mode: what ``stream`` gives unless told otherwise.
        stream_transformers: make projections of every run that ``stream_events(version="v3")`` makes.
        on_cluster: workers run it.
        compatible_with: other versions whose runs this one may go on with; ``StateGraph.compile`` explains it.
        migrate: the state of another version -> that of this one.
    """

    program: Program
    name: str
    config: RunnableConfig | None = None
    checkpointer: Checkpointer = None
    store: Any = None
    cache: Any = None
    debug: bool = False
    context_schema: Any = None
    step_timeout: float | None = None
    on_cluster: bool = False
    compatible_with: Sequence[str] | Callable[[str], bool] = ()
    migrate: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    stream_mode: Modes = "values"
    stream_transformers: Sequence[Any] = ()
    #: Build instances of the output and state schemas, for ``version="v2"``; None where plain dicts are the instances.
    output_instance: Callable[[Any], Any] | None = None
    state_instance: Callable[[Any], Any] | None = None

    # ------------------------------------------------------------ what users look at

    @property
    def nodes(self) -> Mapping[str, Node]:
        """The nodes, the hidden START among them."""
        return self.program.nodes

    @property
    def channels(self) -> Mapping[str, Any]:
        """The channels by name, the graph's own among them, and the computed values."""
        return {**self.program.channels, **self.program.managed}

    @property
    def input_channels(self) -> str | Sequence[str]:
        """Channel(s) that take the input."""
        return _shown(self.program.inputs)

    @property
    def output_channels(self) -> str | Sequence[str]:
        """Channel(s) of the result."""
        return _shown(self.program.outputs)

    @property
    def stream_channels(self) -> str | Sequence[str]:
        """Channel(s) of ``stream_mode="values"``."""
        return _shown(self.program.streamed)

    @property
    def interrupt_before_nodes(self) -> Stops:
        """Nodes that every run stops before."""
        return self.program.interrupt_before

    @property
    def interrupt_after_nodes(self) -> Stops:
        """Nodes that every run stops after."""
        return self.program.interrupt_after

    @property
    def fingerprint(self) -> str:
        """Equal for equal graphs in every process: names of nodes, edges, channels and reducers, hashed."""
        return self.program.fingerprint

    # ------------------------------------------------------------ copies

    def copy(self, update: Mapping[str, Any] | None = None) -> Self:
        """The same graph with some attributes changed."""
        twin = copying.copy(self)
        for key, value in (update or {}).items():
            setattr(twin, key, value)
        return twin

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> Self:
        """The same graph with a config that every call starts from."""
        return self.copy({"config": ensure_config(self.config, config, kwargs)})

    @property
    def told_as(self) -> str:
        """The name by which callback handlers and readers of events know its runs."""
        return self.name

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The graph's name, for whoever shows it; with a suffix, that of one of its schemas."""
        own = name or self.name
        if not suffix:
            return own
        return own + suffix.title() if own[:1].isupper() else f"{own}_{suffix.lower()}"

    # ------------------------------------------------------------ run

    def invoke(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: ContextT | Mapping[str, Any] | None = None,
        stream_mode: Modes = "values",
        version: Version = "v1",
        **options: Unpack[RunOptions],
    ) -> Any:
        """Run the graph to its end, or to where it must wait.

        Args:
            input: a dict or schema instance for a new run; None to go on; a ``Command`` to answer or redirect.
            config: ``configurable.thread_id`` names the thread of a graph with a checkpointer.
            context: what nodes see as ``runtime.context``.
            stream_mode: "values" gives the final state; any other mode gives the list of its chunks.
            version: "v2" gives a ``GraphOutput``, or parts as dicts.
            **options: as ``stream``.

        Returns:
            The output keys' final values; with the questions that wait under ``"__interrupt__"``.

        Raises:
            GraphRecursionError: no superstep is left in the budget.
            InputError: nothing to run, or updates that the channels cannot reconcile.
            Exception: whatever a node raised.
        """
        request, shape = prepare(self, input, config, context, stream_mode, version, options, self.program.outputs)
        if stream_mode != "values":
            return list(shaped(self._stream(request), shape))
        if shape.printed:
            return result(last_values(self._stream(request), shape), shape)
        return result(self._run(request), shape)

    async def ainvoke(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: ContextT | Mapping[str, Any] | None = None,
        stream_mode: Modes = "values",
        version: Version = "v1",
        **options: Unpack[RunOptions],
    ) -> Any:
        """``invoke`` under an event loop: async nodes are awaited, others get an OS thread."""
        request, shape = prepare(self, input, config, context, stream_mode, version, options, self.program.outputs)
        if stream_mode != "values":
            return [part async for part in ashaped(self._astream(request), shape)]
        if shape.printed:
            return result(last_values([chunk async for chunk in self._astream(request)], shape), shape)
        return result(await self._arun(request), shape)

    def stream(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: ContextT | Mapping[str, Any] | None = None,
        stream_mode: Modes | None = None,
        version: Version = "v1",
        **options: Unpack[RunOptions],
    ) -> Iterator[Any]:
        """Run the graph and yield what happens.

        Args:
            input: as ``invoke``.
            config: as ``invoke``.
            context: as ``invoke``.
            stream_mode: one of "values", "updates", "custom", "messages", "tools", "tasks", "checkpoints", "debug"; or a
                list of them, whose chunks come as (mode, payload).
            version: "v2" yields every chunk as a dict with "type", "ns" and "data".
            **options: output_keys (keys of values and updates), interrupt_before and interrupt_after (nodes to stop
                at, or "*"), durability ("sync", "async", "exit"), control (a ``RunControl``), subgraphs (chunks of
                nested graphs too, each with its namespace), print_mode (modes to print), debug (print updates and
                values).

        Raises:
            ConfigError: an unknown mode, durability or version (a ValueError).
        """
        if stream_mode is None:
            stream_mode = "values" if in_a_node(config) else self.stream_mode
        request, shape = prepare(self, input, config, context, stream_mode, version, options, None)
        yield from shaped(self._stream(request), shape)

    async def astream(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: ContextT | Mapping[str, Any] | None = None,
        stream_mode: Modes | None = None,
        version: Version = "v1",
        **options: Unpack[RunOptions],
    ) -> AsyncIterator[Any]:
        """``stream`` under an event loop."""
        if stream_mode is None:
            stream_mode = "values" if in_a_node(config) else self.stream_mode
        request, shape = prepare(self, input, config, context, stream_mode, version, options, None)
        async with aclosing(ashaped(self._astream(request), shape)) as parts:
            async for part in parts:
                yield part

    @overload
    def stream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: Literal["v3"],
        transformers: Sequence[Any] | None = None,
        **options: Any,
    ) -> GraphRunStream: ...

    @overload
    def stream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        **options: Any,
    ) -> Iterator[GraphEvent]: ...

    def stream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        transformers: Sequence[Any] | None = None,
        **options: Any,
    ) -> GraphRunStream | Iterator[GraphEvent]:
        """Run the graph and read it as an object with projections (version "v3"), or as a flat stream of events ("v2").

        Args:
            input: as ``invoke``.
            config: as ``invoke``.
            version: "v3": the run as an object, whose projections (``values``, ``messages``, ``subgraphs``, ...) make it
                go on when they are read. "v2": an iterator of what starts, tells and ends: the graph, its nodes, graphs
                nested in them.
            transformers: of "v3": classes, or functions of a namespace, that make further projections; besides those
                that ``compile`` was given.
            **options: as ``stream``; of "v3" without stream_mode and subgraphs. Of "v2" also include_names,
                include_types ("chain", "chat_model", "tool"), include_tags, exclude_names, exclude_types, exclude_tags: lists
                that say which events are wanted; and stream_mode, "updates" or "values": the chunks of the graph's run.

        Raises:
            ConfigError: another version, or two projections of one name (a ValueError).
            TypeError: a transformer that is none, or an option that is not taken.
            RuntimeError: a transformer for async runs alone.
        """
        if version == "v3":
            from distgraph.graph.projections import Reading

            return Reading(self, input, config, transformers, options).open()
        from distgraph.graph.events import events_of, no_transformers

        no_transformers(transformers)
        return events_of(self, input, config, version, options)

    @overload
    def astream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: Literal["v3"],
        transformers: Sequence[Any] | None = None,
        **options: Any,
    ) -> Awaitable[AsyncGraphRunStream]: ...

    @overload
    def astream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        **options: Any,
    ) -> AsyncIterator[GraphEvent]: ...

    def astream_events(
        self,
        input: InputT | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        version: str = "v2",
        transformers: Sequence[Any] | None = None,
        **options: Any,
    ) -> Awaitable[AsyncGraphRunStream] | AsyncIterator[GraphEvent]:
        """``stream_events`` under an event loop: ``await`` it for version "v3", iterate it for "v2"."""
        if version == "v3":
            from distgraph.graph.projections import Reading

            return Reading(self, input, config, transformers, options).aopen()
        from distgraph.graph.events import aevents_of, no_transformers

        no_transformers(transformers)
        return aevents_of(self, input, config, version, options)

    # ------------------------------------------------------------ cached results

    def clear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """Forget the cached results of ``nodes``; None: of all nodes of this graph.

        Raises:
            ConfigError: the graph was compiled without a cache (a ValueError).
        """
        cache, namespaces = self._cached(nodes)
        cache.clear(namespaces)

    async def aclear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """``clear_cache`` under an event loop."""
        cache, namespaces = self._cached(nodes)
        await cache.aclear(namespaces)

    def _cached(self, nodes: Sequence[str] | None) -> tuple[Any, list[tuple[str, ...]]]:
        if self.cache is None:
            raise ConfigError(
                f"No cache is set for this graph. Cannot clear cache. Graph {self.name!r}: compile(cache=...)."
            )
        known = self.program.nodes
        return self.cache, [cache_namespace(self.program, known[name]) for name in nodes or known if name in known]

    # ------------------------------------------------------------ the engine behind

    def _run(self, request: Request) -> Outcome:
        from distgraph.engine import sync

        return sync.run(request)

    def _stream(self, request: Request) -> Iterator[Chunk]:
        from distgraph.engine import sync

        return sync.stream(request)

    async def _arun(self, request: Request) -> Outcome:
        from distgraph.engine import aio

        return await aio.run(request)

    def _astream(self, request: Request) -> AsyncIterator[Chunk]:
        from distgraph.engine import aio

        return aio.stream(request)


def _shown(names: str | tuple[str, ...]) -> str | list[str]:
    return names if isinstance(names, str) else list(names)
