"""A line of checkpoints as the ledger holds it: records, and each channel value once per version.

    c:<checkpoint id>        the record: everything of a checkpoint but its values, and its metadata
    v:<channel>@<version>    one channel's value; checkpoints that did not change it share it

A superstep writes its record and what it changed. With ``keep`` the rest stays (history); without, what the new
checkpoint no longer refers to is deleted in the same commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, overload

from distgraph.constants import TASKS
from distgraph.errors import CheckpointCorruptError
from distgraph.superstep.model import Checkpoint, Program
from distgraph.types import Send
from distgraph.wire import Codec

#: Values of these types cannot be changed by whoever reads them, so that one object may serve many readers.
SHARED = frozenset({str, int, float, bool, bytes, type(None)})


class Delta(NamedTuple):
    """What one superstep changes in a line: fields to set, fields to delete, and all current values as bytes."""

    sets: list[tuple[str, bytes]]
    drops: list[str]
    raw: dict[str, bytes]
    #: Channels whose value this superstep changed, in bytes; for event logs.
    changed: dict[str, bytes]


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
    return codec.encode(
        [at.parent, at.step, at.source, at.versions, at.seen, updated, at.clock, at.ts, dict(metadata or {})]
    )


def decode_record(codec: Codec, checkpoint_id: str, data: bytes) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint still without its values, and its metadata.

    Raises:
        CheckpointCorruptError: the bytes are damaged or of another layout.
    """
    fields = codec.decode(data)
    if not isinstance(fields, list) or len(fields) != 9:
        raise CheckpointCorruptError(
            f"The record of checkpoint {checkpoint_id} does not have the layout of this version."
        )
    parent, step, source, versions, seen, updated, clock, ts, metadata = fields
    updated = None if updated is None else frozenset(updated)
    return Checkpoint(checkpoint_id, parent, step, source, {}, versions, seen, updated, clock, ts), metadata


def delta(
    program: Program,
    codec: Codec,
    before: Checkpoint,
    after: Checkpoint,
    raw: Mapping[str, bytes],
    *,
    keep: bool,
    since: str = "",
    metadata: Mapping[str, Any] | None = None,
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
    """
    channels = program.channels
    old, new = before.versions, after.versions
    sets: list[tuple[str, bytes]] = []
    drops: list[str] = []
    now: dict[str, bytes] = {}
    changed: dict[str, bytes] = {}
    for channel, version in new.items():
        if old.get(channel) == version and channel in raw:
            now[channel] = raw[channel]
        elif channels[channel].tracked:
            data = encode_value(codec, channel, after.values[channel])
            now[channel] = changed[channel] = data
            sets.append((f"v:{channel}@{version}", data))
    sets.append((f"c:{after.id}", encode_record(codec, after, metadata)))
    if not keep and before.id:
        drops.append(f"c:{before.id}")
        drops += [
            f"v:{channel}@{version}"
            for channel, version in old.items()
            if new.get(channel) != version and version > since
        ]
    return Delta(sets, drops, now, changed)


def fresh(codec: Codec, at: Checkpoint, raw: Mapping[str, bytes], only: Iterable[str]) -> dict[str, Any]:
    """``at``'s values, those of the channels ``only`` decoded anew: objects that nobody else holds."""
    values = dict(at.values)
    for channel in only:
        if channel in raw:
            values[channel] = decode_value(codec, channel, raw[channel])
    return values
