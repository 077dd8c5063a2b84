"""Lines of the ledger as savers show them: records, values and writes put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distgraph.checkpoint.base import CheckpointTuple, to_public
from distgraph.checkpoint.lines import decode_record, stored_values, value_fields
from distgraph.checkpoint.pending import merged
from distgraph.constants import TASKS
from distgraph.errors import CheckpointCorruptError, DistgraphError
from distgraph.ledger.contract.lines import Lines
from distgraph.ledger.places import Found, Place, Writes
from distgraph.superstep.model import Checkpoint
from distgraph.wire import Codec

#: Checkpoints that are read at a time.
PAGE = 32


class LineReader:
    """Reads checkpoints.

    Args:
        lines: where they are.
        codec: reads the bytes.
        read: is told of every checkpoint that is read: its place, its record, its values.
    """

    def __init__(self, lines: Lines, codec: Codec, read: Callable[[Place, Checkpoint, dict[str, Any]], None]) -> None:
        self._lines, self._codec, self._read = lines, codec, read

    def at(self, place: Place, checkpoint_id: str = "") -> CheckpointTuple | None:
        """One checkpoint, or the head; None if there is no such.

        Raises:
            CheckpointCorruptError: a part of it is damaged, or missing.
        """
        # A run may move the head, and drop the one that was found, before its values are read: then there is another.
        while (found := self._lines.look(place, checkpoint_id)) is not None:
            for saved in self._tuples(place, [found]):
                return saved
        return None

    def those(
        self, place: Place, ids: Sequence[str], matching: Mapping[str, Any], most: int | None
    ) -> Iterator[CheckpointTuple]:
        """Those of ``ids`` that are there and whose metadata has the entries of ``matching``; at most ``most``."""
        found = self._lines.records(place, ids) if ids else []
        if matching:
            found = [one for one in found if self._matches(place, one, matching)]
        yield from self._tuples(place, found[:most])

    def newest_first(
        self, place: Place, below: str, matching: Mapping[str, Any], most: int | None
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints older than the one with the id ``below`` ('' for all), chosen as ``those`` does."""
        page = PAGE if most is None or matching else min(most, PAGE)
        while most != 0:
            ids = self._lines.history(place, before=below, most=page)
            for saved in self.those(place, ids, matching, most):
                most = None if most is None else most - 1
                yield saved
            if len(ids) < page:
                return
            below = ids[-1]

    def _matches(self, place: Place, found: Found, matching: Mapping[str, Any]) -> bool:
        metadata = self._opened(place, found)[1]
        return all(metadata.get(key) == value for key, value in matching.items())

    def _tuples(self, place: Place, found: Sequence[Found]) -> Iterator[CheckpointTuple]:
        """Those of ``found`` that are still there."""
        opened = [(one, *self._opened(place, one)) for one in found]
        fields = dict.fromkeys(field for _, at, _ in opened for field in value_fields(at))
        values, writes = self._lines.read(place, [*fields], {one.checkpoint_id: one.writes for one in found})
        for one, at, metadata in opened:
            lacks = next((field for field in value_fields(at) if values[field] is None), None)
            if lacks is None:
                yield self._tuple(place, one, at, metadata, values, writes.get(at.id, ()))
            elif self._lines.look(place, at.id) is not None:
                raise CheckpointCorruptError(
                    f"{_name(place, at.id)} lacks its value of key {lacks[2:].rpartition('@')[0]!r}."
                )

    def _tuple(
        self,
        place: Place,
        found: Found,
        at: Checkpoint,
        metadata: Any,
        values: Mapping[str, Any],
        writes: Sequence[Writes],
    ) -> CheckpointTuple:
        outcomes = self._lines.outcomes(place.thread_id, found.run, at.id) if found.run and not place.ns else {}
        try:
            whole, _ = stored_values(self._codec, at, values)
            if TASKS in whole:
                whole[TASKS] = [*whole[TASKS]]
            self._read(place, at, whole)
            pending = merged(self._codec, writes, outcomes) if writes or outcomes else []
        except DistgraphError as exc:
            exc.add_note(f"In {_name(place, at.id)}.")
            raise
        return CheckpointTuple(
            config_of(place, at.id),
            to_public(at._replace(values=whole)),
            metadata,
            config_of(place, at.parent) if at.parent else None,
            pending,
        )

    def _opened(self, place: Place, found: Found) -> tuple[Checkpoint, Any]:
        """A checkpoint without its values, and its metadata."""
        if found.record is None:
            raise CheckpointCorruptError(f"{_name(place, found.checkpoint_id)} has no record.")
        try:
            return decode_record(self._codec, found.checkpoint_id, found.record)
        except DistgraphError as exc:
            exc.add_note(f"In {_name(place, found.checkpoint_id)}.")
            raise


def config_of(place: Place, checkpoint_id: str) -> dict[str, Any]:
    """The config that names a checkpoint."""
    return {"configurable": {"thread_id": place.thread_id, "checkpoint_ns": place.ns, "checkpoint_id": checkpoint_id}}


def _name(place: Place, checkpoint_id: str) -> str:
    nested = f", namespace {place.ns!r}" if place.ns else ""
    return f"Checkpoint {checkpoint_id} of thread {place.thread_id!r}{nested}"
