"""Lists that only grow, stored in parts: a run of n supersteps stores n log n items and not n times n.

A channel's value has a version; its bytes are stored under that version. Where a superstep only appended to a list, what
is stored under the new version is the end of the list alone, and the checkpoint's record names the versions that hold
what comes before: its *log*. An end takes over the parts before it, a few at a time, where none of those is longer than
itself, so that a list of n items has about log n parts: a reader fetches few, and each item is written again about log n
times in all. Parts are never changed, so forks share them; what no record names any more can go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from distgraph.superstep.model import Checkpoint

#: Parts of fewer items are always taken over: naming one in each record costs as much as writing it again.
SHORT = 16
#: Longer ones are taken over so many at a time: were it fewer, items would be written more often; more, and records would
#: name more parts.
FEW = 7


class Part(NamedTuple):
    """A part of a list, stored under the version of the superstep that wrote it."""

    version: Any
    items: int


#: The parts of a list, from its beginning.
Parts = tuple[Part, ...]


def extended(parts: Sequence[Part], version: Any, total: int) -> tuple[Parts, int]:
    """The parts of a list that has grown to ``total`` items, and where the last one, which is to be stored, begins."""
    kept = list(parts)
    start = sum(part.items for part in kept)
    while kept and kept[-1].items <= SHORT:
        start -= kept.pop().items
    while len(kept) >= FEW and max(part.items for part in kept[-FEW:]) <= total - start:
        start -= sum(part.items for part in kept[-FEW:])
        del kept[-FEW:]
    return (*kept, Part(version, total - start)), start


def earlier(parts: Mapping[str, Sequence[Part]]) -> dict[str, list[list[Any]]]:
    """What a record says: channel -> version and items of all parts but the last; only of those that have several."""
    return {channel: [[*part] for part in own[:-1]] for channel, own in parts.items() if len(own) > 1}


def parts_of(at: Checkpoint, channel: str, total: int) -> Parts:
    """The parts of a list that was read, of ``total`` items."""
    before = tuple(Part(version, items) for version, items in at.logs.get(channel, ()))
    return (*before, Part(at.versions[channel], total - sum(part.items for part in before)))


def versions_of(at: Checkpoint, channel: str) -> list[Any]:
    """The versions that hold a channel's value, in the order of its parts."""
    return [*(version for version, _ in at.logs.get(channel, ())), at.versions[channel]]


def joined(values: Iterable[Any]) -> Any:
    """The value whose parts these are."""
    first, *others = values
    return [*first, *(item for part in others for item in part)] if others else first


class Growth:
    """Which lists have only grown since a checkpoint was stored, over any number of supersteps."""

    __slots__ = ("_grown", "_rewritten")

    def __init__(self) -> None:
        self._grown: set[str] = set()
        self._rewritten: set[str] = set()

    def note(self, at: Checkpoint) -> None:
        """A superstep led to ``at``."""
        if at.grown:
            self._grown |= at.grown
        if at.updated:
            self._rewritten |= at.updated - at.grown

    def rewrote(self, channels: Iterable[str]) -> None:
        """These channels were changed in whatever way."""
        self._rewritten.update(channels)

    def channels(self) -> frozenset[str]:
        """Those that have only grown."""
        return frozenset(self._grown - self._rewritten)

    def stored(self) -> None:
        """The checkpoint at hand is stored: count from here."""
        if self._grown:
            self._grown = set()
        if self._rewritten:
            self._rewritten = set()
