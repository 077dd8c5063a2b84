"""The envelope notices every kind of damage, and with a secret every kind of forgery."""

from __future__ import annotations

import json
import struct
import zlib
from random import Random

import pytest

from distgraph.errors import CheckpointCorruptError, CodecError, NewerFormatError, TamperedDataError
from distgraph.wire import open_sealed, seal
from distgraph.wire.envelope import COMPRESS_FROM, COMPRESSED, HEADER, MAGIC, SIGNED, VERSION

pytestmark = pytest.mark.unit

SECRET = b"correct horse battery staple"
PAYLOAD = b"payload of some length"
NOISE = Random(7).randbytes(2 * COMPRESS_FROM)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def forged(payload: bytes, *, version: int = VERSION, flags: int = 0) -> bytes:
    """An envelope with a right checksum, made by hand from the layout in the module's docstring."""
    check = zlib.crc32(payload, version << 8 | flags)
    return struct.pack(">2sBBII", b"DG", version, flags, len(payload), check) + payload


@pytest.mark.parametrize("payload", [b"", b"x", PAYLOAD, b"ab" * COMPRESS_FROM, NOISE])
@pytest.mark.parametrize("secret", [None, SECRET])
def test_what_goes_in_comes_out(payload: bytes, secret: bytes | None) -> None:
    sealed = seal(payload, secret=secret, context=b"here")
    assert open_sealed(sealed, secret=secret, context=b"here") == payload
    assert open_sealed(memoryview(sealed), secret=secret, context=b"here") == payload
    assert open_sealed(bytearray(sealed), secret=secret, context=b"here") == payload


def test_the_layout_is_the_documented_one() -> None:
    assert seal(PAYLOAD) == forged(PAYLOAD)


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("context", [b"", b"ns/thread/7"])
def test_every_truncation_is_noticed(secret: bytes | None, context: bytes) -> None:
    sealed = seal(PAYLOAD, secret=secret, context=context)
    for length in range(len(sealed)):
        with pytest.raises(CheckpointCorruptError):
            open_sealed(sealed[:length], secret=secret, context=context)


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("context", [b"", b"ns/thread/7"])
def test_every_flipped_bit_is_noticed(secret: bytes | None, context: bytes) -> None:
    sealed = seal(PAYLOAD, secret=secret, context=context)
    for bit in range(8 * len(sealed)):
        with pytest.raises(CheckpointCorruptError):
            open_sealed(flipped(sealed, bit), secret=secret, context=context)


def test_every_flipped_bit_of_a_compressed_envelope_is_noticed() -> None:
    sealed = seal(b"ab" * COMPRESS_FROM)
    assert sealed[3] == COMPRESSED
    for bit in range(8 * len(sealed)):
        with pytest.raises(CheckpointCorruptError):
            open_sealed(flipped(sealed, bit))


def test_bytes_after_the_end_are_noticed() -> None:
    with pytest.raises(CheckpointCorruptError, match="announces 22 bytes, 23 are there"):
        open_sealed(seal(PAYLOAD) + b"\0")


@pytest.mark.parametrize("length", [0, 1, 21, 23, 2**31, 2**32 - 1])
def test_a_wrong_length_is_noticed(length: int) -> None:
    sealed = seal(PAYLOAD)
    with pytest.raises(CheckpointCorruptError, match="header announces"):
        open_sealed(sealed[:4] + length.to_bytes(4, "big") + sealed[8:])


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"D",
        b"DG",
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
        json.dumps({"lc": 2, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}}).encode(),
        b"!!python/object/apply:os.system ['true']",
        b"null",
        NOISE[:64],
    ],
)
def test_what_others_wrote_is_refused(foreign: bytes) -> None:
    with pytest.raises(CheckpointCorruptError):
        open_sealed(foreign)


def test_text_is_refused_with_the_likely_reason() -> None:
    with pytest.raises(CodecError, match="decode_responses"):
        open_sealed("DG...")  # type: ignore[arg-type]


def test_a_newer_format_is_told_from_damage() -> None:
    with pytest.raises(NewerFormatError, match="written by a newer distgraph: format 2"):
        open_sealed(forged(PAYLOAD, version=2))
    with pytest.raises(NewerFormatError, match="written by a newer distgraph"):
        open_sealed(forged(PAYLOAD, flags=4))
    damaged = forged(PAYLOAD, version=2)[:-1] + b"?"
    with pytest.raises(CheckpointCorruptError, match="damaged, or was written by a newer distgraph"):
        open_sealed(damaged)


