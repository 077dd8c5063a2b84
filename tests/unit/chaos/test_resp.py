"""Where messages end, and what they say."""

from __future__ import annotations

from typing import Any

import pytest

from distgraph.chaos.resp import Refusal, parse

MESSAGES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b":42\r\n", 42),
    (b"$3\r\na\r\n\r\n", b"a\r\n"),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
    (b"-ERR no\r\n", "ERR no"),
    (b"%1\r\n+a\r\n:1\r\n", [b"a", 1]),
    (b"~1\r\n#t\r\n", [b"t"]),
    (b">2\r\n+pong\r\n,1.5\r\n", [b"pong", b"1.5"]),
    (b"_\r\n", None),
    (b"=7\r\ntxt:abc\r\n", b"txt:abc"),
]


@pytest.mark.parametrize(("data", "value"), MESSAGES)
def test_a_message_ends_where_it_ends(data: bytes, value: Any) -> None:
    assert parse(b"xx" + data + b"+next\r\n", 2) == (value, 2 + len(data))


@pytest.mark.parametrize(("data", "value"), MESSAGES)
def test_half_a_message_is_none(data: bytes, value: Any) -> None:
    assert [parse(data[:size]) for size in range(len(data))] == [None] * len(data)


def test_an_error_is_told_from_text() -> None:
    found = parse(b"-ERR no\r\n")
    assert found is not None and isinstance(found[0], Refusal)


def test_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="begins no message"):
        parse(b"GET / HTTP/1.1\r\n")
