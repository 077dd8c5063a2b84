"""What savers have in common that keep lines: records and values once per version, writes beside them.

One superstep is one call to what keeps the lines, and sends only what it changed.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from distgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from distgraph.checkpoint.keeper import LineKeeper, busy
from distgraph.checkpoint.lines import encode_record, value_field
from distgraph.checkpoint.own import learn, own_codec
from distgraph.checkpoint.packing import Packing
from distgraph.checkpoint.parts import Parts, earlier, extended
from distgraph.checkpoint.parts import parts_of as parts_of_list
from distgraph.checkpoint.pending import parts_of
from distgraph.checkpoint.reader import LineReader, config_of
from distgraph.checkpoint.retention import SLACK, CheckpointRetention, PruneStrategy, retention_of
from distgraph.checkpoint.serde.sealed import SealedSerializer
from distgraph.checkpoint.several import Op, is_own
from distgraph.constants import TASKS
from distgraph.errors import ConfigError, InputError, ThreadBusyError
from distgraph.ledger.contract.lines import Lines
from distgraph.ledger.places import Change, Place
from distgraph.ledger.replies import Answer
from distgraph.superstep import model
from distgraph.wire import Codec

#: Places whose last checkpoint a saver remembers the parts of.
MOST_KNOWN = 256


class LineSaver(BaseCheckpointSaver[str]):
    """A saver over lines.

    Args:
        lines: what keeps them.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
        retention: which checkpoints of a thread stay, while it is written to; None: all.
    """

    def __init__(self, lines: Lines, codec: Codec | None, retention: CheckpointRetention | None = None) -> None:
        self.codec = own_codec(codec)
        self._lines = lines
        self._keeper = LineKeeper(lines, self.codec)
        self._retention = retention
        #: Place -> checkpoints that were stored there since it was pruned.
        self._unpruned: dict[Place, int] = {}
        self._reader = LineReader(lines, self.codec, self._note)
        #: Place -> the checkpoint stored or read there last, and the parts of its lists.
        self._known: dict[Place, tuple[str, dict[str, Parts]]] = {}
        super().__init__(serde=SealedSerializer(self.codec))

    def with_types(self, types: Iterable[Any]) -> Self:
        """Let stored values hold these types too, and those that their fields mention. Of two with one name, the later.

        Returns:
            This saver.
        """
        learn(self.codec, types)
        return self

    # ------------------------------------------------------------- storing

    def put(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Any:
        change = self._checkpoint(Packing(self.codec), config, checkpoint, metadata, new_versions)
        self._store([change])
        return config_of(change.place, change.new)

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        self._store([self._writes(Packing(self.codec), config, writes, task_id, task_path)])

    def put_all(self, ops: Sequence[Op]) -> None:
        """Make several calls in order, in one round trip; one by one where a subclass has methods of its own."""
        if not is_own(self, LineSaver, "put", "put_writes"):
            for name, args in ops:
                getattr(self, name)(*args)
            return
        self._store(self._changes(ops))

    async def aput_all(self, ops: Sequence[Op]) -> None:
        """``put_all`` under an event loop."""
        if not is_own(self, LineSaver, "aput", "aput_writes"):
            for name, args in ops:
                await getattr(self, "a" + name)(*args)
            return
        await to_thread(self.put_all, ops)

    def _changes(self, ops: Sequence[Op]) -> list[Change]:
        packing = Packing(self.codec)
        return [self._checkpoint(packing, *a) if name == "put" else self._writes(packing, *a) for name, a in ops]

    def _store(self, changes: Sequence[Change]) -> None:
        self._stored(self._lines.put(changes), changes)

    def _stored(self, answers: Sequence[tuple[Place, Answer]], changes: Sequence[Change] = ()) -> None:
        """``answers`` came, and ``changes`` are on their way or there."""
        for place, answer in answers:
            if answer.kind == "busy":
                raise busy(place.thread_id, answer.info, "nothing was stored")
            if answer.kind == "lost":
                self._known.pop(place, None)
                raise InputError(
                    f"Checkpoint {answer.info} of thread {place.thread_id!r} is not there any more: it was deleted while "
                    "somebody went on from it. Nothing was stored. Go on from the thread's latest checkpoint."
                )
        if self._retention is not None:
            self._keep_up(changes, self._retention)

    def _keep_up(self, changes: Sequence[Change], retention: CheckpointRetention) -> None:
        """Prune where enough has been stored: to look at all that stays takes longer than to store one more."""
        for place in {change.place for change in changes if change.new}:
            # the first one stored here may follow many that others left
            self._unpruned[place] = self._unpruned.get(place, SLACK - 1) + 1
            if self._unpruned[place] >= SLACK:
                self._unpruned[place] = 0
                self._keeper.prune(place.thread_id, retention)
        while len(self._unpruned) > MOST_KNOWN:
            self._unpruned.pop(next(iter([*self._unpruned])), None)

    def _checkpoint(
        self,
        packing: Packing,
        config: Any,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Change:
        codec, values, place = self.codec, checkpoint["channel_values"], _place(config)
        known = self._parts_before(place, get_checkpoint_id(config), checkpoint, new_versions)
        parts = dict(known or {})
        grown, sets = checkpoint.get("grown", ()), []
        for channel, version in new_versions.items():
            if channel not in values:
                continue
            value, before = values[channel], parts.pop(channel, ())
            if type(value) is list and channel != TASKS:
                parts[channel], start = extended(before if channel in grown else (), version, len(value))
                value = value[start:]
            sets.append((value_field(channel, version), packing.value(channel, value)))
        versions = checkpoint["channel_versions"]
        parts = {c: own for c, own in parts.items() if c in values and own[-1].version == versions.get(c)}
        bare = _bare(config, checkpoint, metadata)._replace(logs=earlier(parts))
        sets.append((f"c:{bare.id}", encode_record(codec, bare, get_checkpoint_metadata(config, metadata))))
        self._remember(place, bare.id, parts)
        return Change(place, bare.id, sets, shares="" if known is None else get_checkpoint_id(config) or "")

    def _parts_before(
        self, place: Place, parent: str | None, checkpoint: Checkpoint, new_versions: ChannelVersions
    ) -> dict[str, Parts] | None:
        """The parts of the lists that the parent has: those that stay as they are, and those that may be extended.

        None: the new checkpoint shares nothing with its parent, or that was never stored.
        """
        stay = [c for c in checkpoint["channel_values"] if c not in new_versions]
        if not parent or not (stay or checkpoint.get("grown")):
            return None
        known = self._known.get(place)
        if known is None or known[0] != parent:
            # Somebody else's: whoever stores after what was read, or stored here, need not ask.
            self._reader.at(place, parent)
            known = self._known.get(place)
        return None if known is None or known[0] != parent else known[1]

    def _note(self, place: Place, at: model.Checkpoint, values: dict[str, Any]) -> None:
        lists = {c: parts_of_list(at, c, len(value)) for c, value in values.items() if type(value) is list}
        self._remember(place, at.id, lists)

    def _remember(self, place: Place, checkpoint_id: str, parts: dict[str, Parts]) -> None:
        self._known.pop(place, None)
        self._known[place] = (checkpoint_id, parts)
        while len(self._known) > MOST_KNOWN:
            # another OS thread may be at it too
            self._known.pop(next(iter([*self._known]), place), None)

    def _writes(
        self, packing: Packing, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> Change:
        before = get_checkpoint_id(config)
        if before is None:
            raise ConfigError("The config names no checkpoint: give config['configurable']['checkpoint_id'].")
        return Change(_place(config), writes=[*parts_of(packing, before, writes, task_id, task_path)])

    # ------------------------------------------------------------- reading

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        wanted = get_checkpoint_id(config)
        saved = self._reader.at(_place(config), wanted or "")
        return saved._replace(config=config) if saved is not None and wanted else saved

    def list(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        below = (get_checkpoint_id(before) if before else None) or ""
        wanted = get_checkpoint_id(config) if config else None
        for place in self._places(config):
            if wanted:
                ids = [wanted] if not below or wanted < below else []
                found = self._reader.those(place, ids, filter or {}, limit)
            else:
                found = self._reader.newest_first(place, below, filter or {}, limit)
            for saved in found:
                limit = None if limit is None else limit - 1
                yield saved
            if limit == 0:
                return

    def _places(self, config: Any) -> Iterator[Place]:
        if config and config["configurable"].get("checkpoint_ns") is not None:
            yield _place(config)
            return
        for thread in [_place(config).thread_id] if config else self._lines.threads():
            for ns in ("", *self._lines.nested(thread)):
                yield Place(thread, ns)

    def threads(self) -> Iterator[str]:
        """Every thread that has a line, in no order; walks all that is stored."""
        return self._lines.threads()

    # ------------------------------------------------------------- threads as a whole

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes, with those of graphs nested in it. Records of runs stay.

        Raises:
            ThreadBusyError: a run of a cluster holds the thread.
        """
        answer = self._lines.delete(str(thread_id))
        if answer.kind == "busy":
            raise busy(str(thread_id), answer.info, "nothing was deleted")

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        self._keeper.copy(str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        retention = retention_of(strategy)
        held: list[ThreadBusyError] = []
        for thread_id in map(str, thread_ids):
            try:
                if retention is None:
                    self.delete_thread(thread_id)
                else:
                    self._keeper.prune(thread_id, retention)
            except ThreadBusyError as exc:
                held.append(exc)
        if held:
            raise held[0]

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        for thread_id in self._lines.threads():
            self._keeper.delete_runs(thread_id, {*map(str, run_ids)})


def _place(config: Any) -> Place:
    configurable = config.get("configurable") or {}
    if configurable.get("thread_id") is None:
        raise ConfigError("The config names no thread: give config['configurable']['thread_id'].")
    return Place(str(configurable["thread_id"]), configurable.get("checkpoint_ns") or "")


def _bare(config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> model.Checkpoint:
    """A checkpoint without its values, as lines keep it: with the versions of channels that have one."""
    values, updated = checkpoint["channel_values"], checkpoint.get("updated_channels")
    return model.Checkpoint(
        id=checkpoint["id"],
        parent=get_checkpoint_id(config),
        step=metadata.get("step", -1),
        source=metadata.get("source", "loop"),
        values={},
        versions={name: version for name, version in checkpoint["channel_versions"].items() if name in values},
        seen=checkpoint["versions_seen"],
        updated=None if updated is None else frozenset(updated),
        clock=checkpoint.get("clock") or max(checkpoint["channel_versions"].values(), default=None),
        ts=checkpoint["ts"],
    )
