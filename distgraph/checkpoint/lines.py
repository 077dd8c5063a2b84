"""A line of checkpoints as the ledger holds it: records, and each channel value once per version.

    c:<checkpoint id>        the record: everything of a checkpoint but its values, and its metadata
    v:<channel>@<version>    one channel's value, or the end of a list that grew (see ``parts``); checkpoints that did
                             not change it share it

A superstep writes its record and what it changed. With ``keep`` the rest stays (history); without, what the new
checkpoint no longer refers to is deleted in the same commit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from distgraph.checkpoint.parts import Part, extended, joined, versions_of
from distgraph.constants import TASKS
from distgraph.errors import CheckpointCorruptError
from distgraph.superstep.model import Checkpoint, Program
from distgraph.types import Send
from distgraph.wire import Codec

#: Values of these types cannot be changed by whoever reads them, so that one object may serve many readers.
SHARED = frozenset({str, int, float, bool, bytes, type(None)})


class Piece(NamedTuple):
    """A value as stored, or one part of a list.

    Attributes:
        items: of a list; 0 for other values, which are never extended.
        shared: it is a list whose items cannot be changed by whoever reads them.
    """

    version: Any
    data: bytes
    items: int = 0
    shared: bool = False


#: The values of a checkpoint as stored: channel -> its pieces, of a list from its beginning.
Raw = Mapping[str, tuple[Piece, ...]]


class Delta(NamedTuple):
    """What one superstep changes in a line: fields to set, fields to delete, and all current values as bytes.

    Attributes:
        changed: channels whose value this superstep changed: the piece it stored.
        starts: of lists that grew, where that piece begins.
    """

    sets: list[tuple[str, bytes]]
    drops: list[str]
    raw: dict[str, tuple[Piece, ...]]
    changed: dict[str, bytes]
    starts: dict[str, int]


class PackedSends(Sequence[Send]):
    """The Sends of a superstep, each decoded when looked at: a task out of 10,000 costs one, not all."""

    __slots__ = ("_codec", "_parts")

    def __init__(self, codec: Codec, parts: Sequence[bytes]) -> None:
        self._codec, self._parts = codec, parts

    def __len__(self) -> int:
        return len(self._parts)

    @overload
    def __getitem__(self, index: int) -> Send: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Send]: ...
    def __getitem__(self, index: int | slice) -> Send | Sequence[Send]:
        if isinstance(index, slice):
            return PackedSends(self._codec, self._parts[index])
        send = self._codec.unpack(self._parts[index])
        if not isinstance(send, Send):
            raise CheckpointCorruptError(f"Entry {index} of the checkpoint's Sends is no Send.")
        return send

    def __iter__(self) -> Iterator[Send]:
        for index in range(len(self._parts)):
            yield self[index]


def encode_value(codec: Codec, channel: str, value: Any) -> bytes:
    """One channel's value in bytes.

    Raises:
        CodecError: it cannot be stored; the note names the key.
    """
    try:
        if channel == TASKS:
            return codec.encode([codec.pack(send) for send in value])
        return codec.encode(value)
    except Exception as exc:
        exc.add_note(f"While storing the value of key {channel!r}.")
        raise


def decode_value(codec: Codec, channel: str, data: bytes) -> Any:
    """One channel's value, a new object at each call."""
    value = codec.decode(data)
    return PackedSends(codec, value) if channel == TASKS else value


def value_field(channel: str, version: Any) -> str:
    """The field that holds a channel's value of a version."""
    return f"v:{channel}@{version}"


def encode_record(codec: Codec, at: Checkpoint, metadata: Mapping[str, Any] | None = None) -> bytes:
    """A checkpoint without its values."""
    updated = None if at.updated is None else sorted(at.updated)
    fields = [at.parent, at.step, at.source, at.versions, at.seen, updated, at.clock, at.ts, dict(metadata or {})]
    return codec.encode([*fields, dict(at.logs)] if at.logs else fields)


