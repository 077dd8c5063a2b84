"""A file of items as lines of bytes: opened with care, decompressed, cut at its line ends.

Nothing here knows JSON. What opening refuses, it refuses before a byte is read, so that neither a FIFO nor a device
can make the command hang, and a file in another encoding or format is named for what it is.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from distgraph.errors import InputError

STDIN = "-"
CHUNK = 1 << 18
#: So many bytes of a line that is too long are kept, to be shown.
BEGINNING = 80

#: A compressed file that grows beyond both is refused: it is more likely an attack than data.
BOMB_RATIO, BOMB_BYTES = 200, 1 << 30

_GZIP = b"\x1f\x8b"
_UTF8_BOM = b"\xef\xbb\xbf"
#: First bytes of what cannot be read as it is, what that is, and what to do about it. Longer marks come first.
_FOREIGN = (
    (b"\xff\xfe\x00\x00", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE"),
    (b"\x00\x00\xfe\xff", "UTF-32", "iconv -f UTF-32 -t UTF-8 FILE"),
    (b"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"),
    (b"{\x00", "UTF-16 without a byte order mark", "iconv -f UTF-16LE -t UTF-8 FILE"),
    (b"\x00{", "UTF-16 without a byte order mark", "iconv -f UTF-16BE -t UTF-8 FILE"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", "zstd -dc FILE"),
    (b"BZh", "bzip2-compressed", "bzip2 -dc FILE"),
    (b"\xfd7zXZ\x00", "xz-compressed", "xz -dc FILE"),
    (b"PK\x03\x04", "a zip archive", "unzip -p FILE"),
    (b"PAR1", "a Parquet file", "a converter to JSON lines"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end.

    Attributes:
        number: counts from 1.
        offset: of its first byte, in the decompressed file.
        data: its bytes; only the first few of one that is longer than the limit.
        size: its length in bytes, whatever ``data`` holds.
        ended: whether a line end follows; only the last line of a file can be without.
    """

    number: int
    offset: int
    data: bytes
    size: int
    ended: bool


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The regular file at ``path``, or standard input for ``-``, for reading.

    Raises:
        InputError: there is no such file, it may not be read, or it is none (a directory, a FIFO, a device).
    """
    if path == STDIN:
        yield sys.stdin.buffer
        return
    try:
        # Not to wait for the writer of a FIFO; regular files do not care.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read {path}: {_reason(error)}.") from error
    try:
        _check_kind(path, os.fstat(descriptor))
    except InputError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _reason(error: OSError | ValueError) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or str(error)).lower()


def _check_kind(path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"Cannot read {path}: it is a directory. Name a file in it.")
    if not stat.S_ISREG(found.st_mode) or _is_made_by_kernel(found):
        raise InputError(
            f"Cannot read {path}: it is no regular file but a FIFO, a device or the like. "
            f"To read from a pipe, pass - and redirect it: < {path}"
        )


def _is_made_by_kernel(found: os.stat_result) -> bool:
    """Files below /proc and /sys say that they are regular, and may be endless."""
    return any(Path(place).exists() and Path(place).stat().st_dev == found.st_dev for place in ("/proc", "/sys"))


def lines(file: BinaryIO, name: str, limit: int) -> Iterator[Line]:
    r"""Cut ``file`` at LF, CRLF and CR. Of lines above ``limit`` bytes only the beginning is kept.

    Raises:
        InputError: the file is in a format or an encoding that is not read here, or a decompression bomb.
        EOFError: compressed data end too early.
        zlib.error: compressed data are damaged.
    """
    yield from cut(_text_chunks(file, name), limit)


def _text_chunks(file: BinaryIO, name: str) -> Iterator[bytes]:
    chunks = _chunks(file)
    head = next(chunks, b"")
    if head.startswith(_GZIP):
        chunks = gunzip(_rejoined(head, chunks), name)
        head = next(chunks, b"")
    for mark, what, command in _FOREIGN:
        if head.startswith(mark):
            raise InputError(
                f"{name} is {what}; items are read as UTF-8 text, plain or gzip-compressed. "
                f"Convert it first: {command} | distgraph batch submit GRAPH -"
            )
    yield head.removeprefix(_UTF8_BOM)
    yield from chunks


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """The file in pieces; the first holds enough to tell what it is, also where a pipe brings it byte by byte."""
    head = b""
    while len(head) < len(max(_FOREIGN, key=lambda entry: len(entry[0]))[0]):
        piece = _read(file)
        if not piece:
            break
        head += piece
    yield head
    while chunk := _read(file):
        yield chunk


def _read(file: BinaryIO) -> bytes:
    # read1 gives what is there: lines of a slow pipe are not held back until a chunk is full.
    read1 = getattr(file, "read1", file.read)
    return bytes(read1(CHUNK))


def _rejoined(head: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield head
    yield from rest


def gunzip(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Decompress all members of a gzip stream, in pieces of bounded size.

    Raises:
        InputError: the result grows beyond ``BOMB_BYTES`` and ``BOMB_RATIO`` times the input.
        EOFError: the last member is not complete.
        zlib.error: damaged data, a wrong checksum, or something else after the last member.
    """
    taken = made = 0
    member = None
    for chunk in chunks:
        taken += len(chunk)
        while chunk:
            if member is None:
                # Zeros between and after members are padding, as tapes and dd leave it.
                chunk = chunk.lstrip(b"\0")
                member = zlib.decompressobj(zlib.MAX_WBITS | 16) if chunk else None
                continue
            piece = member.decompress(chunk, CHUNK)
            made += len(piece)
            if made > BOMB_BYTES and made > BOMB_RATIO * taken:
                raise InputError(
                    f"{name} grows more than {BOMB_RATIO} times and beyond {BOMB_BYTES >> 30} GiB when decompressed. "
                    "If it really holds that much, decompress it yourself and submit the plain file."
                )
            yield piece
            chunk = member.unused_data if member.eof else member.unconsumed_tail
            member = None if member.eof else member
    if member is not None:
        raise EOFError


def cut(chunks: Iterator[bytes], limit: int) -> Iterator[Line]:
    """Lines of bytes that come in pieces of any size."""
    number, offset, size = 1, 0, 0
    held: list[bytes] = []
    for piece in _pieces(chunks):
        bare = piece.rstrip(b"\r\n")
        if size <= limit:
            held.append(bare)
        size += len(bare)
        if len(bare) < len(piece):
            yield Line(number, offset, _kept(held, size, limit), size, ended=True)
            number, offset, size, held = number + 1, offset + size + len(piece) - len(bare), 0, []
    if held:
        yield Line(number, offset, _kept(held, size, limit), size, ended=False)


def _kept(held: list[bytes], size: int, limit: int) -> bytes:
    return b"".join(held) if size <= limit else held[0][:BEGINNING]


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Each piece ends at a line end or in the middle of a line, never between CR and LF."""
    carried = b""
    for chunk in chunks:
        text = carried + chunk
        carried = b"\r" if text.endswith(b"\r") else b""
        yield from text.removesuffix(b"\r").splitlines(keepends=True)
    if carried:
        yield carried
