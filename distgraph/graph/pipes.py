"""``graph | other``: what one gives, the next takes.

A step is anything with ``invoke`` (a graph, a runnable of LangChain, a pipe), a function of one argument, or a dict of
steps that all get the same input and give a dict. Nothing is imported for it: they are known by their shape.

In a stream, steps that turn pieces into pieces hand on what the step before them streams; others get all of it at once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from distgraph.errors import ConfigError
from distgraph.graph.batching import Batches

#: What of LangChain's own runnables hands on every piece.
_PASSING = ("RunnablePassthrough.transform", "RunnableGenerator.transform")


class Piped:
    """What can stand in a pipe."""

    def __or__(self, other: Any) -> Pipe:
        return Pipe(self, other)

    def __ror__(self, other: Any) -> Pipe:
        return Pipe(other, self)

    def pipe(self, *others: Any) -> Pipe:
        """``self | other | ...``."""
        return Pipe(self, *others)


class Pipe(Piped, Batches):
    """Steps, one after the other. Itself a step, and a node of a graph.

    Args:
        *steps: see the module.

    Raises:
        ConfigError: one of them is no step (a ValueError).
    """

    def __init__(self, *steps: Any) -> None:
        self.steps: tuple[Any, ...] = ()
        for step in steps:
            self.steps += step.steps if isinstance(step, Pipe) else (_checked(step),)
        self.name = "|".join(_name(step) for step in self.steps)

    def __repr__(self) -> str:
        return f"Pipe({self.name})"

    def invoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        """What the last step gives. ``options`` go to the first one.

        Raises:
            Exception: whatever a step raised.
        """
        for number, step in enumerate(self.steps):
            input = _run(step, input, config, {} if number else options)
        return input

    async def ainvoke(self, input: Any, config: Any = None, **options: Any) -> Any:
        """``invoke`` under an event loop."""
        for number, step in enumerate(self.steps):
            input = await _arun(step, input, config, {} if number else options)
        return input

    def stream(self, input: Any, config: Any = None, **options: Any) -> Iterator[Any]:
        """What the last step streams, or gives at once, or makes of the pieces that a step before it streams.

        ``options`` go to the step that streams.
        """
        before, step, after = self._parted()
        for each in before:
            input = _run(each, input, config, {})
        chunks = _stream(step, input, config, options)
        for each in after:
            chunks = each.transform(chunks, config)
        yield from chunks

    async def astream(self, input: Any, config: Any = None, **options: Any) -> AsyncIterator[Any]:
        """``stream`` under an event loop."""
        before, step, after = self._parted()
        for each in before:
            input = await _arun(each, input, config, {})
        async with aclosing(_astream(step, input, config, options)) as first:
            chunks: AsyncIterator[Any] = first
            for each in after:
                chunks = each.atransform(chunks, config)
            async for chunk in chunks:
                yield chunk

    def _parted(self) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
        """The step that streams, with those before it, and those after it, which take its pieces."""
        at = len(self.steps) - 1
        while at and _takes_pieces(self.steps[at]):
            at -= 1
        return self.steps[:at], self.steps[at], self.steps[at + 1 :]


def _checked(step: Any) -> Any:
    if isinstance(step, Mapping):
        return {key: _checked(part) for key, part in step.items()}
    if hasattr(step, "invoke") or callable(step):
        return step
    raise ConfigError(
        f"A {type(step).__name__} cannot stand in a pipe: use what has invoke(), a function of one argument, or a dict of "
        "these."
    )


def _takes_pieces(step: Any) -> bool:
    """Whether ``step`` makes pieces of pieces.

    Every runnable has ``transform``, but most of LangChain's own take the last piece for the whole, which it is not here.
    """
    transform = getattr(type(step), "transform", None)
    if transform is None or not hasattr(step, "atransform"):
        return False
    return not str(transform.__module__).startswith("langchain_core.") or transform.__qualname__ in _PASSING


def _stream(step: Any, input: Any, config: Any, options: Mapping[str, Any]) -> Iterator[Any]:
    if hasattr(step, "stream"):
        yield from step.stream(input, config, **options)
    else:
        yield _run(step, input, config, options)


async def _astream(step: Any, input: Any, config: Any, options: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
    if hasattr(step, "astream"):
        async for chunk in step.astream(input, config, **options):
            yield chunk
    else:
        yield await _arun(step, input, config, options)


def _name(step: Any) -> str:
    if isinstance(step, Mapping):
        return f"{{{','.join(map(str, step))}}}"
    return str(getattr(step, "name", None) or getattr(step, "__name__", None) or type(step).__name__)


def _run(step: Any, input: Any, config: Any, options: Mapping[str, Any]) -> Any:
    if isinstance(step, Mapping):
        return {key: _run(part, input, config, options) for key, part in step.items()}
    return step.invoke(input, config, **options) if hasattr(step, "invoke") else step(input)


async def _arun(step: Any, input: Any, config: Any, options: Mapping[str, Any]) -> Any:
    # Programs without an event loop need not load them.
    import asyncio
    import inspect

    if isinstance(step, Mapping):
        found = await asyncio.gather(*(_arun(part, input, config, options) for part in step.values()))
        return dict(zip(step, found, strict=True))
    if hasattr(step, "ainvoke"):
        return await step.ainvoke(input, config, **options)
    if hasattr(step, "invoke") or not inspect.iscoroutinefunction(step):
        return await asyncio.to_thread(_run, step, input, config, options)
    return await step(input)