def decode_record(codec: Codec, checkpoint_id: str, data: bytes) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint still without its values, and its metadata.

    Raises:
        CheckpointCorruptError: the bytes are damaged or of another layout.
    """
    fields = codec.decode(data)
    if not isinstance(fields, list) or len(fields) not in (9, 10):
        raise CheckpointCorruptError(
            f"The record of checkpoint {checkpoint_id} does not have the layout of this version."
        )
    parent, step, source, versions, seen, updated, clock, ts, metadata = fields[:9]
    updated = None if updated is None else frozenset(updated)
    at = Checkpoint(checkpoint_id, parent, step, source, {}, versions, seen, updated, clock, ts)
    return at._replace(logs=fields[9]) if len(fields) > 9 else at, metadata


def value_fields(at: Checkpoint) -> list[str]:
    """All fields that hold the values of a checkpoint that was read."""
    return [value_field(channel, version) for channel in at.versions for version in versions_of(at, channel)]


def stored_values(codec: Codec, at: Checkpoint, found: Mapping[str, bytes | None]) -> tuple[dict[str, Any], Raw]:
    """The values of ``at`` from its fields, new objects, and as stored.

    Raises:
        CheckpointCorruptError: a field is missing or damaged.
    """
    values: dict[str, Any] = {}
    raw: dict[str, tuple[Piece, ...]] = {}
    for channel in at.versions:
        pieces = []
        parts = []
        for version in versions_of(at, channel):
            data = found.get(value_field(channel, version))
            if data is None:
                raise CheckpointCorruptError(
                    f"Checkpoint {at.id} lacks its value of key {channel!r} (version {version})."
                )
            part = decode_value(codec, channel, data)
            parts.append(part)
            pieces.append(_piece(version, data, part))
        if len(parts) > 1 and not all(type(part) is list for part in parts):
            raise CheckpointCorruptError(f"Checkpoint {at.id} has a value of key {channel!r} whose parts are no lists.")
        values[channel], raw[channel] = joined(parts), tuple(pieces)
    return values, raw


def _piece(version: Any, data: bytes, part: Any) -> Piece:
    if type(part) is not list:
        return Piece(version, data)
    return Piece(version, data, len(part), SHARED.issuperset(map(type, part)))


def delta(
    program: Program,
    codec: Codec,
    before: Checkpoint,
    after: Checkpoint,
    raw: Raw,
    *,
    keep: bool,
    since: str = "",
    metadata: Mapping[str, Any] | None = None,
    grown: Collection[str] = (),
) -> Delta:
    """What takes a line from ``before`` (whose values are ``raw``) to ``after``.

    Args:
        program: the graph.
        codec: of the graph's values.
        before: the checkpoint the line stands at.
        after: the one it goes to.
        raw: ``before``'s values as stored.
        keep: delete nothing.
        since: the line's version when whoever deletes came to it: values up to it belong to older checkpoints too.
        metadata: stored with the record.
        grown: channels whose lists were only appended to between the two.
    """
    channels = program.channels
    old, new = before.versions, after.versions
    sets: list[tuple[str, bytes]] = []
    now: dict[str, tuple[Piece, ...]] = {}
    changed: dict[str, bytes] = {}
    starts: dict[str, int] = {}
    for channel, version in new.items():
        if old.get(channel) == version and channel in raw:
            now[channel] = raw[channel]
        elif channels[channel].tracked:
            value: Any = after.values[channel]
            kept: tuple[Piece, ...] = ()
            if channel in grown and channel in raw and type(value) is list:
                parts, start = extended([Part(p.version, p.items) for p in raw[channel]], version, len(value))
                starts[channel], kept, value = start, raw[channel][: len(parts) - 1], value[start:]
            data = encode_value(codec, channel, value)
            now[channel] = (*kept, _piece(version, data, value))
            changed[channel] = data
            sets.append((f"v:{channel}@{version}", data))
    logs = {channel: [[p.version, p.items] for p in pieces[:-1]] for channel, pieces in now.items() if len(pieces) > 1}
    sets.append((f"c:{after.id}", encode_record(codec, after._replace(logs=logs), metadata)))
    return Delta(sets, _unnamed(before, raw, now, since) if not keep and before.id else [], now, changed, starts)


def _unnamed(before: Checkpoint, old: Raw, new: Raw, since: str) -> list[str]:
    """The fields of ``before`` that the checkpoint after it does not name."""
    drops = [f"c:{before.id}"]
    for channel, pieces in old.items():
        kept = new.get(channel, ())
        if kept is not pieces:
            named = {piece.version for piece in kept}
            drops += [f"v:{channel}@{p.version}" for p in pieces if p.version not in named and p.version > since]
    return drops


def fresh(codec: Codec, at: Checkpoint, raw: Raw, only: Iterable[str]) -> dict[str, Any]:
    """``at``'s values, those of the channels ``only`` made anew: objects that nobody else holds."""
    values = dict(at.values)
    for channel in only:
        pieces = raw.get(channel, ())
        if pieces and all(piece.shared for piece in pieces):
            values[channel] = [*values[channel]]
        elif pieces:
            values[channel] = joined([decode_value(codec, channel, piece.data) for piece in pieces])
    return values
