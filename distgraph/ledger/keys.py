r"""Every key distgraph writes: type, meaning, who deletes it.

A namespace is split into a fixed number of partitions; all keys of one partition share a hash tag, so that scripts
touch one tag and the state can be spread over several servers later. ``T`` is ``dg:{<namespace>/<partition>}``.

    T:due                   ZSET    entry -> ms when somebody must look at it: the outbox.   at rest: the entry's script
                                    r:<run>  s:<batch>\n<slice>  t:<run>\n<task>  b:<batch>
    T:runs                  ZSET    run id -> ms of submission.                              delete of the run
    T:rid:<run>             STRING  thread of a run whose id is not its thread's id.         delete of the run; its
                                                                                             refusal, an hour without it
    T:run:<run>             HASH    the run's record; p:<task> path of one that waits;       delete of run or batch
                                    wake: ms until which all that is out sleeps; ends,
                                    step_ends: ms when its time limits are over; late:
                                    which of them ended it; retries made; told: epoch whose
                                    beginning its log has told.
    T:open:<run>            HASH    task -> outcome: the barrier of the current superstep.   the commit that closes it
    T:claims:<run>          HASH    task -> slot that runs it.                               the commit that closes it
    T:tries:<run>           HASH    a:<task> attempts, f: ms of the first, x: crashes, w: why the commit that closes it
    T:naps:<run>            ZSET    task that sleeps -> ms when it wakes.                    the commit that closes it
    T:log:<run>             STREAM  the run's events, if it keeps a log.                     delete of run or batch
    T:line:<thread>:<ns>    HASH    head, e(poch), run (active), last (run), asks (run that waits for an answer), own (a
                                    batch item's, while a run of its own has it), holder (of a nested graph's: the
                                    attempt that writes it), told (who wrote its last
                                    events), g (version of the graph that wrote the head),
                                    k (how old its checkpoints may grow), c:<checkpoint>,
                                    v:<channel>@<version>.
                                                                                             delete of thread or batch
    T:turns:<thread>        LIST    runs that wait for the thread, the first in front.       their turn, their cancel
    T:hist:<thread>:<ns>    ZSET    checkpoint ids, where history is kept.                   delete of the thread
    T:pend:<thread>:<ns>    HASH    <checkpoint>|<task>|<kind> -> writes (savers, history);  delete of the thread
                                    <checkpoint> -> number of them, <checkpoint>|<n> -> <task>|<kind>|<path>.
    T:nested:<thread>       SET     ns of its other lines: nested graphs.                    delete of thread or batch
    T:gone:<run>            STRING  ms when a run expired that was deleted for it.           its time to live
    T:once:<run>            HASH    effect key -> recorded result, z:<sleep> -> ms of waking. delete of run or batch;
                                                                                             its time to live, where
                                                                                             run or item is done, or
                                                                                             the run is gone
    T:batch:<batch>         HASH    counters, e(poch), c:<chunk> digests, state, name of its delete of the batch
                                    pause; of this partition. The last slice given back,
                                    and the answer to that.
    T:in:<batch>:<chunk>    LIST    the chunk's items.                                       the last item done
    T:ready:<batch>         LIST    ranges of items nobody has taken.                        taken empty
    T:slices:<batch>        HASH    slice -> slot and range.                                 the slice's end
    T:out:<batch>:<chunk>   HASH    index -> result row.                                     delete of the batch
    T:dead                  ZSET    run id -> ms when it was quarantined.                    a look that finds it is not
    T:ages                  ZSET    thread -> ms when a checkpoint of it is too old.         a look that finds none;
                                                                                             delete of the thread
    T:asks:<batch>          SET     indexes of items whose runs wait for an answer.          the answer; their cancel
    T:crash:<batch>         HASH    index -> crashes counted while it ran alone or was named. delete of the batch
    T:spaces                ZSET    a store's namespaces with items, by name.                its last item
    T:items:<ns>            ZSET    key of an item -> microseconds when it was first put.    its last item
    T:item:<ns>:<key>       HASH    v(alue), x (vectors), c(reated), u(pdated), t(ime to live, ms).  delete, or that time
    T:keptin:<ns>           ZSET    key of a cached result -> ms when it is over.            clear, or the last of them
    T:kept:<ns>:<key>       STRING  a cached result.                                         clear, or its time to live

An item that the server deleted in its time stays in the two indexes until somebody walks them.

And, once for the namespace, with ``G`` for ``dg:{<namespace>/g}``:

    G:meta                  HASH    format version, number of partitions.                    never
    G:graphs                HASH    graph name -> versions ever served.                      never
    G:worker:<boot>         STRING  a worker's beat.                                         its time to live
    G:counts                HASH    what happens rarely -> how often it did.                 never
    G:failing               HASH    graph and node -> failures since it last worked.         ten minutes after the last
    G:workers               SET     boots of workers that may live.                          sweep
    G:manifest:<batch>      HASH    a batch's manifest; retain, ended, deleter, until.       delete of the batch
    G:batches               ZSET    batch id -> ms of submission.                            delete of the batch
    G:active                SET     ids of batches with items that are not at rest.          the batch's end
    G:over                  ZSET    batch at rest -> ms when its time is over; batch that is being deleted -> ms when
                                    others go on with that.                                  delete of the batch
    G:gone:<batch>          STRING  ms when a batch expired that was deleted for it.         its time to live
"""

