"""The items of a file: checked as a whole before the first is handed out; keys; what a file does meanwhile."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distgraph.cli.items import ItemSource, OnBadLine, Tally, item_source, size_of
from distgraph.errors import BatchItemError, InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items.jsonl"


def read(path: Path, *, key: str | None = None, on_bad: OnBadLine = "fail") -> tuple[list[dict[str, Any]], Tally]:
    """As a submission does: check, then take the items."""
    with item_source(str(path), key=key, on_bad=on_bad) as source:
        source.check()
        return list(source.items()), source.tally


def complaint(path: Path, data: str | bytes, *, key: str | None = None, on_bad: OnBadLine = "fail") -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(InputError) as caught:
        read(path, key=key, on_bad=on_bad)
    return str(caught.value)


def test_every_line_is_an_item_and_blank_lines_are_none(path: Path) -> None:
    path.write_text('{"n": 1}\n\n   \n{"n": 2}\r\n{"n": 3}')
    items, tally = read(path)
    assert items == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert tally.items == 3
    assert tally.bad == 0


@pytest.mark.parametrize("data", ["", "\n", "  \n\r\n", "\ufeff"])
def test_a_file_without_items_has_none(path: Path, data: str) -> None:
    path.write_text(data)
    assert read(path) == ([], Tally(offset=read(path)[1].offset))


def test_all_bad_lines_are_reported_at_once_and_no_item_is_handed_out(path: Path) -> None:
    text = complaint(path, '{"n": 1}\n{"n": }\n{"n": 3}\n[4]\n')
    assert text.splitlines() == [
        f"{path}: 2 of 4 lines are no items; nothing was submitted.",
        '  line 2, column 7: expecting value: {"n": }',
        "  line 4: an object is expected, this is an array: [4]",
        "Mend them, or leave them out with --on-bad-line skip.",
    ]


def test_of_very_many_bad_lines_some_are_shown_and_all_are_counted(path: Path) -> None:
    text = complaint(path, '{"n": 1}\n' + "{]\n" * 1000)
    assert "1,000 of 1,001 lines" in text
    assert "... and 990 more" in text
    assert len(text.splitlines()) == 13


def test_bad_lines_can_be_left_out(path: Path) -> None:
    path.write_text('{"n": 1}\n{"n": }\n{"n": 3}\n')
    items, tally = read(path, on_bad="skip")
    assert items == [{"n": 1}, {"n": 3}]
    assert tally.bad == 1
    assert tally.complaints == ['line 2, column 7: expecting value: {"n": }']


def test_a_file_without_any_good_line_is_refused_also_when_bad_ones_are_left_out(path: Path) -> None:
    assert "none of its 2 lines is an item; line 1" in complaint(path, "x\ny\n", on_bad="skip")


@pytest.mark.parametrize("on_bad", ["fail", "skip"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('[{"n": 1}, {"n": 2}]\n', "jq -c '.[]'"),
        ('{\n  "n": 1\n}\n', "jq -c ."),
        ("id,name\n1,a\n2,b\n", "CSV"),
    ],
)
def test_a_file_that_is_something_else_gets_a_hint(path: Path, data: str, words: str, on_bad: OnBadLine) -> None:
    assert words in complaint(path, data, on_bad=on_bad)


class Endless(io.BytesIO):
    """A file of which nobody should read more than its beginning."""

    def read1(self, size: int | None = -1) -> bytes:
        if self.tell():
            pytest.fail("read on")
        return super().read1(size)


def test_a_hint_is_given_at_once_and_not_after_ten_gigabytes() -> None:
    source = ItemSource(Endless(b"id,name\n"), "standard input", key=None, on_bad="fail", max_line=100)
    with pytest.raises(InputError, match="CSV"):
        list(source.items())


def test_a_compressed_file_is_read_like_a_plain_one(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"n": 1}\n') + gzip.compress(b'{"n": 2}\n'))
    assert read(path)[0] == [{"n": 1}, {"n": 2}]


def test_a_compressed_file_that_is_cut_short_is_reported_with_the_last_whole_line(path: Path) -> None:
    data = gzip.compress(b'{"n": 1}\n' * 50)[:-8]
    assert f"{path}: after line 50 the compressed data end too early" in complaint(path, data)


def test_a_damaged_compressed_file_is_reported(path: Path) -> None:
    assert "are damaged" in complaint(path, gzip.compress(b'{"n": 1}\n') + b"garbage")


def test_memory_stays_flat_however_long_a_line_is(path: Path) -> None:
    import tracemalloc

    path.write_bytes(b'{"n": 1}\n{"x": "' + b"y" * (16 << 20) + b'"}\n{"n": 2}\n')
    tracemalloc.start()
    try:
        with item_source(str(path), on_bad="skip", max_line=1 << 20) as source:
            assert [item["n"] for item in source.items()] == [1, 2]
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


def test_progress_is_told_in_bytes(path: Path) -> None:
    path.write_text('{"n": 1}\n' * 5)
    offsets: list[int] = []
    with item_source(str(path)) as source:
        source.check(lambda tally: offsets.append(tally.offset))
    assert offsets == [8, 17, 26, 35, 44]
    assert size_of(str(path)) == 45


# ------------------------------------------------------------ keys


def test_the_same_item_twice_under_one_key_counts_once(path: Path) -> None:
    path.write_text('{"id": "a", "n": 1}\n{"n": 1, "id": "a"}\n{"id": "b"}\n')
    items, tally = read(path, key="id")
    assert [item["id"] for item in items] == ["a", "b"]
    assert tally.repeated == 1


def test_another_item_under_the_same_key_names_both_lines(path: Path) -> None:
    text = complaint(path, '{"id": "a", "n": 1}\n{"id": "a", "n": 2}\n', key="id")
    assert "line 2: the key 'a' was used in line 1 for another item" in text


def test_an_integer_and_its_digits_are_one_key(path: Path) -> None:
    assert "was used in line 1" in complaint(path, '{"id": 1}\n{"id": "1"}\n', key="id")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({}, "is missing"),
        ({"id": None}, "holds null"),
        ({"id": True}, "holds true"),
        ({"id": 1.5}, "holds 1.5"),
        ({"id": [1]}, r"holds [1]"),
        ({"id": ""}, "1 to 512 bytes, got 0"),
        ({"id": "ä" * 257}, "1 to 512 bytes, got 514"),
    ],
)
def test_what_cannot_be_a_key_is_refused(path: Path, item: dict[str, Any], words: str) -> None:
    assert words in complaint(path, json.dumps({"n": 0, **item}) + "\n", key="id")


@pytest.mark.parametrize("key", ["../../etc/passwd", "C:\\x", "a/b", ".", "a\0b", "a:b\n*{}"])
def test_any_text_is_a_key_and_never_a_path(path: Path, key: str) -> None:
    path.write_text(json.dumps({"id": key}) + "\n")
    assert read(path, key="id")[0] == [{"id": key}]


def test_keys_that_only_look_the_same_are_different_and_counted(path: Path) -> None:
    keys = ["Café", "café", "cafe\u0301", "other"]
    path.write_text("".join(json.dumps({"id": key}) + "\n" for key in keys))
    items, tally = read(path, key="id")
    assert [item["id"] for item in items] == keys
    assert tally.lookalikes == 2


# ------------------------------------------------------------ a file that changes, and standard input


def test_a_file_that_grows_between_check_and_submission_is_refused(path: Path) -> None:
    path.write_text('{"n": 1}\n')
    with item_source(str(path)) as source:
        source.check()
        with path.open("a") as file:
            file.write('{"n": 2}\n')
        with pytest.raises(InputError, match="changed while it was read"):
            list(source.items())


def from_pipe(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return item_source("-")


def test_standard_input_cannot_be_checked_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with from_pipe(b'{"n": 1}\n{"n": 2}\n', monkeypatch) as source:
        assert not source.checkable
        assert list(source.items()) == [{"n": 1}, {"n": 2}]


def test_from_a_pipe_the_items_before_a_bad_line_have_been_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with from_pipe(b'{"n": 1}\n{"n": }\n{"n": 3}\n', monkeypatch) as source:
        items = source.items()
        assert next(items) == {"n": 1}
        with pytest.raises(BatchItemError, match=r"standard input: line 2, column 7: .*") as caught:
            next(items)
    assert caught.value.line == 2
    assert source.tally.items == 1


def test_a_reading_error_of_the_disk_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    source = ItemSource(Failing(), "standard input", key=None, on_bad="fail", max_line=100)
    with pytest.raises(BatchItemError, match="input/output error"):
        list(source.items())
