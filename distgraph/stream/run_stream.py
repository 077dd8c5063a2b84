"""A run as ``stream_events(version="v3")`` hands it out: one object whose projections are read as one likes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from distgraph.stream.events import ProtocolEvent
from distgraph.stream.mux import StreamMux, finished
from distgraph.stream.pumps import AsyncPump, Pump
from distgraph.stream.stream_channel import StreamChannel
from distgraph.suggestions import closest, did_you_mean

#: How a nested graph's run stands, or how it ended.
SubgraphStatus = Literal["started", "completed", "failed", "interrupted", "drained"]
#: Projections of those transformers that come with distgraph and that no run has by itself.
_GIVEN = ("updates", "custom", "tasks", "checkpoints", "debug")


class _Run:
    """What both kinds of runs have.

    Attributes:
        extensions: every projection by name.
    """

    values: StreamChannel[Any]
    messages: StreamChannel[Any]
    lifecycle: StreamChannel[Any]
    subgraphs: StreamChannel[Any]

    def __init__(self, mux: StreamMux) -> None:
        self._mux = mux
        self.extensions: Mapping[str, Any] = MappingProxyType(mux.extensions)
        for name in mux.native:
            setattr(self, name, mux.extensions[name])

    def __getattr__(self, name: str) -> Any:
        """Projections of transformers are attributes where they say ``_native = True``; others do not exist."""
        mux: StreamMux | None = self.__dict__.get("_mux")
        if mux is None or name.startswith("_"):
            raise AttributeError(name)
        if hasattr(type(self), name) and mux.log.error is not None:
            # A property, not a missing name: the run failed with an AttributeError, which Python takes for one.
            raise mux.log.error
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r} (registered projections: "
            f"{', '.join(sorted(mux.native))}). {self._where(name)}"
        )

    def _where(self, name: str) -> str:
        if name in self.extensions:
            return f"It is in extensions[{name!r}]."
        if name in _GIVEN:
            return f"Give transformers=[{name.title()}Transformer], of distgraph.stream."
        close = closest(name, self._mux.native)
        return f"Did you mean {close!r}?" if close else "Others come of transformers=[...]."

    def _ended(self) -> StreamMux:
        if self._mux.log.error is not None:
            raise self._mux.log.error
        return self._mux


class GraphRunStream(_Run):
    """A run, made step by step by whoever reads it: no OS thread of its own pulls.

    Iterate the run for all events, or one of its projections, each of which takes one reader: ``values`` (states),
    ``messages`` (one object a message, whose text comes token by token), ``subgraphs`` (a run a nested graph),
    ``lifecycle`` (which nested graphs start and end, at all depths), and those of transformers. What was not subscribed
    when it came is not kept. Leave it by ``with``, or ``abort()``, and nothing is left running.
    """

    _pump: Pump | None

    def __init__(self, parts: Iterator[Any], mux: StreamMux) -> None:
        super().__init__(mux)
        self._pump = Pump(parts, mux)

    def __iter__(self) -> Iterator[ProtocolEvent]:
        """Every event, in order; nested graphs' too."""
        return iter(self._mux.log)

    def interleave(self, *names: str) -> Iterator[tuple[str, Any]]:
        """Read several projections as one: (name, item), in the order in which items came.

        Raises:
            KeyError: no projection has that name.
            TypeError: it is no channel.
            RuntimeError: it has a reader.
        """
        channels: dict[str, StreamChannel[Any]] = {}
        try:
            for name in names:
                channel = self._channel(name)
                channel.subscribe(is_async=False)
                channels[name] = channel
            yield from self._merged(channels)
        finally:
            for channel in channels.values():
                channel.release()

    def _channel(self, name: str) -> StreamChannel[Any]:
        if name not in self.extensions:
            raise KeyError(f"The run has no projection {name!r}.{did_you_mean(name, self.extensions)}")
        channel = self.extensions[name]
        if not isinstance(channel, StreamChannel):
            raise TypeError(f"interleave() requires StreamChannel projections, {name!r} is a {type(channel).__name__}.")
        return channel

    def _merged(self, channels: Mapping[str, StreamChannel[Any]]) -> Iterator[tuple[str, Any]]:
        more = True
        while not all([channel.at_end() for channel in channels.values()]):
            waiting = [(channel.oldest, name) for name, channel in channels.items() if channel.oldest is not None]
            if waiting:
                _, name = min(waiting)
                yield name, channels[name].take()
            elif more:
                more = self._mux.more()
            else:
                return

    @property
    def output(self) -> Any:
        """The final values, of a run that is made to its end now; what others are to read waits for them meanwhile.

        Raises:
            Exception: what the run failed with.
        """
        return self._finished().latest

    @property
    def interrupts(self) -> list[Any]:
        """The questions that wait at its end; as ``output``."""
        return self._finished().interrupts

    @property
    def interrupted(self) -> bool:
        """Whether it waits for answers at its end; as ``output``."""
        return bool(self.interrupts)

    def _finished(self) -> StreamMux:
        while self._mux.more():
            pass
        return self._ended()

    def abort(self) -> None:
        """End the run where it is; of a nested graph's run, only stop to read it. Safe to repeat."""
        if self._pump is not None:
            self._pump.stop()
        elif not self._mux.log.closed:
            finished(self._mux.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()


class AsyncGraphRunStream(_Run):
    """``GraphRunStream`` under an event loop: ``async for``, ``async with``, and methods to be awaited.

    Several projections may be read at the same time, by tasks of their own.
    """

    _pump: AsyncPump | None

    def __init__(self, parts: AsyncIterator[Any], mux: StreamMux) -> None:
        super().__init__(mux)
        self._pump = AsyncPump(parts, mux)

    def __aiter__(self) -> AsyncIterator[ProtocolEvent]:
        """Every event, in order; nested graphs' too."""
        return aiter(self._mux.log)

    async def output(self) -> Any:
        """The final values, of a run that is made to its end now.

        Raises:
            Exception: what the run failed with.
        """
        return (await self._finished()).latest

    async def interrupts(self) -> list[Any]:
        """The questions that wait at its end; as ``output``."""
        return (await self._finished()).interrupts

    async def interrupted(self) -> bool:
        """Whether it waits for answers at its end; as ``output``."""
        return bool(await self.interrupts())

    async def _finished(self) -> StreamMux:
        while await self._mux.amore():
            pass
        return self._ended()

    async def abort(self) -> None:
        """End the run where it is, and nodes that are being awaited; as ``GraphRunStream.abort``."""
        if self._pump is not None:
            await self._pump.stop()
        elif not self._mux.log.closed:
            await self._mux.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.abort()


class _Nested(_Run):
    """What runs of nested graphs have besides.

    Attributes:
        path: the graph's namespace.
        graph_name: the name of the node that is, or runs, the graph; of an agent its own.
        trigger_call_id: id of the task that runs it.
        status: how it stands.
        error: what it failed with, as text.
    """

    status: SubgraphStatus = "started"
    error: str | None = None
    #: Whoever drives the whole run drives this one.
    _pump: Any = None

    def __init__(
        self,
        mux: StreamMux,
        *,
        path: tuple[str, ...],
        graph_name: str | None = None,
        trigger_call_id: str | None = None,
    ) -> None:
        _Run.__init__(self, mux)
        self.path, self.graph_name, self.trigger_call_id = path, graph_name, trigger_call_id


class SubgraphRunStream(_Nested, GraphRunStream):
    """The run of a nested graph: its projections are as those of the whole run, which reading them makes go on."""


class AsyncSubgraphRunStream(_Nested, AsyncGraphRunStream):
    """``SubgraphRunStream`` of an async run."""
