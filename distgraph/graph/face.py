"""The methods that run a graph: what ``CompiledGraph`` and ``Pregel`` share, and what a cluster's graph looks like too.

A subclass may run requests elsewhere: it overrides ``_run``, ``_stream``, ``_arun`` and ``_astream``.
"""

from __future__ import annotations

import copy as copying
import warnings
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, Self, TypedDict, Unpack

from distgraph.config import RunnableConfig, ensure_config
from distgraph.engine.request import Request
from distgraph.errors import ConfigError
from distgraph.graph.batching import Batches
from distgraph.graph.chunks import Chunk, Shape, check_durability, modes_of, split_interrupts, with_interrupts
from distgraph.graph.schema import mapper_of
from distgraph.graph.threads import Threads
from distgraph.graph.variables import ContextT, InputT, OutputT, StateT
from distgraph.runtime import RunControl
from distgraph.superstep.model import Node, Program
from distgraph.superstep.routing import did_you_mean
from distgraph.types import All, Checkpointer, Command, Durability, GraphOutput, StreamMode
from distgraph.warnings import LangGraphDeprecatedSinceV10

Version = Literal["v1", "v2"]
Modes = StreamMode | Sequence[StreamMode]
Stops = All | Sequence[str] | None
#: Values of the output keys, and the questions that wait.
Outcome = tuple[Any, Sequence[Any]]


class RunOptions(TypedDict, total=False):
    """Keyword arguments that every way of running takes; ``GraphFace.stream`` explains them."""

    output_keys: str | Sequence[str] | None
    interrupt_before: Stops
    interrupt_after: Stops
    durability: Durability | None
    control: RunControl | None
    subgraphs: bool
    print_mode: Modes
    debug: bool | None
    checkpoint_during: bool | None


