"""A projection of a run's stream: what a transformer pushes, for one reader, who makes the run go on by reading."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distgraph.errors import ConfigError

if TYPE_CHECKING:
    from distgraph.stream.mux import StreamMux

T = TypeVar("T")
_END: Any = object()


class StreamChannel(Generic[T]):
    """A queue with one reader. What is pushed while nobody reads it is not kept: subscribe before the run goes on.

    Readers of a sync run use ``for``, those of an async run ``async for``. Reading drives the run: each step pulls one
    event of the graph, and only when the queue is empty, so that memory is bounded by what one event makes.

    Args:
        name: what is pushed is also an event of the run's log, whose method is "custom:NAME" (NAME alone, of a transformer
            with ``_native = True``). None: only whoever reads the channel sees it.
        maxlen: taken for programs that give it; a reader that pulls needs no bound.

    Raises:
        ConfigError: ``maxlen`` is not positive (a ValueError).
    """

    def __init__(self, name: str | None = None, *, maxlen: int | None = None) -> None:
        if maxlen is not None and maxlen < 1:
            raise ConfigError(f"StreamChannel maxlen must be a positive int or None, got {maxlen!r}.")
        self.name = name
        self.closed = False
        self.error: BaseException | None = None
        self._items: deque[tuple[int, T]] = deque()
        self._taken = False
        self._mux: StreamMux | None = None
        self._method: str | None = None

    # ------------------------------------------------------------ for transformers

    def push(self, item: T) -> None:
        """Give ``item`` to the reader, and to the run's log where the channel has a name.

        Raises:
            RuntimeError: the channel is closed, and somebody reads it.
        """
        if self._taken:
            if self.closed:
                raise RuntimeError(f"Cannot push to a closed {self._shown()}: the run is over.")
            self._items.append((self._mux.stamp() if self._mux is not None else 0, item))
        if self._mux is not None and self._method is not None:
            self._mux.forward(self._method, item)

    def close(self) -> None:
        """Nothing comes any more. The run does this when it ends."""
        self.closed = True

    def fail(self, err: BaseException) -> None:
        """Nothing comes any more, and the reader is to get ``err``. The run does this when it fails."""
        self.error = err
        self.closed = True

    # ------------------------------------------------------------ for the run

    def attach(self, mux: StreamMux, native: bool = False) -> None:
        """Make this a channel of the run behind ``mux``.

        Raises:
            RuntimeError: it is one of another run.
        """
        if self._mux is not None:
            raise RuntimeError(f"{self._shown()} is already bound to a run: make a new one in init().")
        self._mux = mux
        if self.name is not None:
            self._method = self.name if native else f"custom:{self.name}"

    def subscribe(self, *, is_async: bool) -> StreamMux:
        """Become the reader; what drives the run.

        Raises:
            TypeError: the channel belongs to no run, or to one of the other kind.
            RuntimeError: it has a reader.
        """
        if self._mux is None:
            raise TypeError(f"{self._shown()} has not been bound to a run: return it from the init() of a transformer.")
        if self._mux.is_async != is_async:
            bound, use = ("async", "'async for'") if self._mux.is_async else ("sync", "'for'")
            raise TypeError(f"{self._shown()} is bound to {bound} mode, as its run is: read it with {use}.")
        if self._taken:
            tee = ".atee(n)" if is_async else ".tee(n)"
            raise RuntimeError(f"{self._shown()} already has a subscriber: use {tee} where several read it.")
        self._taken = True
        return self._mux

    def release(self) -> None:
        """Stop reading; somebody else may begin."""
        self._taken = False

    @property
    def oldest(self) -> int | None:
        """The stamp of the next item, if one waits."""
        return self._items[0][0] if self._items else None

    def take(self) -> T:
        """The next item; one waits."""
        return self._items.popleft()[1]

    def at_end(self) -> bool:
        """Whether all was read.

        Raises:
            BaseException: what the run failed with, where it did.
        """
        if self._items or not self.closed:
            return False
        if self.error is not None:
            raise self.error
        return True

    def _shown(self) -> str:
        return f"StreamChannel {self.name!r}" if self.name else "StreamChannel"

    # ------------------------------------------------------------ for readers

    def __iter__(self) -> Iterator[T]:
        """Read the channel; once.

        Raises:
            TypeError, RuntimeError: as ``subscribe``.
        """
        return self._read(self.subscribe(is_async=False))

    def _read(self, mux: StreamMux) -> Iterator[T]:
        try:
            while not self.at_end():
                if self._items:
                    yield self.take()
                elif not mux.more() and not self._items and not self.closed:
                    return
        except GeneratorExit:
            # The reader left: nothing is kept for it while the run goes on.
            self.release()
            raise

    def __aiter__(self) -> AsyncIterator[T]:
        """Read the channel of an async run; once.

        Raises:
            TypeError, RuntimeError: as ``subscribe``.
        """
        return self._aread(self.subscribe(is_async=True))

    async def _aread(self, mux: StreamMux) -> AsyncIterator[T]:
        try:
            while not self.at_end():
                if self._items:
                    yield self.take()
                elif not await mux.amore() and not self._items and not self.closed:
                    return
        except GeneratorExit:
            self.release()
            raise

    def tee(self, n: int = 2) -> tuple[Iterator[T], ...]:
        """Read the channel several times: ``n`` iterators, each of which gets every item, in one OS thread or several.

        Raises:
            ConfigError: ``n`` is not positive (a ValueError).
            TypeError, RuntimeError: as ``subscribe``.
        """
        queues = _queues(n, "tee")
        source, turn = iter(self), RLock()

        def more(queue: deque[T]) -> bool:
            with turn:
                # Another branch may have read on while this one waited.
                return bool(queue) or self._spread(next(source, _END), queues)

        def branch(number: int, queue: deque[T]) -> Iterator[T]:
            try:
                while queue or more(queue):
                    yield queue.popleft()
            finally:
                # Nothing is kept for a branch that nobody reads any more.
                del queues[number]

        return tuple(branch(number, queue) for number, queue in list(queues.items()))

    def atee(self, n: int = 2) -> tuple[AsyncIterator[T], ...]:
        """``tee`` for async runs. The branches may be read at the same time.

        Raises:
            ConfigError: ``n`` is not positive (a ValueError).
            TypeError, RuntimeError: as ``subscribe``.
        """
        queues = _queues(n, "atee")
        source, turn = aiter(self), asyncio.Lock()

        async def more(queue: deque[T]) -> bool:
            async with turn:
                return bool(queue) or self._spread(await anext(source, _END), queues)

        async def branch(number: int, queue: deque[T]) -> AsyncIterator[T]:
            try:
                while queue or await more(queue):
                    yield queue.popleft()
            finally:
                del queues[number]

        return tuple(branch(number, queue) for number, queue in list(queues.items()))

    def _spread(self, item: Any, queues: dict[int, deque[T]]) -> bool:
        """Give ``item`` to all branches; False at the end, which is a failure for each of them where it is one."""
        if item is _END:
            return self.at_end() and False
        for queue in list(queues.values()):
            queue.append(item)
        return True


def _queues(n: int, name: str) -> dict[int, deque[Any]]:
    if n < 1:
        raise ConfigError(f"{name}() requires n >= 1, got {n!r}.")
    return {number: deque() for number in range(n)}
