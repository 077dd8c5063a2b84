"""What a run takes along to the workers: its input and its options. What cannot travel is refused at submit, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distgraph.cluster.options import RunOptions
from distgraph.cluster.sizes import check_input
from distgraph.errors import CodecError
from distgraph.wire import Codec

_CALLBACKS = (
    "callbacks are objects of this process, which workers cannot call: leave them out and read handle.stream(), or attach "
    "them to what runs here"
)


def packed(codec: Codec, given: Any, options: RunOptions, config: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """A run's input and options as they travel.

    Raises:
        CodecError: something of them cannot; the text names each part, and why.
        StateTooLargeError: the input is larger than is stored.
    """
    data = stored = b""
    try:
        data, stored = codec.encode(given), codec.encode(options.plain())
    except CodecError:
        problems = [*_problems(codec, "input", given), *_option_problems(codec, options)]
        if not problems:
            raise
    else:
        problems = []
    callbacks = config.get("callbacks") or ()
    # A node's own config has a manager, of no handlers where nobody listens.
    if getattr(callbacks, "handlers", callbacks):
        problems.append(_CALLBACKS)
    if problems:
        listed = (
            problems[0] if len(problems) == 1 else "".join(f"\n  {at}. {text}" for at, text in enumerate(problems, 1))
        )
        raise CodecError(f"Nothing was submitted, for this cannot travel to workers: {listed}")
    return check_input("The input", data), stored


def packed_options(codec: Codec, options: RunOptions, config: Mapping[str, Any]) -> bytes:
    """The options of a batch as they travel.

    Raises:
        CodecError: as ``packed``.
    """
    return packed(codec, None, options, config)[1]


def _option_problems(codec: Codec, options: RunOptions) -> Iterator[str]:
    for part in ("configurable", "metadata", "context", "tags"):
        yield from _problems(codec, part, getattr(options, part))


def _problems(codec: Codec, part: str, value: Any) -> Iterator[str]:
    """Why each item of a part cannot be stored; the paths begin with the part's name."""
    for piece in [{key: item} for key, item in value.items()] if type(value) is dict else [value]:
        try:
            codec.pack({part: piece})
        except CodecError as exc:
            yield str(exc)
