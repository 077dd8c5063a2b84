"""What callers of ``stream`` and ``invoke`` get: engine chunks in the shape that the arguments ask for."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from distgraph.constants import INTERRUPT, START
from distgraph.errors import ConfigError
from distgraph.suggestions import did_you_mean
from distgraph.types import Durability, StreamMode

STREAM_MODES: frozenset[str] = frozenset(get_args(StreamMode))
DURABILITIES: tuple[str, ...] = get_args(Durability)

#: An engine's chunk: namespace of the graph it comes from, stream mode, payload.
Chunk = tuple[tuple[str, ...], str, Any]


def modes_of(modes: str | Sequence[str]) -> frozenset[str]:
    """The stream modes named.

    Raises:
        ConfigError: an unknown one; its stream would stay empty.
    """
    found = frozenset((modes,) if isinstance(modes, str) else modes)
    for mode in found - STREAM_MODES:
        raise ConfigError(f"Unknown stream mode {mode!r}.{did_you_mean(mode, STREAM_MODES)}")
    return found


def check_durability(durability: Any) -> Any:
    """``durability`` if it is one.

    Raises:
        ConfigError: it is not.
    """
    if durability is not None and durability not in DURABILITIES:
        raise ConfigError(f"Unknown durability {durability!r}.{did_you_mean(durability, DURABILITIES)}")
    return durability


@dataclass(frozen=True, slots=True)
class Shape:
    """How chunks are handed out.

    Attributes:
        modes: modes that the caller reads.
        printed: modes that are printed instead, or as well.
        tagged: several modes were asked for as a list: each chunk says which it is.
        subgraphs: each chunk says which graph it comes from.
        parts: every chunk is a dict (``version="v2"``).
        output: builds the output schema's instance, for parts.
        state: builds the state schema's instance, for parts.
    """

    modes: frozenset[str]
    printed: frozenset[str] = frozenset()
    tagged: bool = False
    subgraphs: bool = False
    parts: bool = False
    output: Callable[[Any], Any] | None = None
    state: Callable[[Any], Any] | None = None

    def __call__(self, chunk: Chunk) -> Iterator[Any]:
        """The chunk as the caller gets it, if at all."""
        ns, mode, payload = chunk
        if mode in self.printed:
            print_chunk(ns if self.subgraphs else (), mode, payload)
        if mode not in self.modes:
            return
        if self.parts:
            yield self._part(ns, mode, payload)
        elif self.subgraphs:
            yield (ns, mode, payload) if self.tagged else (ns, payload)
        else:
            yield (mode, payload) if self.tagged else payload

    def _part(self, ns: tuple[str, ...], mode: str, payload: Any) -> dict[str, Any]:
        if mode == "values":
            values, interrupts = split_interrupts(payload)
            if self.output is not None and isinstance(values, dict):
                values = self.output(values)
            return {"type": mode, "ns": ns, "data": values, "interrupts": interrupts}
        if mode in ("checkpoints", "debug") and self.state is not None:
            payload = _with_state(payload, self.state)
        return {"type": mode, "ns": ns, "data": payload}


def shaped(chunks: Iterator[Chunk], shape: Shape) -> Iterator[Any]:
    """What the caller of ``stream`` gets of ``chunks``, which end with it: whatever ends it, their run leaves nothing."""
    try:
        for chunk in chunks:
            yield from shape(chunk)
    finally:
        # A failure keeps this frame, and with it ``chunks``, for as long as somebody keeps the failure.
        if isinstance(chunks, Generator):
            chunks.close()


async def ashaped(chunks: AsyncIterator[Chunk], shape: Shape) -> AsyncGenerator[Any, None]:
    """``shaped`` under an event loop, where nobody else would end the run's tasks before the garbage collector does."""
    try:
        async for chunk in chunks:
            for part in shape(chunk):
                yield part
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


def split_interrupts(payload: Any) -> tuple[Any, tuple[Any, ...]]:
    """A ``values`` payload without its questions, and the questions."""
    if isinstance(payload, dict) and INTERRUPT in payload:
        return {key: value for key, value in payload.items() if key != INTERRUPT}, tuple(payload[INTERRUPT])
    return payload, ()


def _with_state(payload: Any, build: Callable[[Any], Any]) -> Any:
    """The payload of a checkpoint with its values as an instance; not before START, when required keys are missing."""
    if not isinstance(payload, Mapping):
        return payload
    if payload.get("type") == "checkpoint":
        return {**payload, "payload": _with_state(payload["payload"], build)}
    if isinstance(payload.get("values"), dict) and START not in payload.get("next", ()):
        return {**payload, "values": build(payload["values"])}
    return payload


def print_chunk(ns: tuple[str, ...], mode: str, payload: Any) -> None:
    """One line on standard output, for people."""
    graph = f" [graph={ns}]" if ns else ""
    sys.stdout.write(f"[{mode}]{graph} {payload!r}\n")


def with_interrupts(values: Any, interrupts: Sequence[Any]) -> Any:
    """The result of ``invoke``: the values, and the questions under their key where some wait."""
    if not interrupts:
        return values
    if isinstance(values, dict):
        return {**values, INTERRUPT: list(interrupts)}
    return {INTERRUPT: list(interrupts)}
