"""Where messages end on a connection to a server, and what they say: just enough of the protocol to harm it on purpose."""

from __future__ import annotations

from typing import Any

#: How a message begins that answers no request (in the protocol's third version).
PUSH = b">"


class Refusal(str):
    """An error that the server answered, in its words."""

    __slots__ = ()


def parse(data: bytes | bytearray, at: int = 0) -> tuple[Any, int] | None:
    """One message of the protocol's second or third version.

    Args:
        data: bytes as they came.
        at: where the message begins.

    Returns:
        (its value, where the next one begins), or None while it is not whole. Strings are bytes, maps flat lists; an
        error is a `Refusal`.

    Raises:
        ValueError: this is not the protocol.
    """
    end = data.find(b"\r\n", at)
    if end < 0:
        return None
    kind, rest, after = data[at : at + 1], data[at + 1 : end], end + 2
    if kind in b"$=!":
        return _bulk(data, int(rest), after)
    if kind in b"*~>%":
        return _array(data, int(rest) * (2 if kind == b"%" else 1), after)
    if kind == b":":
        return int(rest), after
    if kind in b"+,(#":
        return bytes(rest), after
    if kind == b"_":
        return None, after
    if kind == b"-":
        return Refusal(rest.decode(errors="replace")), after
    raise ValueError(f"{bytes(data[at : at + 20])!r} begins no message")


def _bulk(data: bytes | bytearray, size: int, at: int) -> tuple[Any, int] | None:
    if size < 0:
        return None, at
    end = at + size
    return (bytes(data[at:end]), end + 2) if len(data) >= end + 2 else None


def _array(data: bytes | bytearray, size: int, at: int) -> tuple[Any, int] | None:
    if size < 0:
        return None, at
    values = []
    for _ in range(size):
        found = parse(data, at)
        if found is None:
            return None
        value, at = found
        values.append(value)
    return values, at
