"""Runs as objects: ``graph.stream_events(input, version="v3")``, and the transformers that make projections of a run.

events             one event of a run
stream_channel     a projection: a queue with one reader, who drives the run
transformer        what users write
mux                hands events to transformers, and keeps the log
pumps              what makes a run go on
run_stream         the objects that a caller gets
modes, messages, lifecycle, subgraphs   the transformers that are here already; all of them in ``transformers``
"""

from __future__ import annotations

from distgraph.stream.events import ProtocolEvent
from distgraph.stream.run_stream import AsyncGraphRunStream, AsyncSubgraphRunStream, GraphRunStream, SubgraphRunStream
from distgraph.stream.stream_channel import StreamChannel
from distgraph.stream.transformers import (
    CheckpointsTransformer,
    CustomTransformer,
    DebugTransformer,
    LifecyclePayload,
    LifecycleTransformer,
    MessagesTransformer,
    StreamTransformer,
    SubgraphStatus,
    SubgraphTransformer,
    TasksTransformer,
    UpdatesTransformer,
    ValuesTransformer,
)

__all__ = [
    "AsyncGraphRunStream",
    "AsyncSubgraphRunStream",
    "CheckpointsTransformer",
    "CustomTransformer",
    "DebugTransformer",
    "GraphRunStream",
    "LifecyclePayload",
    "LifecycleTransformer",
    "MessagesTransformer",
    "ProtocolEvent",
    "StreamChannel",
    "StreamTransformer",
    "SubgraphRunStream",
    "SubgraphStatus",
    "SubgraphTransformer",
    "TasksTransformer",
    "UpdatesTransformer",
    "ValuesTransformer",
]
