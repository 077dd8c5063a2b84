"""What the tasks after a checkpoint wrote so far: as savers stored it, and as a run of a cluster has it open."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Literal

from distgraph.checkpoint.base import NULL_TASK_ID, WRITES_IDX_MAP, PendingWrite
from distgraph.checkpoint.packing import Packing
from distgraph.ledger.places import Writes
from distgraph.types import Write
from distgraph.wire import Codec

#: What one task wrote besides control writes.
OUTPUT = "w"


def parts_of(packing: Packing, before: str, writes: Sequence[Write], task: str, path: str) -> Iterator[Writes]:
    """The parts that ``put_writes`` stores: each control write replaces its predecessor, the first output stands.

    Raises:
        CodecError: a value cannot be stored; the note names its key.
    """

    def part(mode: Literal["first", "last"], kind: str, written: Sequence[Write]) -> Writes:
        return Writes(mode, before, task, kind, path, packing.writes(written))

    output = []
    for channel, value in writes:
        if channel in WRITES_IDX_MAP:
            yield part("last", channel, [(channel, value)])
        else:
            output.append((channel, value))
    if task == NULL_TASK_ID:
        # No task wrote these at once: each call repeats the earlier ones and adds to them.
        for n, write in enumerate(output):
            yield part("first", f"{OUTPUT}{n}", [write])
    elif output:
        yield part("first", OUTPUT, output)


def merged(codec: Codec, stored: Sequence[Writes], outcomes: Mapping[str, bytes]) -> list[PendingWrite]:
    """All writes, by path of their tasks; of one task, control writes first.

    A run wrote before savers could: the output of a task stands as the run has it. Control writes (an answer, the next
    question) stand as savers have them.

    Args:
        codec: reads both.
        stored: what savers stored, in the order it came in.
        outcomes: task id -> what the task came to in the run.

    Raises:
        CheckpointCorruptError: some of it is damaged.
    """
    control: dict[str, dict[str, Write]] = {}
    output: dict[str, list[Write]] = {}

    def take(task: str, data: bytes, settled: Container[str] = ()) -> None:
        for channel, value in codec.decode(data):
            if channel in WRITES_IDX_MAP:
                control.setdefault(task, {})[channel] = (channel, value)
            elif task not in settled:
                output.setdefault(task, []).append((channel, value))

    for task, data in outcomes.items():
        take(task, data)
    settled = frozenset(output)
    for writes in stored:
        take(writes.task, writes.data, settled)
    paths = dict.fromkeys(outcomes, "") | {writes.task: writes.path for writes in stored}
    return [
        (task, channel, value)
        for task in sorted(paths, key=lambda task: (paths[task], task))
        for channel, value in (*control.get(task, {}).values(), *output.get(task, ()))
    ]