from __future__ import annotations

import re
import zlib

from distgraph.errors import ConfigError

#: The layout of these keys. A namespace with another one is refused, not guessed at.
FORMAT = 1
PARTITIONS = 8
#: Items of a batch that share a chunk, hence a partition.
CHUNK = 256
#: Whoever deletes a batch has it for so long, and may ask again before that is over. Milliseconds.
DELETER_MS = 10_000

_SAFE = re.compile(r"[A-Za-z0-9_.\-/@+]+\Z")
_NAMESPACE = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")
_NUMBERED = re.compile(r"(.*):(\d{1,18})\Z", re.DOTALL)


def check_namespace(namespace: str) -> str:
    """``namespace`` if it may be part of keys and queue names.

    Raises:
        ConfigError: anything but 1 to 64 letters, digits, ``_``, ``.`` and ``-``.
    """
    if not isinstance(namespace, str) or not _NAMESPACE.match(namespace):
        raise ConfigError(f"Namespace {namespace!r} is invalid: use 1 to 64 letters, digits, '_', '.' or '-'.")
    return namespace


class _Escapes(dict[int, str]):
    """Character -> itself, or its bytes in hex; filled as characters are met (an item's key is made every superstep)."""

    def __missing__(self, code: int) -> str:
        ch = chr(code)
        self[code] = ch if _SAFE.match(ch) else "".join(f"%{byte:02x}" for byte in ch.encode())
        return self[code]


_ESCAPES = _Escapes()


def encoded(text: str) -> str:
    """``text`` as part of a key: injective, without separators, braces, globs or control characters."""
    return text if _SAFE.match(text) else text.translate(_ESCAPES)


def item_id(batch_id: str, index: int) -> str:
    """The run id, and the thread id, of one item of a batch."""
    return f"{batch_id}:{index}"


def split_item(text: str) -> tuple[str, int] | None:
    """(batch id, index) if ``text`` has the form of an item's id."""
    found = _NUMBERED.match(text)
    return (found[1], int(found[2])) if found else None


class Keys:
    """Builds the keys of one namespace."""

    __slots__ = ("_global", "_parts", "namespace", "partitions")

    def __init__(self, namespace: str, partitions: int = PARTITIONS) -> None:
        self.namespace = check_namespace(namespace)
        self.partitions = partitions
        self._parts = [f"dg:{{{namespace}/{number}}}:" for number in range(partitions)]
        self._global = f"dg:{{{namespace}/g}}:"

    # ------------------------------------------------------------ partitions

    def partition(self, thread_id: str) -> int:
        """The partition of a thread. Numbered threads of one prefix share it by chunks, as the items of a batch do."""
        numbered = split_item(thread_id)
        if numbered is None:
            return zlib.crc32(thread_id.encode()) % self.partitions
        return self.chunk_partition(numbered[0], numbered[1] // CHUNK)

    def chunk_partition(self, batch_id: str, chunk: int) -> int:
        """The partition of one chunk of a batch: chunks go round all partitions."""
        return (zlib.crc32(batch_id.encode()) + chunk) % self.partitions

    def tag(self, partition: int) -> str:
        """Prefix of all keys of a partition."""
        return self._parts[partition]

    def due(self, partition: int) -> str:
        return self._parts[partition] + "due"

    def dead(self, partition: int) -> str:
        return self._parts[partition] + "dead"

    def ages(self, partition: int) -> str:
        return self._parts[partition] + "ages"

    # ------------------------------------------------- runs, of a thread's partition

    def of(self, thread_id: str, kind: str, *names: str) -> str:
        """The key of ``kind`` for ``names`` in the partition of ``thread_id``."""
        return self._parts[self.partition(thread_id)] + ":".join([kind, *map(encoded, names)])

    def line(self, thread_id: str, ns: str = "") -> str:
        return f"{self._parts[self.partition(thread_id)]}line:{encoded(thread_id)}:{encoded(ns) if ns else ''}"

    def directory(self, run_id: str) -> str:
        """Where the thread of a run is written that does not share its id; in the partition of the run's id."""
        return f"{self._parts[self.partition(run_id)]}rid:{encoded(run_id)}"

    # ------------------------------------------------- batches

    def batch(self, partition: int, kind: str, batch_id: str, chunk: int | None = None) -> str:
        """A batch's key of ``kind`` in one partition, of one chunk where given."""
        base = f"{self._parts[partition]}{kind}:{encoded(batch_id)}"
        return base if chunk is None else f"{base}:{chunk}"

    # ------------------------------------------------- the namespace

    def shared(self, kind: str, *names: str) -> str:
        """A key that exists once for the namespace."""
        return self._global + ":".join([kind, *map(encoded, names)])
