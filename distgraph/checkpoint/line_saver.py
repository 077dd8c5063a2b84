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
from distgraph.checkpoint.lines import encode_record, encode_value, value_field
from distgraph.checkpoint.own import learn, own_codec
from distgraph.checkpoint.parts import Parts, earlier, extended
from distgraph.checkpoint.parts import parts_of as parts_of_list
from distgraph.checkpoint.pending import parts_of
from distgraph.checkpoint.reader import LineReader, config_of
from distgraph.checkpoint.serde.sealed import SealedSerializer
from distgraph.checkpoint.several import Op, is_own
from distgraph.constants import TASKS
from distgraph.errors import ConfigError, ThreadBusyError
from distgraph.ledger.contract.lines import Lines
from distgraph.ledger.places import Change, Place
from distgraph.superstep import model
from distgraph.wire import Codec

#: Places whose last checkpoint a saver remembers the parts of.
MOST_KNOWN = 256


class LineSaver(BaseCheckpointSaver[str]):
    """A saver over lines.

    Args:
        lines: what keeps them.
        codec: limits, secret and types of stored values. The types of a graph's schemas come with ``with_types``.
    """

    def __init__(self, lines: Lines, codec: Codec | None) -> None:
        self.codec = own_codec(codec)
        self._lines = lines
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
        change = self._checkpoint(config, checkpoint, metadata, new_versions)
        self._store([change])
        return config_of(change.place, change.new)

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        self._store([self._writes(config, writes, task_id, task_path)])

    def put_all(self, ops: Sequence[Op]) -> None:
        """Make several calls in order, in one round trip; one by one where a subclass has methods of its own."""
        if not is_own(self, LineSaver, "put", "put_writes"):
            for name, args in ops:
                getattr(self, name)(*args)
            return
        self._store([self._checkpoint(*args) if name == "put" else self._writes(*args) for name, args in ops])

    async def aput_all(self, ops: Sequence[Op]) -> None:
        """``put_all`` under an event loop."""
        if not is_own(self, LineSaver, "aput", "aput_writes"):
            for name, args in ops:
                await getattr(self, "a" + name)(*args)
            return
        await to_thread(self.put_all, ops)

    def _store(self, changes: Sequence[Change]) -> None:
        for place, answer in self._lines.put(changes):
            if answer.kind == "busy":
                raise _busy(place.thread_id, answer.info, "nothing was stored")

    def _checkpoint(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Change:
        codec, values, place = self.codec, checkpoint["channel_values"], _place(config)
        parts = self._parts_before(place, get_checkpoint_id(config), checkpoint, new_versions)
        grown, sets = checkpoint.get("grown", ()), []
        for channel, version in new_versions.items():
            if channel not in values:
                continue
            value, before = values[channel], parts.pop(channel, ())
            if type(value) is list and channel != TASKS:
                parts[channel], start = extended(before if channel in grown else (), version, len(value))
                value = value[start:]
            sets.append((value_field(channel, version), encode_value(codec, channel, value)))
        versions = checkpoint["channel_versions"]
        parts = {c: own for c, own in parts.items() if c in values and own[-1].version == versions.get(c)}
        bare = _bare(config, checkpoint, metadata)._replace(logs=earlier(parts))
        sets.append((f"c:{bare.id}", encode_record(codec, bare, get_checkpoint_metadata(config, metadata))))
        self._remember(place, bare.id, parts)
        return Change(place, bare.id, sets)

    def _parts_before(
        self, place: Place, parent: str | None, checkpoint: Checkpoint, new_versions: ChannelVersions
    ) -> dict[str, Parts]:
        """The parts of the lists that the parent has: those that stay as they are, and those that may be extended."""
        stay = [c for c in checkpoint["channel_values"] if c not in new_versions]
        if not parent or not (stay or checkpoint.get("grown")):
            return {}
        known = self._known.get(place)
        if known is None or known[0] != parent:
            # Somebody else's: whoever stores after what was read, or stored here, need not ask.
            self._reader.at(place, parent)
            known = self._known.get(place)
        return {} if known is None or known[0] != parent else dict(known[1])

    def _note(self, place: Place, at: model.Checkpoint, values: dict[str, Any]) -> None:
        lists = {c: parts_of_list(at, c, len(value)) for c, value in values.items() if type(value) is list}
        self._remember(place, at.id, lists)

    def _remember(self, place: Place, checkpoint_id: str, parts: dict[str, Parts]) -> None:
        self._known.pop(place, None)
        self._known[place] = (checkpoint_id, parts)
        while len(self._known) > MOST_KNOWN:
            # another OS thread may be at it too
            self._known.pop(next(iter([*self._known]), place), None)

    def _writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> Change:
        before = get_checkpoint_id(config)
        if before is None:
            raise ConfigError("The config names no checkpoint: give config['configurable']['checkpoint_id'].")
        return Change(_place(config), writes=[*parts_of(self.codec, before, writes, task_id, task_path)])

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

    # ------------------------------------------------------------- deleting

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread's checkpoints and writes, with those of graphs nested in it. Records of runs stay.

        Raises:
            ThreadBusyError: a run of a cluster holds the thread.
        """
        answer = self._lines.delete(str(thread_id))
        if answer.kind == "busy":
            raise _busy(str(thread_id), answer.info, "nothing was deleted")


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


def _busy(thread_id: str, run_id: str, outcome: str) -> ThreadBusyError:
    return ThreadBusyError(
        f"Thread {thread_id!r} is busy with run {run_id!r} of a cluster; {outcome}. Wait for it, or cancel it.",
        run_id=run_id,
    )
