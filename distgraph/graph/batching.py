"""Many inputs in one process: OS threads for ``batch``, coroutines for ``abatch``.

Items that share a thread of checkpoints run one after the other, in their order: side by side each would continue from
a state that the other is about to replace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from os import cpu_count
from typing import Any, Protocol

from distgraph.errors import ConfigError

Config = Mapping[str, Any]
#: One item: its place among the inputs, its input, its config.
Item = tuple[int, Any, Config | None]
#: An item that ended: its place, its result or exception, whether it failed. None: an OS thread has nothing left.
Done = tuple[int, Any, bool] | None


class Runs(Protocol):
    """What runs one item."""

    def invoke(self, input: Any, config: Any = None, **options: Any) -> Any: ...

    async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any: ...


class Batches:
    """The methods that run many inputs."""

    def batch(
        self: Runs,
        inputs: Iterable[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> list[Any]:
        """``invoke`` for each input, several at a time; results in the order of the inputs.

        Args:
            inputs: any iterable.
            config: one for all, or one for each. ``max_concurrency`` limits how many run at a time.
            return_exceptions: put a failed item's exception in its place instead of raising the first one.
            **options: as ``invoke``.

        Raises:
            ConfigError: another number of configs than inputs (a ValueError).
            Exception: the failure of the first failed item, once no other is running.
        """
        items = items_of(inputs, config)
        results: list[Any] = [None] * len(items)

        def done(found: Done) -> None:
            if found is not None:
                index, result, failed = found
                results[index] = _Failed(result) if failed else result

        crew = _Crew(self, items, options, done, stop_early=not return_exceptions)
        try:
            crew.join()
        finally:
            crew.leave()
        return [_opened(result, return_exceptions) for result in results]

    def batch_as_completed(
        self: Runs,
        inputs: Iterable[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> Iterator[tuple[int, Any]]:
        """``batch``, yielding (place, result) as items finish."""
        from queue import SimpleQueue

        items = items_of(inputs, config)
        came: SimpleQueue[Done] = SimpleQueue()
        crew = _Crew(self, items, options, came.put, stop_early=not return_exceptions)
        running = crew.width
        try:
            while running:
                found = came.get()
                if found is None:
                    running -= 1
                    continue
                index, result, failed = found
                if failed and not return_exceptions:
                    raise result
                yield index, result
        finally:
            crew.leave()

    async def abatch(
        self: Runs,
        inputs: Iterable[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> list[Any]:
        """``batch`` under an event loop, all items at once unless ``max_concurrency`` says otherwise."""
        items = items_of(inputs, config)
        results: list[Any] = [None] * len(items)
        async for index, result, failed in _in_tasks(self, items, options, stop_early=not return_exceptions):
            results[index] = _Failed(result) if failed else result
        return [_opened(result, return_exceptions) for result in results]

    async def abatch_as_completed(
        self: Runs,
        inputs: Iterable[Any],
        config: Config | Sequence[Config] | None = None,
        *,
        return_exceptions: bool = False,
        **options: Any,
    ) -> AsyncIterator[tuple[int, Any]]:
        """``abatch``, yielding (place, result) as items finish."""
        items = items_of(inputs, config)
        async for index, result, failed in _in_tasks(self, items, options, stop_early=not return_exceptions):
            if failed and not return_exceptions:
                raise result
            yield index, result

    def map(self: Runs) -> Each:
        """The graph as a runnable that takes a list of inputs and returns the list of results."""
        return Each(self)


class Each:
    """Runs a graph for each element of its input."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def invoke(self, inputs: Iterable[Any], config: Config | None = None, **options: Any) -> list[Any]:
        """As the graph's ``batch``."""
        found: list[Any] = self.graph.batch(inputs, config, **options)
        return found

    async def ainvoke(self, inputs: Iterable[Any], config: Config | None = None, **options: Any) -> list[Any]:
        """As the graph's ``abatch``."""
        found: list[Any] = await self.graph.abatch(inputs, config, **options)
        return found


