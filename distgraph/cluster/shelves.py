"""The store and the cache that nodes on workers have: those of the cluster's namespace, in the ledger.

A graph that was compiled with a store or cache of its own that processes can share (a file, another server) keeps it.
What lives in one process' memory would be another one in each worker: in its place stands the cluster's, with the same
index and times to live.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from distgraph.cache.memory import InMemoryCache
from distgraph.cache.redis import RedisCache
from distgraph.ledger.contract.items import Items, Kept
from distgraph.store.memory import InMemoryStore
from distgraph.store.redis import RedisStore
from distgraph.wire import Codec


class Shelf(NamedTuple):
    """What the nodes of one graph have; ``cache`` is None for a graph that was compiled without."""

    store: Any = None
    cache: Any = None


#: Of a run whose nodes are not called here.
NO_SHELF = Shelf()


def shelf_of(graph: Any, items: Items, kept: Kept, codec: Codec) -> Shelf:
    """The store and the cache of a graph on a cluster.

    Args:
        graph: compiled.
        items: of the cluster's ledger.
        kept: of the cluster's ledger.
        codec: of the graph's values.
    """
    own, cache = getattr(graph, "store", None), getattr(graph, "cache", None)
    store = own
    if own is None:
        store = RedisStore.over(items, codec)
    elif isinstance(own, InMemoryStore):
        store = RedisStore.over(items, codec, index=own.index_config, ttl=own.ttl_config)
    if isinstance(cache, InMemoryCache):
        cache = RedisCache[Any].over(kept, codec)
    return Shelf(store, cache)