def test_bytes_moved_elsewhere_are_refused() -> None:
    sealed = seal(PAYLOAD, context=b"thread a")
    with pytest.raises(CheckpointCorruptError, match="belongs to another place"):
        open_sealed(sealed, context=b"thread b")
    with pytest.raises(CheckpointCorruptError):
        open_sealed(sealed)


def test_signed_bytes_moved_elsewhere_are_refused() -> None:
    sealed = seal(PAYLOAD, secret=SECRET, context=b"thread a")
    with pytest.raises(TamperedDataError, match="moved here from another place"):
        open_sealed(sealed, secret=SECRET, context=b"thread b")


def test_context_and_payload_cannot_trade_bytes() -> None:
    """The same bytes, cut elsewhere, are another message: the signature must differ."""
    first = seal(b"DG" + PAYLOAD, secret=SECRET, context=b"a")
    second = seal(b"DG" + PAYLOAD, secret=SECRET, context=b"aDG")
    assert first[HEADER.size :] != second[HEADER.size :]


def test_with_a_secret_unsigned_bytes_are_refused() -> None:
    with pytest.raises(TamperedDataError, match="unsigned, but a secret is configured"):
        open_sealed(seal(PAYLOAD), secret=SECRET)


def test_without_the_secret_signed_bytes_are_refused() -> None:
    with pytest.raises(TamperedDataError, match="no secret is configured here"):
        open_sealed(seal(PAYLOAD, secret=SECRET))


def test_another_secret_is_named_by_key_id_never_by_value() -> None:
    with pytest.raises(TamperedDataError, match=r"signed with key [0-9a-f]{8}") as caught:
        open_sealed(seal(PAYLOAD, secret=SECRET), secret=b"another")
    assert "correct" not in str(caught.value)
    assert "another" not in str(caught.value)


def test_the_signed_flag_cannot_be_dropped() -> None:
    """Downgrade: strip the signature, put a right checksum in its place."""
    sealed = seal(PAYLOAD, secret=SECRET)
    assert sealed[3] == SIGNED
    stripped = forged(sealed[HEADER.size + 32 :])
    assert open_sealed(stripped) == PAYLOAD
    with pytest.raises(TamperedDataError):
        open_sealed(stripped, secret=SECRET)


def test_only_what_is_large_and_shrinks_is_compressed() -> None:
    assert seal(b"a" * (COMPRESS_FROM - 1))[3] == 0
    assert seal(b"a" * COMPRESS_FROM)[3] == COMPRESSED
    assert len(seal(b"a" * COMPRESS_FROM)) < COMPRESS_FROM // 20
    assert seal(NOISE)[3] == 0
    misleading = NOISE + b"a" * 8192 + NOISE[::-1]
    assert seal(misleading)[3] == 0, "the sample shrinks, the whole does not"


def test_a_bomb_is_not_unfolded() -> None:
    bomb = forged(zlib.compress(b"\0" * 50_000_000, 9), flags=COMPRESSED)
    assert len(bomb) < 60_000
    with pytest.raises(CodecError, match="too large: more than 1000 bytes"):
        open_sealed(bomb, max_bytes=1000)


def test_the_size_limit_counts_the_payload() -> None:
    for payload in (b"x" * 1000, b"a" * COMPRESS_FROM):
        sealed = seal(payload)
        assert open_sealed(sealed, max_bytes=len(payload)) == payload
        with pytest.raises(CodecError, match="too large"):
            open_sealed(sealed, max_bytes=len(payload) - 1)


@pytest.mark.parametrize("body", [b"not zlib", zlib.compress(b"x" * 100)[:-3], zlib.compress(b"x") + b"tail"])
def test_a_compressed_part_that_does_not_unfold_is_damage(body: bytes) -> None:
    with pytest.raises(CheckpointCorruptError):
        open_sealed(forged(body, flags=COMPRESSED))


def test_the_magic_is_what_the_documentation_says() -> None:
    assert seal(b"")[:3] == MAGIC + bytes([VERSION]) == b"DG\x01"
