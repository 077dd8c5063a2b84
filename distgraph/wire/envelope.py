"""The envelope around stored bytes: what they are, that they are whole, and - with a secret - who wrote them.

    offset  size  field
    0       2     magic, ``DG``
    2       1     format version
    3       1     flags: bit 0 = zlib, bit 1 = signed
    4       4     length of the body, big endian
    8       4     CRC-32 of the body, or, when signed, the id of the key
    12      32    HMAC-SHA256, only when signed
    12/44   ...   body

The checksum starts from version and flags, the length is compared with what is there, and the HMAC covers the whole
header, so no single damaged bit goes unnoticed. The *context* (say, the key the bytes are stored under) is covered
by both kinds of check without being stored: bytes that were moved to another place are refused.

This layout and its checksum stay the same in every format version; the version speaks of the body.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import TypeAlias

from distgraph.errors import CheckpointCorruptError, CodecError, NewerFormatError, TamperedDataError

Buffer: TypeAlias = bytes | bytearray | memoryview

MAGIC = b"DG"
VERSION = 1
COMPRESSED = 1
SIGNED = 2
HEADER = struct.Struct(">2sBBII")
MAC_SIZE = 32

#: Bytes. What a codec accepts at most, packed but not compressed, unless it is told otherwise.
MAX_BYTES = 8 * 1024 * 1024
#: Bytes. Below this zlib costs more time than the network saves.
COMPRESS_FROM = 64 * 1024
#: Bytes from the middle that are tried first: embeddings and images do not shrink, and finding that out costs 20 ms/MB.
_SAMPLE = 4096
#: What the length field can say.
_MAX_LENGTH = 0xFFFF_FFFF


def seal(payload: bytes, *, secret: bytes | None = None, context: bytes = b"") -> bytes:
    """Put ``payload`` into an envelope, compressed if it is large and that pays.

    Args:
        payload: any bytes.
        secret: signs the envelope; ``open_sealed`` needs the same one.
        context: where these bytes belong; ``open_sealed`` needs the same one. Not stored.

    Raises:
        CodecError: the payload is larger than 4 GiB.
    """
    body, flags = payload, 0
    if len(payload) >= COMPRESS_FROM:
        body, flags = _compress(payload)
    if secret is None:
        return HEADER.pack(MAGIC, VERSION, flags, len(body), _checksum(VERSION, flags, body, context)) + body
    key_id, mac = _signer(secret)
    header = HEADER.pack(MAGIC, VERSION, flags | SIGNED, len(body), key_id)
    return header + mac(_signed_text(header, body, context)) + body


def open_sealed(
    data: Buffer, *, secret: bytes | None = None, context: bytes = b"", max_bytes: int = MAX_BYTES
) -> bytes:
    """The payload of an envelope, after every check.

    Args:
        data: what ``seal`` returned.
        secret: with one, unsigned envelopes are refused.
        context: as given to ``seal``.
        max_bytes: the largest payload to unfold, in bytes.

    Raises:
        CheckpointCorruptError: not an envelope, or a damaged one, or one that belongs elsewhere.
        TamperedDataError: unsigned though a secret is set, or signed with another one, or changed afterwards.
        NewerFormatError: whole, but in a format that this version does not know.
        CodecError: larger than ``max_bytes``, or not bytes at all.
    """
    if type(data) is not bytes:
        data = as_bytes(data)
    if len(data) < HEADER.size:
        raise CheckpointCorruptError(_not_an_envelope(data))
    magic, version, flags, length, check = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise CheckpointCorruptError(_not_an_envelope(data))
    start = HEADER.size + MAC_SIZE if flags & SIGNED else HEADER.size
    if len(data) != start + length:
        raise CheckpointCorruptError(
            f"Stored value is damaged: its header announces {length} bytes, {len(data) - start} are there. "
            "It was cut off or overwritten; restore it from a backup or go back to an earlier checkpoint."
        )
    body = data[start:]
    if secret is not None or flags & SIGNED:
        _verify(data, flags, check, secret, context)
    elif _checksum(version, flags, body, context) != check:
        raise CheckpointCorruptError(_wrong_checksum(version))
    if version != VERSION or flags > (COMPRESSED | SIGNED):
        raise NewerFormatError(
            f"Stored value was written by a newer distgraph: format {version}, flags {flags:#04x}; this one reads "
            f"format {VERSION}. Update distgraph on this machine before it takes part."
        )
    if flags & COMPRESSED:
        return _decompress(body, max_bytes)
    if length > max_bytes:
        raise CodecError(_too_large(f"{length}", max_bytes))
    return body


def as_bytes(data: object) -> bytes:
    """``data`` as bytes; text and other things are refused, not guessed at.

    Raises:
        CodecError: not a bytes-like object.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise CodecError(
        f"Stored values are bytes, not {type(data).__qualname__}. If they come from a Redis client, turn off its "
        "decode_responses."
    )


