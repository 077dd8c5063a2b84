"""Checkpoints in the memory of one process: for tests, and for runs that nobody continues after the process.

Values are kept as bytes, once for each version of a channel, so that what a program does to a value later changes no
checkpoint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, NamedTuple

from distgraph.checkpoint import memory_keeping
from distgraph.checkpoint.base import (
    NULL_TASK_ID,
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from distgraph.checkpoint.parts import joined
from distgraph.checkpoint.retention import SLACK, CheckpointRetention, PruneStrategy, retention_of
from distgraph.checkpoint.several import Op, PackedOnce, is_own

_Typed = tuple[str, bytes]
_Dumps = Callable[[Any], _Typed]
Pending = list[PendingWrite]


class _Stored(NamedTuple):
    checkpoint: dict[str, Any]
    metadata: CheckpointMetadata
    parent: str | None


class _End(NamedTuple):
    """A list of ``total`` items, of which those that ``after``, a version, has already are not stored again."""

    total: int
    after: Any = None


class _Writes:
    """What one task wrote: its output, as a whole, and its control writes."""

    __slots__ = ("control", "output", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.output: list[tuple[str, _Typed]] = []
        self.control: dict[str, _Typed] = {}

    def copied(self) -> _Writes:
        """The same, to go on with in another thread."""
        twin = _Writes(self.path)
        twin.output, twin.control = [*self.output], {**self.control}
        return twin


class InMemorySaver(BaseCheckpointSaver[str]):
    """A saver that forgets with its process. Safe to use from any OS thread.

    Args:
        serde: how values become bytes; by default the wire codec.
        retention: which checkpoints of a thread stay, while it is written to; None: all.

    Attributes:
        storage: thread -> namespace -> checkpoint id -> what is kept of it.
        blobs: (thread, namespace, channel, version) -> value, or the end of a list that grew.
        ends: the same -> where a list that is stored there ends, and what comes before.
        writes: (thread, namespace, checkpoint id) -> task id -> what it wrote.
    """

    def __init__(self, *, serde: Any = None, retention: CheckpointRetention | None = None) -> None:
        super().__init__(serde=serde)
        self._retention = retention
        #: Thread -> checkpoints that were stored since it was pruned.
        self._unpruned: dict[str, int] = {}
        self.storage: defaultdict[str, dict[str, dict[str, _Stored]]] = defaultdict(lambda: defaultdict(dict))
        self.blobs: dict[tuple[str, str, str, Any], _Typed] = {}
        self.ends: dict[tuple[str, str, str, Any], _End] = {}
        self.writes: defaultdict[tuple[str, str, str], dict[str, _Writes]] = defaultdict(dict)

    def __enter__(self) -> InMemorySaver:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    async def __aenter__(self) -> InMemorySaver:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def put(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Any:
        return self._put(self.serde.dumps_typed, config, checkpoint, metadata, new_versions)

    def put_all(self, ops: Sequence[Op]) -> None:
        """Make several calls in order, packing what they share once."""
        shortcut = is_own(self, InMemorySaver, "put", "put_writes")
        dumps = PackedOnce(self.serde.dumps_typed)
        for name, args in ops:
            if not shortcut:
                getattr(self, name)(*args)
            elif name == "put":
                self._put(dumps, *args)
            else:
                self._put_writes(dumps, *args)

    async def aput_all(self, ops: Sequence[Op]) -> None:
        """``put_all`` under an event loop."""
        if is_own(self, InMemorySaver, "aput", "aput_writes"):
            self.put_all(ops)
            return
        for name, args in ops:
            await getattr(self, "a" + name)(*args)

    def _put(
        self,
        dumps: _Dumps,
        config: Any,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Any:
        configurable = config["configurable"]
        thread, ns = configurable["thread_id"], configurable.get("checkpoint_ns", "")
        kept: dict[str, Any] = dict(checkpoint)
        values = kept.pop("channel_values")
        kept.pop("grown", None)
        grown = checkpoint.get("grown", ())
        before = self._versions(thread, ns, configurable.get("checkpoint_id")) if grown else {}
        blobs, ends = self.blobs, self.ends
        for channel, version in new_versions.items():
            if channel not in values:
                continue
            value, key = values[channel], (thread, ns, channel, version)
            if type(value) is list:
                after = before.get(channel)
                known = ends.get((thread, ns, channel, after)) if channel in grown else None
                ends[key] = _End(len(value), after if known else None)
                value = value[known.total :] if known else value
            blobs[key] = dumps(value)
        self.storage[thread][ns][checkpoint["id"]] = _Stored(
            kept, get_checkpoint_metadata(config, metadata), configurable.get("checkpoint_id")
        )
        if self._retention is not None:
            self._unpruned[thread] = self._unpruned.get(thread, 0) + 1
            if self._unpruned[thread] >= SLACK:
                self._unpruned[thread] = 0
                memory_keeping.prune(self, thread, self._retention)
        return _config_of(thread, ns, checkpoint["id"])

    def _versions(self, thread: str, ns: str, checkpoint_id: str | None) -> dict[str, Any]:
        stored = self.storage[thread][ns].get(checkpoint_id or "")
        return stored.checkpoint["channel_versions"] if stored is not None else {}

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        self._put_writes(self.serde.dumps_typed, config, writes, task_id, task_path)

    def _put_writes(
        self, dumps: _Dumps, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        configurable = config["configurable"]
        of_step = self.writes[
            configurable["thread_id"], configurable.get("checkpoint_ns", ""), configurable["checkpoint_id"]
        ]
        kept = of_step.get(task_id)
        if kept is None:
            kept = of_step[task_id] = _Writes(task_path)
        # Writes from outside come again with what came before them: only the new ones are missing here.
        known = len(kept.output) if task_id == NULL_TASK_ID else 0
        first_output = not kept.output or known > 0
        for channel, value in writes:
            if channel in WRITES_IDX_MAP:
                kept.control[channel] = dumps(value)
            elif known:
                known -= 1
            elif first_output:
                kept.output.append((channel, dumps(value)))

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        configurable = config["configurable"]
        thread, ns = configurable["thread_id"], configurable.get("checkpoint_ns", "")
        stored = self.storage[thread][ns] if thread in self.storage else {}
        if wanted := get_checkpoint_id(config):
            return self._tuple(thread, ns, wanted, stored[wanted], config) if wanted in stored else None
        if not stored:
            return None
        latest = max(stored)
        return self._tuple(thread, ns, latest, stored[latest])

    def list(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        configurable = config["configurable"] if config else {}
        threads = [configurable["thread_id"]] if config else [*self.storage]
        wanted_ns, wanted = configurable.get("checkpoint_ns"), configurable.get("checkpoint_id")
        below = get_checkpoint_id(before) if before else None
        left = -1 if limit is None else limit
        for thread in threads:
            for ns, stored in [*self.storage.get(thread, {}).items()]:
                if wanted_ns is not None and ns != wanted_ns:
                    continue
                for cid in sorted(stored, reverse=True):
                    if left == 0:
                        return
                    if (wanted and cid != wanted) or (below and cid >= below):
                        continue
                    metadata: Any = stored[cid].metadata
                    if filter and any(metadata.get(key) != value for key, value in filter.items()):
                        continue
                    left -= 1
                    yield self._tuple(thread, ns, cid, stored[cid])

    def delete_thread(self, thread_id: str) -> None:
        self.storage.pop(thread_id, None)
        self._unpruned.pop(thread_id, None)
        tables: tuple[dict[Any, Any], ...] = (self.blobs, self.ends, self.writes)
        for table in tables:
            for key in [key for key in table if key[0] == thread_id]:
                del table[key]

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        memory_keeping.copy(self, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        retention = retention_of(strategy)
        for thread_id in thread_ids:
            if retention is None:
                self.delete_thread(thread_id)
            else:
                memory_keeping.prune(self, thread_id, retention)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        memory_keeping.delete_runs(self, {*map(str, run_ids)})

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        return self.get_tuple(config)

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Any:
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        self.delete_thread(thread_id)

    def _tuple(self, thread: str, ns: str, cid: str, stored: _Stored, config: Any = None) -> CheckpointTuple:
        blobs = self.blobs
        versions = stored.checkpoint["channel_versions"]
        values = {
            channel: self._value(thread, ns, channel, version)
            for channel, version in versions.items()
            if (thread, ns, channel, version) in blobs
        }
        checkpoint: Any = {
            **stored.checkpoint,
            "channel_values": values,
            "channel_versions": dict(versions),
            "versions_seen": {node: dict(seen) for node, seen in stored.checkpoint["versions_seen"].items()},
        }
        return CheckpointTuple(
            config if config is not None else _config_of(thread, ns, cid),
            checkpoint,
            {**stored.metadata},
            _config_of(thread, ns, stored.parent) if stored.parent else None,
            self._pending(thread, ns, cid),
        )

    def _value(self, thread: str, ns: str, channel: str, version: Any) -> Any:
        loads, blobs, ends = self.serde.loads_typed, self.blobs, self.ends
        found = []
        while version is not None:
            key = (thread, ns, channel, version)
            found.append(loads(blobs[key]))
            version = ends[key].after if key in ends else None
        return joined(reversed(found))

    def _pending(self, thread: str, ns: str, cid: str) -> Pending:
        loads = self.serde.loads_typed
        of_step = self.writes.get((thread, ns, cid), {})
        return [
            (task_id, channel, loads(value))
            for task_id, kept in sorted(of_step.items(), key=lambda item: (item[1].path, item[0]))
            for channel, value in (*kept.control.items(), *kept.output)
        ]


def _config_of(thread: str, ns: str, cid: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": cid}}


MemorySaver = InMemorySaver
