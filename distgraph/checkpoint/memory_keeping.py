"""Old checkpoints of the in-memory saver deleted, whole threads copied; what ``keeper`` does with lines."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from distgraph.checkpoint.retention import CheckpointRetention
from distgraph.errors import InputError

if TYPE_CHECKING:
    from distgraph.checkpoint.memory import InMemorySaver

#: Chooses, of the checkpoints of a namespace from its newest, the ids of those that go.
Choice = Callable[[Sequence[tuple[str, Any]]], Collection[str]]


def prune(saver: InMemorySaver, thread: str, retention: CheckpointRetention) -> None:
    """Delete what need not be kept of a thread."""
    now = datetime.now(UTC)

    def choose(found: Sequence[tuple[str, Any]]) -> Collection[str]:
        return retention.doomed([(name, stored.checkpoint["ts"]) for name, stored in found], now)

    _cut(saver, thread, "", choose)
    left = saver.storage.get(thread, {}).get("", {})
    for ns, stored in [*saver.storage.get(thread, {}).items()]:
        outer = stored[max(stored)].metadata.get("parents", {}).get("") if stored else None
        if ns and ":" in ns.rpartition("|")[2] and outer is not None and outer not in left:
            _cut(saver, thread, ns, lambda found: [name for name, _ in found])
        elif ns:
            _cut(saver, thread, ns, choose)


def delete_runs(saver: InMemorySaver, run_ids: Collection[str]) -> None:
    """Delete the checkpoints whose metadata name one of these runs."""
    for thread, spaces in [*saver.storage.items()]:
        for ns in [*spaces]:
            _cut(
                saver,
                thread,
                ns,
                lambda found: [name for name, stored in found if stored.metadata.get("run_id") in run_ids],
            )


def copy(saver: InMemorySaver, source: str, target: str) -> None:
    """Copy a thread to one that is not there yet.

    Raises:
        InputError: there is no such thread, or the target is there already.
    """
    if not any(saver.storage.get(source, {}).values()):
        raise InputError(f"There is no thread {source!r} to copy.")
    if any(saver.storage.get(target, {}).values()):
        raise InputError(f"There is a thread {target!r} already. Choose another name, or delete it first.")
    tables: tuple[dict[Any, Any], ...] = (saver.blobs, saver.ends)
    for table in tables:
        table.update({(target, *key[1:]): value for key, value in [*table.items()] if key[0] == source})
    for key, writes in [*saver.writes.items()]:
        if key[0] == source:
            saver.writes[target, key[1], key[2]] = {task: kept.copied() for task, kept in writes.items()}
    for ns, stored in saver.storage[source].items():
        saver.storage[target][ns] = dict(stored)


def _cut(saver: InMemorySaver, thread: str, ns: str, choose: Choice) -> None:
    stored = saver.storage.get(thread, {}).get(ns, {})
    doomed = set(choose(sorted(stored.items(), reverse=True)))
    if not doomed:
        return
    going: dict[str, set[Any]] = {}
    for name in doomed:
        for channel, version in stored.pop(name).checkpoint["channel_versions"].items():
            going.setdefault(channel, set()).add(version)
        saver.writes.pop((thread, ns, name), None)
    for channel, versions in going.items():
        kept = {one.checkpoint["channel_versions"].get(channel) for one in stored.values()}
        for version in _unneeded(saver.ends, (thread, ns, channel), versions - kept, kept - {None}):
            saver.blobs.pop((thread, ns, channel, version), None)
            saver.ends.pop((thread, ns, channel, version), None)
    if not stored:
        saver.storage.get(thread, {}).pop(ns, None)


def _unneeded(ends: dict[Any, Any], at: tuple[str, str, str], going: set[Any], kept: set[Any]) -> set[Any]:
    """Of a channel's values that no checkpoint names any more, and what comes before them: what no list needs."""
    shortest = min((ends[*at, version].total for version in going if (*at, version) in ends), default=0)
    # a list that goes on from one of these has it within a few steps
    needed = {version for last in kept for version in _before(ends, at, last, shortest)}
    if all(version in needed for version in going):
        return set()
    needed = {version for last in kept for version in _before(ends, at, last, 0)}
    return {version for last in going for version in _before(ends, at, last, 0)} - needed


def _before(ends: dict[Any, Any], at: tuple[str, str, str], version: Any, shortest: int) -> Iterator[Any]:
    """A list's version and those that hold what comes before, as long as they have so many items."""
    while version is not None:
        yield version
        end = ends.get((*at, version))
        version = end.after if end is not None and end.total > shortest else None
