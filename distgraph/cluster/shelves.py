"""The store and the cache that nodes on workers have: those of the cluster's namespace, in the ledger.

A graph that was compiled with a store or cache of its own that processes can share (a file, another server) keeps it.
What lives in one process' memory would be another one in each worker: in its place stands the cluster's, with the same
index and times to live.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from distgraph.cache.memory import InMemoryCache
from distgraph.cache.redis import RedisCache
from distgraph.cluster.nested import NestedSaver
from distgraph.errors import LedgerCorruptError, StoreError
from distgraph.ledger.contract.items import FoundItem, Items, Kept, Labels
from distgraph.ledger.contract.lines import NestedLines
from distgraph.store.memory import InMemoryStore
from distgraph.store.redis import RedisStore
from distgraph.wire import Codec


@contextmanager
def of_ledger() -> Iterator[None]:
    """What fails in this block is the ledger, whoever called: the attempt is given up, and made again when it is back."""
    try:
        yield
    except StoreError as exc:
        # A damaged key stays damaged: whoever meets it fails.
        exc.of_ledger = not isinstance(exc, LedgerCorruptError)
        raise


class _Ours:
    """A part of the ledger as nodes reach it, through their store and cache."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._part, name)

        def called(*args: Any, **kwargs: Any) -> Any:
            with of_ledger():
                return operation(*args, **kwargs)

        return called

    def walk(self, namespace: Labels, *, vectors: bool) -> Iterator[FoundItem]:
        """What is walked over fails between two steps."""
        with of_ledger():
            yield from self._part.walk(namespace, vectors=vectors)


class Shelf(NamedTuple):
    """What the nodes of one graph have; ``cache`` is None for a graph that was compiled without.

    ``saver`` is that of graphs they run; None where no nodes are called.
    """

    store: Any = None
    cache: Any = None
    saver: NestedSaver | None = None


#: Of a run whose nodes are not called here.
NO_SHELF = Shelf()


def shelf_of(graph: Any, items: Items, kept: Kept, codec: Codec, lines: NestedLines | None = None) -> Shelf:
    """The store and the cache of a graph on a cluster.

    Args:
        graph: compiled.
        items: of the cluster's ledger.
        kept: of the cluster's ledger.
        codec: of the graph's values.
        lines: of the cluster's ledger, for graphs that nodes run.
    """
    saver = None if lines is None else NestedSaver(cast(NestedLines, _Ours(lines)), codec)
    items, kept = cast(Items, _Ours(items)), cast(Kept, _Ours(kept))
    own, cache = getattr(graph, "store", None), getattr(graph, "cache", None)
    store = own
    if own is None:
        store = RedisStore.over(items, codec)
    elif isinstance(own, InMemoryStore):
        store = RedisStore.over(items, codec, index=own.index_config, ttl=own.ttl_config)
    if isinstance(cache, InMemoryCache):
        cache = RedisCache[Any].over(kept, codec)
    return Shelf(store, cache, saver)
