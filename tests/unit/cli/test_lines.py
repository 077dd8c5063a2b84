"""Files as lines: where they are cut, what is refused before a byte is read, what a compressed file may be."""

from __future__ import annotations

import errno
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distgraph.cli import lines as module
from distgraph.cli.lines import Line, cut, lines, opened
from distgraph.errors import InputError


def texts(data: bytes, limit: int = 1000) -> list[bytes]:
    return [line.data for line in lines(io.BytesIO(data), "items.jsonl", limit)]


def test_lf_crlf_and_cr_all_end_a_line_also_mixed() -> None:
    assert texts(b"a\nb\r\nc\rd") == [b"a", b"b", b"c", b"d"]


def test_the_last_line_may_come_without_an_end_and_says_so() -> None:
    found = list(cut(iter([b"a\nb"]), 100))
    assert found == [Line(1, 0, b"a", 1, ended=True), Line(2, 2, b"b", 1, ended=False)]


@given(st.text(alphabet="ab\r\n", max_size=30), st.lists(st.integers(0, 30), max_size=5))
def test_where_a_chunk_ends_makes_no_difference(text: str, cuts: list[int]) -> None:
    """A CR at the end of one chunk and its LF at the beginning of the next are one line end."""
    data = text.encode()
    edges = [0, *sorted(min(place, len(data)) for place in cuts), len(data)]
    chunks = [data[start:stop] for start, stop in pairwise(edges)]
    assert list(cut(iter(chunks), 1000)) == list(cut(iter([data]), 1000))
    assert [line.data for line in cut(iter(chunks), 1000)] == data.splitlines()


def test_offsets_point_at_the_first_byte_of_each_line() -> None:
    data = b"ab\r\n\r\nc\rd\n"
    for line in cut(iter([data]), 1000):
        assert data[line.offset : line.offset + line.size] == line.data


def test_a_line_beyond_the_limit_is_counted_in_full_and_kept_in_part() -> None:
    chunks = iter([b"x" * 1000] * 1000 + [b"\nok\n"])
    huge, after = list(cut(chunks, 5000))
    assert (huge.size, len(huge.data)) == (1_000_000, module.BEGINNING)
    assert (after.number, after.offset, after.data) == (2, 1_000_001, b"ok")


def test_a_line_of_exactly_the_limit_is_kept() -> None:
    assert [line.size > 5 for line in cut(iter([b"12345\n123456\n"]), 5)] == [False, True]


def test_the_mark_of_utf8_is_left_out() -> None:
    assert texts(b"\xef\xbb\xbf{}\n") == [b"{}"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(encoding: str) -> None:
    with pytest.raises(InputError, match=r"items\.jsonl is UTF-(16|32).*iconv"):
        texts('{"a": 1}\n'.encode(encoding))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh9", "bzip2"),
        (b"\xfd7zXZ\x00", "xz"),
        (b"PK\x03\x04", "zip"),
        (b"PAR1", "Parquet"),
    ],
)
def test_other_formats_are_named_with_what_to_do(head: bytes, name: str) -> None:
    with pytest.raises(InputError, match=name):
        texts(head + b"....")


def test_an_empty_file_has_no_lines() -> None:
    assert texts(b"") == []


class Drip(io.RawIOBase):
    """A pipe that brings one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._rest = iter(data)

    def read(self, size: int = -1) -> bytes:
        return bytes(value for value in [next(self._rest, None)] if value is not None)


def test_a_slow_pipe_is_told_apart_like_a_file() -> None:
    found = lines(Drip(gzip.compress(b"a\nb\n")), "pipe", 100)  # type: ignore[arg-type]
    assert [line.data for line in found] == [b"a", b"b"]


# ------------------------------------------------------------ gzip


def test_gzip_is_told_by_its_content_and_all_members_are_read() -> None:
    assert texts(gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n")) == [b"a", b"bc", b"d"]


def test_zeros_after_a_member_are_padding() -> None:
    assert texts(gzip.compress(b"a\n") + b"\0" * 700) == [b"a"]


def test_every_way_to_cut_a_compressed_file_short_is_noticed() -> None:
    whole = gzip.compress(b"a\n" * 100)
    for length in range(3, len(whole)):
        with pytest.raises(EOFError):
            texts(whole[:length])


def test_a_flipped_bit_is_noticed() -> None:
    whole = bytearray(gzip.compress(os.urandom(1000), mtime=0))
    whole[500] ^= 1
    with pytest.raises(zlib.error):
        texts(bytes(whole), limit=10_000)


def test_garbage_after_a_member_is_noticed() -> None:
    with pytest.raises(zlib.error):
        texts(gzip.compress(b"a\n") + b"garbage")


def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BOMB_BYTES", 1 << 18)
    with pytest.raises(InputError, match="grows more than 200 times"):
        texts(gzip.compress(b" " * (1 << 20)))


def test_what_compresses_well_but_is_small_is_no_bomb() -> None:
    assert len(texts(gzip.compress(b"a\n" * 10_000))) == 10_000


# ------------------------------------------------------------ opening


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    yield path


def refused(path: object) -> str:
    with pytest.raises(InputError) as caught, opened(str(path)):
        pass
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.jsonl") == f"Cannot read {tmp_path}/no.jsonl: no such file or directory."


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert "it is a directory" in refused(tmp_path)


def test_a_fifo_is_refused_without_waiting_for_its_writer(fifo: Path) -> None:
    assert "pass - and redirect" in refused(fifo)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/self/status"])
def test_what_may_never_end_is_refused(path: str) -> None:
    assert "no regular file" in refused(path)


def test_a_name_with_a_nul_is_refused() -> None:
    assert "Cannot read" in refused("a\0b")


def test_a_file_without_permission_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: str, flags: int) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    # As root, which tests may run as, every file can be read.
    monkeypatch.setattr(os, "open", denied)
    assert refused("secret.jsonl") == "Cannot read secret.jsonl: permission denied."


def test_a_symlink_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with opened(str(tmp_path / "link")) as file:
        assert file.read() == b"x"
