"""The programs of `practice`, for workers."""

from __future__ import annotations

from distgraph.cache.memory import InMemoryCache
from distgraph.store.memory import InMemoryStore
from tests.differential.harness import OURS
from tests.graphs.practice import PROGRAMS

GRAPHS = [
    make(OURS).compile(name=name, store=InMemoryStore(), cache=InMemoryCache()) for name, (make, _) in PROGRAMS.items()
]