class _Failed:
    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _opened(result: Any, return_exceptions: bool) -> Any:
    if not isinstance(result, _Failed):
        return result
    if return_exceptions:
        return result.error
    raise result.error


def items_of(inputs: Iterable[Any], config: Config | Sequence[Config] | None) -> list[Item]:
    """Inputs with their configs.

    Raises:
        ConfigError: another number of configs than inputs.
    """
    listed = list(inputs)
    if config is None or isinstance(config, Mapping):
        return [(index, value, config) for index, value in enumerate(listed)]
    if len(config) != len(listed):
        raise ConfigError(
            "config must be a list of the same length as inputs, "
            f"but got {len(config)} configs for {len(listed)} inputs."
        )
    return [(index, value, own) for index, (value, own) in enumerate(zip(listed, config, strict=True))]


def lines_of(graph: Runs, items: Sequence[Item]) -> list[list[Item]]:
    """Items that must run one after the other, together; first item first."""
    if not getattr(graph, "checkpointer", None):
        return [[item] for item in items]
    lines: dict[Any, list[Item]] = {}
    for item in items:
        thread = ((item[2] or {}).get("configurable") or {}).get("thread_id")
        lines.setdefault(item[0] if thread is None else f"thread {thread}", []).append(item)
    return list(lines.values())


def _width(items: Sequence[Item], usual: int) -> int:
    limit = (items[0][2] or {}).get("max_concurrency") if items else None
    return limit if isinstance(limit, int) and limit > 0 else usual


class _Crew:
    """OS threads that share the items; each takes the next line from one iterator when it is done with one.

    Taking from an iterator is atomic, and cheaper than a future per item.
    """

    def __init__(
        self,
        graph: Runs,
        items: Sequence[Item],
        options: Mapping[str, Any],
        done: Callable[[Done], None],
        *,
        stop_early: bool,
    ) -> None:
        from threading import Thread

        self.graph = graph
        self.options = options
        self.done = done
        self.stop_early = stop_early
        self.stopped = False
        lines = lines_of(graph, items)
        self._waiting = iter(lines)
        self.width = min(_width(items, min(32, (cpu_count() or 1) + 4)), len(lines))
        self._threads = [
            Thread(target=copy_context().run, args=(self._work,), name="distgraph-batch") for _ in range(self.width)
        ]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self.stopped = True
        self.join()

    def join(self) -> None:
        """Wait until everything is done."""
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        try:
            for line in self._waiting:
                for index, value, config in line:
                    if self.stopped:
                        return
                    self.done(self._one(index, value, config))
        finally:
            self.done(None)

    def _one(self, index: int, value: Any, config: Config | None) -> Done:
        try:
            return index, self.graph.invoke(value, config, **self.options), False
        except BaseException as exc:
            self.stopped = self.stopped or self.stop_early
            return index, exc, True


async def _in_tasks(
    graph: Runs, items: Sequence[Item], options: Mapping[str, Any], *, stop_early: bool
) -> AsyncIterator[tuple[int, Any, bool]]:
    from asyncio import Queue, create_task, gather

    lines = lines_of(graph, items)
    width = min(_width(items, len(lines)), len(lines))
    done: Queue[tuple[int, Any, bool] | None] = Queue()
    waiting = iter(lines)
    stopped = False

    async def work() -> None:
        nonlocal stopped
        try:
            for line in waiting:
                for index, value, config in line:
                    if stopped:
                        return
                    try:
                        done.put_nowait((index, await graph.ainvoke(value, config, **options), False))
                    except Exception as exc:
                        stopped = stopped or stop_early
                        done.put_nowait((index, exc, True))
        finally:
            done.put_nowait(None)

    tasks = [create_task(work()) for _ in range(width)]
    try:
        running = width
        while running:
            result = await done.get()
            if result is None:
                running -= 1
            else:
                yield result
    finally:
        stopped = True
        for task in tasks:
            task.cancel()
        await gather(*tasks, return_exceptions=True)
