"""One line of JSON to one item, or a reason with the place in the line.

Stricter than ``json.loads``: what another reader would read otherwise (a key twice, NaN, 1e999) and what the codec does
not store (half a surrogate pair, a nesting or an integer beyond its limits) is refused here, where the line is known.
"""

from __future__ import annotations

import json
from typing import Any

from distgraph.cli.lines import Line
from distgraph.errors import BatchItemError, CodecError
from distgraph.wire import MAX_DEPTH, Codec

#: Characters of a line that are shown with its error.
SNIPPET = 80
#: The codec names the path to what it cannot store, which can be long.
LONGEST_REASON = 200

_KINDS = {list: "an array", str: "a string", int: "a number", float: "a number", bool: "true or false"}
_CODEC = Codec()


class RefusedError(ValueError):
    """The JSON is well formed and still refused; ``near`` is a text that marks the place."""

    def __init__(self, reason: str, near: str = "") -> None:
        super().__init__(reason)
        self.near = near


def parse(line: Line, limit: int) -> dict[str, Any]:
    """The object that ``line`` holds; ``limit`` is the most bytes that a line may have.

    Raises:
        BatchItemError: it holds none; the text says what is wrong, in which column, and shows the place.
    """
    if line.size > limit:
        raise _bad(line, f"it has {line.size:,} bytes, the limit is {limit:,} (--max-line)")
    text = _decoded(line)
    try:
        item = decode(text)
    except json.JSONDecodeError as error:
        raise _bad(line, _explained(error, line), text, error.pos) from None
    except RefusedError as error:
        raise _bad(line, str(error), text, max(0, text.find(error.near))) from None
    return _storable(item, line, text)


def decode(text: str) -> Any:
    """The value of one JSON text.

    Raises:
        json.JSONDecodeError: it is none.
        RefusedError: it is one, and still cannot be used.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise RefusedError(f"nested deeper than {MAX_DEPTH} levels") from None
    except (json.JSONDecodeError, RefusedError):
        raise
    except ValueError:  # Python limits the digits of an integer, and the codec more so
        raise RefusedError("an integer with too many digits to be stored") from None


def _storable(item: Any, line: Line, text: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        kind = "null" if item is None else _KINDS[type(item)]
        raise _bad(line, f"an object is expected, this is {kind}", text)
    try:
        _CODEC.pack(item)
    except CodecError as error:
        reason = str(error)
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[:60]}...{reason[60 - LONGEST_REASON :]}"
        raise _bad(line, reason, text) from None
    return item


def hint(line: Line) -> str | None:
    """What the file is instead, if its first line that is not blank tells that it is no JSON lines at all."""
    start = line.data.strip()
    if start.startswith(b"["):
        return "it begins with [, so it looks like one JSON array; make a line of each element: jq -c '.[]' FILE"
    if start == b"{":
        return "its objects span several lines; put each on a line of its own: jq -c . FILE"
    if not start.startswith((b"{", b'"')) and any(mark in start for mark in (b",", b";", b"\t")):
        return "it looks like CSV; items are JSON objects, one a line, such as " + '{"name": "value"}'
    return None


def _decoded(line: Line) -> str:
    zero = line.data.find(b"\0")
    if zero >= 0:
        raise _bad(line, f"a NUL byte at column {zero + 1} (byte {line.offset + zero:,} of the file)")
    try:
        return line.data.decode()
    except UnicodeDecodeError as error:
        place = f"column {error.start + 1}, byte {line.offset + error.start:,} of the file"
        raise _bad(line, f"0x{line.data[error.start]:02x} is no UTF-8 ({place})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusedError(f"the key {twice!r} stands twice in one object", json.dumps(twice, ensure_ascii=False))
    return found


def _constant(name: str) -> Any:
    raise RefusedError(f"{name} is no JSON; use null, or leave the key out", name)


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise RefusedError(f"{digits} is too large for a number", digits)
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)


def _explained(error: json.JSONDecodeError, line: Line) -> str:
    reason = error.msg[0].lower() + error.msg[1:]
    cut_short = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
    if cut_short and not line.ended:
        return f"the file ends in the middle of this line, so it may be truncated ({reason})"
    return reason


def _bad(line: Line, reason: str, text: str | None = None, at: int | None = None) -> BatchItemError:
    where = f"line {line.number:,}" if at is None else f"line {line.number:,}, column {at + 1:,}"
    return BatchItemError(f"{where}: {reason.rstrip('.')}: {_snippet(line, text, at or 0)}", line=line.number)


def _snippet(line: Line, text: str | None, at: int) -> str:
    """At most ``SNIPPET`` characters around the place, with nothing in it that a terminal would obey."""
    whole = line.data[: 4 * SNIPPET].decode(errors="replace") if text is None else text
    start = max(0, at - SNIPPET // 2)
    shown = whole[start : start + SNIPPET - 6]
    clean = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in shown)
    more = start + len(shown) < len(whole) or line.size > len(line.data)
    return f"{'...' if start else ''}{clean}{'...' if more else ''}"
