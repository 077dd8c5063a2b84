"""What a saver is, what it is given, and how that relates to the checkpoints of the algebra.

Savers keep *public* checkpoints: plain dicts that users may look at and that outlive versions of distgraph.
``to_public`` and ``from_public`` are the border to ``superstep.model.Checkpoint``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import getrandbits
from time import time_ns
from typing import Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

from distgraph.checkpoint.retention import PruneStrategy
from distgraph.checkpoint.serde.base import SerializerProtocol, typed
from distgraph.constants import ERROR, ERROR_SOURCE, INTERRUPT, RESUME, SLEEP
from distgraph.superstep import model
from distgraph.superstep.identity import checkpoint_id, ticks_of
from distgraph.types import MISSING

V = TypeVar("V", int, float, str)

ChannelVersions = dict[str, Any]
#: (task id, channel, value)
PendingWrite = tuple[str, str, Any]

#: Task id of writes that belong to no task: what a ``Command`` brings in from outside.
NULL_TASK_ID = "00000000-0000-0000-0000-000000000000"
#: Writes a task has at most one of; a later one replaces it. Their places in savers that number writes.
WRITES_IDX_MAP = {ERROR: -1, "__scheduled__": -2, INTERRUPT: -3, RESUME: -4, ERROR_SOURCE: -5, SLEEP: -6}
#: The version of the public form.
FORMAT = 4

_NO_METADATA = frozenset(
    {
        *("thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "langgraph_step", "langgraph_node"),
        *("langgraph_triggers", "langgraph_path", "langgraph_checkpoint_ns"),
    }
)


class CheckpointMetadata(TypedDict, total=False):
    """What is known about a checkpoint besides its state; filterable in ``list``."""

    #: What made it: a run's input, a superstep, ``update_state``, or a copy.
    source: Literal["input", "loop", "update", "fork"]
    #: -1 for the first input, 0 after START.
    step: int
    #: Checkpoint ids of the graphs around a nested one, by namespace.
    parents: dict[str, str]
    run_id: str


class Checkpoint(TypedDict):
    """The state of a thread between two supersteps, as savers keep it."""

    v: int
    #: Unique; sorts by time within a thread.
    id: str
    #: ISO 8601, UTC.
    ts: str
    channel_values: dict[str, Any]
    #: Version of each channel's last change; versions of a line of checkpoints only grow.
    channel_versions: ChannelVersions
    #: Node -> versions of its triggers when it last ran.
    versions_seen: dict[str, ChannelVersions]
    #: Channels that the last superstep changed; None: unknown.
    updated_channels: list[str] | None
    #: The last version given out, to whatever channel.
    clock: NotRequired[Any]
    #: Of a checkpoint to be stored: channels whose lists are the parent's with items appended. A saver may store the
    #: end alone, or the whole value as for any other channel.
    grown: NotRequired[list[str]]


class CheckpointTuple(NamedTuple):
    """A checkpoint with everything that belongs to it."""

    config: Any
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    parent_config: Any = None
    pending_writes: list[PendingWrite] | None = None


class BaseCheckpointSaver(Generic[V]):
    """Keeps the checkpoints of threads. Subclass it and implement ``get_tuple``, ``list``, ``put`` and ``put_writes``.

    The async methods run the others in an OS thread unless they are overridden too.

    Args:
        serde: how values become bytes; by default the wire codec.
    """

    serde: SerializerProtocol

    def __init__(self, *, serde: Any = None) -> None:
        if serde is None:
            from distgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

            serde = JsonPlusSerializer()
        self.serde = typed(serde)

    @property
    def config_specs(self) -> list[Any]:
        """Kept for programs that ask; distgraph has none."""
        return []

    def get(self, config: Any) -> Checkpoint | None:
        """The checkpoint that ``config`` names: by id, or the thread's latest."""
        found = self.get_tuple(config)
        return found.checkpoint if found is not None else None

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        """The same with everything that belongs to it; pending writes in the order of their tasks' paths."""
        raise NotImplementedError

    def list(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints of a thread, newest first.

        Args:
            config: names thread and namespace; None: all threads.
            filter: entries of the metadata that must be equal.
            before: a config; only checkpoints older than its ``checkpoint_id``.
            limit: at most so many.
        """
        raise NotImplementedError

    def put(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Any:
        """Store a checkpoint.

        Args:
            config: the run's config; its ``checkpoint_id`` is the parent.
            checkpoint: whole, with all values.
            metadata: see ``get_checkpoint_metadata`` for what the config adds.
            new_versions: the channels that changed since the parent: only their values need storing.

        Returns:
            The config that names the stored checkpoint.
        """
        raise NotImplementedError

    def put_writes(self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        """Store what one task of the superstep after a checkpoint wrote.

        Args:
            config: names the checkpoint.
            writes: (channel, value), all of the task's.
            task_id: the task; the first output it stores stands, control writes are replaced.
            task_path: orders the tasks of the superstep.
        """
        raise NotImplementedError

    def delete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread."""
        raise NotImplementedError

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread, with those of graphs nested in it, to a new thread.

        Raises:
            InputError: there is no such thread, or the target is there already.
        """
        raise NotImplementedError

    def prune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        """Delete old checkpoints of threads; never what those that stay need.

        Args:
            thread_ids: the threads; those that are not there are passed over.
            strategy: "keep_latest" leaves the latest checkpoint of each namespace, "delete" none, a
                ``CheckpointRetention`` what it says. Graphs that were nested in tasks go with the checkpoint of those.

        Raises:
            ThreadBusyError: a run of a cluster holds one of them; the others are pruned.
        """
        raise NotImplementedError

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints, of all threads, whose metadata name one of these runs; walks all that is stored."""
        raise NotImplementedError

    def get_next_version(self, current: V | None, channel: Any = None) -> V:
        """A version above ``current``.

        It carries random bits: two branches from one checkpoint must not give the same version to different values.
        """
        number = current.partition(".")[0] if isinstance(current, str) else f"{int(current or 0):016d}"
        return f"{str(int(number) + 1).zfill(len(number))}.{getrandbits(32):08x}"  # type: ignore[return-value]

    async def aget(self, config: Any) -> Checkpoint | None:
        """``get`` under an event loop."""
        found = await self.aget_tuple(config)
        return found.checkpoint if found is not None else None

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        """``get_tuple`` under an event loop."""
        return await _in_thread(self.get_tuple, config)  # type: ignore[no-any-return]

    async def alist(
        self,
        config: Any,
        *,
        filter: dict[str, Any] | None = None,
        before: Any = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """``list`` under an event loop."""
        for found in await _in_thread(lambda: [*self.list(config, filter=filter, before=before, limit=limit)]):
            yield found

    async def aput(
        self, config: Any, checkpoint: Checkpoint, metadata: CheckpointMetadata, new_versions: ChannelVersions
    ) -> Any:
        """``put`` under an event loop."""
        return await _in_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """``put_writes`` under an event loop."""
        await _in_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """``delete_thread`` under an event loop."""
        await _in_thread(self.delete_thread, thread_id)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """``copy_thread`` under an event loop."""
        await _in_thread(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: PruneStrategy = "keep_latest") -> None:
        """``prune`` under an event loop."""
        await _in_thread(lambda: self.prune(thread_ids, strategy=strategy))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """``delete_for_runs`` under an event loop."""
        await _in_thread(self.delete_for_runs, run_ids)


async def _in_thread(fn: Any, *args: Any) -> Any:
    from asyncio import to_thread

    return await to_thread(fn, *args)


def empty_checkpoint() -> Checkpoint:
    """A checkpoint of a thread on which nothing has happened, with an id of its own."""
    return {
        "v": FORMAT,
        "id": checkpoint_id(time_ns() // 1000, getrandbits(64)),
        "ts": datetime.now(UTC).isoformat(),
        "channel_values": {},
        "channel_versions": {},
        "versions_seen": {},
        "updated_channels": None,
    }


def copy_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint in dicts of its own; values are shared."""
    copied = checkpoint.copy()
    copied["channel_values"] = dict(checkpoint["channel_values"])
    copied["channel_versions"] = dict(checkpoint["channel_versions"])
    copied["versions_seen"] = {node: dict(seen) for node, seen in checkpoint["versions_seen"].items()}
    return copied


def create_checkpoint(
    checkpoint: Checkpoint, channels: Mapping[str, Any] | None, step: int, *, id: str | None = None
) -> Checkpoint:
    """The checkpoint that follows ``checkpoint``: newer, and with what ``channels`` hold now.

    Args:
        checkpoint: the one before.
        channels: name -> channel; those without a version there are left out. None: the values stay.
        step: not needed here; ids sort by time.
        id: of the new one.
    """
    made: Checkpoint = {**copy_checkpoint(checkpoint), "updated_channels": None}
    fresh = empty_checkpoint()
    made["v"], made["ts"] = fresh["v"], fresh["ts"]
    made["id"] = id or max(fresh["id"], checkpoint_id(ticks_of(checkpoint["id"]) + 1, getrandbits(64)))
    if channels is not None:
        held = {name: channel.checkpoint() for name, channel in channels.items() if name in made["channel_versions"]}
        made["channel_values"] = {name: value for name, value in held.items() if value is not MISSING}
    return made


def get_checkpoint_id(config: Any) -> str | None:
    """The checkpoint that a config names, if it names one."""
    return (config.get("configurable") or {}).get("checkpoint_id") or None


def get_checkpoint_metadata(config: Any, metadata: Any) -> CheckpointMetadata:
    """``metadata``, plus the scalars of the config's metadata and configurable that are no addresses."""
    merged: dict[str, Any] = dict(metadata)
    for source in (config.get("metadata"), config.get("configurable")):
        if not source:
            continue
        for key, value in source.items():
            if key in _NO_METADATA or key in merged or key.startswith("__"):
                continue
            if isinstance(value, (str, int, float)):
                merged[key] = value
    return merged  # type: ignore[return-value]


def to_public(at: model.Checkpoint, untracked: Collection[str] = ()) -> Checkpoint:
    """The form that savers keep of ``at``, without the values of ``untracked`` channels."""
    public: Checkpoint = {
        "v": FORMAT,
        "id": at.id,
        "ts": at.ts,
        "channel_values": dict(at.values),
        "channel_versions": dict(at.versions),
        "versions_seen": dict(at.seen),  # type: ignore[arg-type]
        "updated_channels": None if at.updated is None else sorted(at.updated),
        "clock": at.clock,
    }
    for channel in untracked:
        public["channel_values"].pop(channel, None)
        public["channel_versions"].pop(channel, None)
    return public


def from_public(saved: CheckpointTuple) -> model.Checkpoint:
    """The checkpoint that a saver returned, also one that another library wrote."""
    public, metadata = saved.checkpoint, saved.metadata
    values = public["channel_values"]
    versions = {name: version for name, version in public["channel_versions"].items() if name in values}
    updated = public.get("updated_channels")
    return model.Checkpoint(
        id=public["id"],
        parent=get_checkpoint_id(saved.parent_config) if saved.parent_config else None,
        step=metadata.get("step", -1),
        source=metadata.get("source", "loop"),
        values=values,
        versions=versions,
        seen=public["versions_seen"],
        updated=None if updated is None else frozenset(updated),
        clock=public.get("clock") or max(public["channel_versions"].values(), default=None),
        ts=public["ts"],
    )


def version_rule(saver: BaseCheckpointSaver[Any]) -> Callable[[Any], Any]:
    """How ``saver`` counts versions; a program's own saver takes the channel too, as older ones do."""
    own = type(saver).get_next_version
    if own is BaseCheckpointSaver.get_next_version and "get_next_version" not in vars(saver):
        return saver.get_next_version
    return lambda last: saver.get_next_version(last, None)


def new_versions(before: Mapping[str, Any], after: Mapping[str, Any]) -> ChannelVersions:
    """The versions in ``after`` that ``before`` does not have."""
    return {name: version for name, version in after.items() if before.get(name) != version}
