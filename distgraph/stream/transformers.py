"""The transformers that come with distgraph. Every run has the first four; the others are given to it.

``stream_events(..., version="v3", transformers=[UpdatesTransformer])`` gives ``run.updates``.
"""

from __future__ import annotations

from distgraph.stream.lifecycle import LifecyclePayload, LifecycleTransformer
from distgraph.stream.messages import MessagesTransformer
from distgraph.stream.modes import (
    CheckpointsTransformer,
    CustomTransformer,
    DebugTransformer,
    TasksTransformer,
    UpdatesTransformer,
    ValuesTransformer,
)
from distgraph.stream.run_stream import AsyncSubgraphRunStream, SubgraphRunStream, SubgraphStatus
from distgraph.stream.subgraphs import SubgraphTransformer
from distgraph.stream.transformer import Factory, StreamTransformer

__all__ = [
    "AsyncSubgraphRunStream",
    "CheckpointsTransformer",
    "CustomTransformer",
    "DebugTransformer",
    "LifecyclePayload",
    "LifecycleTransformer",
    "MessagesTransformer",
    "StreamTransformer",
    "SubgraphRunStream",
    "SubgraphStatus",
    "SubgraphTransformer",
    "TasksTransformer",
    "UpdatesTransformer",
    "ValuesTransformer",
]

#: Of every run.
BUILTIN: tuple[Factory, ...] = (ValuesTransformer, MessagesTransformer, LifecycleTransformer, SubgraphTransformer)
