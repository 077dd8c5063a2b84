"""What the twin keeps, in tables whose changes can be unwound."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, update_wrapper
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

from msgpack import packb

from distgraph.ledger.keys import Keys
from distgraph.ledger.replies import Address, Taken

K = TypeVar("K")
V = TypeVar("V")
P = ParamSpec("P")
R = TypeVar("R")

_ABSENT: Any = object()


class Journal:
    """What to undo, newest last; None while nobody asked for it."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: list[tuple[Table[Any, Any], Any, Any]] | None = None

    def mark(self) -> int:
        """The present, to come back to."""
        if self.entries is None:
            self.entries = []
        return len(self.entries)

    def unwind(self, mark: int) -> None:
        """Undo everything since ``mark``; marks made since are void."""
        entries = self.entries or []
        while len(entries) > mark:
            table, key, before = entries.pop()
            if before is _ABSENT:
                dict.__delitem__(table, key)
            else:
                dict.__setitem__(table, key, before)


class Table(dict[K, V], Generic[K, V]):
    """A dict that writes down what it held before each change. Its order means nothing: undoing loses it."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def __setitem__(self, key: K, value: V) -> None:
        entries = self._journal.entries
        if entries is not None:
            entries.append((self, key, self.get(key, _ABSENT)))
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        if self._journal.entries is not None:
            self._journal.entries.append((self, key, self[key]))
        super().__delitem__(key)

    def drop(self, key: K) -> None:
        """Delete ``key`` if it is there."""
        if key in self:
            del self[key]

    def first(self, key: K, value: V) -> V:
        """Set ``key`` unless it is set; what stands."""
        if key not in self:
            self[key] = value
        return self[key]

    def write(self, pairs: Iterable[tuple[K, V]]) -> None:
        """Set several."""
        if self._journal.entries is None:
            self.update(pairs)
            return
        for key, value in pairs:
            self[key] = value


class Tables(Table[K, Table[Any, V]], Generic[K, V]):
    """Tables by key, made when first written to. An empty one is as good as none."""

    __slots__ = ()

    def at(self, key: K) -> Table[Any, V]:
        """The table of ``key``, to write to."""
        found = self.get(key)
        if found is None:
            found = Table(self._journal)
            self[key] = found
        return found

    def look(self, key: K) -> dict[Any, V]:
        """What the table of ``key`` holds, to read."""
        return self.get(key) or {}


class RunKey(NamedTuple):
    """Where everything of a run is: the partition of its thread, and its id."""

    partition: int
    run_id: str


class Tries(NamedTuple):
    """What happened to a task so far; ``first_ms`` 0: never claimed."""

    attempts: int = 0
    first_ms: int = 0
    crashes: int = 0
    why: str = ""


class Part(NamedTuple):
    """A batch within one partition; ``epoch`` None: no chunk was ever added. ``returned``: the last answer to that."""

    epoch: int | None = None
    state: str = ""
    #: The name of the pause that stands.
    pause: str = ""
    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    promoted: int = 0
    returned: tuple[str, str, str, int] | None = None


class State:
    """Everything there is in one namespace."""

    def __init__(self, keys: Keys, now_ms: Callable[[], int]) -> None:
        self.keys, self.now_ms = keys, now_ms
        self.lock = threading.RLock()
        self.journal = journal = Journal()
        self.partition = lru_cache(maxsize=10_000)(keys.partition)
        #: How often the server started, as its users see it, and when it last did; 0: long ago.
        self.starts, self.started_ms = 1, 0

        #: Run id -> its thread, and the ms until which that holds (0: for good).
        self.threads: Table[str, tuple[str, int]] = Table(journal)
        #: Run id -> when it expired, and the ms until which that is remembered.
        self.gone: Table[RunKey, tuple[int, int]] = Table(journal)
        self.records: Tables[RunKey, bytes] = Tables(journal)
        self.submitted: Table[RunKey, int] = Table(journal)
        self.outcomes: Tables[RunKey, bytes] = Tables(journal)
        self.claims: Tables[RunKey, str] = Tables(journal)
        self.tries: Tables[RunKey, Tries] = Tables(journal)
        self.naps: Tables[RunKey, int] = Tables(journal)
        self.logs: Tables[RunKey, tuple[int, bytes]] = Tables(journal)
        self.effects: Tables[RunKey, bytes] = Tables(journal)
        #: When records of effects are over that are not kept for good, in ms.
        self.effects_over: Table[RunKey, int] = Table(journal)
        self.lines: Tables[tuple[str, str], bytes] = Tables(journal)
        self.history: Tables[tuple[str, str], None] = Tables(journal)
        self.kept: Tables[tuple[str, str], bytes] = Tables(journal)
        #: Thread -> namespaces of its lines besides its own.
        self.nested: Tables[str, None] = Tables(journal)
        #: Thread -> runs that wait for it.
        self.turns: Table[str, tuple[str, ...]] = Table(journal)
        self.due: Tables[int, int] = Tables(journal)
        self.dead: Tables[int, int] = Tables(journal)
        #: Partition -> thread -> ms when a checkpoint of it is too old.
        self.ages: Tables[int, int] = Tables(journal)

        self.manifests: Tables[str, Any] = Tables(journal)
        self.opened: Table[str, int] = Table(journal)
        self.active: Table[str, None] = Table(journal)
        #: Batch -> ms when it may go, or whoever deletes it has had it for long enough.
        self.over: Table[str, int] = Table(journal)
        #: Batch -> when it expired, and the ms until which that is remembered.
        self.past: Table[str, tuple[int, int]] = Table(journal)
        self.parts: Table[tuple[str, int], Part] = Table(journal)
        self.digests: Tables[tuple[str, int], str] = Tables(journal)
        self.finished: Table[tuple[str, int], int] = Table(journal)
        self.inputs: Table[tuple[str, int], tuple[bytes, ...]] = Table(journal)
        self.ready: Table[tuple[str, int], tuple[Taken, ...]] = Table(journal)
        self.slices: Tables[tuple[str, int], tuple[str, Taken]] = Tables(journal)
        self.rows: Tables[tuple[str, int], bytes] = Tables(journal)
        self.crashes: Tables[tuple[str, int], int] = Tables(journal)
        #: Indexes of items whose runs wait for an answer.
        self.asking: Tables[tuple[str, int], None] = Tables(journal)

        self.items: Tables[tuple[str, ...], Any] = Tables(journal)
        self.results: Tables[tuple[str, ...], tuple[bytes, int]] = Tables(journal)

        self.format: Table[str, int] = Table(journal)
        self.counts: Table[str, int] = Table(journal)
        #: Under '': when all is forgotten, and the failures of nodes since they last worked.
        self.failing: Table[str, tuple[int, dict[str, int]]] = Table(journal)
        self.beats: Table[str, tuple[int, bytes]] = Table(journal)
        self.graphs: Table[tuple[str, str], bytes] = Table(journal)

    def thread_of(self, run_id: str) -> str:
        """The thread that a run's id is tied to; '' if to none."""
        thread, until = self.threads.get(run_id, ("", 0))
        return "" if until and until <= self.now_ms() else thread

    def effects_of(self, key: RunKey) -> Table[Any, bytes]:
        """The records of effects of a run, as far as their time is not over."""
        if self.effects_over.get(key, self.now_ms() + 1) <= self.now_ms():
            self.effects.drop(key)
            self.effects_over.drop(key)
        return self.effects.at(key)

    def keep_effects(self, key: RunKey, ms: int) -> None:
        """From now on the records of effects of a run are over after ``ms``."""
        if self.effects_of(key):
            self.effects_over[key] = self.now_ms() + ms

    def key(self, address: Address) -> RunKey:
        """Where a run's tables are."""
        return RunKey(self.partition(address.thread_id), address.run_id)


class HasState(Protocol):
    """A part of the twin."""

    state: State


S = TypeVar("S", bound=HasState)


def atomic(operation: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Nobody sees the operation half done, whatever OS thread calls."""

    def alone(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.state.lock:
            return operation(self, *args, **kwargs)

    update_wrapper(alone, operation)
    return alone


def packed(value: Mapping[str, Any]) -> bytes:
    """Plain data as it leaves a process: what ``unpackb`` makes of it is never the sender's own object."""
    data: bytes = packb(dict(value))
    return data


def stored(value: bytes | str | int) -> bytes:
    """A field's value as it comes back."""
    return value if isinstance(value, bytes) else str(value).encode()
