"""The graph below StateGraph: channels, and nodes that subscribe to some and write to others.

node = NodeBuilder().subscribe_only("input").do(lambda x: x + 1).write_to("output")
graph = Pregel(
    nodes={"one": node},
    channels={"input": EphemeralValue(int), "output": LastValue(int)},
    input_channels="input",
    output_channels="output",
)
graph.invoke(1)  # 2
"""

from __future__ import annotations

from distgraph.graph.channel_graph import Pregel
from distgraph.graph.node_builder import NodeBuilder

__all__ = ["NodeBuilder", "Pregel"]
