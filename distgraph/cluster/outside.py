"""What came to a thread from outside its tasks - the update and the goto of a Command - until a superstep takes it up.

It changes no checkpoint: it belongs to the head, as writes of no task. While a run is active it stands in the run's record,
for whoever drives it or runs one of its tasks; when the run comes to rest without a superstep it goes beside the head, where
savers, other runs and graphs in other programs find it.
"""

from __future__ import annotations

from collections.abc import Sequence

from distgraph.checkpoint.base import NULL_TASK_ID, WRITES_IDX_MAP
from distgraph.checkpoint.pending import OUTPUT
from distgraph.cluster.rows import naming
from distgraph.engine.messages import identify
from distgraph.ledger.contract.lines import Lines
from distgraph.ledger.places import Found, Place
from distgraph.ledger.replies import Record
from distgraph.types import Write
from distgraph.wire import Codec

#: The field of a run's record: the head's id, and the writes.
FIELD = "outside"


def stored_outside(lines: Lines, codec: Codec, thread_id: str, found: Found | None) -> list[Write]:
    """What stands beside a thread's head; ``found`` is the head."""
    if found is None or not found.writes:
        return []
    parts = lines.read(Place(thread_id), [], {found.checkpoint_id: found.writes})[1].get(found.checkpoint_id, [])
    writes = [write for part in parts if part.task == NULL_TASK_ID for write in codec.decode(part.data)]
    return [(channel, value) for channel, value in writes if channel not in WRITES_IDX_MAP]


def recorded(codec: Codec, head: str, writes: Sequence[Write]) -> bytes:
    """The field of a record that says what is to be applied to ``head``; empty if that is nothing.

    Raises:
        CodecError: a value cannot travel.
    """
    identify(value for _, value in writes)
    return codec.encode([head, [[channel, value] for channel, value in writes]]) if writes else b""


def for_head(lines: Lines, codec: Codec, thread_id: str, writes: Sequence[Write] = ()) -> tuple[dict[str, bytes], str]:
    """What the record of a run needs that goes on from where a thread stands: the field, and the head's id.

    ``writes`` come to what stands beside the head; ({}, '') if there is nothing, or no head.
    """
    found = lines.look(Place(thread_id))
    if found is None:
        return {}, ""
    told = recorded(codec, found.checkpoint_id, [*stored_outside(lines, codec, thread_id, found), *writes])
    return ({FIELD: told}, found.checkpoint_id) if told else ({}, "")


def outside_of(codec: Codec, record: Record) -> tuple[str, list[Write]]:
    """(the checkpoint that it is for, what a run's record has from outside); ('', []) if it has nothing.

    Raises:
        CheckpointCorruptError: it is damaged.
    """
    data = record.get(FIELD)
    if not data:
        return "", []
    with naming("Change from outside"):
        head, writes = codec.decode(data)
    return head, [(channel, value) for channel, value in writes]


def beside(lines: Lines, codec: Codec, thread_id: str, head: str, writes: Sequence[Write]) -> list[tuple[str, bytes]]:
    """Fields that keep ``writes`` beside ``head``, after what savers have stored there."""
    found = lines.look(Place(thread_id), head)
    count = found.writes if found is not None else 0
    known = len(stored_outside(lines, codec, thread_id, found))
    fields: list[tuple[str, bytes]] = []
    for n, (channel, value) in enumerate(writes[known:], known):
        count += 1
        name = f"{NULL_TASK_ID}|{OUTPUT}{n}"
        fields += ((f"{head}|{name}", codec.encode([[channel, value]])), (f"{head}|{count}", f"{name}|".encode()))
    return [*fields, (head, str(count).encode())] if fields else []