def _checksum(version: int, flags: int, body: bytes, context: bytes) -> int:
    seed = version << 8 | flags
    return zlib.crc32(body, zlib.crc32(context, seed) if context else seed)


@lru_cache(maxsize=16)
def _signer(secret: bytes) -> tuple[int, Callable[[bytes], bytes]]:
    """The key's public id and its HMAC function."""
    import hashlib  # only who signs pays for loading OpenSSL
    import hmac

    digest = hashlib.sha256(b"distgraph key id\0" + secret).digest()
    return int.from_bytes(digest[:4], "big"), partial(hmac.digest, secret, digest="sha256")


def _signed_text(header: bytes, body: bytes, context: bytes) -> bytes:
    # The context's length goes first, so that no byte can move between context and header.
    return b"".join((len(context).to_bytes(4, "big"), context, header, body))


def _verify(data: bytes, flags: int, key_id: int, secret: bytes | None, context: bytes) -> None:
    """Refuse what was not signed with ``secret``.

    Raises:
        TamperedDataError: with what exactly is wrong.
    """
    if secret is None:
        raise TamperedDataError(
            f"Stored value is signed (key {key_id:08x}), but no secret is configured here. Set DISTGRAPH_SECRET to "
            "the one it was written with."
        )
    if not flags & SIGNED:
        raise TamperedDataError(
            "Stored value is unsigned, but a secret is configured: it was written without DISTGRAPH_SECRET, or by "
            "someone who does not know it."
        )
    own_id, mac = _signer(secret)
    if own_id != key_id:
        raise TamperedDataError(
            f"Stored value is signed with key {key_id:08x}, and this process knows key {own_id:08x} only. Give all "
            "processes of the cluster the same DISTGRAPH_SECRET."
        )
    from hmac import compare_digest

    start = HEADER.size + MAC_SIZE
    expected = mac(_signed_text(data[: HEADER.size], data[start:], context))
    if not compare_digest(expected, data[HEADER.size : start]):
        raise TamperedDataError(
            "Stored value does not match its signature: it was changed, or moved here from another place."
        )


def _compress(payload: bytes) -> tuple[bytes, int]:
    """The body and flags for a large payload."""
    if len(payload) > _MAX_LENGTH:
        raise CodecError(_too_large(f"{len(payload)}", _MAX_LENGTH))
    middle = len(payload) // 2
    sample = payload[middle : middle + _SAMPLE]
    if not _pays(len(zlib.compress(sample, 1)), len(sample)):
        return payload, 0
    body = zlib.compress(payload, 1)
    return (body, COMPRESSED) if _pays(len(body), len(payload)) else (payload, 0)


def _pays(after: int, before: int) -> bool:
    return after * 8 <= before * 7


def _decompress(body: bytes, max_bytes: int) -> bytes:
    unfold = zlib.decompressobj()
    try:
        payload = unfold.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise CheckpointCorruptError(f"Stored value is damaged: it does not unfold ({error}).") from error
    if len(payload) > max_bytes:
        raise CodecError(_too_large(f"more than {max_bytes}", max_bytes))
    if not unfold.eof or unfold.unused_data:
        raise CheckpointCorruptError("Stored value is damaged: its compressed part ends too early or too late.")
    return payload


def _too_large(size: str, limit: int) -> str:
    return (
        f"Value is too large: {size} bytes packed, the limit is {limit} (max_bytes). Keep large data in a file or "
        "object store and put a reference into the state, or raise the limit on every process."
    )


def _not_an_envelope(data: bytes) -> str:
    if not data:
        return "Stored value is empty: there is not even a header. Something else wrote or truncated this key."
    if data[:2] == MAGIC[: len(data)]:
        return f"Stored value is damaged: {len(data)} bytes are less than a header of {HEADER.size}."
    return (
        f"Stored value does not begin with distgraph's mark {MAGIC!r} but with {data[:2]!r}: it is damaged, or "
        "something else wrote it. distgraph reads no pickle and no JSON here."
    )


def _wrong_checksum(version: int) -> str:
    if version > VERSION:
        return (
            f"Stored value is damaged, or was written by a newer distgraph (it says format {version}, this one reads "
            f"format {VERSION}): its checksum is wrong."
        )
    return (
        "Stored value is damaged, or belongs to another place than it was read from: its checksum is wrong. "
        "Restore it from a backup or go back to an earlier checkpoint."
    )