class GraphFace(Batches, Threads, Generic[StateT, ContextT, InputT, OutputT]):
    """A graph that can be run.

    Attributes:
        program: what the engines run.
        name: by which workers and streams know it.
        config: what every call's config starts from.
        checkpointer: saver, or None, True, False as ``compile`` explains.
        step_timeout: seconds one superstep may take; None: no limit.
        stream_mode: what ``stream`` gives unless told otherwise.
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
    stream_mode: Modes = "values"
    #: Build instances of the output and state schemas, for ``version="v2"``.
    _output_instance: Any = None
    _state_instance: Any = None

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
        return self.program.inputs

    @property
    def output_channels(self) -> str | Sequence[str]:
        """Channel(s) of the result."""
        return self.program.outputs

    @property
    def stream_channels(self) -> str | Sequence[str]:
        """Channel(s) of ``stream_mode="values"``."""
        return self.program.streamed

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
        request, shape = self._prepare(input, config, context, stream_mode, version, options, self.program.outputs)
        if stream_mode != "values":
            return [part for chunk in self._stream(request) for part in shape(chunk)]
        if shape.printed:
            return self._result(last_values(self._stream(request), shape), version)
        return self._result(self._run(request), version)

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
        request, shape = self._prepare(input, config, context, stream_mode, version, options, self.program.outputs)
        if stream_mode != "values":
            return [part async for chunk in self._astream(request) for part in shape(chunk)]
        if shape.printed:
            return self._result(last_values([chunk async for chunk in self._astream(request)], shape), version)
        return self._result(await self._arun(request), version)

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
            stream_mode: one of "values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"; or a list
                of them, whose chunks come as (mode, payload).
            version: "v2" yields every chunk as a dict with "type", "ns" and "data".
            **options: output_keys (keys of values and updates), interrupt_before and interrupt_after (nodes to stop
                at, or "*"), durability ("sync", "async", "exit"), control (a ``RunControl``), subgraphs (chunks of
                nested graphs too, each with its namespace), print_mode (modes to print), debug (print updates and
                values).

        Raises:
            ConfigError: an unknown mode, durability or version (a ValueError).
        """
        if stream_mode is None:
            stream_mode = "values" if _in_a_node(config) else self.stream_mode
        request, shape = self._prepare(input, config, context, stream_mode, version, options, None)
        for chunk in self._stream(request):
            yield from shape(chunk)

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
            stream_mode = "values" if _in_a_node(config) else self.stream_mode
        request, shape = self._prepare(input, config, context, stream_mode, version, options, None)
        async for chunk in self._astream(request):
            for part in shape(chunk):
                yield part

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

    # ------------------------------------------------------------ arguments and results

    def _prepare(
        self,
        input: Any,
        config: RunnableConfig | None,
        context: Any,
        stream_mode: Modes,
        version: Version,
        options: RunOptions,
        outputs: tuple[str, ...] | str | None,
    ) -> tuple[Request, Shape]:
        if version not in ("v1", "v2"):
            raise ConfigError(f"Unknown stream version {version!r}: use 'v1' or 'v2'.")
        given = _without_older_names(options)
        debug = bool(given.pop("debug", None)) or self.debug
        print_mode = given.pop("print_mode", ())
        printed = modes_of(("updates", "values") if debug else print_mode)
        subgraphs = bool(given.pop("subgraphs", False))
        shape = Shape(
            modes=modes_of(stream_mode),
            printed=printed,
            tagged=not isinstance(stream_mode, str),
            subgraphs=subgraphs,
            parts=version == "v2",
            output=self._output_instance,
            state=self._state_instance,
        )
        request = Request(
            program=self.program,
            input=input,
            config=ensure_config(self.config, config) if self.config else config,
            context=self._context(context),
            modes=shape.modes | printed,
            output_keys=self._checked_keys(given.pop("output_keys", None)) or outputs,
            interrupt_before=given.pop("interrupt_before", None) or None,
            interrupt_after=given.pop("interrupt_after", None) or None,
            durability=check_durability(given.pop("durability", None)),
            control=given.pop("control", None),
            subgraphs=subgraphs,
            debug=debug,
            saver=self.checkpointer,
            store=self.store,
            cache=self.cache,
            name=self.name,
            step_timeout=self.step_timeout,
        )
        if given:
            raise TypeError(f"{self.name} got an unexpected keyword argument {next(iter(given))!r}")
        return request, shape

    def _context(self, context: Any) -> Any:
        if isinstance(context, dict) and self.context_schema is not None:
            build = mapper_of(self.context_schema)
            return build(context) if build is not None else context
        return context

    def _checked_keys(self, keys: str | Sequence[str] | None) -> tuple[str, ...] | str | None:
        if keys is None:
            return None
        for key in (keys,) if isinstance(keys, str) else keys:
            if key not in self.program.channels and key not in self.program.managed:
                known = [name for name in self.program.channels if ":" not in name]
                raise ConfigError(f"Key {key} not in channels.{did_you_mean(key, known)}")
        return keys if isinstance(keys, str) else tuple(keys)

    def _result(self, outcome: Outcome, version: Version) -> Any:
        values, interrupts = outcome
        if version == "v1":
            return with_interrupts(values, interrupts)
        if self._output_instance is not None and isinstance(values, dict):
            values = self._output_instance(values)
        return GraphOutput(values, tuple(interrupts))


def _in_a_node(config: Mapping[str, Any] | None) -> bool:
    return bool(config and (config.get("configurable") or {}).get("checkpoint_ns"))


def _without_older_names(options: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(options)
    early = found.pop("checkpoint_during", None)
    if early is not None:
        text = "`checkpoint_during` is deprecated and will be removed. Please use `durability` instead."
        warnings.warn(text, LangGraphDeprecatedSinceV10, stacklevel=5)
        if found.get("durability") is not None:
            raise ConfigError("Cannot use both `checkpoint_during` and `durability` parameters: give durability alone.")
        found["durability"] = "async" if early else "exit"
    return found


def last_values(chunks: Iterable[Chunk], shape: Shape) -> Outcome:
    """What ``invoke`` returns of a run whose chunks are printed on the way."""
    values: Any = None
    interrupts: list[Any] = []
    for chunk in chunks:
        list(shape(chunk))
        ns, mode, payload = chunk
        if not ns and mode == "values":
            values, asked = split_interrupts(payload)
            interrupts.extend(asked)
    return values, interrupts
