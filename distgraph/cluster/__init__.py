"""The distributed shell: graphs run by workers.

from distgraph.cluster import Cluster
cluster = Cluster.connect("redis://127.0.0.1:6379/0")
remote = cluster.bind(graph)
remote.invoke({"x": 1})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distgraph.cluster.batch import Batch, BatchStatus, ItemResult
    from distgraph.cluster.client import Cluster
    from distgraph.cluster.fleet import RunningTask, WorkerInfo
    from distgraph.cluster.following import RunEvent
    from distgraph.cluster.handle import RunHandle, RunInfo
    from distgraph.cluster.remote import ClusterGraph

_HOMES = {
    "Batch": "batch",
    "BatchStatus": "batch",
    "Cluster": "client",
    "ClusterGraph": "remote",
    "ItemResult": "batch",
    "RunEvent": "following",
    "RunHandle": "handle",
    "RunInfo": "handle",
    "RunningTask": "fleet",
    "WorkerInfo": "fleet",
}

__all__ = [
    "Batch",
    "BatchStatus",
    "Cluster",
    "ClusterGraph",
    "ItemResult",
    "RunEvent",
    "RunHandle",
    "RunInfo",
    "RunningTask",
    "WorkerInfo",
]


def __getattr__(name: str) -> Any:
    # Importing the room must not import redis: the graph-writing half of distgraph never needs it.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"distgraph.cluster.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
