"""One line, one item: what is taken, and what is said about the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.cli import jsonl
from distgraph.cli.lines import Line
from distgraph.errors import BatchItemError
from distgraph.wire import MAX_DEPTH


def line(data: bytes | str, *, ended: bool = True) -> Line:
    raw = data.encode() if isinstance(data, str) else data
    return Line(7, 100, raw, len(raw), ended)


def parse(data: bytes | str, limit: int = 1 << 20) -> dict[str, Any]:
    return jsonl.parse(line(data), limit)


def complaint(data: bytes | str, *, ended: bool = True, limit: int = 1 << 20) -> str:
    with pytest.raises(BatchItemError) as caught:
        jsonl.parse(line(data, ended=ended), limit)
    assert caught.value.line == 7
    return str(caught.value)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), _json, max_size=4))
def test_every_object_that_json_can_say_is_read_back(item: dict[str, Any]) -> None:
    assert parse(json.dumps(item)) == item


def test_broken_json_is_shown_with_its_column() -> None:
    assert complaint('{"a": 1 "b": 2}') == ("""line 7, column 9: expecting ',' delimiter: {"a": 1 "b": 2}""")


def test_of_a_long_line_only_the_place_is_shown() -> None:
    text = complaint('{"a": "' + "x" * 500 + '" "b": 2, "c": "' + "y" * 500 + '"}')
    shown = text.rpartition(": ...")[2]
    assert '" "b": 2' in shown
    assert len(shown) <= jsonl.SNIPPET


def test_nothing_a_terminal_obeys_is_shown() -> None:
    assert "\x1b" not in complaint('{"a": \x1b[31m}')


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[1, 2]", "an array"),
        ('"a"', "a string"),
        ("1", "a number"),
        ("1.5", "a number"),
        ("true", "true or false"),
        ("null", "null"),
    ],
)
def test_only_objects_are_items(text: str, kind: str) -> None:
    assert f"an object is expected, this is {kind}" in complaint(text)


def test_a_key_that_comes_twice_is_refused_at_any_depth() -> None:
    assert """the key 'x' stands twice in one object""" in complaint('{"a": [{"x": 1, "y": 2, "x": 1}]}')


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_python_reads_and_json_does_not_know_is_refused(text: str) -> None:
    assert f"column 7: {text} is no JSON" in complaint('{"a": ' + text + "}")


def test_a_float_beyond_range_is_refused_rather_than_read_as_infinity() -> None:
    assert "1e999 is too large" in complaint('{"a": 1e999}')


def test_integers_are_kept_exactly_up_to_the_codecs_limit() -> None:
    assert parse(f'{{"a": {10**1200}}}') == {"a": 10**1200}
    assert "the limit is 4096" in complaint(f'{{"a": {10**1300}}}')


def test_an_integer_that_python_itself_refuses_is_a_complaint_as_well() -> None:
    assert "too many digits" in complaint('{"a": ' + "9" * 5000 + "}")


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def test_nesting_is_taken_up_to_the_codecs_limit() -> None:
    assert parse(nested(MAX_DEPTH))
    assert "nested deeper than 64 levels" in complaint(nested(MAX_DEPTH + 1))


def test_absurd_nesting_is_a_complaint_and_no_crash() -> None:
    assert "nested deeper" in complaint('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")


def test_half_a_surrogate_pair_is_refused_and_a_whole_one_is_a_character() -> None:
    assert "lone surrogate" in complaint(r'{"a": "\ud800"}')
    assert parse(r'{"a": "\ud83d\ude00"}') == {"a": "😀"}


def test_latin1_is_shown_with_the_byte_and_its_place_in_the_file() -> None:
    assert "0xe9 is no UTF-8 (column 8, byte 107 of the file)" in complaint(b'{"a": "\xe9"}')


@pytest.mark.parametrize("data", [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"])
def test_overlong_and_impossible_utf8_is_refused(data: bytes) -> None:
    assert "is no UTF-8" in complaint(b'{"a": "' + data + b'"}')


def test_a_nul_byte_is_shown_with_its_place() -> None:
    assert "a NUL byte at column 3 (byte 102 of the file)" in complaint(b'{"\0": 1}')


def test_a_last_line_that_stops_in_the_middle_may_be_truncated() -> None:
    assert "may be truncated" in complaint('{"a": 1, "b": "tex', ended=False)
    assert "may be truncated" in complaint('{"a": 1,', ended=False)
    assert "truncated" not in complaint('{"a": 1,')
    assert "truncated" not in complaint('{"a" 1}', ended=False)


def test_a_line_beyond_the_limit_is_measured_and_not_read() -> None:
    long = Line(7, 100, b'{"a": "xxx', 5_000_000, True)
    with pytest.raises(BatchItemError, match=r"5,000,000 bytes, the limit is 1,000,000 \(--max-line\)"):
        jsonl.parse(long, 1_000_000)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"a": 1}, {"a": 2}]', "jq -c '.[]'"),
        ("[", "jq -c '.[]'"),
        ("{", "jq -c ."),
        ("id,name,age", "looks like CSV"),
        ("id;name", "looks like CSV"),
    ],
)
def test_the_first_line_tells_what_the_file_is_instead(text: str, words: str) -> None:
    assert words in (jsonl.hint(line(text)) or "")


def test_a_broken_object_gets_no_hint() -> None:
    assert jsonl.hint(line('{"a": 1 "b"}')) is None
