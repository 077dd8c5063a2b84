"""Between a run and its projections: hands every event to the transformers, and keeps the log of what they leave.

Both lanes are one code, of coroutines: in sync runs nothing in them ever waits, and ``finished`` runs them to their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from distgraph.errors import ConfigError
from distgraph.stream.events import ProtocolEvent, make_event
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformer import Factory, StreamTransformer, needs_loop

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("A sync run was asked to wait for something: give such a transformer to astream_events.")


class StreamMux:
    """The transformers of one graph's run, and its log.

    Args:
        factories: of the transformers; those of nested graphs are made of them too.
        is_async: of a run under an event loop.
        scope: the graph's namespace.
        parent: of a nested graph: what hands it its events.

    Attributes:
        log: the events that all transformers let pass.
        extensions: all projections by name.
        native: names of those that are attributes of the run.
        latest: the newest values of the graph.
        interrupts: the questions of the graph that wait.

    Raises:
        TypeError: a transformer that is none.
        ConfigError: two projections of one name (a ValueError).
        RuntimeError: a transformer for async runs alone, in a sync one.
    """

    def __init__(
        self,
        factories: Sequence[Factory],
        *,
        is_async: bool = False,
        scope: tuple[str, ...] = (),
        parent: StreamMux | None = None,
    ) -> None:
        self.is_async = is_async
        self.scope = scope
        self.log: StreamChannel[ProtocolEvent] = StreamChannel()
        self.log.attach(self)
        self.transformers: list[StreamTransformer] = []
        self.extensions: dict[str, Any] = {}
        self.native: set[str] = set()
        self.latest: Any = None
        self.interrupts: list[Any] = []
        self._factories = factories
        self._parent = parent
        self._channels: list[StreamChannel[Any]] = []
        self._owners: dict[str, str] = {}
        self._seq = self._stamp = 0
        self._more: Callable[[], Any] = lambda: False
        self._wake: Callable[[], None] = lambda: None
        #: The graph has ended, and only what was scheduled is waited for.
        self._settling = False
        made = [factory(scope) for factory in factories]
        # Sorting keeps the order of equals.
        for transformer in sorted(made, key=lambda each: not getattr(each, "before_builtins", False)):
            self._register(transformer)

    def _register(self, transformer: StreamTransformer) -> None:
        name = type(transformer).__name__
        if not isinstance(transformer, StreamTransformer):
            raise TypeError(f"What was given as a transformer makes a {name}: it must make a StreamTransformer.")
        if needs_loop(transformer) and not self.is_async:
            raise RuntimeError(
                f"{name} requires an async run, because it overrides aprocess, afinalize or afail, or says "
                "requires_async: use astream_events, or say supports_sync = True."
            )
        projections = transformer.init()
        if not isinstance(projections, dict):
            raise TypeError(f"{name}: StreamTransformer.init() must return a dict, got {type(projections).__name__}.")
        taken = [f"{key!r} (of {self._owners[key]})" for key in sorted(projections.keys() & self.extensions.keys())]
        if taken:
            raise ConfigError(f"{name} has projection keys that conflict with those of others: {', '.join(taken)}.")
        native = bool(getattr(transformer, "_native", False))
        for key, value in projections.items():
            self._owners[key] = name
            if isinstance(value, StreamChannel):
                value.attach(self, native)
                self._channels.append(value)
        self.extensions.update(projections)
        self.native.update(projections if native else ())
        self.transformers.append(transformer)
        transformer.registered(self)

    def child(self, scope: tuple[str, ...]) -> StreamMux:
        """The same for a nested graph, driven by what drives this one."""
        return StreamMux(self._factories, is_async=self.is_async, scope=scope, parent=self)

    # ------------------------------------------------------------ what readers drive

    def drive_by(self, more: Callable[[], Any], wake: Callable[[], None] | None = None) -> None:
        """``more`` pulls one event of the run: True, or False at its end; awaitable in async runs.

        There ``wake`` lets those who wait for an event ask again whether there is one to wait for.
        """
        self._more = more
        self._wake = wake or self._wake

    @property
    def pull(self) -> Callable[[], Any]:
        """Pulls one event of the whole run."""
        return self._root._more

    @property
    def _root(self) -> StreamMux:
        return self if self._parent is None else self._parent._root

    def more(self) -> bool:
        """Pull one event, unless the graph's run is over."""
        return not self.log.closed and bool(self.pull())

    async def amore(self) -> bool:
        """``more`` of an async run."""
        if self._settling and asyncio.current_task() in self._scheduled():
            # The end waits for this task, which would wait for the end.
            return False
        return not self.log.closed and bool(await self.pull())

    def stamp(self) -> int:
        """A number that grows: what is pushed in which order."""
        self._stamp += 1
        return self._stamp

    def forward(self, method: str, item: Any) -> None:
        """Put what was pushed to a named channel into the log; transformers are not told of it."""
        self._keep(make_event(method, item, []))

    def _keep(self, event: ProtocolEvent) -> None:
        if self._parent is None:
            # What a transformer pushed on the way comes before the event that made it do so.
            self._seq += 1
            event["seq"] = self._seq
        self.log.push(event)

    # ------------------------------------------------------------ events, and the end

    async def push(self, event: ProtocolEvent) -> None:
        """Hand ``event`` to the transformers, and keep it if all of them leave it."""
        params = event["params"]
        if event["method"] == "values" and tuple(params["namespace"]) == self.scope:
            self.latest = params["data"]
            self.interrupts.extend(params.get("interrupts", ()))
        keep = True
        for transformer in self.transformers:
            seen = await transformer.aprocess(event) if self.is_async else transformer.process(event)
            keep = keep and bool(seen)
        if keep:
            self._keep(event)

    async def close(self) -> None:
        """The graph's run has ended well; its projections fail where a transformer, or what it scheduled, does now."""
        failed = await self._settled()
        if failed is not None:
            await self.fail(failed)
            return
        for transformer in self.transformers:
            found = await self._told(transformer, "finalize")
            failed = failed or found
        self._end(failed)

    async def fail(self, err: BaseException) -> None:
        """The graph's run has ended with ``err``; so does every projection."""
        for task in self._scheduled():
            task.cancel()
        await self._settled()
        for transformer in self.transformers:
            # What a transformer makes of a failure must not hide it.
            await self._told(transformer, "fail", err)
        self._end(err)

    def _end(self, err: BaseException | None) -> None:
        for channel in (*self._channels, self.log):
            if channel.closed:
                continue
            if err is None:
                channel.close()
            else:
                channel.fail(err)

    async def _told(self, transformer: StreamTransformer, hook: str, *args: Any) -> Exception | None:
        try:
            if self.is_async:
                await getattr(transformer, f"a{hook}")(*args)
            else:
                getattr(transformer, hook)(*args)
        except Exception as exc:
            return exc
        return None

    async def _settled(self) -> BaseException | None:
        """Wait for what was scheduled; its first failure."""
        failed: BaseException | None = None
        while tasks := self._scheduled():
            self._settling = True
            self._root._wake()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            for transformer in self.transformers:
                transformer.scheduled.difference_update(tasks)
            fails = [end for end in ends if isinstance(end, Exception)]
            failed = failed or next(iter(fails), None)
        return failed

    def _scheduled(self) -> list[asyncio.Task[Any]]:
        if not self.is_async:
            return []
        return [task for transformer in self.transformers for task in transformer.scheduled]
